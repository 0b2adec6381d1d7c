"""What generation reads: all of a studio in one statement, and the sessions in the way of what it would plan."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from services.chassis.db.unit_of_work import UnitOfWork
from services.scheduling.clashes import Closed, Hours, Occupied
from services.scheduling.generation_targets import Target
from services.scheduling.timetable import LONGEST


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is known of a studio before anything is decided."""

    # Active schedules that are not over, or the one asked for, by id: the older first.
    targets: list[Target]
    # Dates that have their session, cancelled and moved ones too, or were skipped by hand; by schedule.
    known: dict[UUID, set[date]]
    closures: list[Closed]
    # By instructor, of those who have told any.
    hours: dict[UUID, Hours]


_LIMITS_READ = """
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
        )"""
# Built once: for a thousand studios in a row that costs more than to run it.
_READ = text(f"""
    SELECT
        ARRAY(
            SELECT ROW (
                s.id, s.display_name, s.rrule, s.start_date, s.end_date, s.local_time, s.duration_minutes, s.capacity,
                s.room_id, s.instructor_id, s.attention, r.capacity, l.id, l.time_zone,
                CASE
                    WHEN r.archive_time IS NOT NULL THEN 'ROOM_DELETED'
                    WHEN l.archive_time IS NOT NULL THEN 'LOCATION_DELETED'
                    WHEN i.archive_time IS NOT NULL THEN 'INSTRUCTOR_DELETED'
                    WHEN c.archive_time IS NOT NULL THEN 'CLASS_TYPE_DELETED'
                    WHEN cardinality(i.class_type_ids) > 0 AND NOT c.id = ANY (i.class_type_ids)
                        THEN 'CLASS_TYPE_NOT_TAUGHT'
                    ELSE ''
                END
            )
            FROM class_schedules s
            JOIN class_types c ON c.tenant_id = :tenant AND c.id = s.class_type_id
            JOIN rooms r ON r.tenant_id = :tenant AND r.id = s.room_id
            JOIN locations l ON l.tenant_id = :tenant AND l.id = r.location_id
            JOIN instructors i ON i.tenant_id = :tenant AND i.id = s.instructor_id
            WHERE s.tenant_id = :tenant AND s.archive_time IS NULL AND (s.end_date IS NULL OR s.end_date >= :first)
                AND (CAST(:schedule AS uuid) IS NULL OR s.id = :schedule)
            ORDER BY s.id
        ),
        known.schedule_ids, known.days,
        {_LIMITS_READ}
    FROM (
        SELECT coalesce(array_agg(schedule_id), '{{}}') AS schedule_ids,
            coalesce(array_agg(original_date), '{{}}') AS days
        FROM (
            SELECT schedule_id, original_date FROM class_sessions
            WHERE tenant_id = :tenant AND original_date BETWEEN :first AND :last AND schedule_id IS NOT NULL
            UNION ALL
            SELECT schedule_id, original_date FROM skipped_dates
            WHERE tenant_id = :tenant AND original_date BETWEEN :first AND :last
        ) dates
    ) known""")  # noqa: S608 - constants only
_LIMITS = text(f"SELECT {_LIMITS_READ}")
# By start and end, since row level security keeps `&&` from its index; none is longer than 8 hours (CHECK).
_OCCUPIED = text("""
    SELECT id, room_id, instructor_id, start_at, end_at FROM class_sessions
    WHERE tenant_id = :tenant AND start_at > :from_start AND start_at < :until AND end_at > :start AND NOT cancelled
        AND (room_id = ANY (CAST(:who AS uuid[])) OR instructor_id = ANY (CAST(:who AS uuid[])))""")


async def read(tx: UnitOfWork, schedule_id: UUID | None, first: date, last: date) -> Inputs:
    """What concerns dates from first to last; of schedules all, or only the given one."""
    row = await tx.session.execute(_READ, {"tenant": tx.tenant, "schedule": schedule_id, "first": first, "last": last})
    targets, schedule_ids, days, closures, windows, exceptions = row.one()
    known: dict[UUID, set[date]] = {}
    for schedule, day in zip(schedule_ids, days, strict=True):
        known.setdefault(schedule, set()).add(day)
    return Inputs(
        targets=[Target(*target) for target in targets],
        known=known,
        closures=[Closed(*closure) for closure in closures],
        hours=_hours(windows, exceptions),
    )


async def limits(tx: UnitOfWork, first: date, last: date) -> tuple[list[Closed], dict[UUID, Hours]]:
    """Closures with a day from first to last, and the availability of each instructor who has told any."""
    row = await tx.session.execute(_LIMITS, {"tenant": tx.tenant, "first": first, "last": last})
    closures, windows, exceptions = row.one()
    return [Closed(*closure) for closure in closures], _hours(windows, exceptions)


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


def _hours(windows: Any, exceptions: Any) -> dict[UUID, Hours]:
    found: dict[UUID, Hours] = {}
    for instructor_id, weekly in windows:
        by_weekday: dict[int, list[tuple[int, int]]] = {}
        for window in json.loads(weekly):
            by_weekday.setdefault(window["weekday"] - 1, []).append((window["start_minute"], window["end_minute"]))
        found[instructor_id] = Hours(by_weekday)
    for instructor_id, kind, first, last, start, end in exceptions:
        hours = found.setdefault(instructor_id, Hours())
        (hours.away if kind == "AWAY" else hours.extra).append((first, last, start, end))
    return found
