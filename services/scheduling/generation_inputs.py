"""What generation reads, for all of a studio's schedules at once: one statement for each kind of row."""

import json
from collections.abc import Collection
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import text

from services.chassis.db.unit_of_work import UnitOfWork
from services.scheduling.clashes import Closed, Hours, Occupied
from services.scheduling.timetable import LONGEST

# The studio's dates that have been dealt with, by schedule.
Known = dict[UUID, set[date]]

# Statements are built once: for a thousand studios in a row that costs more than to run them.
_KNOWN = text("""
    SELECT schedule_id, array_agg(original_date) FROM (
        SELECT schedule_id, original_date FROM class_sessions
        WHERE tenant_id = :tenant AND original_date BETWEEN :first AND :last AND schedule_id IS NOT NULL
        UNION ALL
        SELECT schedule_id, original_date FROM skipped_dates
        WHERE tenant_id = :tenant AND original_date BETWEEN :first AND :last
    ) known GROUP BY schedule_id""")
# By start and end, since row level security keeps `&&` from its index; none is longer than 8 hours (CHECK).
_OCCUPIED = text("""
    SELECT id, room_id, instructor_id, start_at, end_at FROM class_sessions
    WHERE tenant_id = :tenant AND start_at > :from_start AND start_at < :until AND end_at > :start AND NOT cancelled
        AND (room_id = ANY (CAST(:who AS uuid[])) OR instructor_id = ANY (CAST(:who AS uuid[])))""")


async def known(tx: UnitOfWork, first: date, last: date) -> Known:
    """Dates from first to last that have their session, cancelled and moved ones too, or were skipped by hand."""
    rows = await tx.session.execute(_KNOWN, {"tenant": tx.tenant, "first": first, "last": last})
    return {schedule_id: set(days) for schedule_id, days in rows}


async def occupied(
    tx: UnitOfWork, who: Collection[UUID], start: datetime, end: datetime, besides: Collection[UUID] = ()
) -> Occupied:
    """When rooms and instructors are taken by sessions that are not cancelled and have a part in [start, end).

    Sessions of rooms and instructors that are not in `who` are of no interest, and those of `besides` about to leave.
    """
    rows = await tx.session.execute(
        _OCCUPIED,
        {"tenant": tx.tenant, "from_start": start - LONGEST, "start": start, "until": end, "who": list(who)},
    )
    taken = Occupied()
    for session_id, room_id, instructor_id, start_at, end_at in rows:
        if session_id not in besides:
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
