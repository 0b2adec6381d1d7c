"""Spots: which named place of the room a booking has."""

from uuid import UUID

from sqlalchemy import func, literal_column, select, update

from services.booking import bookings, changes
from services.booking.locks import lock_sessions
from services.booking.models import Booking, BookingDetail, ClassSession
from services.booking.refusals import to_error
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, check_etag


async def change(tx: UnitOfWork, booking_id: UUID, spot: str, *, account: UUID | None, etag: str) -> BookingDetail:
    """Moves a booking to another spot of its class that is free, until the class is over.

    Raises PermissionDenied, NotFound, FailedPrecondition/BOOKING_NOT_ACTIVE or SESSION_OVER, AlreadyExists/SPOT_TAKEN,
    InvalidArgument/UNKNOWN_SPOT, Aborted/ETAG_MISMATCH.
    """
    seen = await bookings.get(tx, booking_id, account)
    await lock_sessions(tx, [seen.class_session_id])
    booking = await bookings.get(tx, booking_id, account)
    check_etag(etag, booking.etag)
    if booking.cancel_time is not None:
        raise FailedPrecondition("the booking is not active", reason="BOOKING_NOT_ACTIVE")
    if tx.now() >= booking.end_time:
        raise to_error("SESSION_OVER")
    if spot == booking.spot:
        return booking
    free = func.free_spots_v2(ClassSession.tenant_id, ClassSession.id, literal_column("class_sessions.spots"))
    query = select(ClassSession.spots, free).where(
        ClassSession.tenant_id == tx.tenant, ClassSession.id == booking.class_session_id
    )
    spots, free_spots = (await tx.session.execute(query)).one()
    if spot not in spots:
        raise to_error("UNKNOWN_SPOT")
    if spot not in free_spots:
        raise to_error("SPOT_TAKEN")
    await tx.session.execute(
        update(Booking)
        .where(Booking.tenant_id == tx.tenant, Booking.id == booking_id)
        .values(spot=spot, version=Booking.version + 1, update_time=tx.now())
        .execution_options(synchronize_session=False)
    )
    await changes.publish_bookings(tx, [booking_id])
    tx.note_change("spot", booking.spot, spot)
    return await bookings.get(tx, booking_id, account)
