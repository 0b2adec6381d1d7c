"""Drop-ins: places that are paid singly, held until they are paid, and given up when they are not."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert

from services.booking import bookings, cancellations, changes, waitlist
from services.booking.locks import lock_line, lock_place
from services.booking.models import Booking, BookingDetail, BookingPolicy, ClassSession, DropInPayment
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import AlreadyExists, FailedPrecondition, NotFound, check_etag

# A row when the place can be had again, with the spot: its own if that is free, else the first of the layout. Who waits
# for the class comes first, and the client or guest may have another place by now.
_FREE = text(
    "SELECT (SELECT f.spot FROM unnest(free_spots_v2(s.tenant_id, s.id, s.spots)) WITH ORDINALITY AS f (spot, place)"
    " ORDER BY f.spot IS NOT DISTINCT FROM b.spot DESC, f.place LIMIT 1) AS spot"
    " FROM bookings b JOIN bookable_sessions s ON s.tenant_id = b.tenant_id AND s.id = b.class_session_id"
    " WHERE b.tenant_id = :tenant AND b.id = :booking AND NOT s.cancelled AND :now < s.start_time"
    " AND s.booked_count < s.planned_capacity AND NOT waits_first_v1(s.tenant_id, s.id)"
    " AND CASE WHEN b.guest_display_name = '' THEN client_refusal_v1(s, b.client_id) IS NULL"
    " ELSE NOT EXISTS (SELECT FROM bookings o WHERE o.tenant_id = b.tenant_id"
    " AND o.class_session_id = b.class_session_id AND o.client_id = b.client_id"
    " AND o.guest_display_name = b.guest_display_name AND o.cancel_time IS NULL) END"
)


_NOT_A_DROP_IN = FailedPrecondition("a credit pays for this place", reason="NOT_A_DROP_IN")


@dataclass(frozen=True)
class DropIn:
    """A single place with what it costs under the policy of its day."""

    booking: BookingDetail
    price_minor: int
    class_type_id: UUID
    paid: bool


async def get(tx: UnitOfWork, booking_id: UUID, client_id: UUID | None = None) -> DropIn:
    """A single place; with `client_id` only one of this client. Raises NotFound, FailedPrecondition/NOT_A_DROP_IN."""
    booking = await bookings.get(tx, booking_id, None)
    if client_id is not None and booking.client_id != client_id:
        raise NotFound("booking")
    if booking.hold_expire_time is None:
        raise _NOT_A_DROP_IN
    price = select(BookingPolicy.drop_in_price_minor).where(
        BookingPolicy.tenant_id == tx.tenant, BookingPolicy.version == booking.policy_version
    )
    class_type = select(ClassSession.class_type_id).where(
        ClassSession.tenant_id == tx.tenant, ClassSession.id == booking.class_session_id
    )
    paid = await tx.session.get(DropInPayment, (tx.tenant, booking_id))
    [class_type_id] = (await tx.session.scalars(class_type)).all()
    return DropIn(booking, await tx.session.scalar(price) or 0, class_type_id, paid is not None)


async def release(tx: UnitOfWork, booking_id: UUID) -> DropIn:
    """Its money goes back: a place that was given up does not come back with its class.

    Raises NotFound, FailedPrecondition/NOT_A_DROP_IN or PLACE_HELD.
    """
    booking = await _lock(tx, booking_id)
    if booking.hold_expire_time is not None and booking.cancel_time is None:
        raise FailedPrecondition("the client has the place", reason="PLACE_HELD")
    await tx.session.execute(
        update(Booking)
        .where(Booking.tenant_id == tx.tenant, Booking.id == booking_id)
        .values(session_cancelled=False)
        .execution_options(synchronize_session=False)
    )
    return await get(tx, booking_id)


async def confirm(tx: UnitOfWork, booking_id: UUID, payment_id: UUID) -> BookingDetail:
    """A payment came in. The same one again changes nothing.

    Raises NotFound, FailedPrecondition/NOT_A_DROP_IN, ALREADY_PAID or PLACE_GONE, AlreadyExists/PAYMENT_USED.
    """
    booking = await _lock(tx, booking_id)
    paid = await tx.session.get(DropInPayment, (tx.tenant, booking_id))
    if paid is None or paid.payment_id != payment_id:
        await pay(tx, booking, payment_id=payment_id)
    return await bookings.get(tx, booking_id, None)


async def mark_paid(tx: UnitOfWork, booking_id: UUID, *, reason: str, etag: str) -> BookingDetail:
    """Staff took the money, in the way that `reason` says.

    Raises NotFound, FailedPrecondition/NOT_A_DROP_IN, ALREADY_PAID or PLACE_GONE, Aborted/ETAG_MISMATCH.
    """
    booking = await _lock(tx, booking_id)
    check_etag(etag, booking.etag)
    await pay(tx, booking, reason=reason)
    return await bookings.get(tx, booking_id, None)


async def pay(tx: UnitOfWork, booking: BookingDetail, *, payment_id: UUID | None = None, reason: str = "") -> None:
    """Confirms a place by a payment or by what staff say, under the locks of session and client.

    After the end of its hold the place is taken again where one is free. Raises FailedPrecondition/NOT_A_DROP_IN,
    ALREADY_PAID or PLACE_GONE, AlreadyExists/PAYMENT_USED.
    """
    if booking.hold_expire_time is None:
        raise _NOT_A_DROP_IN
    if await tx.session.get(DropInPayment, (tx.tenant, booking.id)) is not None:
        raise FailedPrecondition("the place is paid already", reason="ALREADY_PAID")
    spot = booking.spot
    if booking.state == "EXPIRED":
        spot = await _take_again(tx, booking)
    elif booking.state != "PENDING_PAYMENT":
        raise FailedPrecondition("the booking was cancelled", reason="PLACE_GONE")
    await tx.session.execute(
        update(Booking)
        .where(Booking.tenant_id == tx.tenant, Booking.id == booking.id)
        .values(state="CONFIRMED", spot=spot, cancel_time=None, update_time=tx.now(), version=Booking.version + 1)
        .execution_options(synchronize_session=False)
    )
    payment = insert(DropInPayment).values(
        tenant_id=tx.tenant, booking_id=booking.id, payment_id=payment_id, reason=reason, create_time=tx.now()
    )
    noted = await tx.session.scalar(payment.on_conflict_do_nothing().returning(DropInPayment.booking_id))
    if noted is None:
        raise AlreadyExists("this payment paid for another place", reason="PAYMENT_USED", field="payment_id")
    await changes.publish_bookings(tx, [booking.id])
    tx.note_change("state", booking.state, "CONFIRMED")
    tx.note_change("paid", "", str(payment_id or reason))


async def expire(tx: UnitOfWork, booking_id: UUID) -> bool:
    """Gives up a place whose hold has ended. False when it was paid or given up before."""
    seen = await bookings.get(tx, booking_id, None)
    await lock_line(tx, seen.class_session_id, seen.client_id)
    booking = await bookings.get(tx, booking_id, None)
    if booking.state != "PENDING_PAYMENT":
        return False
    await cancellations.give_up(tx, booking, state="EXPIRED", credit_returned=False)
    await changes.publish_bookings(tx, [booking_id])
    await waitlist.fill(tx, booking.class_session_id)
    return True


async def _lock(tx: UnitOfWork, booking_id: UUID) -> BookingDetail:
    seen = await bookings.get(tx, booking_id, None)
    await lock_place(tx, seen.class_session_id, seen.client_id)
    return await bookings.get(tx, booking_id, None)


async def _take_again(tx: UnitOfWork, booking: BookingDetail) -> str | None:
    """Takes a place for a booking that gave up its own; the spot of it, if the room has spots."""
    free = (
        await tx.session.execute(_FREE, {"tenant": tx.tenant, "booking": booking.id, "now": tx.now()})
    ).one_or_none()
    if free is None:
        raise FailedPrecondition("its hold has ended and the place is gone", reason="PLACE_GONE")
    await tx.session.execute(
        update(ClassSession)
        .where(ClassSession.tenant_id == tx.tenant, ClassSession.id == booking.class_session_id)
        .values(booked_count=ClassSession.booked_count + 1)
        .execution_options(synchronize_session=False)
    )
    spot: str | None = free.spot
    return spot
