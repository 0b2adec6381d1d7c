"""When booking does what by itself."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from prometheus_client import Gauge
from sqlalchemy import select

from services.booking import invariants, overdue, snapshots
from services.booking.locks import lock_line
from services.booking.models import StudioId
from services.chassis.jobs.registry import Done, Job, Jobs, Outcome
from services.chassis.resources import Resources
from services.chassis.telemetry import logger

log = logger(__name__)
VIOLATIONS = Gauge("powerhouse_invariant_violations", "Rows that break what must always hold", ("name",))

# Whose lines one query looks at.
_STUDIOS_AT_ONCE = 500

jobs = Jobs()


@jobs.every("snapshot_class_sessions_if_empty", timedelta(minutes=1))
async def snapshot_class_sessions_if_empty(work: Resources, tick_at: datetime) -> None:
    """A new projection, or one that was truncated to be rebuilt, starts with all that scheduling has."""
    if await snapshots.is_empty(work):
        log.info("class_sessions_loaded", count=await snapshots.load(work))


@jobs.every("check_invariants", timedelta(minutes=15))
async def check_invariants(work: Resources, tick_at: datetime) -> None:
    """Counts in every studio what must not be there."""
    studios = await _studios(work)
    total = Counter(dict.fromkeys(invariants.INVARIANTS, 0))
    for studio in studios:
        async with work.database.transaction(studio) as tx:
            found = await invariants.violations(tx)
        total.update(found)
        if any(found.values()):
            log.error("invariant_violated", studio=str(studio), **found)
    for name, count in total.items():
        VIOLATIONS.labels(name).set(count)


@jobs.every("settle_lines", timedelta(seconds=20))
async def settle_lines(work: Resources, tick_at: datetime) -> None:
    """Lines that closed, quiet hours that ended, people who booked elsewhere, and whatever a crash left undone."""
    studios = await _studios(work)
    for first in range(0, len(studios), _STUDIOS_AT_ONCE):
        batch = studios[first : first + _STUDIOS_AT_ONCE]
        async with work.database.transaction(*batch) as tx:
            unsettled = await overdue.unsettled(tx, batch)
        for studio, session_id in unsettled:
            try:
                async with work.database.transaction(studio) as tx:
                    await lock_line(tx, session_id)
                    await overdue.settle(tx, session_id)
            except Exception as error:
                # The others shall not wait for it; the next tick tries again.
                log.error("line_not_settled", class_session=str(session_id), exc_info=error)


@jobs.on("expire_offers")
async def expire_offers(work: Resources, job: Job) -> Outcome:
    """An offer that nobody answered goes to the next in line."""
    assert job.tenant is not None
    session_id = UUID(job.args["class_session"])
    async with work.database.transaction(job.tenant) as tx:
        await lock_line(tx, session_id)
        await overdue.settle(tx, session_id)
    return Done()


async def _studios(work: Resources) -> Sequence[UUID]:
    async with work.database.transaction() as tx:
        return (await tx.session.scalars(select(StudioId.studio_id).order_by(StudioId.studio_id))).all()
