"""The dispatcher: makes the ticks and announces what is due. It only sends hints; the rows are the queue."""

from datetime import datetime, timedelta
from uuid import UUID

from services.chassis.clock import Clock
from services.chassis.crashpoints import crashpoint
from services.chassis.db.database import Database
from services.chassis.ids import new_id
from services.chassis.jobs.registry import Jobs, tick_before
from services.chassis.jobs.timing import Timing
from services.chassis.messaging import topology
from services.chassis.messaging.publisher import Message, Publisher
from services.chassis.telemetry import QUEUE_AGE

JOBS_PER_MESSAGE = 100
_JOBS_PER_ROUND = 1000
# Ticks missed for longer are not made up for.
_CATCH_UP = timedelta(hours=24)

_IS_DUE = "state = 'queued' AND due_at <= $1 AND (retry_at IS NULL OR retry_at <= clock_timestamp())"
_ANNOUNCE = (
    f"WITH due AS (SELECT id FROM jobs WHERE {_IS_DUE} AND kind = ANY($2::text[])"  # noqa: S608 - constants only
    " AND (announced_at IS NULL OR announced_at < clock_timestamp() - make_interval(secs => $3))"
    f" ORDER BY due_at, id LIMIT {_JOBS_PER_ROUND} FOR UPDATE SKIP LOCKED)"
    " UPDATE jobs SET announced_at = clock_timestamp() FROM due WHERE jobs.id = due.id"
    " RETURNING jobs.id, jobs.due_at"
)
_TAKE_BACK = "UPDATE jobs SET announced_at = NULL WHERE id = ANY($1::uuid[]) AND state = 'queued'"
_OLDEST = f"SELECT min(due_at) AS due_at FROM jobs WHERE {_IS_DUE}"  # noqa: S608 - constants only
_MAKE_TICK = (
    "INSERT INTO jobs (id, kind, dedup_key, due_at) VALUES ($1, $2, $3, $4) ON CONFLICT (kind, dedup_key) DO NOTHING"
)


class Dispatcher:
    """Any number of dispatchers share the jobs table."""

    def __init__(
        self, service: str, database: Database, clock: Clock, publisher: Publisher, jobs: Jobs, timing: Timing
    ) -> None:
        self._service, self._database, self._clock = service, database, clock
        self._publisher, self._jobs, self._timing = publisher, jobs, timing
        self._made: dict[str, datetime] = {}

    async def announce(self) -> bool:
        """Announces one round of due jobs; True when there may be more. Kinds of another release are left to it."""
        rows = await self._database.hot(
            _ANNOUNCE, self._clock.now(), list(self._jobs.kinds), self._timing.announce_again_after
        )
        ids: list[UUID] = [row["id"] for row in sorted(rows, key=lambda row: (row["due_at"], row["id"]))]
        try:
            await self._publisher.send(
                [self._hint(ids[start : start + JOBS_PER_MESSAGE]) for start in range(0, len(ids), JOBS_PER_MESSAGE)]
            )
        except Exception:
            await self._database.hot(_TAKE_BACK, ids)
            raise
        if ids:
            crashpoint("dispatcher_after_announce")
        return len(ids) == _JOBS_PER_ROUND

    async def make_ticks(self) -> bool:
        """Makes the latest tick of each kind, once whoever else tries; True when a new one is there."""
        now = self._clock.now()
        made = False
        for kind, interval in self._jobs.ticks.items():
            tick_at = tick_before(now, interval)
            if self._made.get(kind) == tick_at or now - tick_at > _CATCH_UP:
                continue
            await self._database.hot(_MAKE_TICK, new_id(), kind, tick_at.isoformat(), tick_at)
            self._made[kind] = tick_at
            made = True
        return made

    async def measure(self) -> None:
        """Sets the age of the oldest job that waits though it is due."""
        now = self._clock.now()
        oldest: datetime | None = (await self._database.hot(_OLDEST, now))[0]["due_at"]
        QUEUE_AGE.set((now - oldest).total_seconds() if oldest else 0)

    def _hint(self, ids: list[UUID]) -> Message:
        return Message(
            task=topology.RUN_JOBS,
            exchange="",
            routing_key=topology.jobs_queue(self._service),
            body=[str(id) for id in ids],
        )
