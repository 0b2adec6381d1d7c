"""What people who have a place in a class have to be told when the class changes: once each, however many places."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text

from powerhouse.booking.v1.events_pb2 import ClassChanged, ClientsDisplaced
from services.booking.models import BookableSession, ClassSession
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.rpc.codec import to_timestamp

# Who had a paid place when the class was cancelled, or has one now; the client's own before that of a guest.
_PLACES = text(
    "SELECT DISTINCT ON (client_id) id, client_id FROM bookings"
    " WHERE tenant_id = :tenant AND class_session_id = :session"
    " AND CASE WHEN :cancelled THEN session_cancelled ELSE cancel_time IS NULL AND state = 'CONFIRMED' END"
    " ORDER BY client_id, guest_display_name <> '', create_time, id"
)


@dataclass(frozen=True)
class Face:
    """What people know of a class session."""

    start_time: datetime
    end_time: datetime
    room_id: UUID
    instructor_id: UUID
    cancelled: bool
    room_display_name: str
    location_display_name: str
    instructor_display_name: str


async def lock_face(tx: UnitOfWork, session_id: UUID) -> Face | None:
    """Locks the session and says how it is before a change; None when it is new."""
    session = ClassSession
    columns = [getattr(session, field.name) for field in fields(Face)]
    query = select(*columns).where(session.tenant_id == tx.tenant, session.id == session_id)
    row = (await tx.session.execute(query.with_for_update())).one_or_none()
    return Face(*row) if row else None


async def tell(tx: UnitOfWork, session_id: UUID, version: int, before: Face, now: Face) -> None:
    """Tells the mesh who is concerned, unless nothing is different or the class is over."""
    changes = differences(before, now)
    if not changes or now.end_time <= tx.now():
        return
    parameters = {"tenant": tx.tenant, "session": session_id, "cancelled": now.cancelled}
    places = (await tx.session.execute(_PLACES, parameters)).all()
    if not places:
        return
    event = ClassChanged(
        class_session_id=str(session_id),
        session_version=version,
        changes=changes,
        places=[ClassChanged.Place(booking_id=str(id), client_id=str(client_id)) for id, client_id in places],
        start_time=to_timestamp(now.start_time),
        previous_start_time=to_timestamp(before.start_time),
    )
    if ClassChanged.INSTRUCTOR in changes:
        event.previous_instructor_display_name = before.instructor_display_name
    if ClassChanged.ROOM in changes:
        event.previous_room_display_name = before.room_display_name
        event.previous_location_display_name = before.location_display_name
    await tx.publish(event, aggregate="class_session", aggregate_id=session_id, version=version)


async def tell_displaced(tx: UnitOfWork, session: BookableSession, places: Sequence[ClientsDisplaced.Place]) -> None:
    """Tells the mesh who has lost a place: of each client one, its own before that of a guest."""
    if not places:
        return
    of_clients = {place.client_id: place for place in sorted(places, key=lambda place: place.guest, reverse=True)}
    event = ClientsDisplaced(
        class_session_id=str(session.id),
        places=sorted(of_clients.values(), key=lambda place: place.booking_id),
        start_time=to_timestamp(session.start_time),
    )
    await tx.publish(event, aggregate="class_session", aggregate_id=session.id, version=session.version)


def differences(before: Face, now: Face) -> "Sequence[ClassChanged.Change.ValueType]":
    """What is worth telling. Of a cancelled class only that it is, or that it is on again."""
    if now.cancelled:
        return [] if before.cancelled else [ClassChanged.CANCELLED]
    changes = [ClassChanged.RESTORED] if before.cancelled else []
    if (before.start_time, before.end_time) != (now.start_time, now.end_time):
        changes.append(ClassChanged.TIME)
    if before.instructor_id != now.instructor_id:
        changes.append(ClassChanged.INSTRUCTOR)
    if before.room_id != now.room_id:
        changes.append(ClassChanged.ROOM)
    return changes
