"""Recipients: whom a message about a booking, a wait, a fee or a client goes to, and how that stands as it is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Select, Uuid, any_, literal, select
from sqlalchemy.orm import aliased

from services.booking.class_sessions import Offer, refusal_now, spots_left
from services.booking.models import BookableSession, BookingDetail, Client, Fee, WaitlistEntry
from services.chassis.db.unit_of_work import UnitOfWork


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """A client, and what the message is about: a booking, perhaps a fee for it, a wait, or the client itself."""

    client: Client
    offer: Offer | None = None
    booking: BookingDetail | None = None
    wait: WaitlistEntry | None = None
    fee: Fee | None = None


async def find(
    tx: UnitOfWork,
    booking_ids: Sequence[UUID],
    entry_ids: Sequence[UUID],
    fee_ids: Sequence[UUID],
    client_ids: Sequence[UUID],
) -> list[Recipient]:
    """Those of the bookings, waits, fees and clients that exist."""
    return [
        *(await _of_bookings(tx, booking_ids) if booking_ids else []),
        *(await _of_waits(tx, entry_ids) if entry_ids else []),
        *(await _of_fees(tx, fee_ids) if fee_ids else []),
        *(await _of_clients(tx, client_ids) if client_ids else []),
    ]


async def _of_bookings(tx: UnitOfWork, ids: Sequence[UUID]) -> list[Recipient]:
    query = _with_session(tx, select(BookingDetail), BookingDetail)
    rows = await tx.session.execute(query.where(BookingDetail.tenant_id == tx.tenant, _one_of(BookingDetail.id, ids)))
    return [Recipient(client=client, offer=Offer(*offer), booking=booking) for booking, client, *offer in rows]


async def _of_waits(tx: UnitOfWork, ids: Sequence[UUID]) -> list[Recipient]:
    # By another name than the entries that stand before it.
    entry = aliased(WaitlistEntry)
    query = _with_session(tx, select(entry), entry).where(entry.tenant_id == tx.tenant, _one_of(entry.id, ids))
    rows = await tx.session.execute(query)
    return [Recipient(client=client, offer=Offer(*offer), wait=wait) for wait, client, *offer in rows]


async def _of_fees(tx: UnitOfWork, ids: Sequence[UUID]) -> list[Recipient]:
    booking_of = (BookingDetail.tenant_id == tx.tenant) & (BookingDetail.id == Fee.booking_id)
    query = _with_session(tx, select(Fee).add_columns(BookingDetail).join(BookingDetail, booking_of), BookingDetail)
    rows = await tx.session.execute(query.where(Fee.tenant_id == tx.tenant, _one_of(Fee.id, ids)))
    return [
        Recipient(client=client, offer=Offer(*offer), booking=booking, fee=fee) for fee, booking, client, *offer in rows
    ]


async def _of_clients(tx: UnitOfWork, ids: Sequence[UUID]) -> list[Recipient]:
    query = select(Client).where(Client.tenant_id == tx.tenant, _one_of(Client.id, ids))
    return [Recipient(client=client) for client in await tx.session.scalars(query)]


def _one_of(column: Any, ids: Sequence[UUID]) -> ColumnElement[bool]:
    """By one parameter: the statement is prepared and planned once, however many are asked for."""
    return cast(ColumnElement[bool], column == any_(literal(list(ids), ARRAY(Uuid))))


def _with_session(tx: UnitOfWork, query: Any, place: Any) -> Select[Any]:
    """The client and the session of what names them."""
    session = BookableSession
    joined: Select[Any] = (
        query.add_columns(Client, session, refusal_now(tx), spots_left())
        .join(Client, (Client.tenant_id == tx.tenant) & (Client.id == place.client_id))
        .join(session, (session.tenant_id == tx.tenant) & (session.id == place.class_session_id))
    )
    return joined
