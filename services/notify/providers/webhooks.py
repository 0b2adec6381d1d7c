"""What the webhooks of all providers have in common: a signed request comes in, news of messages come out of it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from services.chassis.clock import real_now
from services.chassis.errors import InvalidArgument, PermissionDenied
from services.notify.models import Outcome

_NOT_IN_REASONS = re.compile(r"[^A-Za-z0-9 .\-]")


@dataclass(frozen=True)
class Webhook:
    """One request as it came; header names are in lower case."""

    url: str
    headers: Mapping[str, str]
    body: bytes

    def header(self, name: str) -> str:
        return self.headers.get(name, "")


@dataclass(frozen=True)
class Event:
    """One thing a provider tells. The same thing has the same id whenever it is told again."""

    account: str
    external_id: str
    payload: dict[str, Any]


@dataclass(frozen=True)
class DeliveryNews:
    """What became of a message. `outcome` None: the provider has it."""

    key: str
    provider_message_id: str
    outcome: Outcome | None
    # Nothing personal.
    reason: str = ""
    # None: when it was told.
    at: datetime | None = None
    # Set where the address shall get no more: nobody is there, or somebody does not want it.
    dead_address: str = ""
    unwilling_address: str = ""


@dataclass(frozen=True)
class InboundSms:
    """Somebody wrote to a studio's number. `granted`: STOP or START, None for other words."""

    sender: str
    to: str
    granted: bool | None


News = DeliveryNews | InboundSms


class WebhookReader(Protocol):
    """One provider's webhooks."""

    def open(self, webhook: Webhook) -> Sequence[Event]:
        """What a request tells. Raises PermissionDenied when the provider did not sign it, or InvalidArgument."""
        ...

    def answer(self, webhook: Webhook) -> str:
        """What the provider is told in return, as TwiML; empty for nothing."""
        ...

    def read(self, payload: dict[str, Any]) -> News | None:
        """What an event means; None when it means nothing here."""
        ...


def forged() -> PermissionDenied:
    return PermissionDenied("the provider did not sign this", reason="SIGNATURE_INVALID")


def malformed(message: str) -> InvalidArgument:
    return InvalidArgument("body", message, reason="EVENT_MALFORMED")


def check_age(timestamp: str, tolerance: float) -> None:
    """Raises PermissionDenied for what was signed more than `tolerance` seconds ago, or ahead of time."""
    try:
        age = real_now().timestamp() - int(timestamp)
    except ValueError:
        raise forged() from None
    if abs(age) > tolerance:
        raise PermissionDenied("this was signed too long ago", reason="SIGNATURE_EXPIRED")


def words(text: object) -> str:
    """A provider's word for a reason, short, and of a form that holds no address."""
    return _NOT_IN_REASONS.sub("", str(text or ""))[:40].strip()
