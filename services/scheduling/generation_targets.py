"""Schedules as generation sees them: plain values, in one statement for all of a studio."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, time
from typing import Any, TypeVarTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, any_, case, func, or_, select

from services.chassis.db.unit_of_work import UnitOfWork
from services.scheduling.models import ClassSchedule, ClassType, Instructor, Location, Room, Studio
from services.scheduling.timetable import Plan

Columns = TypeVarTuple("Columns")


@dataclass(frozen=True, slots=True)
class Target:
    """A schedule to generate for."""

    id: UUID
    display_name: str
    rrule: str
    start_date: date
    end_date: date | None
    local_time: time
    duration_minutes: int
    capacity: int
    room_id: UUID
    instructor_id: UUID
    # What is kept at it now: why nothing could be generated.
    attention: str
    room_capacity: int
    location_id: UUID
    time_zone: str
    # Why nothing can be made of it any more; empty when it can.
    unserved: str = ""

    @classmethod
    def of(cls, schedule: ClassSchedule, plan: Plan) -> "Target":
        """One that is sound and may be not stored yet."""
        own: dict[str, Any] = {column: getattr(schedule, column) for column in _OF_SCHEDULE}
        location = plan.location
        return cls(**own, room_capacity=plan.room.capacity, location_id=location.id, time_zone=location.time_zone)


_OF_SCHEDULE = (
    *("id", "display_name", "rrule", "start_date", "end_date", "local_time", "duration_minutes", "capacity"),
    *("room_id", "instructor_id", "attention"),
)


async def active(tx: UnitOfWork, schedule_id: UUID | None, today: date) -> list[Target]:
    """The studio's active schedules that are not over, or the given one of them, by id: the older first."""
    schedule = ClassSchedule
    columns: list[ColumnElement[Any]] = [getattr(schedule, column) for column in _OF_SCHEDULE]
    query = (
        _with_plan(tx, select(*columns, Room.capacity, Location.id, Location.time_zone, _unserved()))
        .where(schedule.archive_time.is_(None))
        .where(or_(schedule.end_date.is_(None), schedule.end_date >= today))
        .order_by(schedule.id)
    )
    if schedule_id is not None:
        query = query.where(schedule.id == schedule_id)
    rows: Iterable[tuple[Any, ...]] = await tx.session.execute(query)
    return [Target(*row) for row in rows]


async def plans(tx: UnitOfWork, studio: Studio, schedule_ids: Collection[UUID]) -> dict[UUID, Plan]:
    """What the sessions of these schedules are made of."""
    query = _with_plan(tx, select(ClassSchedule.id, ClassType, Room, Location, Instructor))
    rows = await tx.session.execute(query.where(ClassSchedule.id.in_(schedule_ids)))
    return {
        schedule_id: Plan(class_type, room, location, instructor, studio.currency_code)
        for schedule_id, class_type, room, location, instructor in rows
    }


def _with_plan(tx: UnitOfWork, query: Select[*Columns]) -> Select[*Columns]:
    schedule = ClassSchedule
    return (
        query.select_from(schedule)
        .join(ClassType, and_(ClassType.tenant_id == tx.tenant, ClassType.id == schedule.class_type_id))
        .join(Room, and_(Room.tenant_id == tx.tenant, Room.id == schedule.room_id))
        .join(Location, and_(Location.tenant_id == tx.tenant, Location.id == Room.location_id))
        .join(Instructor, and_(Instructor.tenant_id == tx.tenant, Instructor.id == schedule.instructor_id))
        .where(schedule.tenant_id == tx.tenant)
    )


def _unserved() -> ColumnElement[str]:
    taught = Instructor.class_type_ids
    return case(
        (Room.archive_time.is_not(None), "ROOM_DELETED"),
        (Location.archive_time.is_not(None), "LOCATION_DELETED"),
        (Instructor.archive_time.is_not(None), "INSTRUCTOR_DELETED"),
        (ClassType.archive_time.is_not(None), "CLASS_TYPE_DELETED"),
        (and_(func.cardinality(taught) > 0, ~(ClassType.id == any_(taught))), "CLASS_TYPE_NOT_TAUGHT"),
        else_="",
    )
