"""What is too little for the provider is refused before anybody buys, and a gift card leaves enough to be charged."""

from datetime import UTC, timedelta
from typing import Any

import grpc
import pytest
from grpc import StatusCode

from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.payments.v1.catalogue_pb2 import PricingOption
from powerhouse.payments.v1.catalogue_service_pb2 import GetPricingOptionRequest, UpdatePricingOptionRequest
from powerhouse.payments.v1.purchase_service_pb2 import ListPurchasesRequest, Purchase
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from tests.integration.booking.house import key, reason_of, refused
from tests.integration.booking.test_fees import cancel_late, charge, waive
from tests.integration.payments.club import active, join, joined, period_end, plan
from tests.integration.payments.house import Shop
from tests.integration.payments.test_gift_cards import buy, given, left, quote
from tests.integration.payments.test_membership_changes import change, preview
from tests.support.services import metadata_of

NOT_NOW, TOO_SMALL = StatusCode.FAILED_PRECONDITION, "AMOUNT_TOO_SMALL"


async def too_small(call: Any) -> None:
    """The call is refused, and says what would do."""
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await call
    assert reason_of(refusal.value) == TOO_SMALL
    assert metadata_of(refusal.value) == {"smallest_minor": "50", "currency_code": "EUR"}


async def test_a_code_leaves_nothing_or_enough(shop: Shop) -> None:
    client, pack, option = await shop.add_client(), await shop.sell(8000), await plan(shop)
    for code, off in (("ALL", 8000), ("LESS", 7951), ("ENOUGH", 7950)):
        await shop.promo(code, off_minor=off)
    for bought in (pack, option):
        await too_small(shop.quote(client, bought, "less"))
        assert [(await shop.quote(client, bought, code)).total_minor for code in ("all", "enough")] == [0, 50]
    await too_small(shop.buy(client, pack, 49, "less"))
    await too_small(join(shop, client, option, 49, "less"))
    # What is refused has used nothing up, and the smallest amount can indeed be paid.
    member = await active(shop, option, 50, code="ENOUGH")
    assert (await shop.pay(await shop.buy(client, pack, 50, "enough")))["status"] == "succeeded"
    assert [each.quote.total_minor for each in await member.purchases()] == [50]
    assert (await joined(shop, option, 0, code="ALL")).membership.first_total_minor == 0
    assert await shop.violations() == {}


async def test_a_gift_card_leaves_what_can_be_charged(shop: Shop) -> None:
    card, code = await given(shop, 9980)
    client, option = await shop.add_client(), await shop.sell(10_000)
    shown = await quote(shop, client, option, code)
    assert (shown.gift_minor, shown.gift_kept_minor) == (9950, 30)
    await refused(buy(shop, client, option, 10_000, code, 9980), NOT_NOW, "PRICE_CHANGED")
    purchase = await buy(shop, client, option, 10_000, code, 9950)
    assert (await shop.pay(purchase))["amount"] == 50
    await shop.tell_all()
    assert ((await shop.get(purchase)).state, await left(shop, card)) == (Purchase.FULFILLED, 30)
    # Of the smallest amount the rest of the card can pay no part.
    smallest = await shop.sell(50)
    shown = await quote(shop, client, smallest, code)
    assert (shown.gift_minor, shown.gift_kept_minor) == (0, 30)
    assert (await shop.pay(await buy(shop, client, smallest, 50, code, 0)))["amount"] == 50
    # A code has made it too little: the card pays all of it or nobody can.
    await shop.promo("LESS", off_minor=20)
    await shop.promo("EVEN", off_minor=15)
    wanted = {"gift_card_code": code, "gift_minor": 30}
    await too_small(shop.buy(client, smallest, 35, "even", **wanted))
    paid = await shop.buy(client, smallest, 30, "less", **wanted)
    await shop.tell_all()
    assert ((await shop.get(paid)).state, await left(shop, card)) == (Purchase.FULFILLED, 0)
    assert await shop.violations() == {}
    assert list((await shop.reconcile()).differences) == []


async def test_a_price_costs_nothing_or_can_be_charged(shop: Shop) -> None:
    for kind in (PricingOption.CLASS_PACK, PricingOption.FEE, PricingOption.GIFT_CARD, PricingOption.DROP_IN):
        await too_small(shop.sell(49, int(kind == PricingOption.CLASS_PACK), kind=kind))
    await too_small(plan(shop, 49))
    await shop.sell(0)
    # With its tax it is too much.
    await refused(shop.sell(99_999_999, tax_rate=await shop.tax()), NOT_NOW, "AMOUNT_TOO_LARGE")
    # With its tax it is enough, as long as that is not in the price.
    option = await shop.sell(45, tax_rate=await shop.tax())
    sold = await shop.staff.GetPricingOption(GetPricingOptionRequest(name=option))
    assert (sold.price_minor, sold.total_minor, sold.tax_added) == (45, 54, True)
    for terms in ({"price_minor": 40}, {"tax_rate": await shop.tax(inclusive=True)}):
        wanted = UpdatePricingOptionRequest(
            pricing_option=PricingOption(name=option, **terms), update_mask={"paths": list(terms)}, request_id=key()
        )
        await too_small(shop.staff.UpdatePricingOption(wanted))


async def test_a_fee_that_is_too_small_is_never_tried_and_can_be_waived(shop: Shop) -> None:
    account, house = new_id(), shop.house()
    client, person = await shop.add_client(account), shop.as_role(Role.ROLE_CLIENT, account)
    await shop.save_card(client, person)
    await charge(house, 30)
    await house.grant(Client(name=client))
    booking = await cancel_late(house, Client(name=client))
    await shop.hear()
    [fee] = (await person.ListPurchases(ListPurchasesRequest(parent=shop.name, kind="FEE"))).purchases
    assert (fee.state, fee.too_small, list(fee.attempts)) == (Purchase.OPEN, True, [])
    tries = "SELECT state FROM jobs WHERE kind = 'charge_fee' AND tenant_id = $1"
    assert [row["state"] for row in await shop.payments.sql(tries, shop.tenant)] == ["done"]
    await too_small(shop.start(fee, person))
    await waive(house, booking)
    await shop.hear()
    over = await shop.get(fee)
    assert (over.state, over.too_small) == (Purchase.CANCELLED, False)
    assert "payment_intent.created" not in [event["type"] for event in await shop.told()]


async def test_a_dearer_plan_waits_when_the_rest_of_the_interval_is_too_little(shop: Shop) -> None:
    member, more = await active(shop), await plan(shop, 12_000, 12)
    end = period_end(await member.get())
    await member.until(end - timedelta(hours=8))
    shown = await preview(member, more)
    assert (shown.due_minor, shown.credits, shown.effective_time.ToDatetime(UTC)) == (0, 0, end)
    changed = await change(member, shown)
    assert (changed.pricing_option, changed.next_pricing_option) == (member.plan, more)
    await member.renew()
    assert [each.quote.total_minor for each in await member.purchases()] == [12_000, 8000]
    assert await shop.violations() == {}
