"""What generation reads, for all of a studio's schedules at once: one statement for each kind of row."""

import json
from collections.abc import Collection
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import func, or_, select, text, union_all

from services.chassis.db.unit_of_work import UnitOfWork
from services.scheduling.clashes import Closed, Hours, Occupied
from services.scheduling.models import ClassSession, SkippedDate
from services.scheduling.timetable import LONGEST

# The studio's dates that have been dealt with, by schedule.
Known = dict[UUID, set[date]]


async def known(tx: UnitOfWork, first: date, last: date) -> Known:
    """Dates from first to last that have their session, cancelled and moved ones too, or were skipped by hand."""
    both = union_all(
        *(
            select(kind.schedule_id, kind.original_date).where(
                kind.tenant_id == tx.tenant, kind.original_date.between(first, last), kind.schedule_id.is_not(None)
            )
            for kind in (ClassSession, SkippedDate)
        )
    ).subquery()
    query = select(both.c.schedule_id, func.array_agg(both.c.original_date)).group_by(both.c.schedule_id)
    return {schedule_id: set(days) for schedule_id, days in await tx.session.execute(query)}


async def occupied(
    tx: UnitOfWork, who: Collection[UUID], start: datetime, end: datetime, besides: Collection[UUID] = ()
) -> Occupied:
    """When rooms and instructors are taken by sessions that are not cancelled and have a part in [start, end).

    Sessions of rooms and instructors that are not in `who` are of no interest, and those of `besides` about to leave.
    """
    session = ClassSession
    query = select(session.id, session.room_id, session.instructor_id, session.start_at, session.end_at).where(
        session.tenant_id == tx.tenant,
        session.start_at > start - LONGEST,
        session.start_at < end,
        session.end_at > start,
        ~session.cancelled,
        or_(session.room_id.in_(who), session.instructor_id.in_(who)),
    )
    if besides:
        query = query.where(session.id.not_in(besides))
    taken = Occupied()
    for session_id, room_id, instructor_id, start_at, end_at in await tx.session.execute(query):
        taken.add(room_id, start_at, end_at, session_id)
        taken.add(instructor_id, start_at, end_at, session_id)
    return taken


_LIMITS = text("""
    SELECT
        ARRAY(
            SELECT ROW (id, location_id, start_date, end_date) FROM closures
            WHERE tenant_id = :tenant AND archive_time IS NULL AND end_date >= :first AND start_date <= :last
            ORDER BY start_date, id
        ),
        ARRAY(
            SELECT ROW (id, windows::text) FROM availabilities WHERE tenant_id = :tenant AND windows <> '[]'
        ),
        ARRAY(
            SELECT ROW (instructor_id, kind, start_date, end_date, start_minute, end_minute)
            FROM availability_exceptions
            WHERE tenant_id = :tenant AND end_date >= :first AND start_date <= :last
        )""")


async def limits(tx: UnitOfWork, first: date, last: date) -> tuple[list[Closed], dict[UUID, Hours]]:
    """Closures with a day from first to last, and the availability of each instructor who has told any."""
    closures, windows, exceptions = (
        await tx.session.execute(_LIMITS, {"tenant": tx.tenant, "first": first, "last": last})
    ).one()
    found: dict[UUID, Hours] = {}
    for instructor_id, weekly in windows:
        by_weekday: dict[int, list[tuple[int, int]]] = {}
        for window in json.loads(weekly):
            by_weekday.setdefault(window["weekday"] - 1, []).append((window["start_minute"], window["end_minute"]))
        found[instructor_id] = Hours(by_weekday)
    for instructor_id, kind, *days in exceptions:
        hours = found.setdefault(instructor_id, Hours())
        (hours.away if kind == "AWAY" else hours.extra).append((days[0], days[1], days[2], days[3]))
    return [Closed(*closure) for closure in closures], found
