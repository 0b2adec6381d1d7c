"""The tables of scheduling. Keys between them, overlap constraints and checks are in migrations/."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import ARRAY, MetaData, Text, Uuid
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

    @property
    def name(self) -> str:
        return session_name(self.tenant_id, self.id)


def resource_name(tenant_id: UUID, collection: str, resource_id: UUID) -> str:
    return f"studios/{tenant_id}/{collection}/{resource_id}"


def session_name(tenant_id: UUID, session_id: UUID) -> str:
    return resource_name(tenant_id, "classSessions", session_id)
