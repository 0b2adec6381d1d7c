"""When booking does what by itself."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from prometheus_client import Gauge
from sqlalchemy import select

from services.booking import exports, import_chunks, imports, invariants, snapshots
from services.booking.models import StudioId
from services.chassis import blobs
from services.chassis.jobs.registry import Cancelled, Done, Job, Jobs, Outcome
from services.chassis.resources import Resources
from services.chassis.telemetry import logger

log = logger(__name__)
VIOLATIONS = Gauge("powerhouse_invariant_violations", "Rows that break what must always hold", ("name",))

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
        wanted = await import_chunks.advance(work.database, job.tenant, import_id, run_id, job.args["position"])
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
        wanted = await exports.write(work.database, job.tenant, export_id)
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


async def _studios(work: Resources) -> Sequence[UUID]:
    async with work.database.transaction() as tx:
        return (await tx.session.scalars(select(StudioId.studio_id).order_by(StudioId.studio_id))).all()
