"""Sales: packages that payments sells. Each purchase becomes one package, however often it is told.

A refund takes unused credits out of it first, and gives them back when it does not come about.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from services.booking import changes, credits, ledger
from services.booking.locks import lock_clients
from services.booking.models import Client, ClientMerge, ClientPackage, CreditFreeze, PackageSale
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, NotFound


async def buyer(tx: UnitOfWork, client_id: UUID) -> Client:
    """A client, or the one it became by merges. Raises NotFound."""
    merged = select(ClientMerge.survivor_id).where(ClientMerge.tenant_id == tx.tenant, ClientMerge.undo_time.is_(None))
    while survivor := await tx.session.scalar(merged.where(ClientMerge.duplicate_id == client_id)):
        client_id = survivor
    client = await tx.session.get(Client, (tx.tenant, client_id))
    if client is None:
        raise NotFound("client")
    return client


async def grant(
    tx: UnitOfWork,
    purchase_id: UUID,
    client_id: UUID,
    *,
    display_name: str,
    kind: str,
    credits_sold: int,
    class_type_ids: Sequence[UUID],
    valid_days: int,
    starts_on_first_use: bool,
    end_time: datetime | None,
) -> ClientPackage:
    """The package of a purchase: made the first time, found after that. Raises NotFound for the client."""
    client = await buyer(tx, client_id)
    # Under its lock the same purchase told twice at once is told one time after the other.
    await lock_clients(tx, [client.id])
    sale = await tx.session.get(PackageSale, (tx.tenant, purchase_id))
    if sale is not None:
        return await credits.get(tx, sale.client_package_id, None)
    package = await credits.issue(
        tx,
        client_id=client.id,
        display_name=display_name,
        kind=kind,
        credits=credits_sold,
        class_type_ids=class_type_ids,
        valid_days=valid_days,
        starts_on_first_use=starts_on_first_use,
        end_time=end_time,
    )
    tx.session.add(
        PackageSale(tenant_id=tx.tenant, purchase_id=purchase_id, client_package_id=package.id, create_time=tx.now())
    )
    await tx.session.flush()
    return package


async def package_of(tx: UnitOfWork, purchase_id: UUID) -> ClientPackage:
    """What a purchase became. Raises NotFound."""
    sale = await tx.session.get(PackageSale, (tx.tenant, purchase_id))
    if sale is None:
        raise NotFound("purchase")
    return await credits.get(tx, sale.client_package_id, None)


async def end(tx: UnitOfWork, purchase_id: UUID) -> ClientPackage:
    """Takes what is left of the package of a purchase for good, once. Raises NotFound."""
    package = await package_of(tx, purchase_id)
    await lock_clients(tx, [package.client_id])
    package = await credits.get(tx, package.id, None)
    return package if package.revoke_time else await credits.take_back(tx, package)


async def freeze(tx: UnitOfWork, purchase_id: UUID, refund_id: UUID, amount: int) -> ClientPackage:
    """Takes credits out of the package of a purchase, once per refund.

    Raises NotFound, FailedPrecondition/NOT_ENOUGH_CREDITS or UNFROZEN.
    """
    package = await package_of(tx, purchase_id)
    await lock_clients(tx, [package.client_id])
    frozen = await tx.session.get(CreditFreeze, (tx.tenant, refund_id))
    if frozen is not None and frozen.unfreeze_time is not None:
        raise FailedPrecondition("the credits were given back already", reason="UNFROZEN")
    package = await credits.get(tx, package.id, None)
    if frozen is not None:
        return package
    if package.credits_left < amount:
        raise FailedPrecondition(
            f"the package has only {package.credits_left} left",
            reason="NOT_ENOUGH_CREDITS",
            metadata={"credits_left": str(package.credits_left)},
        )
    await tx.session.execute(
        insert(CreditFreeze).values(
            tenant_id=tx.tenant,
            refund_id=refund_id,
            client_package_id=package.id,
            credits=amount,
            create_time=tx.now(),
        )
    )
    await ledger.transfer(tx, package.id, ledger.REVOKED, amount, "refunded")
    return await _changed(tx, package)


async def unfreeze(tx: UnitOfWork, refund_id: UUID) -> ClientPackage:
    """Gives the credits of a refund back, once. Raises NotFound."""
    seen = await tx.session.get(CreditFreeze, (tx.tenant, refund_id))
    if seen is None:
        raise NotFound("refund")
    package = await credits.get(tx, seen.client_package_id, None)
    await lock_clients(tx, [package.client_id])
    frozen = await tx.session.get(CreditFreeze, (tx.tenant, refund_id), populate_existing=True)
    assert frozen is not None
    if frozen.unfreeze_time is not None:
        return package
    frozen.unfreeze_time = tx.now()
    await ledger.transfer(tx, ledger.REVOKED, package.id, frozen.credits, "refund_failed")
    return await _changed(tx, package)


async def _changed(tx: UnitOfWork, package: ClientPackage) -> ClientPackage:
    await changes.publish_packages(tx, [package.id])
    await tx.session.refresh(package)
    return package
