"""When booking does what by itself."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from services.booking import (
    drop_ins,
    exports,
    import_chunks,
    imports,
    invariants,
    lapses,
    no_shows,
    overdue,
    snapshots,
)
from services.booking.locks import lock_line
from services.booking.models import StudioId
from services.booking.person_keys import PersonKeys
from services.chassis import blobs
from services.chassis.jobs.registry import Cancelled, Done, Job, Jobs, Outcome
from services.chassis.resources import Resources
from services.chassis.telemetry import VIOLATIONS, logger

log = logger(__name__)

# How many share a transaction where one statement serves them all.
_STUDIOS_AT_ONCE = 200
# Of one chunk.
_IMPORT_ATTEMPTS = 8
_EXPORT_ATTEMPTS = 5

jobs = Jobs()


@jobs.every("snapshot_class_sessions_if_empty", timedelta(minutes=1))
async def snapshot_class_sessions_if_empty(work: Resources, tick_at: datetime) -> None:
    """A new projection, or one that was truncated to be rebuilt, starts with all that scheduling has."""
    if await snapshots.is_empty(work):
        log.info("class_sessions_loaded", count=await snapshots.load(work))


@jobs.on("load_class_sessions", max_attempts=20)
async def load_class_sessions(work: Resources, job: Job) -> Outcome:
    """The same at once, for a migration that has emptied the projection: events that come first would hide that."""
    log.info("class_sessions_loaded", count=await snapshots.load(work))
    return Done()


@jobs.on(imports.JOB, max_attempts=_IMPORT_ATTEMPTS, concurrency=2)
async def import_chunk(work: Resources, job: Job) -> Outcome:
    """The next rows of a file."""
    assert job.tenant is not None
    import_id, run_id = UUID(job.args["import"]), UUID(job.args["run"])
    try:
        wanted = await import_chunks.advance(
            work.database, PersonKeys(work.settings), job.tenant, import_id, run_id, job.args["position"]
        )
    except Exception:
        if job.attempts >= _IMPORT_ATTEMPTS:
            await import_chunks.give_up(work.database, job.tenant, import_id, run_id)
        raise
    return Done() if wanted else Cancelled("MOVED_ON")


@jobs.on(exports.JOB, max_attempts=_EXPORT_ATTEMPTS, concurrency=1)
async def write_export(work: Resources, job: Job) -> Outcome:
    """Everything of a studio into a zip."""
    assert job.tenant is not None
    export_id = UUID(job.args["export"])
    try:
        wanted = await exports.write(work.database, PersonKeys(work.settings), job.tenant, export_id)
    except Exception:
        if job.attempts >= _EXPORT_ATTEMPTS:
            await exports.give_up(work.database, job.tenant, export_id)
        raise
    return Done() if wanted else Cancelled("NOT_WANTED")


@jobs.every("sweep_blobs", timedelta(hours=1))
async def sweep_blobs(work: Resources, tick_at: datetime) -> None:
    """Deletes files whose time is over or that nobody uses any more, and what broken uploads left."""
    for studio in await _studios(work):
        async with work.database.transaction(studio) as tx:
            await imports.release_files(tx)
            await exports.expire(tx)
            await blobs.sweep(tx)


@jobs.every("check_invariants", timedelta(minutes=15))
async def check_invariants(work: Resources, tick_at: datetime) -> None:
    """Counts in every studio what must not be there."""
    total = Counter(dict.fromkeys(invariants.INVARIANTS, 0))
    for studio in await _studios(work):
        async with work.database.transaction(studio) as tx:
            found = await invariants.violations(tx)
        total.update(found)
        if any(found.values()):
            log.error("invariant_violated", studio=str(studio), **found)
    for name, count in total.items():
        VIOLATIONS.labels(name).set(count)


@jobs.every("post_lapsed_credits", timedelta(hours=1))
async def post_lapsed_credits(work: Resources, tick_at: datetime) -> None:
    """Credits of packages that have ended leave them."""
    if count := await lapses.post_all(work.database):
        log.info("credits_lapsed", packages=count)


@jobs.every("mark_no_shows", timedelta(minutes=5))
async def mark_no_shows(work: Resources, tick_at: datetime) -> None:
    """Who held a place in a class that is over and was not there counts as absent."""
    studios = await _studios(work)
    for first in range(0, len(studios), _STUDIOS_AT_ONCE):
        together = studios[first : first + _STUDIOS_AT_ONCE]
        marked = 1
        while marked:
            async with work.database.transaction(*together) as tx:
                marked = await no_shows.mark_some(tx, together)


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


@jobs.on("expire_drop_in")
async def expire_drop_in(work: Resources, job: Job) -> Outcome:
    """The hold of a place that waits for its payment has ended."""
    assert job.tenant is not None
    async with work.database.transaction(job.tenant) as tx:
        await drop_ins.expire(tx, UUID(job.args["booking_id"]))
    return Done()


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
