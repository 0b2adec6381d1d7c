"""Bookings: who has which place in which class. `desk` takes a place; giving it back is below."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, tuple_, update

from services.booking import changes, credits
from services.booking.cancellation import is_early
from services.booking.class_sessions import Offer, refusal_now, spots_left
from services.booking.models import BookableSession, Booking, BookingDetail, ClassSession, Client
from services.chassis.db.database import Database
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import (
    AlreadyExists,
    DomainError,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    check_etag,
)
from services.chassis.ids import new_id
from services.chassis.rpc.call import Call
from services.chassis.telemetry import current_traceparent

@dataclass(frozen=True)
class Recipient:
    """Whom a message about a booking goes to, and what it is about."""

    booking: BookingDetail
    client: Client
    offer: Offer


async def get(tx: UnitOfWork, booking_id: UUID, account: UUID | None) -> BookingDetail:
    """A booking; with `account` only of a client it acts for.

    Raises PermissionDenied for any other, known or not, when narrowed; else NotFound.
    """
    query = select(BookingDetail).where(BookingDetail.tenant_id == tx.tenant, BookingDetail.id == booking_id)
    booking = (await tx.session.scalars(query.execution_options(populate_existing=True))).one_or_none()
    if account is not None and (booking is None or booking.account_id != account):
        raise PermissionDenied()
    if booking is None:
        raise NotFound("booking")
    return booking


async def list_latest(
    tx: UnitOfWork, page: Page, *, account: UUID | None, client_id: UUID | None, active_only: bool
) -> Sequence[BookingDetail]:
    """Bookings, latest class first: of the clients that `account` acts for, of one client, or of all."""
    booking = BookingDetail
    query = select(booking).where(booking.tenant_id == tx.tenant)
    if account is not None:
        query = query.where(booking.account_id == account)
    if client_id is not None:
        query = query.where(booking.client_id == client_id)
    if active_only:
        query = query.where(booking.cancel_time.is_(None))
    if page.after:
        query = query.where(tuple_(booking.start_time, booking.id) < tuple(page.after))
    query = query.order_by(booking.start_time.desc(), booking.id.desc()).limit(page.limit)
    return (await tx.session.scalars(query)).all()


async def cancel(tx: UnitOfWork, booking_id: UUID, *, account: UUID | None, etag: str) -> BookingDetail:
    """Gives a place back: the credit returns when the cancellation window has not begun, else it is spent.

    Raises PermissionDenied, NotFound, FailedPrecondition/BOOKING_NOT_ACTIVE or SESSION_STARTED, Aborted/ETAG_MISMATCH.
    """
    seen = await get(tx, booking_id, account)
    await _lock_session(tx, seen.class_session_id)
    booking = await get(tx, booking_id, account)
    check_etag(etag, booking.etag)
    if booking.state != "CONFIRMED":
        raise FailedPrecondition("the booking is not active", reason="BOOKING_NOT_ACTIVE")
    if tx.now() >= booking.start_time:
        raise FailedPrecondition("the class has started", reason="SESSION_STARTED")
    early = is_early(tx.now(), booking.start_time, booking.time_zone, booking.cancellation_window_minutes)
    state = "CANCELLED_EARLY" if early else "CANCELLED_LATE"
    await tx.session.execute(
        update(Booking)
        .where(Booking.tenant_id == tx.tenant, Booking.id == booking_id)
        .values(
            state=state, credit_returned=early, cancel_time=tx.now(), update_time=tx.now(), version=Booking.version + 1
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
    if early:
        await credits.give_back(tx, booking.client_package_id, booking_id)
    await changes.publish_bookings(tx, [booking_id])
    tx.note_change("state", "CONFIRMED", state)
    return await get(tx, booking_id, account)


async def roster(tx: UnitOfWork, session_id: UUID) -> Sequence[BookingDetail]:
    """Active bookings of a session, by spot, then by name."""
    booking = BookingDetail
    query = select(booking).where(
        booking.tenant_id == tx.tenant, booking.class_session_id == session_id, booking.cancel_time.is_(None)
    )
    place = func.array_position(ClassSession.spots, booking.spot)
    query = query.join(ClassSession, (ClassSession.tenant_id == tx.tenant) & (ClassSession.id == session_id))
    return (await tx.session.scalars(query.order_by(place, booking.client_display_name, booking.id))).all()


async def recipients(tx: UnitOfWork, booking_ids: Sequence[UUID]) -> Sequence[Recipient]:
    """Contact data and state as they are now, of the bookings that exist."""
    query = (
        select(BookingDetail, Client, BookableSession, refusal_now(tx), spots_left())
        .join(Client, (Client.tenant_id == tx.tenant) & (Client.id == BookingDetail.client_id))
        .join(
            BookableSession,
            (BookableSession.tenant_id == tx.tenant) & (BookableSession.id == BookingDetail.class_session_id),
        )
        .where(BookingDetail.tenant_id == tx.tenant, BookingDetail.id.in_(booking_ids))
    )
    rows = await tx.session.execute(query)
    return [
        Recipient(booking, client, Offer(session, refusal, free_spots))
        for booking, client, session, refusal, free_spots in rows
    ]


async def _lock_session(tx: UnitOfWork, session_id: UUID) -> None:
    """Before the booking and its package: the order that everybody keeps to."""
    query = select(ClassSession.id).where(ClassSession.tenant_id == tx.tenant, ClassSession.id == session_id)
    await tx.session.execute(query.with_for_update())
