"""Schedules as generation sees them: plain values, and what their sessions are made of."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, time
from typing import Any
from uuid import UUID

from sqlalchemy import and_, select

from services.chassis.db.unit_of_work import UnitOfWork
from services.scheduling.models import ClassSchedule, ClassType, Instructor, Location, Room, Studio
from services.scheduling.timetable import Plan


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


async def plans(tx: UnitOfWork, studio: Studio, schedule_ids: Collection[UUID]) -> dict[UUID, Plan]:
    """What the sessions of these schedules are made of."""
    schedule = ClassSchedule
    query = (
        select(schedule.id, ClassType, Room, Location, Instructor)
        .join(ClassType, and_(ClassType.tenant_id == tx.tenant, ClassType.id == schedule.class_type_id))
        .join(Room, and_(Room.tenant_id == tx.tenant, Room.id == schedule.room_id))
        .join(Location, and_(Location.tenant_id == tx.tenant, Location.id == Room.location_id))
        .join(Instructor, and_(Instructor.tenant_id == tx.tenant, Instructor.id == schedule.instructor_id))
        .where(schedule.tenant_id == tx.tenant, schedule.id.in_(schedule_ids))
    )
    return {
        schedule_id: Plan(class_type, room, location, instructor, studio.currency_code)
        for schedule_id, class_type, room, location, instructor in await tx.session.execute(query)
    }
