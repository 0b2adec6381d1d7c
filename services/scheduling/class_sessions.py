"""Class sessions: scheduling one, and every later change, which makes one of a series an exception of it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import and_, select
from sqlalchemy.exc import IntegrityError

from powerhouse.scheduling.v1.events_pb2 import ClassSessionChanged
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument, check_etag
from services.chassis.ids import new_id
from services.scheduling import catalogue, session_events, studios, timetable
from services.scheduling.instructors import require_teaches
from services.scheduling.local_time import to_instant, to_wall
from services.scheduling.models import (
    INSTRUCTOR_OVERLAP,
    ROOM_OVERLAP,
    ClassSession,
    ClassType,
    Instructor,
    Location,
    Room,
    Studio,
    session_name,
)
from services.scheduling.timetable import Entry, Plan


async def create(
    tx: UnitOfWork,
    *,
    class_type_id: UUID,
    room_id: UUID,
    instructor_id: UUID,
    local_start: str,
    duration_minutes: int,
    capacity: int,
) -> Entry:
    """Schedules a session at a wall time of the room's location.

    A duration of 0 means the class type's, a capacity of 0 the room's. Raises NotFound, InvalidArgument for the wall
    time, FailedPrecondition ARCHIVED, CLASS_TYPE_NOT_TAUGHT, CAPACITY_ABOVE_ROOM, SESSION_IN_PAST, and AlreadyExists
    SESSION_OVERLAP.
    """
    await studios.lock(tx)
    plan = await load_plan(tx, class_type_id, room_id, instructor_id)
    check_plan(plan)
    start = to_instant(local_start, plan.location.time_zone, "class_session.local_start")
    check_ahead(tx, start)
    session = ClassSession(
        tenant_id=tx.tenant,
        id=new_id(),
        class_type_id=class_type_id,
        room_id=room_id,
        instructor_id=instructor_id,
        start_at=start,
        end_at=start + timedelta(minutes=duration_minutes or plan.class_type.duration_minutes),
        capacity=capacity or plan.room.capacity,
    )
    check_fits(session.capacity, plan.room)
    return await add(tx, session, plan)


async def add(tx: UnitOfWork, session: ClassSession, plan: Plan) -> Entry:
    """Plans a session that was decided on. Under the studio's lock. Raises AlreadyExists SESSION_OVERLAP."""
    async with _refusing_overlap(tx, session):
        tx.session.add(session)
    entry = Entry(session, plan)
    await session_events.publish(tx, entry, ClassSessionChanged.SCHEDULED)
    return entry


async def move(tx: UnitOfWork, session_id: UUID, etag: str, *, local_start: str, room_id: UUID | None) -> Entry:
    """Gives a session another wall time, another room, or both; what is not given stays, and so does its length.

    A room in another zone keeps the wall time, not the instant. Raises as `create` does, and SESSION_CANCELLED,
    SESSION_STARTED.
    """
    if not local_start and room_id is None:
        raise InvalidArgument("local_start", "give a new time, a new room, or both", reason="NOTHING_TO_MOVE")
    entry = await _open_for_change(tx, session_id, etag)
    session, plan = entry.session, entry.plan
    zone = plan.location.time_zone
    if room_id is not None and room_id != session.room_id:
        plan = await load_plan(tx, session.class_type_id, room_id, session.instructor_id)
        catalogue.require_active(plan.room)
        catalogue.require_active(plan.location)
        check_fits(session.capacity, plan.room)
    start = session.start_at
    if local_start or plan.location.time_zone != zone:
        start = to_instant(local_start or to_wall(start, zone), plan.location.time_zone, "local_start")
    if (start, plan.room.id) == (session.start_at, session.room_id):
        return entry
    check_ahead(tx, start)
    tx.note_change("start_time", session.start_at, start)
    tx.note_change("room", session.room_id, plan.room.id)
    async with _refusing_overlap(tx, session):
        if start != session.start_at:
            session.time_version += 1
        session.end_at += start - session.start_at
        session.start_at, session.room_id = start, plan.room.id
        _touch(tx, session)
    moved = Entry(session, plan)
    await session_events.publish(tx, moved, ClassSessionChanged.MOVED)
    return moved


async def substitute(tx: UnitOfWork, session_id: UUID, etag: str, instructor_id: UUID) -> Entry:
    """Lets someone else teach it. Raises NotFound, ARCHIVED, CLASS_TYPE_NOT_TAUGHT, SESSION_OVERLAP, and as `move`."""
    entry = await _open_for_change(tx, session_id, etag)
    session, plan = entry.session, entry.plan
    if instructor_id == session.instructor_id:
        return entry
    instructor = await catalogue.get(tx, Instructor, instructor_id)
    catalogue.require_active(instructor)
    require_teaches(instructor, plan.class_type)
    tx.note_change("instructor", session.instructor_id, instructor_id)
    async with _refusing_overlap(tx, session):
        session.instructor_id = instructor_id
        _touch(tx, session)
    substituted = Entry(session, replace(plan, instructor=instructor))
    await session_events.publish(tx, substituted, ClassSessionChanged.SUBSTITUTED)
    return substituted


async def change_capacity(tx: UnitOfWork, session_id: UUID, etag: str, capacity: int) -> Entry:
    """Booking finds places for, or displaces, whoever is booked already. Raises CAPACITY_ABOVE_ROOM, and as `move`."""
    entry = await _open_for_change(tx, session_id, etag)
    session = entry.session
    if capacity == session.capacity:
        return entry
    check_fits(capacity, entry.plan.room)
    tx.note_change("capacity", session.capacity, capacity)
    session.capacity = capacity
    return await _changed(tx, entry, ClassSessionChanged.CAPACITY_CHANGED)


async def cancel(tx: UnitOfWork, session_id: UUID, etag: str, reason: str) -> Entry:
    """Frees room and instructor. Raises FailedPrecondition SESSION_CANCELLED, SESSION_STARTED."""
    entry = await _open_for_change(tx, session_id, etag)
    entry.session.cancelled, entry.session.cancel_reason = True, reason
    return await _changed(tx, entry, ClassSessionChanged.CANCELLED)


async def cancel_all(tx: UnitOfWork, entries: Sequence[Entry], reason: str) -> None:
    """Cancels several that have not begun, by hand and at once. Under the studio's lock."""
    for entry in entries:
        entry.session.cancelled, entry.session.cancel_reason = True, reason
        _touch(tx, entry.session)
    await tx.session.flush()
    await session_events.publish_all(tx, [(entry, ClassSessionChanged.CANCELLED) for entry in entries])


async def uncancel(tx: UnitOfWork, session_id: UUID, etag: str) -> Entry:
    """Takes a cancellation back, when what the session needs is still there.

    Raises FailedPrecondition SESSION_NOT_CANCELLED, SESSION_STARTED, and as `create`.
    """
    entry = await _open_for_change(tx, session_id, etag, cancelled=True)
    session, plan = entry.session, entry.plan
    check_plan(plan)
    check_fits(session.capacity, plan.room)
    async with _refusing_overlap(tx, session):
        session.cancelled, session.cancel_reason = False, ""
        _touch(tx, session)
    await session_events.publish(tx, entry, ClassSessionChanged.UNCANCELLED)
    return entry


async def _open_for_change(tx: UnitOfWork, session_id: UUID, etag: str, *, cancelled: bool = False) -> Entry:
    """A session that may be changed now: locked, known at this etag, ahead, and cancelled or not as asked for."""
    await studios.lock(tx)
    entry = await timetable.get(tx, session_id)
    session = entry.session
    check_etag(etag, session.etag)
    if session.start_at <= tx.now():
        raise _refused(session, "it has started already", "SESSION_STARTED")
    if session.cancelled and not cancelled:
        raise _refused(session, "it is cancelled", "SESSION_CANCELLED")
    if cancelled and not session.cancelled:
        raise _refused(session, "it is not cancelled", "SESSION_NOT_CANCELLED")
    return entry


async def _changed(tx: UnitOfWork, entry: Entry, change: ClassSessionChanged.Change.ValueType) -> Entry:
    _touch(tx, entry.session)
    await tx.session.flush()
    await session_events.publish(tx, entry, change)
    return entry


def _touch(tx: UnitOfWork, session: ClassSession) -> None:
    """A change by hand: from now on the session is an exception of its series."""
    session.series_exception = session.schedule_id is not None
    session.touch(tx.now())


async def load_plan(tx: UnitOfWork, class_type_id: UUID, room_id: UUID, instructor_id: UUID) -> Plan:
    """What a session would be made of, archived or not. Raises NotFound."""
    query = (
        select(ClassType, Room, Location, Instructor, Studio.currency_code)
        .select_from(Room)
        .join(Location, and_(Location.tenant_id == tx.tenant, Location.id == Room.location_id))
        .join(ClassType, and_(ClassType.tenant_id == tx.tenant, ClassType.id == class_type_id))
        .join(Instructor, and_(Instructor.tenant_id == tx.tenant, Instructor.id == instructor_id))
        .join(Studio, Studio.tenant_id == tx.tenant)
        .where(Room.tenant_id == tx.tenant, Room.id == room_id)
    )
    row = (await tx.session.execute(query)).one_or_none()
    if row is not None:
        return Plan(*row)
    # One of them is missing: say which.
    room = await catalogue.get(tx, Room, room_id)
    return Plan(
        await catalogue.get(tx, ClassType, class_type_id),
        room,
        await catalogue.get(tx, Location, room.location_id),
        await catalogue.get(tx, Instructor, instructor_id),
        (await studios.get(tx)).currency_code,
    )


def check_plan(plan: Plan) -> None:
    """Raises FailedPrecondition ARCHIVED, CLASS_TYPE_NOT_TAUGHT."""
    for part in (plan.class_type, plan.room, plan.location, plan.instructor):
        catalogue.require_active(part)
    require_teaches(plan.instructor, plan.class_type)


def check_ahead(tx: UnitOfWork, start: datetime) -> None:
    """Raises FailedPrecondition SESSION_IN_PAST."""
    if start <= tx.now():
        raise FailedPrecondition("a session cannot be planned in the past", reason="SESSION_IN_PAST")


def check_fits(capacity: int, room: Room) -> None:
    """Raises FailedPrecondition CAPACITY_ABOVE_ROOM."""
    if capacity > room.capacity:
        raise FailedPrecondition(
            f"the room holds {room.capacity}",
            reason="CAPACITY_ABOVE_ROOM",
            metadata={"room": room.name, "room_capacity": str(room.capacity)},
        )


def overlap(tx: UnitOfWork, what: str, other: UUID | None) -> AlreadyExists:
    """The refusal that names whose time it is, `room` or `instructor`, and the session that has it."""
    return AlreadyExists(
        f"the {what} has another class session at that time",
        reason="SESSION_OVERLAP",
        metadata={"conflict": what, "class_session": session_name(tx.tenant, other) if other else ""},
    )


def _refused(session: ClassSession, message: str, reason: str) -> FailedPrecondition:
    return FailedPrecondition(message, reason=reason, metadata={"class_session": session.name})


@asynccontextmanager
async def _refusing_overlap(tx: UnitOfWork, session: ClassSession) -> AsyncIterator[None]:
    """Writes what the block changes.

    Raises AlreadyExists SESSION_OVERLAP, naming the other session, when the database finds room or instructor taken.
    """
    try:
        async with tx.session.begin_nested():
            yield
            # Read now: the rollback of a refusal expires them.
            start, end, session_id = session.start_at, session.end_at, session.id
            room_id, instructor_id = session.room_id, session.instructor_id
            await tx.session.flush()
    except IntegrityError as error:
        constraint = getattr(getattr(error.orig, "__cause__", None), "constraint_name", None)
        if constraint == ROOM_OVERLAP:
            what, condition = "room", ClassSession.room_id == room_id
        elif constraint == INSTRUCTOR_OVERLAP:
            what, condition = "instructor", ClassSession.instructor_id == instructor_id
        else:
            raise
        other = await timetable.find_overlap(tx, condition, start, end, besides=session_id)
        raise overlap(tx, what, other) from error
