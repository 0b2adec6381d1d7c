"""Credits: the packages that clients own."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, tuple_

from services.booking import changes, ledger
from services.booking.models import BookingDetail, Client, ClientPackage
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import NotFound
from services.chassis.ids import new_id


async def grant(
    tx: UnitOfWork, *, client_id: UUID, display_name: str, credits: int, valid_days: int, reason: str
) -> ClientPackage:
    """Gives a client a package of credits without payment. `valid_days` of 24 hours from now; 0 means for ever."""
    if await tx.session.get(Client, (tx.tenant, client_id)) is None:
        raise NotFound("client")
    package = ClientPackage(
        tenant_id=tx.tenant,
        id=new_id(),
        client_id=client_id,
        display_name=display_name,
        credits_granted=credits,
        expire_time=tx.now() + timedelta(days=valid_days) if valid_days else None,
        reason=reason,
        create_time=tx.now(),
        update_time=tx.now(),
    )
    tx.session.add(package)
    await tx.session.flush()
    await ledger.transfer(tx, ledger.ISSUED, package.id, credits, "granted", reason=reason)
    await tx.session.refresh(package)
    tx.note_change("credits", 0, credits)
    await changes.publish_packages(tx, [package.id])
    return package


async def give_back(tx: UnitOfWork, booking: BookingDetail, cause: str, reason: str = "") -> None:
    """Returns the credit of a booking to the package that paid."""
    assert booking.client_package_id is not None
    await ledger.transfer(
        tx, ledger.REDEEMED, booking.client_package_id, 1, cause, booking_id=booking.id, reason=reason
    )


async def list_packages(
    tx: UnitOfWork, page: Page, *, account: UUID | None, client_id: UUID | None
) -> Sequence[ClientPackage]:
    """Packages, newest first: of the clients that `account` acts for, of one client, or of all where these are None."""
    query = select(ClientPackage).where(ClientPackage.tenant_id == tx.tenant)
    if client_id is not None:
        query = query.where(ClientPackage.client_id == client_id)
    if account is not None:
        own = select(Client.id).where(Client.tenant_id == tx.tenant, Client.account_id == account)
        query = query.where(ClientPackage.client_id.in_(own))
    key = tuple_(ClientPackage.create_time, ClientPackage.id)
    if page.after:
        query = query.where(key < tuple(page.after))
    query = query.order_by(ClientPackage.create_time.desc(), ClientPackage.id.desc())
    return (await tx.session.scalars(query.limit(page.limit))).all()
