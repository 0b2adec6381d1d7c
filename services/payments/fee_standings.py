"""Fee standings: whether a card is tried for a fee of booking as it comes; who writes to the client about it asks."""

from uuid import UUID

from services.chassis.db.unit_of_work import UnitOfWork
from services.payments import fees, payments, purchases
from services.payments.models import Fee, MerchantAccount

# Names of FeeFacts.Charge.
NONE, TO_COME, TRIED = "NONE", "TO_COME", "TRIED"


async def charge_of(tx: UnitOfWork, fee_id: UUID) -> str:
    """How far it is with the first try; those that follow by the schedule change nothing about it."""
    merchant = await tx.session.get(MerchantAccount, (tx.tenant,))
    fee = await tx.session.get(Fee, (tx.tenant, fee_id))
    if merchant is None or (fee is not None and fee.currency_code != merchant.currency_code):
        return NONE
    purchase = await fees.purchase_of(tx, fee_id)
    if purchase is None:
        return TO_COME
    payment, attempts = (await payments.of_purchases(tx, [purchase.id])).get(purchase.id, (None, []))
    if purchase.state != "OPEN" or attempts or (payment is not None and payment.processing):
        return TRIED
    return TO_COME if await purchases.is_to_be_charged(tx, purchase.id, 0) else NONE
