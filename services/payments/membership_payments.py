"""Memberships at the provider: begun, and what it says became of them. What is true there is asked for, never told."""

from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from services.chassis.clock import real_now
from services.chassis.crashpoints import crashpoint
from services.chassis.errors import FailedPrecondition, Unavailable
from services.chassis.ids import derived_id, new_id
from services.chassis.resources import Resources
from services.payments import cards, catalogue, membership_periods, memberships, promo_codes
from services.payments.gateways import gateway_of, memberships_of
from services.payments.models import Membership, MembershipPrice
from services.payments.payments import KEY_LIFETIME
from services.payments.providers.card_gateway import ProviderError


async def start(resources: Resources, tenant: UUID, membership_id: UUID, account: UUID | None) -> str:
    """With what the browser pays what is due, the first interval or one that was declined, or saves a card instead.

    Raises NotFound, FailedPrecondition with MEMBERSHIP_ENDED, NOTHING_TO_PAY or PAYMENT_REFUSED,
    Unavailable/PROVIDER_AWAY.
    """
    async with resources.database.transaction(tenant) as tx:
        membership = await memberships.get(tx, membership_id, account, lock=True)
        require_running(membership)
        if membership.external_id is None and real_now() - membership.create_key_time > KEY_LIFETIME:
            membership.create_key, membership.create_key_time = new_id(), real_now()
    try:
        subscription_id = membership.external_id or await _subscribe(resources, membership)
        ours = await take_over(resources, tenant, membership.external_account, subscription_id)
        async with resources.database.transaction(tenant) as tx:
            membership = await memberships.get(tx, membership_id, account)
        if not ours or membership.external_id != subscription_id:
            raise Unavailable("the membership was begun twice; try again", reason="PROVIDER_AWAY", retry_after=1)
        require_running(membership)
        gateway, account_id = memberships_of(resources.settings), membership.external_account
        if membership.due_invoice is not None:
            return (await gateway.get_invoice(account_id, membership.due_invoice)).client_secret
        if membership.state == "PENDING":
            # Its first interval is free.
            customer = await cards.customer_of(resources, tenant, membership.payer_id)
            return await gateway.create_setup(
                account_id, str(new_id()), customer=customer.external_id, reference=str(membership_id)
            )
    except ProviderError as error:
        raise cards.refusal(error) from error
    raise FailedPrecondition("nothing is due", reason="NOTHING_TO_PAY")


async def take_over(work: Resources, tenant: UUID, account: str, subscription_id: str, invoice_id: str = "") -> bool:
    """What a subscription, what is due of it and another invoice are now. False when it is none of the studio's here.

    One that has ended is not collected any more. Raises ProviderError, payments.Mismatch.
    """
    gateway, read_time = memberships_of(work.settings), real_now()
    told = await gateway.get_subscription(account, subscription_id)
    async with work.database.transaction(tenant) as tx:
        if await memberships.find(tx, account, told) is None:
            return False
    due_ids = await gateway.open_invoices(account, subscription_id) if told.status != "active" else []
    ids = sorted({told.latest_invoice, invoice_id, *due_ids[:1]} - {""})
    invoices = {each: await gateway.get_invoice(account, each) for each in ids}
    tried = [each for each in invoices.values() if each.intent and (each.attempts or each.status == "paid")]
    intents = {each.external_id: await gateway_of(work.settings).get_intent(account, each.intent) for each in tried}
    due = next((invoices[each] for each in due_ids[:1] if invoices[each].status == "open"), None)
    async with work.database.transaction(tenant) as tx:
        seen = await memberships.find(tx, account, told)
        membership = await memberships.lock(tx, seen) if seen else None
        if membership is None or membership.external_id not in (None, told.external_id):
            # It was begun twice, and the other one was first.
            return False
        last_try = intents.get(due.external_id) if due else None
        # First, since one that was paid does not end as never paid.
        for invoice in invoices.values():
            if invoice.status == "paid" and (invoice.total_minor or memberships.gives_free(membership, told)):
                await membership_periods.pay(tx, membership, invoice, intents.get(invoice.external_id))
        await memberships.describe(tx, membership, told, due, last_try.charge if last_try else None, read_time)
    if membership.state == "ENDED":
        for each in due_ids:
            await gateway.void_invoice(account, each)
    return True


async def take_over_intent(work: Resources, tenant: UUID, account: str, intent_id: str) -> bool:
    """The same of what a payment paid. False when it was for no membership here."""
    gateway = memberships_of(work.settings)
    invoice_id = await gateway.invoice_of_intent(account, intent_id)
    if not invoice_id:
        return False
    invoice = await gateway.get_invoice(account, invoice_id)
    return bool(invoice.subscription) and await take_over(work, tenant, account, invoice.subscription, invoice_id)


async def give_up(work: Resources, tenant: UUID, membership_id: UUID) -> None:
    """Ends one whose first payment never came: first at the provider, so that it cannot be paid any more."""
    async with work.database.transaction(tenant) as tx:
        membership = await memberships.get(tx, membership_id, None)
    if membership.state != "PENDING":
        return
    account, subscription_id = membership.external_account, membership.external_id
    if subscription_id is not None:
        # It may have been paid in the last moment.
        await take_over(work, tenant, account, subscription_id)
        async with work.database.transaction(tenant) as tx:
            membership = await memberships.get(tx, membership_id, None)
        if membership.state == "PENDING":
            await memberships_of(work.settings).cancel_now(account, subscription_id)
            await take_over(work, tenant, account, subscription_id)
        return
    async with work.database.transaction(tenant) as tx:
        membership = await memberships.lock(tx, membership)
        if membership.state == "PENDING" and membership.external_id is None:
            await memberships.end(tx, membership, "NEVER_PAID")
            await memberships.changed(tx, membership)


async def price_of(resources: Resources, tenant: UUID, account: str, option_id: UUID, version: int) -> str:
    """What the provider calls the terms of a plan: made the first time."""
    async with resources.database.transaction(tenant) as tx:
        known = await tx.session.get(MembershipPrice, (tenant, option_id, version))
        terms = await catalogue.terms_of(tx, option_id, version)
        quote = catalogue.quote_of(terms)
    if known is not None:
        return known.external_id
    # Twice made is no harm: it is what is written here that is used.
    made = await memberships_of(resources.settings).create_price(
        account,
        str(new_id()),
        name=terms.display_name,
        amount=quote.total,
        currency=terms.currency_code,
        interval=terms.interval.lower(),
        interval_count=terms.interval_count,
    )
    async with resources.database.transaction(tenant) as tx:
        row = insert(MembershipPrice).values(
            tenant_id=tenant, pricing_option_id=option_id, terms_version=version, external_id=made
        )
        await tx.session.execute(row.on_conflict_do_nothing())
        written = await tx.session.get(MembershipPrice, (tenant, option_id, version))
        assert written is not None
        return written.external_id


def require_running(membership: Membership) -> None:
    """Raises FailedPrecondition/MEMBERSHIP_ENDED."""
    if membership.state == "ENDED":
        raise FailedPrecondition("the membership has ended", reason="MEMBERSHIP_ENDED")


async def _subscribe(resources: Resources, membership: Membership) -> str:
    gateway, tenant, account = memberships_of(resources.settings), membership.tenant_id, membership.external_account
    customer = await cards.customer_of(resources, tenant, membership.payer_id)
    price = await price_of(resources, tenant, account, membership.pricing_option_id, membership.terms_version)
    begun = await gateway.subscribe(
        account,
        str(membership.create_key),
        customer=customer.external_id,
        price=price,
        coupon=await _coupon_of(resources, membership),
        reference=str(membership.id),
    )
    crashpoint("payments_after_subscription")
    return begun.external_id


async def _coupon_of(resources: Resources, membership: Membership) -> str:
    """What the provider calls what a promo code takes off the first interval of a plan; empty for none."""
    if membership.promo_code_id is None or membership.first_total_minor is None:
        return ""
    async with resources.database.transaction(membership.tenant_id) as tx:
        terms = await catalogue.terms_of(tx, membership.pricing_option_id, membership.terms_version)
        total = catalogue.quote_of(terms).total
        promo = await promo_codes.get(tx, membership.promo_code_id)
    if total == membership.first_total_minor:
        # Less than half a unit.
        return ""
    coupon = derived_id(promo.id, f"{membership.pricing_option_id} {membership.terms_version}")
    # Twice made is no harm: it has one id, and takes off the same.
    await memberships_of(resources.settings).create_coupon(
        membership.external_account,
        str(new_id()),
        coupon=str(coupon),
        name=promo.code,
        amount=total - membership.first_total_minor,
        currency=terms.currency_code,
    )
    return str(coupon)
