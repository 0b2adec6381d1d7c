"""Class schedules: rules of classes that recur, and what their sessions are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, func, select, tuple_, update

from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, NotFound
from services.chassis.ids import new_id
from services.scheduling import catalogue, class_sessions, recurrence, studios
from services.scheduling.models import ClassSchedule, Location, Room, ScheduleConflict, schedule_name
from services.scheduling.timetable import Plan

MUTABLE = (
    *("display_name", "class_type", "room", "instructor", "rrule", "start_date", "end_date", "local_time"),
    *("duration_minutes", "capacity"),
)
# Active ones of a studio: what one run can bear in one transaction.
MOST = 1000


@dataclass(frozen=True, slots=True)
class Located:
    """A schedule with where its wall time counts."""

    schedule: ClassSchedule
    location: Location


@dataclass(frozen=True, kw_only=True)
class NewSchedule:
    """What a schedule is made from. A duration of 0 means the class type's, a capacity of 0 the room's."""

    display_name: str
    class_type_id: UUID
    room_id: UUID
    instructor_id: UUID
    rrule: str
    start_date: date
    end_date: date | None
    local_time: time
    duration_minutes: int
    capacity: int


async def create(tx: UnitOfWork, new: NewSchedule) -> Located:
    """Its sessions come with the next generation. Raises as `make`, and FailedPrecondition TOO_MANY_CLASS_SCHEDULES."""
    await studios.lock(tx)
    await check_room_for_one_more(tx)
    schedule, plan = await make(tx, new)
    tx.session.add(schedule)
    await tx.session.flush()
    return Located(schedule, plan.location)


async def make(tx: UnitOfWork, new: NewSchedule) -> tuple[ClassSchedule, Plan]:
    """The schedule with what its sessions are made of, not stored yet.

    Raises InvalidArgument for its rule, NotFound, FailedPrecondition ARCHIVED, CLASS_TYPE_NOT_TAUGHT and
    CAPACITY_ABOVE_ROOM.
    """
    rule = recurrence.parse(new.rrule, new.start_date, new.end_date, "class_schedule.rrule")
    plan = await class_sessions.load_plan(tx, new.class_type_id, new.room_id, new.instructor_id)
    schedule_id = new_id()
    schedule = ClassSchedule(
        tenant_id=tx.tenant,
        id=schedule_id,
        series_id=schedule_id,
        display_name=new.display_name,
        class_type_id=new.class_type_id,
        room_id=new.room_id,
        instructor_id=new.instructor_id,
        rrule=rule.text,
        start_date=rule.start,
        end_date=rule.until,
        local_time=new.local_time,
        duration_minutes=new.duration_minutes or plan.class_type.duration_minutes,
        capacity=new.capacity or plan.room.capacity,
        attention="",
        # Business time: the first weekly run is the first after it.
        create_time=tx.now(),
        update_time=tx.now(),
    )
    _check(schedule, plan)
    return schedule, plan


async def get(tx: UnitOfWork, schedule_id: UUID) -> Located:
    """One of the studio's, archived or not. Raises NotFound."""
    row = (await tx.session.execute(_located(tx).where(ClassSchedule.id == schedule_id))).one_or_none()
    if row is None:
        raise NotFound(schedule_name(tx.tenant, schedule_id))
    return Located(*row)


async def list_page(tx: UnitOfWork, page: Page, *, show_archived: bool, needs_attention: bool) -> Sequence[Located]:
    """The studio's by name."""
    query = _located(tx)
    if not show_archived:
        query = query.where(ClassSchedule.archive_time.is_(None))
    if needs_attention:
        query = query.where(ClassSchedule.attention != "")
    if page.after:
        query = query.where(tuple_(ClassSchedule.display_name, ClassSchedule.id) > tuple_(*page.after))
    query = query.order_by(ClassSchedule.display_name, ClassSchedule.id).limit(page.limit)
    return [Located(*row) for row in await tx.session.execute(query)]


async def update_one(tx: UnitOfWork, schedule_id: UUID, etag: str, changes: dict[str, Any]) -> Located:
    """Sets some columns. What is planned already stays as it is. Takes back that it needs attention.

    Raises as `make`, Aborted ETAG_MISMATCH, FailedPrecondition ARCHIVED.
    """
    schedule = await catalogue.open_for_change(tx, ClassSchedule, schedule_id, etag)
    changed = catalogue.apply(tx, schedule, changes)
    # Nothing is written before it is known to be sound.
    with tx.session.no_autoflush:
        plan = await class_sessions.load_plan(tx, schedule.class_type_id, schedule.room_id, schedule.instructor_id)
    if changed & {"rrule", "start_date", "end_date"}:
        rule = recurrence.parse(schedule.rrule, schedule.start_date, schedule.end_date, "class_schedule.rrule")
        schedule.rrule, schedule.end_date = rule.text, rule.until
    schedule.duration_minutes = schedule.duration_minutes or plan.class_type.duration_minutes
    schedule.capacity = schedule.capacity or plan.room.capacity
    _check(schedule, plan)
    if changed:
        schedule.attention = ""
    await tx.session.flush()
    return Located(schedule, plan.location)


async def archive(tx: UnitOfWork, schedule_id: UUID, etag: str) -> Located:
    """No more sessions are generated; those planned stay. Nothing of it waits for a decision any more."""
    schedule = await catalogue.open_for_change(tx, ClassSchedule, schedule_id, etag)
    schedule.archive_time = tx.now()
    schedule.touch(tx.now())
    await tx.session.flush()
    await tx.session.execute(
        update(ScheduleConflict)
        .where(
            ScheduleConflict.tenant_id == tx.tenant,
            ScheduleConflict.schedule_id == schedule_id,
            ScheduleConflict.state != "RESOLVED",
        )
        .values(state="RESOLVED", resolution="CLEARED", version=ScheduleConflict.version + 1, update_time=tx.now())
        .execution_options(synchronize_session=False)
    )
    return await get(tx, schedule_id)


async def restore(tx: UnitOfWork, schedule_id: UUID) -> Located:
    """Brings an archived one back. Raises FailedPrecondition NOT_ARCHIVED, TOO_MANY_CLASS_SCHEDULES."""
    await studios.lock(tx)
    await check_room_for_one_more(tx)
    await catalogue.restore(tx, ClassSchedule, schedule_id)
    return await get(tx, schedule_id)


def _check(schedule: ClassSchedule, plan: Plan) -> None:
    class_sessions.check_plan(plan)
    class_sessions.check_fits(schedule.capacity, plan.room)


async def check_room_for_one_more(tx: UnitOfWork) -> None:
    """Raises FailedPrecondition TOO_MANY_CLASS_SCHEDULES."""
    query = select(func.count()).where(ClassSchedule.tenant_id == tx.tenant, ClassSchedule.archive_time.is_(None))
    if (await tx.session.scalar(query) or 0) >= MOST:
        raise FailedPrecondition(
            f"a studio has at most {MOST} class schedules; delete some first",
            reason="TOO_MANY_CLASS_SCHEDULES",
            metadata={"limit": str(MOST)},
        )


def _located(tx: UnitOfWork) -> Select[ClassSchedule, Location]:
    return (
        select(ClassSchedule, Location)
        .join(Room, and_(Room.tenant_id == tx.tenant, Room.id == ClassSchedule.room_id))
        .join(Location, and_(Location.tenant_id == tx.tenant, Location.id == Room.location_id))
        .where(ClassSchedule.tenant_id == tx.tenant)
    )
