"""Credits: packages that clients own, and the append-only ledger of transfers between accounts.

A package is an account and caches its balance; a trigger keeps it in step with the transfers and lets none fall below
zero. Who writes locks packages in the order of their ids, and after the session they are for.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import insert, select, tuple_

from services.booking import changes
from services.booking.models import Client, ClientPackage, Transfer
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import NotFound
from services.chassis.ids import new_id

# Accounts every studio has: where credits come from and where they go.
ISSUED = UUID(int=1)
REDEEMED = UUID(int=2)


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
    await _transfer(tx, ISSUED, package.id, credits, "granted", None)
    await tx.session.refresh(package)
    tx.note_change("credits", 0, credits)
    await changes.publish_packages(tx, [package.id])
    return package


async def give_back(tx: UnitOfWork, package_id: UUID, booking_id: UUID) -> None:
    """Returns the credit of a booking to its package."""
    await _transfer(tx, REDEEMED, package_id, 1, "cancelled_early", booking_id)
    await changes.publish_packages(tx, [package_id])


async def lock(tx: UnitOfWork, package_ids: Collection[UUID]) -> None:
    """Locks packages in the order that everybody keeps to."""
    query = select(ClientPackage.id).where(ClientPackage.tenant_id == tx.tenant, ClientPackage.id.in_(package_ids))
    await tx.session.execute(query.order_by(ClientPackage.id).with_for_update())


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


async def _transfer(
    tx: UnitOfWork, debit: UUID, credit: UUID, amount: int, cause: str, booking_id: UUID | None
) -> None:
    await tx.session.execute(
        insert(Transfer).values(
            tenant_id=tx.tenant,
            debit_account=debit,
            credit_account=credit,
            amount=amount,
            cause=cause,
            booking_id=booking_id,
            create_time=tx.now(),
        )
    )
