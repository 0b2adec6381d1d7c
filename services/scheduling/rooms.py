"""Rooms: how many people they hold, and where each of them lies or stands."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select

from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, InvalidArgument
from services.scheduling import catalogue, session_events, studios, timetable
from services.scheduling.models import ClassSession, Location, Room, session_name

MUTABLE = ("display_name", "capacity", "spots")


async def create(tx: UnitOfWork, *, display_name: str, location_id: UUID, capacity: int, spots: Sequence[str]) -> Room:
    """Raises NotFound for the location, FailedPrecondition ARCHIVED when it is out of use."""
    await studios.lock(tx)
    catalogue.require_active(await catalogue.get(tx, Location, location_id))
    _check_spots(capacity, spots)
    room = Room(
        tenant_id=tx.tenant, display_name=display_name, location_id=location_id, capacity=capacity, spots=list(spots)
    )
    tx.session.add(room)
    await tx.session.flush()
    return room


async def update(tx: UnitOfWork, room_id: UUID, etag: str, changes: dict[str, Any]) -> Room:
    """Changes some of MUTABLE. Raises FailedPrecondition CAPACITY_BELOW_SESSIONS when a session to come is larger."""
    room = await catalogue.open_for_change(tx, Room, room_id, etag)
    changed = catalogue.apply(tx, room, changes)
    _check_spots(room.capacity, room.spots)
    if "capacity" in changed:
        await _check_sessions_fit(tx, room)
    # Sessions show a room's name and spots; its capacity only bounds theirs.
    if changed & {"display_name", "spots"}:
        await session_events.republish_users(tx, room)
    return room


def _check_spots(capacity: int, spots: Sequence[str]) -> None:
    if len(spots) not in (0, capacity):
        raise InvalidArgument(
            "room.spots", f"must be empty or name exactly {capacity} spots", reason="SPOTS_CAPACITY_MISMATCH"
        )


async def _check_sessions_fit(tx: UnitOfWork, room: Room) -> None:
    larger = select(ClassSession.id).where(
        timetable.still_to_come(tx),
        timetable.uses(room),
        ~ClassSession.cancelled,
        ClassSession.capacity > room.capacity,
    )
    if session_id := await tx.session.scalar(larger.limit(1)):
        raise FailedPrecondition(
            "class sessions to come hold more people than that",
            reason="CAPACITY_BELOW_SESSIONS",
            metadata={"class_session": session_name(tx.tenant, session_id)},
        )
