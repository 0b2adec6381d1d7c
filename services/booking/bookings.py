"""Bookings: who has which place in which class. `desk` takes a place, `cancellations` give it back."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select, tuple_

from services.booking.models import BookingDetail
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import NotFound, PermissionDenied


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
