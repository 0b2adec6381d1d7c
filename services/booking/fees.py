"""Fees: what late cancelling and staying away cost beside the credit. Booking says what is due, payments charges it."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from powerhouse.booking.v1 import booking_pb2 as pb
from powerhouse.booking.v1.events_pb2 import FeeChanged
from services.booking.models import BookingDetail, Client, Fee
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import NotFound, PermissionDenied
from services.chassis.ids import new_id


async def charge(tx: UnitOfWork, booking: BookingDetail, kind: str, amount_minor: int) -> None:
    """Makes a fee due, in minor units of the studio's currency; nothing when the policy has none.

    One that was void or waived for the same booking and kind is due again.
    """
    if amount_minor == 0:
        return
    due = insert(Fee).values(
        tenant_id=tx.tenant,
        id=new_id(),
        booking_id=booking.id,
        client_id=booking.client_id,
        kind=kind,
        amount_minor=amount_minor,
        currency_code=booking.currency_code,
        state="DUE",
        version=1,
        create_time=tx.now(),
        update_time=tx.now(),
    )
    again = due.on_conflict_do_update(
        index_elements=["tenant_id", "booking_id", "kind"],
        set_={"state": "DUE", "reason": "", "version": Fee.version + 1, "update_time": tx.now()},
    )
    fee = (await tx.session.scalars(again.returning(Fee), execution_options={"populate_existing": True})).one()
    await _publish(tx, [fee])


async def settle(
    tx: UnitOfWork,
    booking_ids: Collection[UUID],
    *,
    before: str,
    state: str,
    reason: str = "",
    only_kind: str | None = None,
    only_reason: str | None = None,
) -> Sequence[Fee]:
    """Takes the fees of bookings from one state to another: all, or those of a kind or with a reason.

    Returns those it found.
    """
    change = update(Fee).where(Fee.tenant_id == tx.tenant, Fee.booking_id.in_(booking_ids), Fee.state == before)
    if only_kind is not None:
        change = change.where(Fee.kind == only_kind)
    if only_reason is not None:
        change = change.where(Fee.reason == only_reason)
    changed = change.values(state=state, reason=reason, version=Fee.version + 1, update_time=tx.now()).returning(Fee)
    fees = (await tx.session.scalars(changed, execution_options={"populate_existing": True})).all()
    await _publish(tx, fees)
    return fees


async def get(tx: UnitOfWork, fee_id: UUID, account: UUID | None) -> Fee:
    """A fee; with `account` only of a client it acts for.

    Raises PermissionDenied for any other, known or not, when narrowed; else NotFound.
    """
    query = select(Fee, Client.account_id).join(
        Client, (Client.tenant_id == Fee.tenant_id) & (Client.id == Fee.client_id)
    )
    row = (await tx.session.execute(query.where(Fee.tenant_id == tx.tenant, Fee.id == fee_id))).one_or_none()
    if account is not None and (row is None or row.account_id != account):
        raise PermissionDenied()
    if row is None:
        raise NotFound("fee")
    fee: Fee = row.Fee
    return fee


async def list_latest(
    tx: UnitOfWork, page: Page, *, account: UUID | None, client_id: UUID | None, due_only: bool
) -> Sequence[Fee]:
    """Fees, newest first: of the clients that `account` acts for, of one client, or of all."""
    query = select(Fee).where(Fee.tenant_id == tx.tenant)
    if account is not None:
        own = select(Client.id).where(Client.tenant_id == tx.tenant, Client.account_id == account)
        query = query.where(Fee.client_id.in_(own))
    if client_id is not None:
        query = query.where(Fee.client_id == client_id)
    if due_only:
        query = query.where(Fee.state == "DUE")
    if page.after:
        query = query.where(tuple_(Fee.create_time, Fee.id) < tuple(page.after))
    query = query.order_by(Fee.create_time.desc(), Fee.id.desc()).limit(page.limit)
    return (await tx.session.scalars(query)).all()


async def _publish(tx: UnitOfWork, fees: Sequence[Fee]) -> None:
    events = [
        (
            FeeChanged(
                fee_id=str(fee.id),
                booking_id=str(fee.booking_id),
                client_id=str(fee.client_id),
                kind=pb.Fee.Kind.Value(fee.kind),
                state=pb.Fee.State.Value(fee.state),
                amount_minor=fee.amount_minor,
                currency_code=fee.currency_code,
            ),
            fee.id,
            fee.version,
        )
        for fee in fees
    ]
    await tx.publish_all(events, aggregate="fee")
