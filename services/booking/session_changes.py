"""What a change of a class session would do to its bookings, told before anything happens."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from uuid import UUID

from sqlalchemy import select

from services.booking.class_sessions import PlannedSession
from services.booking.models import Booking, ClassSession
from services.chassis.db.unit_of_work import UnitOfWork


class Effect(Enum):
    """What happens to a booking; the names are the proto's."""

    CANCELLED = "CANCELLED"
    OVER_CAPACITY = "OVER_CAPACITY"
    MOVED = "MOVED"


@dataclass(frozen=True)
class AffectedBooking:
    """A booking that holds a place now, and what the change does to it."""

    booking_id: UUID
    client_id: UUID
    effect: Effect


async def preview(tx: UnitOfWork, planned: PlannedSession) -> Sequence[AffectedBooking]:
    """Whom it would concern if the session were as `planned`, in order of booking. Writes nothing.

    A session that booking does not know (its projection may be loading) counts as moved: bookings are known anyway.
    """
    known = await tx.session.scalar(
        select(ClassSession).where(ClassSession.tenant_id == tx.tenant, ClassSession.id == planned.id)
    )
    moved = known is None or (known.start_time, known.room_id) != (planned.start_time, planned.room_id)
    active = await tx.session.execute(
        select(Booking.id, Booking.client_id)
        .where(Booking.tenant_id == tx.tenant, Booking.class_session_id == planned.id, Booking.cancel_time.is_(None))
        .order_by(Booking.create_time, Booking.id)
    )
    return [
        AffectedBooking(booking_id, client_id, effect)
        for place, (booking_id, client_id) in enumerate(active, 1)
        if (effect := _effect(planned, place, moved=moved))
    ]


def _effect(planned: PlannedSession, place: int, *, moved: bool) -> Effect | None:
    """Of the change on the booking that came `place`-th."""
    if planned.cancelled:
        return Effect.CANCELLED
    if place > planned.planned_capacity:
        return Effect.OVER_CAPACITY
    return Effect.MOVED if moved else None
