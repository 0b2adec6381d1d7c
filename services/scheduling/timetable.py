"""Questions to the timetable: sessions with all they show, what is still to come, what overlaps."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, select, tuple_

from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, NotFound
from services.scheduling.models import (
    Catalogued,
    ClassSession,
    ClassType,
    Instructor,
    Location,
    Room,
    Studio,
    session_name,
)

# No session is longer (CHECK), so a look back by this much finds all that may still run.
LONGEST = timedelta(hours=8)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a session is made of."""

    class_type: ClassType
    room: Room
    location: Location
    instructor: Instructor
    # ISO 4217, the studio's.
    currency_code: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A session with what it is made of."""

    session: ClassSession
    plan: Plan


async def get(tx: UnitOfWork, session_id: UUID) -> Entry:
    """One session of the studio. Raises NotFound."""
    found = await _entries(tx, _entries_of(tx.tenant).where(ClassSession.id == session_id))
    if not found:
        raise NotFound(session_name(tx.tenant, session_id))
    return found[0]


async def list_page(tx: UnitOfWork, start: datetime, end: datetime, page: Page) -> list[Entry]:
    """Sessions that start in [start, end), by (start, id)."""
    query = _entries_of(tx.tenant).where(ClassSession.start_at >= start, ClassSession.start_at < end)
    if page.after:
        query = query.where(tuple_(ClassSession.start_at, ClassSession.id) > tuple_(*page.after))
    return await _entries(tx, query.order_by(ClassSession.start_at, ClassSession.id).limit(page.limit))


async def list_after(tx: UnitOfWork, session_id: UUID | None, limit: int) -> list[Entry]:
    """All sessions of the studio in the order of their ids, from the one after `session_id`."""
    query = _entries_of(tx.tenant)
    if session_id:
        query = query.where(ClassSession.id > session_id)
    return await _entries(tx, query.order_by(ClassSession.id).limit(limit))


async def list_some(tx: UnitOfWork, session_ids: Sequence[UUID]) -> list[Entry]:
    """The given sessions of the studio, by id."""
    return await _entries(tx, _entries_of(tx.tenant).where(ClassSession.id.in_(session_ids)).order_by(ClassSession.id))


async def list_planned(tx: UnitOfWork, start: datetime, end: datetime, limit: int) -> list[Entry]:
    """Sessions that are not cancelled, have not begun and have a part in [start, end), by start; the first of them."""
    query = _entries_of(tx.tenant).where(
        ~ClassSession.cancelled,
        ClassSession.start_at > max(start - LONGEST, tx.now()),
        ClassSession.start_at < end,
        ClassSession.end_at > start,
    )
    return await _entries(tx, query.order_by(ClassSession.start_at, ClassSession.id).limit(limit))


async def list_of_schedule(tx: UnitOfWork, schedule_id: UUID) -> list[Entry]:
    """Sessions of a schedule that have not begun, cancelled ones too, by start."""
    query = _entries_of(tx.tenant).where(ClassSession.schedule_id == schedule_id, ClassSession.start_at > tx.now())
    return await _entries(tx, query.order_by(ClassSession.start_at, ClassSession.id))


async def find_overlap(
    tx: UnitOfWork, condition: ColumnElement[bool], start: datetime, end: datetime, besides: UUID
) -> UUID | None:
    """A scheduled session that meets the condition and overlaps [start, end).

    By start and end, since row level security keeps `&&` from its index.
    """
    found: UUID | None = await tx.session.scalar(
        select(ClassSession.id)
        .where(
            ClassSession.tenant_id == tx.tenant,
            ClassSession.start_at > start - LONGEST,
            ClassSession.start_at < end,
            ClassSession.end_at > start,
            ~ClassSession.cancelled,
            ClassSession.id != besides,
            condition,
        )
        .limit(1)
    )
    return found


async def require_unused(tx: UnitOfWork, row: Catalogued) -> None:
    """Raises FailedPrecondition STILL_IN_USE while a scheduled session that is not over needs the row."""
    query = select(ClassSession.id).where(still_to_come(tx), ~ClassSession.cancelled, uses(row)).limit(1)
    if session_id := await tx.session.scalar(query):
        raise FailedPrecondition(
            "class sessions still use it; move or cancel them first",
            reason="STILL_IN_USE",
            metadata={"resource": row.name, "class_session": session_name(tx.tenant, session_id)},
        )


def still_to_come(tx: UnitOfWork) -> ColumnElement[bool]:
    """Sessions of the studio that are not over."""
    now = tx.now()
    return and_(ClassSession.tenant_id == tx.tenant, ClassSession.start_at > now - LONGEST, ClassSession.end_at > now)


def uses(row: Catalogued) -> ColumnElement[bool]:
    """Sessions that show the given location, room, class type or instructor."""
    match row:
        case Location():
            rooms = select(Room.id).where(Room.tenant_id == row.tenant_id, Room.location_id == row.id)
            return ClassSession.room_id.in_(rooms)
        case Room():
            return ClassSession.room_id == row.id
        case ClassType():
            return ClassSession.class_type_id == row.id
        case Instructor():
            return ClassSession.instructor_id == row.id
    raise TypeError(row)


_EntryQuery = Select[ClassSession, ClassType, Room, Location, Instructor, str]


def _entries_of(tenant_id: UUID) -> _EntryQuery:
    return (
        select(ClassSession, ClassType, Room, Location, Instructor, Studio.currency_code)
        .join(ClassType, and_(ClassType.tenant_id == tenant_id, ClassType.id == ClassSession.class_type_id))
        .join(Room, and_(Room.tenant_id == tenant_id, Room.id == ClassSession.room_id))
        .join(Location, and_(Location.tenant_id == tenant_id, Location.id == Room.location_id))
        .join(Instructor, and_(Instructor.tenant_id == tenant_id, Instructor.id == ClassSession.instructor_id))
        .join(Studio, Studio.tenant_id == tenant_id)
        .where(ClassSession.tenant_id == tenant_id)
    )


async def _entries(tx: UnitOfWork, query: _EntryQuery) -> list[Entry]:
    rows = await tx.session.execute(query)
    return [
        Entry(session, Plan(class_type, room, location, instructor, currency_code))
        for session, class_type, room, location, instructor, currency_code in rows
    ]
