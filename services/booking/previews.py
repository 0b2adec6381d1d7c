"""Previews: what booking and cancelling would do now. Each is the thing itself, tried and undone: it cannot differ."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from services.booking import bookings, cancellations
from services.booking.desk import Wanted, book_within
from services.booking.models import BookableSession, BookingDetail, ClientPackage, Fee
from services.booking.refusals import OF_THE_MOMENT
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import DomainError, NotFound


@dataclass(frozen=True)
class BookingPreview:
    """What a booking would be; or why it is refused, and then nothing else."""

    refusal: DomainError | None = None
    booking: BookingDetail | None = None
    # What would pay, as it would be afterwards; None for a drop-in.
    package: ClientPackage | None = None
    price_minor: int = 0


@dataclass(frozen=True)
class CancellationPreview:
    """What cancelling would make of a booking; or why it is refused."""

    # As it is now.
    booking: BookingDetail
    refusal: DomainError | None = None
    # As it would be.
    cancelled: BookingDetail | None = None
    fee_minor: int = 0


async def preview_booking(tx: UnitOfWork, wanted: Wanted) -> BookingPreview:
    """Tries to book. Raises NotFound, PermissionDenied, and InvalidArgument for what can never be booked."""
    session = await tx.session.get(BookableSession, (tx.tenant, wanted.class_session))
    if session is None:
        raise NotFound("class_session")
    price = session.drop_in_price_minor if wanted.drop_in else 0
    try:
        async with tx.trial():
            booking = await book_within(tx, wanted)
            package = await _package(tx, booking.client_package_id)
            tx.session.expunge_all()
    except OF_THE_MOMENT as refusal:
        return BookingPreview(refusal)
    return BookingPreview(None, booking, package, price)


async def preview_cancellation(tx: UnitOfWork, booking_id: UUID, account: UUID | None) -> CancellationPreview:
    """Tries to cancel. Raises PermissionDenied, NotFound."""
    booking = await bookings.get(tx, booking_id, account)
    tx.session.expunge_all()
    try:
        async with tx.trial():
            cancelled = await cancellations.cancel(tx, booking_id, account=account, etag="")
            due = select(Fee.amount_minor).where(
                Fee.tenant_id == tx.tenant, Fee.booking_id == booking_id, Fee.state == "DUE"
            )
            fee = await tx.session.scalar(due) or 0
            tx.session.expunge_all()
    except OF_THE_MOMENT as refusal:
        return CancellationPreview(booking, refusal)
    return CancellationPreview(booking, None, cancelled, fee)


async def _package(tx: UnitOfWork, package_id: UUID | None) -> ClientPackage | None:
    return await tx.session.get(ClientPackage, (tx.tenant, package_id)) if package_id else None
