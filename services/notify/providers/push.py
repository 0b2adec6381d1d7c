"""What notify asks of whoever brings a notification to a browser."""

from dataclasses import dataclass
from typing import Protocol

from services.notify.providers.answers import Rejected


@dataclass(frozen=True)
class Subscription:
    """Where one browser listens, as its Push API gave it: an address, and the keys that only this browser reads."""

    endpoint: str
    p256dh: str
    auth: str


@dataclass(frozen=True)
class Push:
    """One notification for one browser. `link` is opened by a tap."""

    to: Subscription
    title: str
    text: str
    link: str
    # Seconds for which it is worth showing.
    lifetime: int


class SubscriptionGone(Rejected):
    """The browser listens no more."""


class PushProvider(Protocol):
    """Takes notifications. A repeat with the same key replaces the one before, on its way and on the screen."""

    @property
    def name(self) -> str:
        """What deliveries and metrics call it."""
        ...

    @property
    def public_key(self) -> str:
        """With which a browser subscribes, in base64url."""
        ...

    def reaches(self, endpoint: str) -> bool:
        """Whether a browser may have its messages sent there."""
        ...

    async def send(self, push: Push, key: str) -> str:
        """Hands a notification over and returns the push service's id of it.

        Raises Rejected (as SubscriptionGone: forget the subscription), Deferred or Unclear.
        """
        ...
