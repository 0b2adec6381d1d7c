"""What a service does when it is due: one handler per kind of job and per tick, registered in its jobs.py."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from services.chassis.jobs.queues import JOBS, Queue
from services.chassis.resources import Resources

# What a handler works with; the chassis opens it once per work process.
Work = Resources

TICK_PREFIX = "tick:"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Done:
    """The work is done."""


@dataclass(frozen=True)
class Cancelled:
    """The work is no longer wanted. `reason` is UPPER_SNAKE and kept with the job."""

    reason: str


@dataclass(frozen=True)
class Retry:
    """Not now. Tried again after `after_seconds` of real time (default: growing pauses) until attempts are used up."""

    reason: str
    after_seconds: float | None = None


@dataclass(frozen=True)
class Failed:
    """Repeating does not help. `reason` is UPPER_SNAKE and kept with the job."""

    reason: str


@dataclass(frozen=True)
class Recorded:
    """The handler has given the row back itself, in the statement that wrote what came of it."""


Outcome = Done | Cancelled | Retry | Failed | Recorded


@dataclass(frozen=True)
class Job:
    """A claimed job. It runs at least once: effects that must not double are keyed by `id` or `dedup_key`."""

    id: UUID
    tenant: UUID | None
    kind: str
    dedup_key: str
    args: dict[str, Any]
    # Business time.
    due_at: datetime
    # Counts this one.
    attempts: int
    # Fences the record of the outcome against whoever lost the lease.
    lease_token: UUID
    traceparent: str | None


def read_job(row: Any) -> Job:
    """A row of `jobs`."""
    return Job(
        id=row["id"],
        tenant=row["tenant_id"],
        kind=row["kind"],
        dedup_key=row["dedup_key"],
        args=json.loads(row["args"]),
        due_at=row["due_at"],
        attempts=row["attempts"],
        lease_token=row["lease_token"],
        traceparent=row["traceparent"],
    )


JobHandler = Callable[[Work, Any], Awaitable[Outcome]]
TickHandler = Callable[[Work, datetime], Awaitable[None]]


@dataclass(frozen=True)
class Kind:
    """A kind of job: how often it is tried in all and how many of it one process runs at once."""

    handler: JobHandler
    max_attempts: int
    concurrency: int


class Jobs:
    """The kinds of jobs and the ticks of a service."""

    def __init__(self, queue: Queue = JOBS, read: Callable[[Any], Job] = read_job) -> None:
        """`read` makes of a claimed row what the handlers get."""
        self.queue, self.read = queue, read
        self.kinds: dict[str, Kind] = {}
        # Name of the tick's kind -> interval.
        self.ticks: dict[str, timedelta] = {}

    def on(self, kind: str, *, max_attempts: int = 3, concurrency: int = 16) -> Callable[[JobHandler], JobHandler]:
        """Registers `async def handler(work, job) -> Outcome`. An unexpected exception counts as Retry."""
        if kind in self.kinds:
            raise ValueError(f"{kind} has a handler already")

        def register(handler: JobHandler) -> JobHandler:
            self.kinds[kind] = Kind(handler, max_attempts, concurrency)
            return handler

        return register

    def every(self, name: str, interval: timedelta) -> Callable[[TickHandler], TickHandler]:
        """Registers `async def handler(work, tick_at)`, for the multiples of `interval` since 1970 UTC, business time.

        Any number of processes make each tick once. Of ticks missed within 24 hours only the latest is made.
        """

        def register(handler: TickHandler) -> TickHandler:
            async def run(work: Work, job: Job) -> Outcome:
                await handler(work, job.due_at)
                return Done()

            self.on(TICK_PREFIX + name)(run)
            self.ticks[TICK_PREFIX + name] = interval
            return handler

        return register


def tick_before(now: datetime, interval: timedelta) -> datetime:
    """The latest tick at or before `now`."""
    return now - (now - _EPOCH) % interval
