"""What generation reads, for all of a studio's schedules at once: one statement for each kind of row."""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import and_, or_, select, text, union_all

from services.chassis.db.unit_of_work import UnitOfWork
from services.scheduling.clashes import Closed, Hours, Occupied
from services.scheduling.models import (
    ClassSchedule,
    ClassSession,
    ClassType,
    Instructor,
    Location,
    Room,
    SkippedDate,
    Studio,
)
from services.scheduling.timetable import LONGEST, Plan

# A set of the studio's dates that have been dealt with, as (schedule, date).
Keys = set[tuple[UUID, date]]


@dataclass(slots=True)
class Target:
    """A schedule to generate for, with what its sessions are to be made of. Plain values, since each date asks."""

    schedule: ClassSchedule
    plan: Plan
    id: UUID = field(init=False)
    room_id: UUID = field(init=False)
    instructor_id: UUID = field(init=False)
    # Whether the room is large enough.
    fits: bool = field(init=False)

    def __post_init__(self) -> None:
        self.id, self.room_id, self.instructor_id = self.schedule.id, self.plan.room.id, self.plan.instructor.id
        self.fits = self.schedule.capacity <= self.plan.room.capacity


async def targets(tx: UnitOfWork, studio: Studio, schedule_id: UUID | None, today: date) -> list[Target]:
    """The studio's active schedules that are not over, or the given one of them, by id."""
    schedule = ClassSchedule
    query = (
        select(schedule, ClassType, Room, Location, Instructor)
        .join(ClassType, and_(ClassType.tenant_id == tx.tenant, ClassType.id == schedule.class_type_id))
        .join(Room, and_(Room.tenant_id == tx.tenant, Room.id == schedule.room_id))
        .join(Location, and_(Location.tenant_id == tx.tenant, Location.id == Room.location_id))
        .join(Instructor, and_(Instructor.tenant_id == tx.tenant, Instructor.id == schedule.instructor_id))
        .where(schedule.tenant_id == tx.tenant, schedule.archive_time.is_(None))
        .where(or_(schedule.end_date.is_(None), schedule.end_date >= today))
        .order_by(schedule.id)
    )
    if schedule_id is not None:
        query = query.where(schedule.id == schedule_id)
    rows = await tx.session.execute(query)
    return [
        Target(found, Plan(class_type, room, location, instructor, studio.currency_code))
        for found, class_type, room, location, instructor in rows
    ]


async def keys(tx: UnitOfWork, first: date, last: date) -> Keys:
    """Dates from first to last that have their session, cancelled and moved ones too, or were skipped by hand."""
    query = union_all(
        *(
            select(kind.schedule_id, kind.original_date).where(
                kind.tenant_id == tx.tenant, kind.original_date.between(first, last), kind.schedule_id.is_not(None)
            )
            for kind in (ClassSession, SkippedDate)
        )
    )
    return {(row.schedule_id, row.original_date) for row in await tx.session.execute(query)}


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
