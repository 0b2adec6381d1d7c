"""Rosters: who comes to a class, and what whoever stands in front of it should know of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select

from services.booking.client_flags import Flags, client_flags
from services.booking.models import BookingDetail, ClassSession
from services.chassis.db.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class Entry:
    """One place of a class."""

    booking: BookingDetail
    # None set for a guest, of whom nothing is known.
    flags: Flags


async def of_session(tx: UnitOfWork, session_id: UUID) -> Sequence[Entry]:
    """Those who hold a place in a session, by spot, then by name."""
    booking = BookingDetail
    query = select(booking).where(
        booking.tenant_id == tx.tenant, booking.class_session_id == session_id, booking.cancel_time.is_(None)
    )
    place = func.array_position(ClassSession.spots, booking.spot)
    query = query.join(ClassSession, (ClassSession.tenant_id == tx.tenant) & (ClassSession.id == session_id))
    rows = (await tx.session.scalars(query.order_by(place, booking.client_display_name, booking.id))).all()
    if not rows:
        return []
    flags = await client_flags(tx, {row.client_id for row in rows}, rows[0].start_time, rows[0].time_zone)
    return [Entry(row, Flags() if row.guest_display_name else flags[row.client_id]) for row in rows]
