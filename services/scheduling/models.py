"""The tables of scheduling. Keys between them, overlap constraints and checks are in migrations/."""

from datetime import date, datetime, time
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import ARRAY, MetaData, Text, Uuid, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.chassis.db.models import COLUMN_TYPES, NAMING, Tenanted, Versioned

# Constraints that refuse overlapping sessions.
ROOM_OVERLAP = "ex_class_sessions_room"
INSTRUCTOR_OVERLAP = "ex_class_sessions_instructor"


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        **COLUMN_TYPES,
        str: Text(),
        list[str]: ARRAY(Text()),
        list[UUID]: ARRAY(Uuid()),
        list[dict[str, Any]]: JSONB(),
    }


class StudioId(Base):
    """Which studios exist. Ids only and outside row level security, so that a snapshot can go through them all."""

    __tablename__ = "studio_ids"

    studio_id: Mapped[UUID] = mapped_column(primary_key=True)


class Studio(Versioned, Base):
    """The tenant itself. Its row is also the lock that writers of the studio take first."""

    __tablename__ = "studios"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    display_name: Mapped[str]
    # IANA zone of generation, reports and periods.
    time_zone: Mapped[str]
    # ISO 4217.
    currency_code: Mapped[str]
    # SHA-256 of a blob.
    logo: Mapped[bytes | None]
    # How far ahead recurring classes are planned.
    generation_weeks: Mapped[int]

    @property
    def name(self) -> str:
        return f"studios/{self.tenant_id}"


class Catalogued(Tenanted, Versioned):
    """Something sessions are planned with: it has a name, may be archived, and is never deleted."""

    COLLECTION: ClassVar[str]

    display_name: Mapped[str]
    archive_time: Mapped[datetime | None]

    @property
    def name(self) -> str:
        return resource_name(self.tenant_id, self.COLLECTION, self.id)


class Location(Catalogued, Base):
    __tablename__ = "locations"
    COLLECTION = "locations"

    address: Mapped[str]
    # IANA zone in which its sessions are told; never changes.
    time_zone: Mapped[str]


class Room(Catalogued, Base):
    __tablename__ = "rooms"
    COLLECTION = "rooms"

    # Never changes.
    location_id: Mapped[UUID]
    capacity: Mapped[int]
    # Empty, or exactly as many as the capacity.
    spots: Mapped[list[str]]


class ClassType(Catalogued, Base):
    __tablename__ = "class_types"
    COLLECTION = "classTypes"

    description: Mapped[str]
    duration_minutes: Mapped[int]


class Instructor(Catalogued, Base):
    __tablename__ = "instructors"
    COLLECTION = "instructors"

    account_id: Mapped[UUID | None]
    # What they may teach; empty means everything.
    class_type_ids: Mapped[list[UUID]]


class ClassSession(Tenanted, Versioned, Base):
    """One dated class. Its location is its room's."""

    __tablename__ = "class_sessions"

    class_type_id: Mapped[UUID]
    room_id: Mapped[UUID]
    instructor_id: Mapped[UUID]
    start_at: Mapped[datetime]
    end_at: Mapped[datetime]
    # Counts changes of start_at.
    time_version: Mapped[int] = mapped_column(default=1)
    capacity: Mapped[int]
    cancelled: Mapped[bool] = mapped_column(default=False)
    cancel_reason: Mapped[str] = mapped_column(default="")
    # Of a series: its schedule, and the date as the rule has it, wherever the session was moved.
    schedule_id: Mapped[UUID | None]
    original_date: Mapped[date | None]
    auto_generated: Mapped[bool] = mapped_column(default=False)
    # Changed by hand: edits of the series leave it alone.
    series_exception: Mapped[bool] = mapped_column(default=False)

    @property
    def name(self) -> str:
        return session_name(self.tenant_id, self.id)


class ClassSchedule(Catalogued, Base):
    """A rule in local time and what its sessions are made of."""

    __tablename__ = "class_schedules"
    COLLECTION = "classSchedules"

    class_type_id: Mapped[UUID]
    room_id: Mapped[UUID]
    instructor_id: Mapped[UUID]
    # As `recurrence.canonical` writes it.
    rrule: Mapped[str]
    start_date: Mapped[date]
    # The last day; None for no end.
    end_date: Mapped[date | None]
    # Wall time at the room's location.
    local_time: Mapped[time]
    duration_minutes: Mapped[int]
    capacity: Mapped[int]
    # The schedule that this one continues since an edit of "this and following"; its own id for a new one.
    series_id: Mapped[UUID]
    # Why nothing can be generated, by the names of ClassSchedule.Attention; empty while nothing is wrong.
    attention: Mapped[str] = mapped_column(default="")


class SkippedDate(Base):
    """A date of a schedule that somebody left out for good. The other exceptions of a series are sessions."""

    __tablename__ = "skipped_dates"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    original_date: Mapped[date] = mapped_column(primary_key=True)
    schedule_id: Mapped[UUID] = mapped_column(primary_key=True)
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())


class Closure(Catalogued, Base):
    """Days without classes; archived, it closes nothing."""

    __tablename__ = "closures"
    COLLECTION = "closures"

    # None for the whole studio.
    location_id: Mapped[UUID | None]
    start_date: Mapped[date]
    # The last day.
    end_date: Mapped[date]


class Availability(Tenanted, Versioned, Base):
    """The weekly windows of an instructor, whose id it has. Without any, every time is fine."""

    __tablename__ = "availabilities"

    # `{"weekday": 1, "start_minute": 540, "end_minute": 1020}`: 1 is Monday, minutes of wall time at the location.
    windows: Mapped[list[dict[str, Any]]]


class AvailabilityException(Tenanted, Versioned, Base):
    """Dates on which an instructor is AWAY, or there beyond the weekly windows (EXTRA)."""

    __tablename__ = "availability_exceptions"

    instructor_id: Mapped[UUID]
    kind: Mapped[str]
    start_date: Mapped[date]
    # The last day.
    end_date: Mapped[date]
    # Of each of the days, in wall time; 0 and 1440 for the whole day.
    start_minute: Mapped[int]
    end_minute: Mapped[int]


class GenerationRun(Tenanted, Base):
    """What one generation did."""

    __tablename__ = "generation_runs"

    cause: Mapped[str]
    schedule_id: Mapped[UUID | None]
    horizon_weeks: Mapped[int]
    schedule_count: Mapped[int]
    created_count: Mapped[int]
    existing_count: Mapped[int]
    conflict_count: Mapped[int]
    skipped_count: Mapped[int]
    attention_count: Mapped[int]
    # The first conflicts and skipped dates, and the first schedules without any, as `generation_runs` writes them.
    dates: Mapped[list[dict[str, Any]]]
    unserved: Mapped[list[dict[str, Any]]]
    duration_ms: Mapped[int]
    create_time: Mapped[datetime]


class ScheduleConflict(Tenanted, Versioned, Base):
    """A date of a schedule that generation left out: one row for each, whatever becomes of it."""

    __tablename__ = "schedule_conflicts"

    schedule_id: Mapped[UUID]
    original_date: Mapped[date]
    start_at: Mapped[datetime]
    end_at: Mapped[datetime]
    # `{"kind": "ROOM_TAKEN", "class_session": "<id>"}`, as of the latest generation.
    clashes: Mapped[list[dict[str, Any]]]
    # OPEN waits for a decision; SKIPPED since the studio is closed; RESOLVED.
    state: Mapped[str]
    # PLANNED, SKIPPED_BY_HAND or CLEARED; empty while not resolved.
    resolution: Mapped[str] = mapped_column(default="")
    force_reason: Mapped[str] = mapped_column(default="")
    class_session_id: Mapped[UUID | None]

    @property
    def name(self) -> str:
        return resource_name(self.tenant_id, "scheduleConflicts", self.id)


def resource_name(tenant_id: UUID, collection: str, resource_id: UUID) -> str:
    return f"studios/{tenant_id}/{collection}/{resource_id}"


def session_name(tenant_id: UUID, session_id: UUID) -> str:
    return resource_name(tenant_id, "classSessions", session_id)


def schedule_name(tenant_id: UUID, schedule_id: UUID) -> str:
    return resource_name(tenant_id, ClassSchedule.COLLECTION, schedule_id)
