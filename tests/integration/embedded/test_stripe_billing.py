"""Subscriptions, invoices and test clocks through the SDK."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from embedded.sandboxes.stripe.billing import boundary, prorated
from tests.integration.embedded.stripe_like import Studio

START = int(datetime(2027, 1, 31, 12, tzinfo=UTC).timestamp())
DAY, HOUR = 86400, 3600


@dataclass
class Member:
    """A customer in the time of a test clock, with a price to subscribe to."""

    studio: Studio
    clock: str
    customer: str
    price: str
    product: str

    async def subscribe(self, **more: Any) -> Any:
        params = {"customer": self.customer, "items": [{"price": self.price}], "expand": ["latest_invoice"]}
        return await self.studio.v1.subscriptions.create_async({**params, **more})

    async def advance(self, until: int) -> None:
        clocks = self.studio.v1.test_helpers.test_clocks
        await clocks.advance_async(self.clock, {"frozen_time": until})

        async def look() -> Any:
            return await clocks.retrieve_async(self.clock)

        await self.studio.until(look, lambda seen: seen.status == "ready")

    async def seen(self, subscription: str) -> Any:
        return await self.studio.v1.subscriptions.retrieve_async(subscription, {"expand": ["latest_invoice.payments"]})

    async def priced(self, amount: int, interval: str = "month") -> str:
        params = {
            "product": self.product,
            "currency": "usd",
            "unit_amount": amount,
            "recurring": {"interval": interval},
        }
        return str((await self.studio.v1.prices.create_async(params)).id)

    async def card(self, name: str) -> str:
        method = await self.studio.v1.payment_methods.attach_async(name, {"customer": self.customer})
        settings = {"default_payment_method": method.id}
        await self.studio.v1.customers.update_async(self.customer, {"invoice_settings": settings})
        return str(method.id)


@pytest.fixture
async def member(studio: Studio) -> Member:
    clock = await studio.v1.test_helpers.test_clocks.create_async({"frozen_time": START})
    customer = await studio.customer("pm_card_visa", test_clock=clock.id)
    product = await studio.v1.products.create_async({"name": "Unlimited"})
    made = Member(studio, clock.id, customer.id, "", product.id)
    made.price = await made.priced(10000)
    return made


def period(subscription: Any) -> tuple[int, int]:
    (item,) = subscription["items"].data
    return item.current_period_start, item.current_period_end


async def test_a_membership_begins_paid_and_renews_on_the_last_day_of_short_months(member: Member) -> None:
    made = await member.subscribe(metadata={"membership": "m1"})
    assert (made.status, made.currency) == ("active", "usd")
    assert period(made) == (START, boundary(START, "month", 1, 1))
    invoice = made.latest_invoice
    assert (invoice.status, invoice.amount_paid, invoice.billing_reason) == ("paid", 10000, "subscription_create")
    assert invoice.parent.subscription_details.subscription == made.id
    assert invoice.parent.subscription_details.metadata.to_dict() == {"membership": "m1"}
    february = datetime.fromtimestamp(period(made)[1], UTC)
    assert (february.month, february.day) == (2, 28)
    await member.advance(period(made)[1] + 60)
    renewed = await member.seen(made.id)
    assert (renewed.status, renewed.latest_invoice.status) == ("active", "draft")
    await member.advance(period(made)[1] + 2 * HOUR)
    renewed = await member.seen(made.id)
    assert (renewed.latest_invoice.status, renewed.latest_invoice.billing_reason) == ("paid", "subscription_cycle")
    march = datetime.fromtimestamp(period(renewed)[1], UTC)
    assert (march.month, march.day) == (3, 31)
    (payment,) = renewed.latest_invoice.payments.data
    intent = await member.studio.v1.payment_intents.retrieve_async(payment.payment.payment_intent)
    assert (intent.amount, intent.status) == (10000, "succeeded")
    of = {"payment": {"type": "payment_intent", "payment_intent": intent.id}}
    (found,) = (await member.studio.v1.invoice_payments.list_async(of)).data
    assert found.invoice == renewed.latest_invoice.id
    invoices = await member.studio.v1.invoices.list_async({"subscription": made.id})
    assert [one.billing_reason for one in invoices.data] == ["subscription_cycle", "subscription_create"]
    told = await member.studio.events(renewed.latest_invoice.id)
    assert told == ["invoice.created", "invoice.finalized", "invoice.paid", "invoice.payment_succeeded"]


async def test_the_first_payment_may_be_made_in_the_browser(member: Member) -> None:
    made = await member.subscribe(
        payment_behavior="default_incomplete",
        payment_settings={"save_default_payment_method": "on_subscription"},
        expand=["latest_invoice.confirmation_secret"],
    )
    assert (made.status, made.latest_invoice.status) == ("incomplete", "open")
    secret = made.latest_invoice.confirmation_secret.client_secret
    intent = secret.partition("_secret_")[0]
    await member.studio.v1.payment_intents.confirm_async(intent, {"payment_method": "pm_card_mastercard"})
    paid = await member.seen(made.id)
    assert (paid.status, paid.latest_invoice.status) == ("active", "paid")
    saved = await member.studio.v1.payment_methods.retrieve_async(paid.default_payment_method)
    assert (saved.card.brand, saved.customer) == ("mastercard", member.customer)


async def test_a_first_payment_that_never_comes_expires(member: Member) -> None:
    made = await member.subscribe(payment_behavior="default_incomplete")
    await member.advance(START + DAY)
    expired = await member.seen(made.id)
    assert (expired.status, expired.latest_invoice.status) == ("incomplete_expired", "void")


async def test_a_declined_first_payment(member: Member) -> None:
    await member.card("pm_card_chargeCustomerFail")
    made = await member.subscribe()
    assert (made.status, made.latest_invoice.status) == ("incomplete", "open")
    with pytest.raises(stripe.CardError) as declined:
        await member.subscribe(payment_behavior="error_if_incomplete")
    assert declined.value.code == "card_declined"
    await member.card("pm_card_authenticationRequired")
    with pytest.raises(stripe.CardError) as asked:
        await member.subscribe(payment_behavior="error_if_incomplete")
    assert asked.value.code == "subscription_payment_intent_requires_action"
    everything = await member.studio.v1.subscriptions.list_async({"customer": member.customer, "status": "all"})
    assert [one.id for one in everything.data] == [made.id]


async def test_a_credit_pays_for_the_next_invoice(member: Member) -> None:
    made = await member.subscribe()
    start, end = period(made)
    await member.advance(start + (end - start) // 2)
    await member.studio.v1.subscriptions.cancel_async(made.id, {"prorate": True, "invoice_now": True})
    credit = -(await member.studio.v1.customers.retrieve_async(member.customer)).balance
    invoice = (await member.subscribe()).latest_invoice
    assert (invoice.total, invoice.amount_due, invoice.starting_balance) == (10000, 10000 - credit, -credit)
    assert (invoice.amount_paid, invoice.ending_balance) == (10000 - credit, 0)
    assert (await member.studio.v1.customers.retrieve_async(member.customer)).balance == 0


async def test_dunning_until_a_new_card_or_the_end(member: Member) -> None:
    rescued, lost = await member.subscribe(), await member.subscribe()
    await member.card("pm_card_chargeCustomerFail")
    end = period(lost)[1]
    await member.advance(end + 2 * HOUR)
    late = await member.seen(lost.id)
    assert (late.status, late.latest_invoice.status, late.latest_invoice.attempt_count) == ("past_due", "open", 1)
    if member.studio.like.ours:
        assert late.latest_invoice.next_payment_attempt == end + HOUR + 3 * DAY
    good = await member.studio.v1.payment_methods.attach_async("pm_card_visa", {"customer": member.customer})
    await member.studio.v1.subscriptions.update_async(rescued.id, {"default_payment_method": good.id})
    invoice = (await member.seen(rescued.id)).latest_invoice
    paid = await member.studio.v1.invoices.pay_async(invoice.id)
    assert paid.status == "paid"
    assert (await member.seen(rescued.id)).status == "active"
    if not member.studio.like.ours:
        return
    await member.advance(end + 20 * DAY)
    over = await member.seen(lost.id)
    assert (over.status, over.cancellation_details.reason) == ("canceled", "payment_failed")
    assert over.latest_invoice.attempt_count == 4
    told = await member.studio.events(over.latest_invoice.id)
    assert told.count("invoice.payment_failed") == 4
    assert (await member.studio.events(lost.id))[-1] == "customer.subscription.deleted"


async def test_a_renewal_that_the_bank_wants_approved(member: Member) -> None:
    made = await member.subscribe()
    await member.card("pm_card_authenticationRequired")
    await member.advance(period(made)[1] + 2 * HOUR)
    late = await member.seen(made.id)
    assert late.status == "past_due"
    assert "invoice.payment_action_required" in await member.studio.events(late.latest_invoice.id)
    (payment,) = late.latest_invoice.payments.data
    intent = await member.studio.v1.payment_intents.retrieve_async(payment.payment.payment_intent)
    assert intent.status == "requires_action"
    await member.studio.authenticate(intent)
    assert (await member.seen(made.id)).status == "active"


async def test_canceling_at_the_end_and_changing_ones_mind(member: Member) -> None:
    made = await member.subscribe()
    leaving = await member.studio.v1.subscriptions.update_async(made.id, {"cancel_at_period_end": True})
    assert (leaving.status, leaving.cancel_at_period_end, leaving.cancel_at) == ("active", True, period(made)[1])
    staying = await member.studio.v1.subscriptions.update_async(made.id, {"cancel_at_period_end": False})
    assert (staying.cancel_at, staying.canceled_at) == (None, None)
    await member.studio.v1.subscriptions.update_async(made.id, {"cancel_at_period_end": True})
    await member.advance(period(made)[1] + 2 * HOUR)
    over = await member.seen(made.id)
    assert (over.status, over.ended_at, over.latest_invoice.id) == ("canceled", period(made)[1], made.latest_invoice.id)


async def test_canceling_now_takes_the_rest_off(member: Member) -> None:
    made = await member.subscribe()
    start, end = period(made)
    middle = start + (end - start) // 2
    await member.advance(middle)
    over = await member.studio.v1.subscriptions.cancel_async(made.id, {"prorate": True, "invoice_now": True})
    assert (over.status, over.canceled_at, over.cancellation_details.reason) == (
        "canceled",
        middle,
        "cancellation_requested",
    )
    customer = await member.studio.v1.customers.retrieve_async(member.customer)
    assert customer.balance == -prorated(10000, start, end, middle)
    with pytest.raises(stripe.InvalidRequestError):
        await member.studio.v1.subscriptions.cancel_async(made.id)


async def test_another_plan_costs_what_its_preview_says(member: Member) -> None:
    made = await member.subscribe()
    start, end = period(made)
    middle = start + 10 * DAY
    await member.advance(middle)
    dearer = await member.priced(16000)
    change = {"items": [{"id": made["items"].data[0].id, "price": dearer}], "proration_date": middle}
    behavior = {"proration_behavior": "always_invoice"}
    preview = await member.studio.v1.invoices.create_preview_async(
        {"customer": member.customer, "subscription": made.id, "subscription_details": {**change, **behavior}}
    )
    expected = prorated(16000, start, end, middle) - prorated(10000, start, end, middle)
    assert (preview.amount_due, len(preview.lines.data)) == (expected, 2)
    assert all(line.parent.subscription_item_details.proration for line in preview.lines.data)
    untouched = await member.seen(made.id)
    assert untouched["items"].data[0].price.id == member.price
    changed = await member.studio.v1.subscriptions.update_async(
        made.id, {**change, **behavior, "expand": ["latest_invoice"]}
    )
    assert (changed.latest_invoice.status, changed.latest_invoice.amount_paid) == ("paid", expected)
    assert changed.latest_invoice.billing_reason == "subscription_update"
    assert period(changed) == (start, end)


async def test_a_change_waits_for_the_next_invoice(member: Member) -> None:
    made = await member.subscribe()
    start, end = period(made)
    middle = start + 14 * DAY
    await member.advance(middle)
    cheaper = await member.priced(4000)
    item = made["items"].data[0].id
    details = {"items": [{"id": item, "price": cheaper}], "proration_date": middle}
    preview = await member.studio.v1.invoices.create_preview_async(
        {"subscription": made.id, "subscription_details": details}
    )
    expected = 4000 + prorated(4000, start, end, middle) - prorated(10000, start, end, middle)
    assert preview.total == expected
    await member.studio.v1.subscriptions.update_async(made.id, details)
    await member.advance(end + 2 * HOUR)
    renewed = await member.seen(made.id)
    assert (renewed.latest_invoice.total, renewed.latest_invoice.amount_paid) == (expected, max(0, expected))


async def test_a_year_instead_of_a_month_begins_at_once(member: Member) -> None:
    made = await member.subscribe()
    start, end = period(made)
    middle = start + 7 * DAY
    await member.advance(middle)
    yearly = await member.priced(100000, "year")
    change = {"items": [{"id": made["items"].data[0].id, "price": yearly}], "expand": ["latest_invoice"]}
    changed = await member.studio.v1.subscriptions.update_async(made.id, change)
    assert changed.latest_invoice.amount_paid == 100000 - prorated(10000, start, end, middle)
    assert period(changed) == (middle, boundary(middle, "year", 1, 1))


@pytest.mark.parametrize(
    ("behavior", "status"), [("void", "void"), ("keep_as_draft", "draft"), ("mark_uncollectible", "uncollectible")]
)
async def test_a_pause_collects_nothing(member: Member, behavior: str, status: str) -> None:
    made = await member.subscribe()
    pause = {"behavior": behavior, "resumes_at": period(made)[1] + 5 * DAY}
    paused = await member.studio.v1.subscriptions.update_async(made.id, {"pause_collection": pause})
    assert (paused.status, paused.pause_collection.behavior) == ("active", behavior)
    await member.advance(period(made)[1] + 3 * DAY)
    seen = await member.seen(made.id)
    assert (seen.status, seen.latest_invoice.status, seen.latest_invoice.amount_paid) == ("active", status, 0)
    await member.advance(period(made)[1] + 6 * DAY)
    assert (await member.seen(made.id)).pause_collection is None
    await member.advance(period(seen)[1] + 2 * HOUR)
    assert (await member.seen(made.id)).latest_invoice.status == "paid"


async def test_a_pause_is_lifted_by_hand(member: Member) -> None:
    made = await member.subscribe()
    await member.studio.v1.subscriptions.update_async(made.id, {"pause_collection": {"behavior": "void"}})
    lifted = await member.studio.v1.subscriptions.update_async(made.id, {"pause_collection": ""})
    assert lifted.pause_collection is None


async def test_a_trial_costs_nothing_until_it_is_over(member: Member) -> None:
    made = await member.subscribe(trial_period_days=7)
    assert (made.status, made.trial_end, made.latest_invoice.total) == ("trialing", START + 7 * DAY, 0)
    assert made.latest_invoice.status == "paid"
    await member.advance(START + 7 * DAY + 2 * HOUR)
    seen = await member.seen(made.id)
    assert (seen.status, seen.latest_invoice.amount_paid, period(seen)[0]) == ("active", 10000, START + 7 * DAY)
    assert "customer.subscription.trial_will_end" in await member.studio.events(made.id)


@pytest.mark.parametrize(("inclusive", "total", "tax"), [(False, 10800, 800), (True, 10000, 741)])
async def test_taxes_on_top_or_inside(member: Member, inclusive: bool, total: int, tax: int) -> None:
    rate = await member.studio.v1.tax_rates.create_async(
        {"display_name": "VAT", "percentage": 8, "inclusive": inclusive}
    )
    invoice = (await member.subscribe(default_tax_rates=[rate.id])).latest_invoice
    assert (invoice.total, invoice.amount_paid, invoice.subtotal) == (total, total, 10000)
    assert [(one.amount, one.tax_rate_details.tax_rate) for one in invoice.total_taxes] == [(tax, rate.id)]
    assert invoice.total_excluding_tax == total - tax


async def test_coupons_once_and_for_ever_and_a_promotion_code_with_a_limit(member: Member) -> None:
    once = await member.studio.v1.coupons.create_async({"percent_off": 25, "duration": "once"})
    made = await member.subscribe(discounts=[{"coupon": once.id}])
    assert (made.latest_invoice.amount_paid, made.latest_invoice.total_discount_amounts[0].amount) == (7500, 2500)
    await member.advance(period(made)[1] + 2 * HOUR)
    assert (await member.seen(made.id)).latest_invoice.amount_paid == 10000
    always = await member.studio.v1.coupons.create_async({"amount_off": 1500, "currency": "usd", "duration": "forever"})
    params = {"promotion": {"type": "coupon", "coupon": always.id}, "code": "FRIENDS", "max_redemptions": 1}
    code = await member.studio.v1.promotion_codes.create_async(params)
    cheaper = await member.subscribe(discounts=[{"promotion_code": code.id}])
    assert cheaper.latest_invoice.amount_paid == 8500
    with pytest.raises(stripe.InvalidRequestError):
        await member.subscribe(discounts=[{"promotion_code": code.id}])
    listed = await member.studio.v1.promotion_codes.list_async({"code": "FRIENDS"})
    assert [one.times_redeemed for one in listed.data] == [1]


async def test_a_deleted_customer_is_subscribed_to_nothing(member: Member) -> None:
    made = await member.subscribe()
    await member.studio.v1.customers.delete_async(member.customer)
    assert (await member.seen(made.id)).status == "canceled"


@pytest.mark.parametrize(
    "params",
    [
        {"items": []},
        {"items": [{"price": "price_none"}]},
        {"customer": "cus_none"},
        {"payment_behavior": "hope"},
        {"default_payment_method": "pm_none"},
        {"surprise": "x"},
        {"discounts": [{"coupon": "none"}]},
    ],
)
async def test_bad_subscriptions_are_refused(member: Member, params: dict[str, Any]) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        await member.subscribe(**params)


async def test_nobody_subscribes_without_a_card(member: Member) -> None:
    bare = await member.studio.customer(test_clock=member.clock)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await member.subscribe(customer=bare.id)
    assert refused.value.code == "resource_missing"
