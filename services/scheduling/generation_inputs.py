"""What generation reads, for all of a studio's schedules at once: one statement for each kind of row."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import and_, or_, select, union_all

from services.chassis.db.unit_of_work import UnitOfWork
from services.scheduling.clashes import Closed, Hours, Occupied
from services.scheduling.models import (
    Availability,
    AvailabilityException,
    ClassSchedule,
    ClassSession,
    ClassType,
    Closure,
    Instructor,
    Location,
    Room,
    SkippedDate,
    Studio,
)
from services.scheduling.timetable import LONGEST, Plan

# A set of the studio's dates that have been dealt with, as (schedule, date).
Keys = set[tuple[UUID, date]]


@dataclass(frozen=True, slots=True)
class Target:
    """A schedule to generate for, with what its sessions are made of."""

    schedule: ClassSchedule
    plan: Plan


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


async def occupied(tx: UnitOfWork, start: datetime, end: datetime, besides: Collection[UUID] = ()) -> Occupied:
    """When rooms and instructors are taken by sessions that are not cancelled and have a part in [start, end).

    Those of `besides` are about to leave and take nothing.
    """
    session = ClassSession
    query = select(session.id, session.room_id, session.instructor_id, session.start_at, session.end_at).where(
        session.tenant_id == tx.tenant,
        session.start_at > start - LONGEST,
        session.start_at < end,
        session.end_at > start,
        ~session.cancelled,
    )
    taken = Occupied()
    for session_id, room_id, instructor_id, start_at, end_at in await tx.session.execute(query):
        if session_id not in besides:
            taken.add(room_id, start_at, end_at, session_id)
            taken.add(instructor_id, start_at, end_at, session_id)
    return taken


async def closures(tx: UnitOfWork, first: date, last: date) -> list[Closed]:
    """Those with a day from first to last."""
    query = select(Closure.id, Closure.location_id, Closure.start_date, Closure.end_date).where(
        Closure.tenant_id == tx.tenant,
        Closure.archive_time.is_(None),
        Closure.end_date >= first,
        Closure.start_date <= last,
    )
    return [Closed(*row) for row in await tx.session.execute(query.order_by(Closure.start_date, Closure.id))]


async def hours(tx: UnitOfWork, instructor_ids: Sequence[UUID], first: date, last: date) -> dict[UUID, Hours]:
    """The availability of each of the instructors who have told any."""
    found: dict[UUID, Hours] = {}
    weekly = select(Availability.id, Availability.windows).where(
        Availability.tenant_id == tx.tenant, Availability.id.in_(instructor_ids)
    )
    for instructor_id, windows in await tx.session.execute(weekly):
        by_weekday: dict[int, list[tuple[int, int]]] = {}
        for window in windows:
            by_weekday.setdefault(window["weekday"] - 1, []).append((window["start_minute"], window["end_minute"]))
        found[instructor_id] = Hours(by_weekday)
    exception = AvailabilityException
    dated = select(exception).where(
        exception.tenant_id == tx.tenant, exception.end_date >= first, exception.start_date <= last
    )
    for each in await tx.session.scalars(dated):
        of_kind = found.setdefault(each.instructor_id, Hours())
        days = of_kind.away if each.kind == "AWAY" else of_kind.extra
        days.append((each.start_date, each.end_date, each.start_minute, each.end_minute))
    return found
