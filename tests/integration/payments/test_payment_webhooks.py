"""What the provider tells: checked, stored once, applied in any order to one state."""

import asyncio
import json
from datetime import timedelta
from itertools import permutations
from random import Random
from typing import Any

import pytest
import stripe
from grpc import StatusCode

from powerhouse.payments.v1.purchase_service_pb2 import Purchase
from services.chassis.clock import real_now
from services.payments import provider_events
from tests.integration.booking.house import refused
from tests.integration.payments.house import SECRET, Shop

_KINDS = (
    *("payment_intent.created", "payment_intent.payment_failed", "charge.failed"),
    *("payment_intent.succeeded", "charge.succeeded", "refund.created"),
)


def signed(body: str, secret: str = SECRET, age: float = 0) -> str:
    at = int((real_now() - timedelta(seconds=age)).timestamp())
    return str(stripe.WebhookSignature.generate_signature_header(body, secret, at))


def event(**fields: Any) -> str:
    made: dict[str, Any] = {"id": "evt_1", "type": "customer.created", "created": 1}
    made["data"] = {"object": {"id": "cus_1"}}
    return json.dumps({**made, **fields})


@pytest.mark.parametrize(
    ("body", "signature"),
    [
        (event(), ""),
        (event(), "nonsense"),
        (event(), "t=x,v1=y"),
        (event(), signed(event(), "whsec_forged")),
        (event(), signed(event(id="evt_2"))),
        (event(), signed(event(), age=301)),
        (event(), signed(event(), age=-3600)),
        ("[]", signed("[]")),
        ("{", signed("{")),
        ('{"id": "evt_1"}', signed('{"id": "evt_1"}')),
    ],
    ids=["missing", "no header", "no time", "forged", "of another", "old", "future", "list", "no json", "no event"],
)
async def test_what_is_not_of_the_provider_is_refused(shop: Shop, body: str, signature: str) -> None:
    await refused(shop.webhook(body.encode(), signature), StatusCode.PERMISSION_DENIED, "SIGNATURE_INVALID")


async def test_unknown_types_and_accounts_are_kept_and_harm_nothing(shop: Shop) -> None:
    strange = {"object": {"id": "x", "note": "\0 and \ud800"}}
    for body in (
        event(id="evt_new", type="something.new", account=shop.account, data=strange),
        event(account="acct_nobody"),
    ):
        await shop.webhook(body.encode(), signed(body))
        await shop.webhook(body.encode(), signed(body))
    await shop.work_off()
    rows = await shop.payments.sql("SELECT state, outcome FROM jobs WHERE args->>'event' = 'evt_new'")
    assert [tuple(row) for row in rows] == [("cancelled", "NOT_OURS")]


async def test_what_comes_at_once_is_stored_once_each(shop: Shop) -> None:
    bodies = [event(id=f"evt_at_once_{number}", account=shop.account) for number in range(12)]
    await asyncio.gather(*(shop.webhook(body.encode(), signed(body)) for body in bodies * 4))
    stored = "SELECT count(*) FROM provider_events WHERE external_id LIKE 'evt_at_once_%' AND external_account = $1"
    [[events]] = await shop.payments.sql(stored, shop.account)
    made = "SELECT count(*) FROM jobs WHERE args->>'event' LIKE 'evt_at_once_%' AND args->>'account' = $1"
    [[jobs]] = await shop.payments.sql(made, shop.account)
    assert (events, jobs) == (12, 12)


async def test_another_amount_than_the_purchase_costs_grants_nothing(shop: Shop) -> None:
    client = await shop.add_client()
    purchase = await shop.buy(client, await shop.sell(), 10_000)
    await shop.pay(purchase)
    told = next(e for e in await shop.told() if e["type"] == "payment_intent.succeeded")
    wrong: list[dict[str, Any]] = [{"amount_received": 9_999}, {"currency": "usd"}]
    for number, changes in enumerate(wrong):
        changed = {**told, "id": f"evt_changed_{number}"}
        changed["data"] = {"object": {**told["data"]["object"], **changes}}
        await shop.tell([changed])
    await shop.work_off()
    assert (await shop.get(purchase)).state == Purchase.OPEN
    assert await shop.packages(client) == []
    assert await shop.transfers() == {}
    rows = await shop.payments.sql("SELECT outcome FROM jobs WHERE args->>'event' LIKE 'evt_changed_%'")
    assert {row["outcome"] for row in rows} == {"AMOUNT_MISMATCH"}
    # The right one still works.
    await shop.tell([told])
    await shop.work_off()
    assert (await shop.get(purchase)).state == Purchase.FULFILLED
    assert await shop.violations() == {}


async def test_many_payments_of_two_studios_are_booked_once_each(shop: Shop) -> None:
    """All at once and each three times, one of each studio of another amount than its purchase costs."""
    other = Shop(shop.payments, shop.booking, shop.sandbox)
    await other.open()
    bought = []
    for place in (shop, other):
        client, option = await place.add_client(), await place.sell()
        for _ in range(5):
            purchase = await place.buy(client, option, 10_000)
            await place.pay(purchase)
            bought.append((place, purchase))
    told = []
    for place in (shop, other):
        events = [event for event in await place.told() if event["type"] == "payment_intent.succeeded"]
        events[0]["data"]["object"]["amount_received"] = 9_999
        await place.tell(events)
        told += [(place, event["id"]) for event in events]
    resources = shop.payments.resources
    tried = await asyncio.gather(
        *(provider_events.apply(resources, place.account, event) for place, event in told * 3), return_exceptions=True
    )
    assert [type(each).__name__ for each in tried] == ["Mismatch", *["bool"] * 4] * 6
    states = [(await place.get(purchase)).state for place, purchase in bought]
    assert sorted(states) == [Purchase.OPEN] * 2 + [Purchase.PAID] * 8
    await shop.work_off()
    for place in (shop, other):
        assert await place.transfers() == {"sold": 40_000}
        assert await place.violations() == {}


async def _state(shop: Shop, purchase: Purchase) -> Any:
    """What came of it, without ids and times."""
    read = await shop.get(purchase)
    [package] = await shop.packages(purchase.client)
    attempts = sorted((each.succeeded, each.code) for each in read.attempts)
    return read.state, read.refunded_minor, attempts, package.credits_left, await shop.transfers()


async def test_any_order_with_duplicates_ends_in_one_state(shop: Shop) -> None:
    """Six related events of one purchase, in orders drawn anew, some of them twice; applied one after the other."""
    dice, states = Random(6), []
    orders = dice.sample(list(permutations(range(len(_KINDS)))), 3)
    for order in orders:
        other = Shop(shop.payments, shop.booking, shop.sandbox)
        await other.open()
        purchase = await other.buy(await other.add_client(), await other.sell(), 10_000)
        await other.pay(purchase, "pm_card_visa_chargeDeclined")
        await other.pay(purchase)
        intent = next(e for e in await other.told() if e["type"] == "payment_intent.succeeded")["data"]["object"]["id"]
        client = stripe.StripeClient(
            "sk_test_payments", base_addresses={"api": shop.sandbox}, http_client=stripe.HTTPXClient()
        )
        await client.v1.refunds.create_async(
            {"payment_intent": intent, "amount": 4000}, {"stripe_account": other.account}
        )
        told = {each["type"]: each for each in await other.told()}
        drawn = [told[_KINDS[index]] for index in order]
        for each in [*drawn, *dice.sample(drawn, 3)]:
            await other.tell([each])
            await other.work_off()
        # What was told before its payment was known comes again, as the reconciler lists it.
        await other.reconcile()
        states.append(await _state(other, purchase))
        assert await other.violations() == {}
    assert all(state == states[0] for state in states)
    assert states[0][:4] == (Purchase.FULFILLED, 4000, [(False, "card_declined"), (True, "")], 10)
