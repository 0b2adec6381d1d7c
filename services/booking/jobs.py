"""When booking does what by itself."""

from collections import Counter
from datetime import datetime, timedelta

from prometheus_client import Gauge
from sqlalchemy import select

from services.booking import invariants, lapses, snapshots
from services.booking.models import StudioId
from services.chassis.jobs.registry import Jobs
from services.chassis.resources import Resources
from services.chassis.telemetry import logger

log = logger(__name__)
VIOLATIONS = Gauge("powerhouse_invariant_violations", "Rows that break what must always hold", ("name",))

jobs = Jobs()


@jobs.every("snapshot_class_sessions_if_empty", timedelta(minutes=1))
async def snapshot_class_sessions_if_empty(work: Resources, tick_at: datetime) -> None:
    """A new projection, or one that was truncated to be rebuilt, starts with all that scheduling has."""
    if await snapshots.is_empty(work):
        log.info("class_sessions_loaded", count=await snapshots.load(work))


@jobs.every("check_invariants", timedelta(minutes=15))
async def check_invariants(work: Resources, tick_at: datetime) -> None:
    """Counts in every studio what must not be there."""
    async with work.database.transaction() as tx:
        studios = (await tx.session.scalars(select(StudioId.studio_id).order_by(StudioId.studio_id))).all()
    total = Counter(dict.fromkeys(invariants.INVARIANTS, 0))
    for studio in studios:
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
