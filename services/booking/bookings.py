"""Bookings: who has which place in which class. `desk` takes a place, `cancellations` give it back."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, tuple_

from services.booking.class_sessions import Offer, refusal_now, spots_left
from services.booking.models import BookableSession, BookingDetail, Client
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import NotFound, PermissionDenied


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
