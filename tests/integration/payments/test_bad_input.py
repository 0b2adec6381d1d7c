"""What nobody may ask or tell: each is refused for a reason with a name, and nobody is given or charged anything."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from grpc import StatusCode

from powerhouse.payments.v1 import merchant_service_pb2, refund_service_pb2
from powerhouse.payments.v1.purchase_service_pb2 import Purchase
from services.chassis.ids import new_id
from services.chassis.rpc.codec import to_timestamp
from tests.integration.booking.house import refused
from tests.integration.payments.house import Shop

INVALID, REFUSED, UNKNOWN = StatusCode.INVALID_ARGUMENT, StatusCode.FAILED_PRECONDITION, StatusCode.NOT_FOUND


class Till:
    """A studio in euros with a pack for 10,000, a client, one purchase that is paid and one that is not."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    async def open(self) -> "Till":
        shop = self.shop
        self.client, self.option, self.other = await shop.add_client(), await shop.sell(), await shop.sell(500)
        expired = to_timestamp(shop.payments.mesh.clock.now() - timedelta(days=1))
        await shop.promo("LATE", off_minor=100, expire_time=expired)
        await shop.promo("ELSEWHERE", off_minor=100, pricing_options=[self.other])
        await shop.promo("ONCE", off_minor=100, max_per_client=1)
        self.unpaid = await shop.buy(self.client, self.option, 9900, "ONCE")
        self.paid = await shop.bought()
        return self

    def account(self, currency: str) -> Any:
        return self.shop.staff.OpenMerchantAccount(
            merchant_service_pb2.OpenMerchantAccountRequest(
                parent=self.shop.name, currency_code=currency, country_code="DE"
            )
        )

    def get_refund(self) -> Any:
        refund = f"{self.shop.name}/refunds/{new_id()}"
        return self.shop.staff.GetRefund(refund_service_pb2.GetRefundRequest(name=refund))


Ask = Callable[[Till], Any]
ASKED: list[tuple[str, Ask, StatusCode, str]] = [
    ("another price", lambda t: t.shop.buy(t.client, t.option, 9999), REFUSED, "PRICE_CHANGED"),
    ("a negative price", lambda t: t.shop.buy(t.client, t.option, -1), INVALID, "INVALID_FIELD"),
    (
        "nobody's pack",
        lambda t: t.shop.buy(t.client, f"{t.shop.name}/pricingOptions/{new_id()}", 1),
        UNKNOWN,
        "NOT_FOUND",
    ),
    ("for nobody", lambda t: t.shop.buy(f"{t.shop.name}/clients/{new_id()}", t.option, 1), UNKNOWN, "NOT_FOUND"),
    ("an unknown code", lambda t: t.shop.buy(t.client, t.option, 9900, "NONE"), REFUSED, "PROMO_CODE_UNKNOWN"),
    ("an expired code", lambda t: t.shop.buy(t.client, t.option, 9900, "LATE"), REFUSED, "PROMO_CODE_EXPIRED"),
    (
        "a code for other things",
        lambda t: t.shop.buy(t.client, t.option, 9900, "ELSEWHERE"),
        REFUSED,
        "PROMO_CODE_NOT_FOR_THIS",
    ),
    ("a code again", lambda t: t.shop.buy(t.client, t.option, 9900, "ONCE"), REFUSED, "PROMO_CODE_USED_UP"),
    ("a pack for no money and no credits", lambda t: t.shop.sell(0, 0), INVALID, "TERM_MISSING"),
    ("a pack without a name", lambda t: t.shop.sell(display_name=" "), INVALID, "INVALID_FIELD"),
    ("a negative pack", lambda t: t.shop.sell(-1), INVALID, "INVALID_FIELD"),
    ("foreign currency", lambda t: t.account("USD"), REFUSED, "CURRENCY_MISMATCH"),
    ("three decimals", lambda t: t.account("KWD"), INVALID, "UNKNOWN_CURRENCY"),
    ("no currency", lambda t: t.account("euro"), INVALID, "INVALID_FIELD"),
    ("to pay again", lambda t: t.shop.start(t.paid), REFUSED, "ALREADY_PAID"),
    ("to give up what is paid", lambda t: t.shop.cancel(t.paid), REFUSED, "ALREADY_PAID"),
    ("back what was not paid", lambda t: t.shop.refund(t.unpaid, 1, 0), REFUSED, "NOT_PAID"),
    ("back more than was paid", lambda t: t.shop.refund(t.paid, 10_001, 10), REFUSED, "ABOVE_REST"),
    ("back a negative amount", lambda t: t.shop.refund(t.paid, -1, 0), INVALID, "INVALID_FIELD"),
    ("back for other credits", lambda t: t.shop.refund(t.paid, 10_000, 9), REFUSED, "PREVIEW_OUTDATED"),
    (
        "back of nothing",
        lambda t: t.shop.refund(Purchase(name=f"{t.shop.name}/purchases/{new_id()}"), 1, 0),
        UNKNOWN,
        "NOT_FOUND",
    ),
    ("nobody's refund", lambda t: t.get_refund(), UNKNOWN, "NOT_FOUND"),
]


async def test_what_is_asked_wrongly_is_refused_by_name(shop: Shop) -> None:
    till = await Till(shop).open()
    before = await shop.transfers(), await shop.packages(till.client), await shop.get(till.unpaid)
    for what, ask, code, reason in ASKED:
        try:
            await refused(ask(till), code, reason)
        except BaseException as error:
            raise AssertionError(f"asked for {what}") from error
    await shop.work_off()
    assert (await shop.transfers(), await shop.packages(till.client), await shop.get(till.unpaid)) == before
    charged = [event for event in await shop.told() if event["type"] == "charge.succeeded"]
    assert len(charged) == 1
    assert await shop.violations() == {}


TOLD: list[tuple[str, dict[str, Any], str]] = [
    ("less", {"amount_received": 9999}, "AMOUNT_MISMATCH"),
    ("more", {"amount_received": 10_001}, "AMOUNT_MISMATCH"),
    ("dollars", {"currency": "usd"}, "AMOUNT_MISMATCH"),
    ("a currency of three decimals", {"currency": "kwd"}, "AMOUNT_MISMATCH"),
    ("no amount in its currency", {"currency": "isk", "amount_received": 10_050}, "UNREADABLE"),
    ("nothing but an id", {"status": None, "currency": None}, "UNREADABLE"),
    ("an intent of nobody", {"id": "pi_nobody", "metadata": {}}, "NOT_OURS"),
    ("a purchase of nobody", {"id": "pi_nobody", "metadata": {"powerhouse_payment": str(new_id())}}, "NOT_OURS"),
    ("no purchase", {"id": "pi_nobody", "metadata": {"powerhouse_payment": "x'; --"}}, "NOT_OURS"),
]


async def test_what_is_told_wrongly_grants_nothing(shop: Shop, stranger: Shop) -> None:
    client = await shop.add_client()
    purchase = await shop.buy(client, await shop.sell(), 10_000)
    await shop.pay(purchase)
    told = next(event for event in await shop.told() if event["type"] == "payment_intent.succeeded")
    outcomes: dict[str, str] = {}
    for number, (_, changes, outcome) in enumerate(TOLD):
        event = {**told, "id": f"evt_wrong_{number}"}
        await shop.tell([{**event, "data": {"object": {**told["data"]["object"], **changes}}}])
        outcomes[event["id"]] = outcome
    elsewhere = Shop(shop.payments, shop.booking, shop.sandbox)
    await elsewhere.open()
    await shop.tell([{**told, "id": "evt_wrong_studio", "account": elsewhere.account}])
    await shop.tell([{**told, "id": "evt_wrong_account", "account": "acct_nobody"}])
    await shop.tell([{**told, "id": "evt_wrong_type", "type": "payment_intent.of_tomorrow"}])
    outcomes |= dict.fromkeys(("evt_wrong_studio", "evt_wrong_account", "evt_wrong_type"), "NOT_OURS")
    await shop.work_off()
    rows = await shop.payments.sql("SELECT args->>'event', outcome FROM jobs WHERE args->>'event' LIKE 'evt_wrong_%'")
    assert dict(map(tuple, rows)) == outcomes
    assert (await shop.get(purchase)).state == Purchase.OPEN
    assert await shop.packages(client) == []
    assert await shop.transfers() == await elsewhere.transfers() == {}
    # The right one still works, and what comes for one that was given up does not.
    given_up = await shop.buy(client, await shop.sell(), 10_000)
    intent = (await shop.start(given_up)).client_secret.partition("_secret_")[0]
    await shop.cancel(given_up)
    late = {**told["data"]["object"], "id": intent, "metadata": {}}
    await shop.tell([told, {**told, "id": "evt_late", "data": {"object": late}}])
    await shop.work_off()
    assert (await shop.get(purchase)).state == Purchase.FULFILLED
    [[outcome]] = await shop.payments.sql("SELECT outcome FROM jobs WHERE args->>'event' = 'evt_late'")
    assert (outcome, (await shop.get(given_up)).state) == ("AMOUNT_MISMATCH", Purchase.CANCELLED)
    assert len(await shop.packages(client)) == 1
    assert await shop.violations() == {}


@pytest.mark.parametrize(("currency", "country", "at_provider"), [("JPY", "JP", 5000), ("ISK", "IS", 500_000)])
async def test_currencies_without_decimals(stranger: Shop, currency: str, country: str, at_provider: int) -> None:
    await stranger.open(currency, country)
    purchase = await stranger.bought(5000)
    refund = await stranger.refund(purchase, 2000, 4)
    await stranger.work_off()
    await stranger.tell_all()
    assert (await stranger.get_refund(refund)).state == refund.SUCCEEDED
    objects = {event["type"]: event["data"]["object"] for event in await stranger.told()}
    assert objects["payment_intent.succeeded"]["amount"] == at_provider
    assert objects["refund.created"]["amount"] == at_provider * 2 // 5
    assert (await stranger.reconcile()).difference_minor == 0
    moved = await stranger.transfers()
    assert (moved["sold"], moved["unearned_refunded"]) == (5000, 2000)
    assert await stranger.violations() == {}
