"""The books and the provider agree to the cent, whatever the webhooks did."""

import random

import stripe

from powerhouse.payments.v1 import reconciliation_service_pb2 as pb
from powerhouse.payments.v1.events_pb2 import PaymentDisputed
from powerhouse.payments.v1.purchase_service_pb2 import Purchase
from tests.integration.payments.house import API_KEY, Shop

Difference = pb.Reconciliation.Difference


def at_stripe(shop: Shop) -> stripe.StripeClient:
    """Somebody with the dashboard."""
    return stripe.StripeClient(API_KEY, base_addresses={"api": shop.sandbox}, http_client=stripe.HTTPXClient())


async def test_a_fifth_of_the_webhooks_never_came(shop: Shop) -> None:
    dice, client, option = random.Random(7), await shop.add_client(), await shop.sell(10_000, 10)
    purchases = [await shop.buy(client, option, 10_000) for _ in range(10)]
    for purchase in purchases:
        await shop.pay(purchase, dice.choice(["pm_card_visa", "pm_card_visa", "pm_card_visa_chargeDeclined"]))
    await shop.tell([event for event in await shop.told() if dice.random() > 0.2])
    await shop.work_off()
    paid = [each for each in [await shop.get(p) for p in purchases] if each.state == Purchase.FULFILLED]
    for purchase in paid[:3]:
        await shop.refund(purchase, 2500, 3)
    await shop.work_off()
    compared = await shop.reconcile()
    assert compared.events_found > 0
    assert (list(compared.differences), compared.difference_minor) == ([], 0)
    charged = [e for e in await shop.told() if e["type"] == "payment_intent.succeeded"]
    query = "SELECT external_id FROM payments WHERE state = 'SUCCEEDED' AND tenant_id = $1"
    rows = await shop.payments.sql(query, shop.tenant)
    assert sorted(row["external_id"] for row in rows) == sorted(e["data"]["object"]["id"] for e in charged)
    assert len(await shop.packages(client)) == len(charged)
    # Fees are in the books too: the provider has less than was paid.
    assert compared.ledger_minor - compared.under_way_minor < len(charged) * 10_000 - 3 * 2500
    assert await shop.violations() == {}


async def test_nothing_came_at_all(shop: Shop) -> None:
    client = await shop.add_client()
    purchase = await shop.buy(client, await shop.sell(), 10_000)
    await shop.pay(purchase)
    compared = await shop.reconcile()
    assert (await shop.get(purchase)).state == Purchase.FULFILLED
    assert (list(compared.differences), compared.difference_minor) == ([], 0)
    again = await shop.reconcile()
    assert (again.transaction_count, again.events_found) == (compared.transaction_count, compared.events_found)


async def test_what_is_of_no_purchase_is_reported(shop: Shop) -> None:
    wanted: stripe.params.PaymentIntentCreateParams = {
        "amount": 7700,
        "currency": "eur",
        "payment_method": "pm_card_visa",
        "confirm": True,
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
    }
    await at_stripe(shop).v1.payment_intents.create_async(wanted, {"stripe_account": shop.account})
    compared = await shop.reconcile()
    [difference] = compared.differences
    assert (difference.kind, difference.amount_minor) == (Difference.CHARGE_UNKNOWN, 7700)
    assert compared.difference_minor == 7700


async def test_what_the_provider_has_no_trace_of_is_reported(shop: Shop) -> None:
    purchase = await shop.bought()
    await shop.payments.sql("UPDATE payments SET charge_id = 'ch_nowhere' WHERE tenant_id = $1", shop.tenant)
    shop.move(hours=2)
    kinds = {each.kind: each.subject for each in (await shop.reconcile()).differences}
    assert kinds[Difference.CHARGE_MISSING] == purchase.name
    assert Difference.CHARGE_UNKNOWN in kinds


async def test_disputes_and_payouts_are_seen_and_in_the_books(shop: Shop) -> None:
    purchase = await shop.bought(card="pm_card_bypassPending")
    charge = next(e for e in await shop.told() if e["type"] == "charge.succeeded")["data"]["object"]["id"]
    dispute = await shop.control("POST", "disputes", {"account": shop.account, "charge": charge, "amount": 4000})
    compared = await shop.reconcile()
    assert compared.difference_minor == 0
    [shown] = (await shop.staff.ListDisputes(pb.ListDisputesRequest(parent=shop.name))).disputes
    assert (shown.purchase, shown.amount_minor, shown.status) == (purchase.name, 4000, "needs_response")
    assert (await shop.transfers())["disputed"] == 4000
    await shop.control("POST", f"disputes/{dispute['id']}", {"account": shop.account, "outcome": "won"})
    assert (await shop.reconcile()).difference_minor == 0
    [shown] = (await shop.staff.ListDisputes(pb.ListDisputesRequest(parent=shop.name))).disputes
    assert shown.status == "won"
    told = await shop.payments.events(PaymentDisputed, shop.tenant)
    assert [each.status for each in told] == ["needs_response", "won"]

    # The money becomes available, and is paid out.
    [paid_out] = (await shop.control("POST", "payouts", {"account": shop.account}))["payouts"]
    compared = await shop.reconcile()
    assert (list(compared.differences), compared.difference_minor) == ([], 0)
    assert (await shop.transfers())["paid_out"] > 0
    payouts = (await shop.staff.ListPayouts(pb.ListPayoutsRequest(parent=shop.name))).payouts
    assert {each.status for each in payouts} <= {"pending", "in_transit", "paid"}

    # The studio's bank gives it back.
    await shop.control("POST", f"payouts/{paid_out['id']}/fail", {"account": shop.account})
    assert (await shop.reconcile()).difference_minor == 0
    [payout] = (await shop.staff.ListPayouts(pb.ListPayoutsRequest(parent=shop.name))).payouts
    assert payout.status == "failed"
    moved = await shop.transfers()
    assert moved["payout_returned"] == moved["paid_out"]
    assert await shop.violations() == {}
