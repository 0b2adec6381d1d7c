"""What notify asks of a mail provider, whichever it is."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Mail:
    """One mail to one person. `to` is a bare address; `subject` is one line."""

    sender: str
    to: str
    subject: str
    text: str
    html: str


class MailProvider(Protocol):
    """Takes mails and de-duplicates them by key for at least `deliveries.KEY_LIFETIME`."""

    async def send(self, mail: Mail, idempotency_key: str) -> str:
        """Hands a mail over and returns the provider's id of it; the same key sends once, however often it is called.

        Raises Rejected, Deferred, Unclear or AcceptedBefore.
        """
        ...


class NotSent(Exception):
    """The provider did not say yes. `reason` may be shown to the studio and holds nothing personal."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        # Seconds the provider asked to wait.
        self.retry_after = retry_after


class Rejected(NotSent):
    """It will never be accepted: a bad address, a bad request."""


class Deferred(NotSent):
    """Certainly not accepted, but it may be later: a rate limit, an account that needs attention."""


class Unclear(NotSent):
    """Accepted or not: time-out, broken connection, an error on the provider's side. Ask again with the same key."""


class AcceptedBefore(NotSent):
    """A mail with this key but other words was accepted earlier; nothing was sent now."""
