"""What notify asks of whoever sends text messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Sms:
    """One text message to one person. Both numbers are in E.164; `sender` is the studio's."""

    sender: str
    to: str
    text: str


class SmsProvider(Protocol):
    """Takes text messages. It remembers no keys: after Unclear it is not called again, but looked through."""

    @property
    def name(self) -> str:
        """What deliveries and metrics call it."""
        ...

    async def send(self, sms: Sms, key: str) -> str:
        """Hands a message over and returns the provider's id of it; what becomes of it is reported under the key.

        Raises Rejected, Deferred or Unclear.
        """
        ...

    async def find(self, sms: Sms, since: datetime) -> Sequence[str]:
        """Ids of the messages with these words, from and to these numbers, taken since then; the oldest first.

        The provider does not say under which key it took them; so of deliveries with the same words one is on its way
        at a time (`handing_over.Begun.TWIN`).
        Raises NotSent when it cannot be asked.
        """
        ...
