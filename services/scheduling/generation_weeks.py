"""When the weekly generation is due: each Sunday at 06:00 of the studio. A run that was missed is made up for once."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from services.chassis.db.unit_of_work import UnitOfWork
from services.scheduling.generation import WEEKLY
from services.scheduling.models import ClassSchedule, GenerationRun, Studio
from services.scheduling.recurrence import instant_of, wall_of

_SUNDAY, _AT = 6, time(6)


def latest(now: datetime, zone: ZoneInfo) -> datetime:
    """The latest Sunday 06:00 in the zone that is not after `now`."""
    wall = wall_of(now, zone)
    sunday = wall.date() - timedelta(days=(wall.weekday() - _SUNDAY) % 7)
    due = instant_of(datetime.combine(sunday, _AT), zone)
    return due if due <= now else instant_of(datetime.combine(sunday - timedelta(weeks=1), _AT), zone)


async def due(tx: UnitOfWork, studio_ids: Sequence[UUID]) -> list[tuple[UUID, datetime]]:
    """Studios that had a schedule at their latest Sunday 06:00 and no weekly run since, with that instant."""
    last_run = (
        select(func.max(GenerationRun.create_time))
        .where(GenerationRun.tenant_id == Studio.tenant_id, GenerationRun.cause == WEEKLY)
        .scalar_subquery()
    )
    oldest = (
        select(func.min(ClassSchedule.create_time))
        .where(ClassSchedule.tenant_id == Studio.tenant_id, ClassSchedule.archive_time.is_(None))
        .scalar_subquery()
    )
    query = select(Studio.tenant_id, Studio.time_zone, oldest, last_run).where(Studio.tenant_id.in_(studio_ids))
    found = []
    for studio_id, zone, since, ran in await tx.session.execute(query):
        sunday = latest(tx.now(), ZoneInfo(zone))
        if since is not None and since <= sunday and (ran is None or ran < sunday):
            found.append((studio_id, sunday))
    return found
