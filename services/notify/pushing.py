"""Pushing: one message to all browsers in which somebody reads what a client is sent.

It has arrived when one of them has it. A browser that listens no more is forgotten, and when it was the last one the
reminders that were planned for it are too.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from services.chassis.resources import Resources
from services.notify import push_subscriptions, reminders
from services.notify.providers.answers import NotSent, Rejected
from services.notify.providers.push import Push, PushProvider, SubscriptionGone


@dataclass(frozen=True)
class Notice:
    """The same message for each of a client's browsers, by the id of its subscription."""

    tenant: UUID
    client_id: UUID
    pushes: Mapping[UUID, Push]


@dataclass(frozen=True)
class Browsers:
    """Who hands a notice over. A repeat with the same key replaces what a browser shows already."""

    work: Resources
    provider: PushProvider

    remembers_keys = True

    @property
    def name(self) -> str:
        return self.provider.name

    async def send(self, notice: Notice, key: str) -> str:
        """Returns the push service's id of the first that was taken. Raises what is most hopeful of the answers."""
        answers = dict(
            zip(
                notice.pushes,
                await asyncio.gather(*(self._ask(push, key) for push in notice.pushes.values())),
                strict=True,
            )
        )
        if gone := [id for id, answer in answers.items() if isinstance(answer, SubscriptionGone)]:
            await self._forget(notice, gone)
        refusals = [answer for answer in answers.values() if isinstance(answer, NotSent)]
        if len(refusals) == len(answers):
            raise max(refusals, key=_hope)
        return next(answer for answer in answers.values() if isinstance(answer, str))

    async def _ask(self, push: Push, key: str) -> str | NotSent:
        try:
            return await self.provider.send(push, key)
        except NotSent as answer:
            return answer

    async def _forget(self, notice: Notice, gone: list[UUID]) -> None:
        async with self.work.database.transaction(notice.tenant) as tx:
            await push_subscriptions.forget(tx, gone)
            if not await push_subscriptions.listening(tx, [notice.client_id]):
                await reminders.rearrange(tx, notice.client_id)


def _hope(answer: NotSent) -> int:
    """Whether it can still arrive, or somebody has to know that it cannot."""
    return 0 if isinstance(answer, SubscriptionGone) else 1 if isinstance(answer, Rejected) else 2
