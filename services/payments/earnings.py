"""What is earned of what was paid: a pack's money as its credits are used, refunded or lapse, a drop-in's when its
class begins.

The deferred account of a purchase follows from what is left to give for it and from its refunds alone, so events in any
order end at the same balance.
"""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import new_id
from services.payments import catalogue, kinds, ledger, purchases, quotes
from services.payments.ledger import Move
from services.payments.models import DropInPlace, LedgerAccount, PackageCredits, Purchase, Refund

_UNDER_WAY = ("REQUESTED", "FROZEN", "PENDING")


async def tell(tx: UnitOfWork, client_package_id: UUID, credits_left: int, version: int) -> None:
    """Booking says what is left of a package. What is not newer is ignored."""
    row = insert(PackageCredits).values(
        tenant_id=tx.tenant, client_package_id=client_package_id, credits_left=credits_left, version=version
    )
    newer = row.on_conflict_do_update(
        index_elements=["tenant_id", "client_package_id"],
        set_={"credits_left": credits_left, "version": version},
        where=PackageCredits.version < version,
    )
    changed = await tx.session.scalar(newer.returning(PackageCredits.client_package_id))
    if changed is None:
        return
    sold = select(Purchase.id).where(Purchase.tenant_id == tx.tenant, Purchase.client_package_id == client_package_id)
    purchase_id = await tx.session.scalar(sold)
    if purchase_id is not None:
        await earn(tx, await purchases.lock(tx, purchase_id))


async def earn(tx: UnitOfWork, purchase: Purchase) -> None:
    """Moves between deferred and revenue what follows from what is left of a purchase, under its lock."""
    if not purchase.net_minor or purchase.state not in ("PAID", "FULFILLED", "RETURNED"):
        return
    pool, credits, left = await _pool(tx, purchase)
    surplus = await _deferred(tx, purchase) - quotes.deferred(pool, left, credits)
    debit, credit = (ledger.DEFERRED, ledger.REVENUE) if surplus > 0 else (ledger.REVENUE, ledger.DEFERRED)
    move = Move(debit, credit, abs(surplus), "earned" if surplus > 0 else "unearned", purchase.id)
    await ledger.post(tx, f"purchase {purchase.id} {new_id()}", purchase.currency_code, [move])


async def worth(tx: UnitOfWork, purchase: Purchase, refund: Refund) -> int:
    """What of the deferred account goes with a refund: by its credits; of what has none, all there is."""
    if purchase.kind != kinds.CLASS_PACK:
        return min(await _deferred(tx, purchase), refund.amount_minor - refund.tax_minor)
    _, _, left = await _pool(tx, purchase)
    return quotes.deferred(await _deferred(tx, purchase), refund.credits, left) if refund.credits else 0


async def _pool(tx: UnitOfWork, purchase: Purchase) -> tuple[int, int, int]:
    """The net amount and the credits that were not refunded, and how many of these are left.

    What has no credits counts as one, that is left until it was given.
    """
    terms = await catalogue.terms_of(tx, purchase.pricing_option_id, purchase.terms_version)
    mine = (Refund.tenant_id == tx.tenant, Refund.purchase_id == purchase.id)
    gone = (
        await tx.session.execute(
            select(func.coalesce(func.sum(Refund.deferred_minor), 0), func.coalesce(func.sum(Refund.credits), 0)).where(
                *mine, Refund.state == "SUCCEEDED"
            )
        )
    ).one()
    if purchase.kind != kinds.CLASS_PACK:
        return purchase.net_minor - int(gone[0]), 1, int(await _is_to_come(tx, purchase))
    frozen = select(func.coalesce(func.sum(Refund.credits), 0)).where(*mine, Refund.state.in_(_UNDER_WAY))
    told = await tx.session.get(PackageCredits, (tx.tenant, purchase.client_package_id), populate_existing=True)
    left = terms.credits if told is None else told.credits_left + int(await tx.session.scalar(frozen) or 0)
    credits = terms.credits - int(gone[1])
    return purchase.net_minor - int(gone[0]), credits, min(left, credits)


async def _is_to_come(tx: UnitOfWork, purchase: Purchase) -> bool:
    """Whether the client has still to get what was paid, or to get the money back."""
    if purchase.kind == kinds.FEE or purchase.state != "FULFILLED":
        return purchase.kind != kinds.FEE
    place = await tx.session.get(DropInPlace, (tx.tenant, purchase.booking_id), populate_existing=True)
    assert place is not None
    return place.state == "CANCELLED_EARLY" or (place.state == "CONFIRMED" and place.start_time > tx.now())


async def _deferred(tx: UnitOfWork, purchase: Purchase) -> int:
    account = ledger.account_id(tx.tenant, ledger.DEFERRED, purchase.currency_code, purchase.id)
    query = select(LedgerAccount.balance_minor).where(LedgerAccount.tenant_id == tx.tenant, LedgerAccount.id == account)
    return await tx.session.scalar(query) or 0
