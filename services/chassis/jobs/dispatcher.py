"""The dispatcher: makes the ticks and announces what is due. It only sends hints; the rows are the queue."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from services.chassis.clock import Clock
from services.chassis.crashpoints import crashpoint
from services.chassis.db.database import Database
from services.chassis.ids import new_id
from services.chassis.jobs.queues import ROWS_PER_ROUND
from services.chassis.jobs.registry import Jobs, tick_before
from services.chassis.jobs.timing import Timing
from services.chassis.messaging import topology
from services.chassis.messaging.publisher import Message, Publisher

JOBS_PER_MESSAGE = 100
# Ticks missed for longer are not made up for.
_CATCH_UP = timedelta(hours=24)

_MAKE_TICK = (
    "INSERT INTO jobs (id, kind, dedup_key, due_at) VALUES ($1, $2, $3, $4) ON CONFLICT (kind, dedup_key) DO NOTHING"
)


class Dispatcher:
    """Any number of dispatchers share a queue."""

    def __init__(
        self, service: str, database: Database, clock: Clock, publisher: Publisher, jobs: Jobs, timing: Timing
    ) -> None:
        self._service, self._database, self._clock = service, database, clock
        self._publisher, self._jobs, self._timing = publisher, jobs, timing
        self._made: dict[str, datetime] = {}
        # Seconds for which an announcement may wait for its worker.
        self._patience = 0.0

    async def announce(self) -> bool:
        """Announces one round of due jobs; True when there may be more. Kinds of another release are left to it."""
        rows = await self._database.queue(self._jobs.queue.announce, self._clock.now(), list(self._jobs.kinds))
        # A studio's together: what a chunk has to ask others is then asked of one studio at once.
        ids: list[UUID] = [row["id"] for row in sorted(rows, key=_by_studio)]
        try:
            await self._publisher.send(
                [self._hint(ids[start : start + JOBS_PER_MESSAGE]) for start in range(0, len(ids), JOBS_PER_MESSAGE)]
            )
        except Exception:
            await self._database.queue(self._jobs.queue.take_back, ids)
            raise
        if ids:
            crashpoint("dispatcher_after_announce")
        return len(ids) == ROWS_PER_ROUND

    async def forget_old(self) -> bool:
        """Takes back announcements that nobody followed; True when there were any.

        The first time all of them: who starts may be who died with hints in its hands, and a hint too many is harmless.
        """
        forget, kinds = self._jobs.queue.forget, list(self._jobs.kinds)
        forgotten = await self._database.queue(forget, self._clock.now(), kinds, self._patience)
        self._patience = self._timing.announce_again_after
        return bool(forgotten)

    async def make_ticks(self) -> bool:
        """Makes the latest tick of each kind, once whoever else tries; True when a new one is there."""
        now = self._clock.now()
        made = False
        for kind, interval in self._jobs.ticks.items():
            tick_at = tick_before(now, interval)
            if self._made.get(kind) == tick_at or now - tick_at > _CATCH_UP:
                continue
            await self._database.queue(_MAKE_TICK, new_id(), kind, tick_at.isoformat(), tick_at)
            self._made[kind] = tick_at
            made = True
        return made

    async def overdue(self) -> float:
        """How many seconds the oldest job waits that is due."""
        now = self._clock.now()
        oldest: datetime | None = (await self._database.queue(self._jobs.queue.oldest, now))[0]["due_at"]
        return (now - oldest).total_seconds() if oldest else 0.0

    def _hint(self, ids: list[UUID]) -> Message:
        return Message(
            task=topology.run_task(self._jobs.queue.table),
            exchange="",
            routing_key=topology.jobs_queue(self._service),
            body=[str(id) for id in ids],
        )


def _by_studio(row: Any) -> tuple[bytes, datetime, UUID]:
    return row["tenant_id"].bytes if row["tenant_id"] else b"", row["due_at"], row["id"]
