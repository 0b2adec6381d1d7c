"""Writing receipts: what stands on each kind of document, asked together once the money has moved."""

from dataclasses import asdict
from uuid import UUID

from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.resources import Resources
from services.payments import catalogue, letterheads, payments, purchases, receipts
from services.payments.gateways import gateway_of
from services.payments.models import Purchase, Receipt, Refund
from services.payments.receipts import CREDIT_NOTE, RECEIPT, REVERSAL


class NotYet(Exception):
    """What this document is about has none yet."""


async def issue(work: Resources, tenant: UUID, kind: str, purchase_id: UUID, refund_id: UUID | None) -> None:
    """Writes it, unless it is there. Raises NotYet, ProviderError when the provider must be asked again."""
    method = await _payment_method(work, tenant, purchase_id) if kind == RECEIPT else ""
    async with work.database.transaction(tenant) as tx:
        purchase = await purchases.get(tx, purchase_id, None)
        known = await receipts.of_purchase(tx, purchase_id)
        written = {row.kind for row in known if row.refund_id == refund_id}
        if kind in written:
            return
        if kind == RECEIPT:
            await receipts.write(tx, await _receipt(tx, purchase, method))
            return
        assert refund_id is not None
        receipt = next((row for row in known if row.kind == RECEIPT), None)
        if receipt is None or (kind == REVERSAL and CREDIT_NOTE not in written):
            raise NotYet
        refund = await tx.session.get(Refund, (tx.tenant, refund_id))
        assert refund is not None
        await receipts.write(tx, await _about(tx, kind, receipt, refund))


async def _payment_method(work: Resources, tenant: UUID, purchase_id: UUID) -> str:
    async with work.database.transaction(tenant) as tx:
        payment = await payments.of_purchase(tx, purchase_id)
    if payment is None or not payment.charge_id:
        return ""
    return await gateway_of(work.settings).method_of_charge(payment.external_account, payment.charge_id)


async def _receipt(tx: UnitOfWork, purchase: Purchase, method: str) -> Receipt:
    terms = await catalogue.terms_of(tx, purchase.pricing_option_id, purchase.terms_version)
    return Receipt(
        kind=RECEIPT,
        purchase_id=purchase.id,
        refund_id=None,
        client_id=purchase.client_id,
        account_id=purchase.account_id,
        description=terms.display_name,
        price_minor=purchase.price_minor,
        discount_minor=purchase.discount_minor,
        net_minor=purchase.net_minor,
        tax_minor=purchase.tax_minor,
        total_minor=purchase.total_minor,
        gift_minor=purchase.gift_minor,
        currency_code=purchase.currency_code,
        tax_display_name=terms.tax_rate.display_name if terms.tax_rate else "",
        payment_method=method,
        receipt_number=0,
        issuer=asdict(await letterheads.issuer(tx)),
    )


async def _about(tx: UnitOfWork, kind: str, receipt: Receipt, refund: Refund) -> Receipt:
    return Receipt(
        kind=kind,
        purchase_id=receipt.purchase_id,
        refund_id=refund.id,
        client_id=receipt.client_id,
        account_id=receipt.account_id,
        description=receipt.description,
        price_minor=refund.amount_minor,
        discount_minor=0,
        net_minor=refund.amount_minor - refund.tax_minor,
        tax_minor=refund.tax_minor,
        total_minor=refund.amount_minor,
        gift_minor=refund.amount_minor if refund.to_gift_card else 0,
        currency_code=refund.currency_code,
        tax_display_name=receipt.tax_display_name,
        payment_method=receipt.payment_method,
        receipt_number=receipt.number,
        issuer=asdict(await letterheads.issuer(tx)),
    )
