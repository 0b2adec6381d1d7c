"""Paid periods of memberships: each paid invoice is a purchase, once, and grants what its money bought."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select

from services.chassis.clock import real_now
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import derived_id, new_id
from services.payments import catalogue, kinds, memberships, payments, promo_codes, purchases, quotes
from services.payments.models import Membership, MembershipPeriod, Payment, Purchase, Terms
from services.payments.providers.card_gateway import Intent
from services.payments.providers.membership_gateway import Invoice
from services.payments.quotes import Quote


async def pay(tx: UnitOfWork, membership: Membership, invoice: Invoice, intent: Intent | None) -> None:
    """What a paid invoice has bought, once, under the membership's lock. Raises payments.Mismatch."""
    purchase_id = derived_id(membership.id, invoice.external_id)
    if await tx.session.get(Purchase, (tx.tenant, purchase_id)) is None:
        await _sell(tx, membership, invoice, purchase_id)
    if intent is not None:
        await payments.apply(tx, membership.external_account, intent)


async def get(tx: UnitOfWork, purchase_id: UUID) -> MembershipPeriod:
    """The period that a purchase paid."""
    period = await tx.session.get(MembershipPeriod, (tx.tenant, purchase_id))
    assert period is not None
    return period


async def usable_until(tx: UnitOfWork, membership: Membership) -> datetime | None:
    """The last day of what was paid; None when that is over, or some of it is given back."""
    given_back = func.bool_or(Payment.refunding_minor > 0)
    query = (
        select(func.max(MembershipPeriod.end_time), given_back)
        .outerjoin(
            Payment,
            (Payment.tenant_id == MembershipPeriod.tenant_id) & (Payment.purchase_id == MembershipPeriod.purchase_id),
        )
        .where(
            MembershipPeriod.tenant_id == tx.tenant,
            MembershipPeriod.membership_id == membership.id,
            MembershipPeriod.end_time > tx.now(),
        )
    )
    until, gone = (await tx.session.execute(query)).one()
    return None if gone else until


async def runs_cheaper(tx: UnitOfWork, membership: Membership) -> bool:
    """Whether a promo code took something off what is running."""
    cheaper = (
        select(Purchase.id)
        .join(
            MembershipPeriod,
            (MembershipPeriod.tenant_id == Purchase.tenant_id) & (MembershipPeriod.purchase_id == Purchase.id),
        )
        .where(
            Purchase.tenant_id == tx.tenant,
            MembershipPeriod.membership_id == membership.id,
            MembershipPeriod.end_time > tx.now(),
            Purchase.discount_minor > 0,
        )
    )
    return await tx.session.scalar(cheaper.limit(1)) is not None


async def _sell(tx: UnitOfWork, membership: Membership, invoice: Invoice, purchase_id: UUID) -> None:
    plan = await memberships.plan_of(tx, invoice.price)
    if plan is None:
        raise payments.Mismatch(f"{invoice.external_id} is for a price that is none of ours")
    terms = await catalogue.terms_of(tx, *plan)
    code = membership.promo_code_id if invoice.first else None
    quote = catalogue.quote_of(terms, await promo_codes.get(tx, code) if code else None)
    credits = await _credits(tx, invoice, terms, quote)
    if invoice.old_price:
        # A share of the interval, with as large a share of its tax.
        total = invoice.total_minor
        tax = quotes.tax_in_refund(quote.total, quote.tax, 0, total)
        quote = Quote(total, 0, total - tax, tax)
    purchase = Purchase(
        tenant_id=tx.tenant,
        id=purchase_id,
        client_id=membership.client_id,
        account_id=membership.account_id,
        pricing_option_id=plan[0],
        kind=kinds.MEMBERSHIP,
        terms_version=plan[1],
        intro_offer=False,
        price_minor=quote.price,
        discount_minor=quote.discount,
        net_minor=quote.net,
        tax_minor=quote.tax,
        total_minor=quote.total,
        currency_code=invoice.currency_code,
        state="OPEN",
        create_time=tx.now(),
        update_time=tx.now(),
    )
    tx.session.add(purchase)
    await tx.session.flush()
    if quote.total or not invoice.first:
        tx.session.add(_payment(tx, membership, invoice, purchase))
    else:
        await purchases.paid(tx, purchase)
    newest = await _newest_start(tx, membership)
    period = MembershipPeriod(
        tenant_id=tx.tenant,
        purchase_id=purchase_id,
        membership_id=membership.id,
        external_id=invoice.external_id,
        start_time=invoice.start,
        end_time=invoice.end,
        credits=credits,
    )
    tx.session.add(period)
    # What was paid late says nothing of today's plan.
    if newest is None or newest <= invoice.start:
        membership.pricing_option_id, membership.terms_version = plan
    if membership.period_end is None or membership.period_end < invoice.end:
        membership.period_start, membership.period_end = invoice.start, invoice.end
    await memberships.changed(tx, membership)
    await tx.session.flush()


async def _credits(tx: UnitOfWork, invoice: Invoice, terms: Terms, quote: Quote) -> int:
    """What the money buys: the credits of an interval, or of a dearer plan a share of what it has more."""
    if not invoice.old_price:
        if invoice.total_minor != quote.total:
            raise payments.Mismatch(f"{invoice.external_id} is {invoice.total_minor} instead of {quote.total}")
        return kinds.UNLIMITED_CREDITS if terms.unlimited else terms.credits
    if terms.unlimited:
        return kinds.UNLIMITED_CREDITS
    before = await memberships.plan_of(tx, invoice.old_price)
    if before is None:
        raise payments.Mismatch(f"{invoice.external_id} takes back what is none of ours")
    old = await catalogue.terms_of(tx, *before)
    dearer = quote.total - catalogue.quote_of(old).total
    return quotes.credits_in_refund(terms.credits - old.credits, dearer, invoice.total_minor)


def _payment(tx: UnitOfWork, membership: Membership, invoice: Invoice, purchase: Purchase) -> Payment:
    if not invoice.intent:
        raise payments.Mismatch(f"{invoice.external_id} was paid somewhere else")
    return Payment(
        tenant_id=tx.tenant,
        id=new_id(),
        purchase_id=purchase.id,
        external_account=membership.external_account,
        external_id=invoice.intent,
        intent_key=new_id(),
        intent_key_time=real_now(),
        amount_minor=invoice.total_minor,
        currency_code=invoice.currency_code,
        state="OPEN",
        create_time=tx.now(),
        update_time=tx.now(),
    )


async def _newest_start(tx: UnitOfWork, membership: Membership) -> datetime | None:
    query = select(func.max(MembershipPeriod.start_time)).where(
        MembershipPeriod.tenant_id == tx.tenant, MembershipPeriod.membership_id == membership.id
    )
    return await tx.session.scalar(query)
