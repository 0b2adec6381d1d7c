"""Changing the plan of a membership: what it would cost and give is shown, and the same is then done.

A dearer plan that gives more begins at once, for the rest of the interval, where that can be charged; any other begins
with the next interval.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services.chassis.crashpoints import crashpoint
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, check_etag
from services.chassis.resources import Resources
from services.payments import (
    catalogue,
    client_merges,
    kinds,
    membership_payments,
    membership_periods,
    memberships,
    merchants,
    purchases,
    quotes,
)
from services.payments.gateways import memberships_of
from services.payments.membership_changes import NOT_ACTIVE, asked, subscription_of
from services.payments.models import Membership, Terms
from services.payments.providers.card_gateway import Away, Refused
from services.payments.providers.chargeable_amounts import smallest
from services.payments.providers.membership_gateway import Subscription
from services.payments.quotes import Quote

# How long what was shown is good.
_GOOD_FOR = timedelta(minutes=10)
_PREVIEW_OUTDATED = FailedPrecondition("something else would be due now", reason="PREVIEW_OUTDATED")


@dataclass(frozen=True)
class Change:
    """Another plan. `due` and `credits` are what it costs and gives at once; 0 when it waits for the next interval."""

    option_id: UUID
    terms: Terms
    quote: Quote
    at_once: bool
    effective_time: datetime
    due: int
    credits: int
    quote_time: datetime


@dataclass(frozen=True)
class _Offered:
    membership: Membership
    terms: Terms
    quote: Quote
    more_credits: int
    dearer: int
    at_once: bool


async def preview(
    resources: Resources, tenant: UUID, membership_id: UUID, account: UUID | None, option_id: UUID
) -> Change:
    """Raises NotFound, FailedPrecondition with MEMBERSHIP_ENDED, NOT_ACTIVE, ARCHIVED, NOT_A_MEMBERSHIP,
    INTRO_OFFER_USED, ALREADY_ON_PLAN, ALREADY_MEMBER, INTERVAL_DIFFERS, CHANGE_PENDING or CHANGE_REFUSED,
    Unavailable/PROVIDER_AWAY.
    """
    now = resources.database.clock.now().replace(microsecond=0)
    offered = await _offered(resources, tenant, membership_id, account, option_id)
    change, _, _ = await asked(_change(resources, offered, option_id, now))
    return change


async def change(
    resources: Resources,
    tenant: UUID,
    membership_id: UUID,
    account: UUID | None,
    option_id: UUID,
    *,
    due: int,
    quote_time: datetime,
    etag: str,
) -> None:
    """Raises as `preview`, and Aborted/ETAG_MISMATCH, FailedPrecondition with PREVIEW_OUTDATED, PAYMENT_DECLINED."""
    offered = await _offered(resources, tenant, membership_id, account, option_id)
    membership = offered.membership
    check_etag(etag, membership.etag)
    if not timedelta(0) <= resources.database.clock.now() - quote_time <= _GOOD_FOR:
        raise _PREVIEW_OUTDATED
    shown, told, price = await asked(_change(resources, offered, option_id, quote_time))
    if shown.due != due:
        raise _PREVIEW_OUTDATED
    # The same again is the same change.
    key = f"{membership.id} {membership.version} {price} {int(quote_time.timestamp())}"
    at = quote_time if shown.at_once else None
    try:
        changed = await memberships_of(resources.settings).change_price(
            membership.external_account, key, told, price, at
        )
    except Refused as error:
        raise FailedPrecondition(
            "Payment declined. Please try different card.", reason="PAYMENT_DECLINED", metadata={"code": error.code}
        ) from error
    except Away as error:
        raise merchants.away(error) from error
    crashpoint("payments_after_plan_change")
    await asked(membership_payments.take_over(resources, tenant, membership.external_account, changed.external_id))


async def _offered(
    resources: Resources, tenant: UUID, membership_id: UUID, account: UUID | None, option_id: UUID
) -> _Offered:
    async with resources.database.transaction(tenant) as tx:
        membership = await memberships.get(tx, membership_id, account)
        option, terms = await catalogue.get_on_sale(tx, option_id)
        membership_payments.require_running(membership)
        if membership.state != "ACTIVE":
            raise NOT_ACTIVE
        if option.kind != kinds.MEMBERSHIP:
            raise FailedPrecondition("it is no membership plan", reason="NOT_A_MEMBERSHIP")
        if terms.intro_offer and option_id != membership.pricing_option_id:
            raise purchases.INTRO_OFFER_USED
        return await _compare(tx, membership, option_id, terms)


async def _compare(tx: UnitOfWork, membership: Membership, option_id: UUID, terms: Terms) -> _Offered:
    if (option_id, terms.version) == (membership.next_pricing_option_id, membership.next_terms_version):
        raise FailedPrecondition("it has this plan", reason="ALREADY_ON_PLAN")
    clients = await client_merges.current(tx, [membership.client_id])
    await memberships.require_not_member(tx, clients[membership.client_id], option_id, beside=membership.id)
    old = await catalogue.terms_of(tx, membership.pricing_option_id, membership.terms_version)
    if (old.interval, old.interval_count) != (terms.interval, terms.interval_count):
        raise FailedPrecondition("it is paid for another interval", reason="INTERVAL_DIFFERS")
    quote = catalogue.quote_of(terms)
    more = terms.credits - old.credits
    dearer = quote.total - catalogue.quote_of(old).total
    gives_more = terms.unlimited or (more > 0 and not old.unlimited)
    # What is given back of a cheaper interval is less than its share of the price.
    cheaper = await membership_periods.runs_cheaper(tx, membership)
    at_once = dearer > 0 and gives_more and terms.tax_rate_id == old.tax_rate_id and not cheaper
    other_next = (membership.next_pricing_option_id, membership.next_terms_version) != (
        membership.pricing_option_id,
        membership.terms_version,
    )
    if at_once and other_next:
        raise FailedPrecondition("another change begins with the next interval", reason="CHANGE_PENDING")
    return _Offered(membership, terms, quote, more, dearer, at_once)


async def _change(
    resources: Resources, offered: _Offered, option_id: UUID, at: datetime
) -> tuple[Change, Subscription, str]:
    """Also what the provider calls the membership and the price. Raises ProviderError."""
    gateway, membership = memberships_of(resources.settings), offered.membership
    account, terms, due, credits = membership.external_account, offered.terms, 0, 0
    told = await gateway.get_subscription(account, subscription_of(membership))
    price = await membership_payments.price_of(resources, membership.tenant_id, account, option_id, terms.version)
    effective = told.period_end
    if offered.at_once:
        due = await gateway.preview_price(account, told, price, at)
    # What is left of the interval may be less than can be charged. The provider would add it to the next invoice, which
    # would then cost something else than its plan.
    at_once = due >= smallest(terms.currency_code)
    if at_once:
        effective, credits = at, quotes.credits_in_refund(offered.more_credits, offered.dearer, due)
        if terms.unlimited:
            credits = kinds.UNLIMITED_CREDITS
    change = Change(option_id, terms, offered.quote, at_once, effective, due if at_once else 0, credits, at)
    return change, told, price
