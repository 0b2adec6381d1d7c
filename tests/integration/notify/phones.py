"""An SMS provider with a memory and bad days: what tests of sending need beside the wire."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

from services.chassis.clock import real_now
from services.notify.providers.answers import Unclear
from services.notify.providers.sms import Sms

NAME = "phones"


@dataclass
class Phones:
    """Takes texts. `answers` are given instead of the next yeses, with whether the text is taken all the same."""

    name: str = NAME
    taken: list[tuple[str, str, Sms, datetime]] = field(default_factory=list)
    answers: list[tuple[bool, Exception]] = field(default_factory=list)
    looked: int = 0
    # What happens while a text is on its way.
    meanwhile: Callable[[str], Awaitable[None]] | None = None
    # Nobody can look through it.
    blind: bool = False

    async def send(self, sms: Sms, key: str) -> str:
        takes, answer = self.answers.pop(0) if self.answers else (True, None)
        message_id = f"SM{uuid4().hex}"
        if takes:
            self.taken.append((message_id, key, sms, real_now()))
        if self.meanwhile is not None:
            await self.meanwhile(key)
        if answer is not None:
            raise answer
        return message_id

    async def find(self, sms: Sms, since: datetime) -> Sequence[str]:
        self.looked += 1
        if self.blind:
            raise Unclear("the SMS provider does not answer")
        return [id for id, _, taken, at in self.taken if taken == sms and at >= since]

    @property
    def ids(self) -> list[str]:
        """Of what it has taken."""
        return [id for id, *_ in self.taken]

    def texts(self, to: str) -> list[str]:
        """What it has taken for a number."""
        return [sms.text for _, _, sms, _ in self.taken if sms.to == to]
