"""Giving a place back: what it does to the credit, what it costs, and staff who let it pass."""

from uuid import UUID

from sqlalchemy import func, update

from services.booking import bookings, changes, credits, fees, waitlist
from services.booking.cancellation import free_cancel_until
from services.booking.locks import lock_line
from services.booking.models import Booking, BookingDetail, ClassSession
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, check_etag


async def cancel(tx: UnitOfWork, booking_id: UUID, *, account: UUID | None, etag: str) -> BookingDetail:
    """Gives a place back: the credit returns as long as it is free, else it is spent and the policy's fee is due.

    Raises PermissionDenied, NotFound, FailedPrecondition/BOOKING_NOT_ACTIVE or SESSION_STARTED, Aborted/ETAG_MISMATCH.
    """
    seen = await bookings.get(tx, booking_id, account)
    await lock_line(tx, seen.class_session_id, seen.client_id)
    booking = await bookings.get(tx, booking_id, account)
    check_etag(etag, booking.etag)
    if booking.state not in ("CONFIRMED", "PENDING_PAYMENT"):
        raise FailedPrecondition("the booking is not active", reason="BOOKING_NOT_ACTIVE")
    if tx.now() >= booking.start_time:
        raise FailedPrecondition("the class has started", reason="SESSION_STARTED")
    # What was never paid costs nothing.
    early = tx.now() <= free_cancel_until(booking) or booking.state == "PENDING_PAYMENT"
    state = "CANCELLED_EARLY" if early else "CANCELLED_LATE"
    returned = early and booking.client_package_id is not None
    await give_up(tx, booking, state=state, credit_returned=returned)
    if returned:
        await credits.give_back(tx, booking, "cancelled_early")
    if not early:
        await fees.charge(tx, booking, "LATE_CANCEL", booking.late_cancel_fee_minor)
    await changes.publish_bookings(tx, [booking_id])
    await waitlist.fill(tx, booking.class_session_id)
    tx.note_change("state", booking.state, state)
    return await bookings.get(tx, booking_id, account)


async def give_up(tx: UnitOfWork, booking: BookingDetail, *, state: str, credit_returned: bool) -> None:
    """Frees the place of a booking that holds one, under the lock of its session."""
    await tx.session.execute(
        update(Booking)
        .where(Booking.tenant_id == tx.tenant, Booking.id == booking.id)
        .values(
            state=state,
            credit_returned=credit_returned,
            cancel_time=tx.now(),
            update_time=tx.now(),
            version=Booking.version + 1,
        )
        .execution_options(synchronize_session=False)
    )
    await tx.session.execute(
        update(ClassSession)
        .where(ClassSession.tenant_id == tx.tenant, ClassSession.id == booking.class_session_id)
        .values(
            booked_count=ClassSession.booked_count - 1,
            effective_capacity=func.greatest(ClassSession.planned_capacity, ClassSession.booked_count - 1),
        )
        .execution_options(synchronize_session=False)
    )


async def waive(tx: UnitOfWork, booking_id: UUID, *, reason: str, etag: str) -> BookingDetail:
    """Staff let a late cancellation or an absence pass: the credit comes back and the fee is waived.

    Raises NotFound, FailedPrecondition/NOTHING_TO_WAIVE, Aborted/ETAG_MISMATCH.
    """
    seen = await bookings.get(tx, booking_id, None)
    await lock_line(tx, seen.class_session_id, seen.client_id)
    booking = await bookings.get(tx, booking_id, None)
    check_etag(etag, booking.etag)
    waived = await fees.settle(tx, [booking_id], before="DUE", state="WAIVED", reason=reason)
    spent = booking.state in ("CANCELLED_LATE", "NO_SHOW") and not booking.credit_returned
    returned = spent and booking.client_package_id is not None
    if not waived and not returned:
        raise FailedPrecondition("it cost nothing, or was waived already", reason="NOTHING_TO_WAIVE")
    await tx.session.execute(
        update(Booking)
        .where(Booking.tenant_id == tx.tenant, Booking.id == booking_id)
        .values(credit_returned=booking.credit_returned or returned, update_time=tx.now(), version=Booking.version + 1)
        .execution_options(synchronize_session=False)
    )
    if returned:
        await credits.give_back(tx, booking, "waived", reason=reason)
    await changes.publish_bookings(tx, [booking_id])
    tx.note_change("waived", "", reason)
    return await bookings.get(tx, booking_id, None)
