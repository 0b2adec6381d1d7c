"""Fees of bookings: what booking says is due becomes a purchase and is charged; what it lets go is given up or given
back.

One fee has one purchase that counts. Staff sell fees of their own too, like any pricing option.
"""

from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition
from services.chassis.ids import derived_id
from services.chassis.resources import Resources
from services.payments import buyers, catalogue, kinds, merchants, payments, purchases, quotes, refunds
from services.payments.buyers import Buyer
from services.payments.models import Fee, PricingOption, Purchase, Terms

SETTLE_JOB = "settle_fee"
DUE = "DUE"
# By booking's Fee.Kind. The studio may rename them and give them a tax.
_NAMES = {"LATE_CANCEL": "Late cancellation fee", "NO_SHOW": "No-show fee"}


async def tell(tx: UnitOfWork, fee: Fee) -> None:
    """Keeps what booking says of a fee, if it is newer; a job does what follows."""
    told = {column.name: getattr(fee, column.name) for column in Fee.__table__.columns}
    row = insert(Fee).values(told)
    newer = row.on_conflict_do_update(index_elements=["tenant_id", "id"], set_=told, where=Fee.version < fee.version)
    if await tx.session.scalar(newer.returning(Fee.id)) is not None:
        await tx.enqueue(SETTLE_JOB, f"{fee.id} {fee.version}", args={"fee": str(fee.id)})


async def settle(work: Resources, tenant: UUID, fee_id: UUID) -> None:
    """Takes a fee to where booking has it: billed when it is due, else given up, or given back when it is paid.

    Raises FailedPrecondition with NOT_A_MERCHANT, CURRENCY_MISMATCH or while it is on its way, Unavailable.
    """
    async with work.database.transaction(tenant) as tx:
        fee = await _get(tx, fee_id)
        purchase = await purchase_of(tx, fee_id)
    if fee.state == DUE:
        if purchase is None:
            buyer = await buyers.find(work.stubs, tenant, fee.client_id, None, even_archived=True)
            async with work.database.transaction(tenant) as tx:
                await _bill(tx, await _get(tx, fee_id, lock=True), buyer)
    elif purchase is not None and purchase.state == "OPEN":
        await payments.cancel(work, tenant, purchase.id, None)
    elif purchase is not None:
        async with work.database.transaction(tenant) as tx:
            paid = await purchases.lock(tx, purchase.id)
            if paid.state == "PAID":
                raise FailedPrecondition("it is on its way", reason="NOT_FULFILLED")
            if paid.state == "FULFILLED":
                await purchases.returned(tx, paid, fee.state)
                await refunds.give_back(tx, paid, f"the fee was {fee.state.lower()}")


async def is_due(tx: UnitOfWork, purchase: Purchase) -> bool:
    """Whether a fee is still to be charged, and can be. One that staff sold is, until it is paid."""
    if purchase.state != "OPEN" or purchases.too_small(purchase):
        return False
    return purchase.fee_id is None or (await _get(tx, purchase.fee_id)).state == DUE


async def purchase_of(tx: UnitOfWork, fee_id: UUID) -> Purchase | None:
    """The purchase of a fee that counts."""
    query = select(Purchase).where(
        Purchase.tenant_id == tx.tenant, Purchase.fee_id == fee_id, Purchase.state.not_in(("CANCELLED", "RETURNED"))
    )
    return (await tx.session.scalars(query)).one_or_none()


async def _get(tx: UnitOfWork, fee_id: UUID, *, lock: bool = False) -> Fee:
    fee = await tx.session.get(Fee, (tx.tenant, fee_id), with_for_update=lock or None, populate_existing=True)
    assert fee is not None
    return fee


async def _bill(tx: UnitOfWork, fee: Fee, buyer: Buyer) -> None:
    """Makes the purchase of a fee, once, for what the client was told it costs: a tax of it is in it."""
    if fee.state != DUE:
        return
    if await merchants.currency(tx) != fee.currency_code:
        raise FailedPrecondition("the studio is paid in another currency", reason="CURRENCY_MISMATCH")
    option, terms = await _option(tx, fee.kind)
    tax_ppm = terms.tax_rate.rate_ppm if terms.tax_rate else 0
    quote = quotes.quote(fee.amount_minor, tax_ppm=tax_ppm, tax_inclusive=True)
    bill = purchases.row(tx, buyer, option, terms, quote)
    made = insert(Purchase).values(bill | {"booking_id": fee.booking_id, "fee_id": fee.id})
    once = made.on_conflict_do_nothing(
        index_elements=["tenant_id", "fee_id"], index_where=text("state NOT IN ('CANCELLED', 'RETURNED')")
    )
    purchase = (await tx.session.scalars(once.returning(Purchase))).one_or_none()
    if purchase is not None:
        await purchases.charge(tx, purchase.id, 0)


async def _option(tx: UnitOfWork, kind: str) -> tuple[PricingOption, Terms]:
    """What fees of a kind are sold as, made when the first one is due."""
    option_id = derived_id(tx.tenant, f"fee {kind}")
    made = insert(PricingOption).values(
        tenant_id=tx.tenant,
        id=option_id,
        kind=kinds.FEE,
        terms_version=1,
        version=1,
        create_time=tx.now(),
        update_time=tx.now(),
    )
    new = await tx.session.scalar(made.on_conflict_do_nothing().returning(PricingOption.id))
    if new is not None:
        await catalogue.write_fee_terms(tx, option_id, _NAMES[kind])
    return await catalogue.get(tx, option_id)
