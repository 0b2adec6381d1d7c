"""The worker: claims announced jobs by id, runs them, renews their lease meanwhile and records what came of them."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from uuid import UUID, uuid4

from opentelemetry.trace import SpanKind

from services.chassis.clock import monotonic
from services.chassis.crashpoints import crashpoint
from services.chassis.jobs.registry import Cancelled, Done, Failed, Job, Jobs, Outcome, Recorded, Retry, Work
from services.chassis.jobs.timing import Timing
from services.chassis.outages import is_outage
from services.chassis.telemetry import JOB_LATENESS, JOB_SECONDS, logger, span

log = logger(__name__)

# As often as fits into a lease; after that the jobs run again.
_RECORD_ATTEMPTS = 10
# For as long as an announcement may take.
_CLAIM_ATTEMPTS = 20
_CLAIM_PAUSE = 0.05


class Worker:
    """Runs chunks of jobs on the event loop of a process."""

    def __init__(self, work: Work, jobs: Jobs, timing: Timing) -> None:
        self._work, self._jobs, self._timing = work, jobs, timing
        self._slots = {name: asyncio.Semaphore(kind.concurrency) for name, kind in jobs.kinds.items()}

    async def run(self, ids: Sequence[UUID]) -> None:
        """Runs what is still to be done of an announced chunk. Raises when the database is away."""
        token = uuid4()
        rows = await self._claim(ids, token)
        if not rows:
            return
        crashpoint("worker_after_claim")
        running = {asyncio.create_task(self._run(job)): job for job in map(self._jobs.read, rows)}
        renewal = asyncio.create_task(self._renew(token, running))
        try:
            while running:
                # What ends while a record is on its way is recorded together, in one statement.
                ended, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                results = [(running.pop(task), task.result()) for task in ended if not task.cancelled()]
                for task in ended & running.keys():
                    del running[task]
                await self._record(token, results)
        finally:
            renewal.cancel()
            for task in running:
                task.cancel()

    async def _claim(self, ids: Sequence[UUID], token: UUID) -> list[Any]:
        """What nobody else has. A dispatcher that comes second holds rows for a moment that another has announced: a
        claim passes over them, and without a second look they would wait to be announced again."""
        database, queue, rows = self._work.database, self._jobs.queue, list[Any]()
        kinds, now = list(self._jobs.kinds), self._work.clock.now()
        for _ in range(_CLAIM_ATTEMPTS):
            rows += await database.queue(queue.claim, now, ids, kinds, token, self._timing.lease)
            rest = {*ids} - {row["id"] for row in rows}
            ids = [row["id"] for row in await database.queue(queue.passed_over, now, list(rest), kinds)] if rest else []
            if not ids:
                break
            await asyncio.sleep(_CLAIM_PAUSE)
        return rows

    async def _run(self, job: Job) -> Outcome:
        async with self._slots[job.kind]:
            if job.attempts == 1:
                JOB_LATENESS.labels(job.kind).observe((self._work.clock.now() - job.due_at).total_seconds())
            started = monotonic()
            with _span(job):
                outcome = self._limited(job, await self._outcome(job))
            JOB_SECONDS.labels(job.kind, type(outcome).__name__.lower()).observe(monotonic() - started)
            return outcome

    async def _outcome(self, job: Job) -> Outcome:
        try:
            async with asyncio.timeout(self._timing.job_limit):
                return await self._jobs.kinds[job.kind].handler(self._work, job)
        except Exception as error:
            expected = is_outage(error)
            log.warning(
                "job_interrupted", kind=job.kind, job=str(job.id), error=type(error).__name__, exc_info=not expected
            )
            return Retry(type(error).__name__)

    def _limited(self, job: Job, outcome: Outcome) -> Outcome:
        """A Retry after the last attempt is a failure that somebody has to read of."""
        if isinstance(outcome, Retry) and job.attempts >= self._jobs.kinds[job.kind].max_attempts:
            outcome = Failed(outcome.reason)
        if isinstance(outcome, Failed):
            log.error("job_failed", kind=job.kind, job=str(job.id), attempts=job.attempts, reason=outcome.reason)
        return outcome

    async def _record(self, token: UUID, results: Sequence[tuple[Job, Outcome]]) -> None:
        rows = [self._columns(job, outcome) for job, outcome in results if not isinstance(outcome, Recorded)]
        if not rows:
            return
        crashpoint("worker_after_handler")
        columns = [list(column) for column in zip(*rows, strict=True)]
        for _ in range(_RECORD_ATTEMPTS):
            try:
                recorded = await self._work.database.queue(self._jobs.queue.settle, token, *columns)
            except Exception as error:
                if not is_outage(error):
                    raise
                log.warning("outcome_not_recorded", count=len(rows), error=type(error).__name__)
                await asyncio.sleep(self._timing.renew_interval / 3)
                continue
            if lost := len(rows) - len(recorded):
                log.warning("job_lease_lost", count=lost)
            return

    def _columns(
        self, job: Job, outcome: Done | Cancelled | Failed | Retry
    ) -> tuple[UUID, str, str | None, float | None]:
        match outcome:
            case Done():
                return job.id, "done", None, None
            case Cancelled(reason):
                return job.id, "cancelled", reason, None
            case Failed(reason):
                return job.id, "failed", reason, None
            case Retry(reason, after_seconds):
                return job.id, "queued", reason, self._pause(job) if after_seconds is None else after_seconds

    def _pause(self, job: Job) -> float:
        longest = min(self._timing.longest_retry_pause, self._timing.retry_pause * 2.0 ** (job.attempts - 1))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter

    async def _renew(self, token: UUID, running: dict[asyncio.Task[Outcome], Job]) -> None:
        """Keeps the chunk's leases, and stops what has lost its lease: somebody else runs it by now."""
        while True:
            await asyncio.sleep(self._timing.renew_interval)
            held = dict(running)
            try:
                rows = await self._work.database.queue(
                    self._jobs.queue.renew, [job.id for job in held.values()], self._timing.lease, token
                )
            except Exception as error:
                if not is_outage(error):
                    raise
                log.warning("lease_not_renewed", error=type(error).__name__)
                continue
            ours = {row["id"] for row in rows}
            for task, job in held.items():
                if job.id not in ours and not task.done():
                    log.warning("job_lease_lost", kind=job.kind, job=str(job.id))
                    task.cancel()


def _span(job: Job) -> AbstractContextManager[object]:
    """The span of a run; none below a trace that is not sampled, of which nothing would be recorded."""
    if job.traceparent and job.traceparent.endswith("-00"):
        return nullcontext()
    return span(
        f"job {job.kind}",
        traceparent=job.traceparent,
        kind=SpanKind.CONSUMER,
        attributes={"job.id": str(job.id), "job.attempts": job.attempts},
    )
