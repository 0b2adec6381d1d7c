"""Gift cards: sold, given, paid with in whole or in part, never below zero; refunds go back to where it came from."""

import asyncio
import re
from typing import Any

import pytest
from grpc import StatusCode

from powerhouse.payments.v1 import gift_card_service_pb2 as pb
from powerhouse.payments.v1 import purchase_service_pb2
from powerhouse.payments.v1.catalogue_pb2 import PricingOption
from powerhouse.payments.v1.purchase_service_pb2 import Purchase
from powerhouse.payments.v1.refund_service_pb2 import Refund
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from services.payments import gift_cards
from tests.integration.booking.house import key, outcome, refused
from tests.integration.payments.house import Shop
from tests.integration.payments.test_receipts import listed, text_of

NOT_NOW = StatusCode.FAILED_PRECONDITION


async def given(shop: Shop, worth: int = 5000, **terms: Any) -> tuple[str, str]:
    """A card that was bought, and its code."""
    option = await shop.sell(worth, 0, kind=PricingOption.GIFT_CARD, display_name="Gift card", **terms)
    bought = await shop.buy(await shop.add_client(), option, worth)
    await shop.pay(bought)
    await shop.tell_all()
    card = (await shop.get(bought)).gift_card
    shown = await shop.staff.ShowGiftCardCode(pb.ShowGiftCardCodeRequest(name=card))
    return card, shown.code


async def left(shop: Shop, card: str) -> int:
    return int((await shop.staff.GetGiftCard(pb.GetGiftCardRequest(name=card))).balance_minor)


def quote(shop: Shop, client: str, option: str, code: str) -> Any:
    return shop.staff.QuotePurchase(
        purchase_service_pb2.QuotePurchaseRequest(
            parent=shop.name, client=client, pricing_option=option, gift_card_code=code
        )
    )


def buy(shop: Shop, client: str, option: str, total: int, code: str, gift: int) -> Any:
    return shop.staff.CreatePurchase(
        purchase_service_pb2.CreatePurchaseRequest(
            parent=shop.name,
            client=client,
            pricing_option=option,
            total_minor=total,
            gift_card_code=code,
            gift_minor=gift,
            request_id=key(),
        )
    )


async def test_a_card_pays_a_part_and_a_whole_and_is_then_empty(shop: Shop) -> None:
    card, code = await given(shop, 12_000)
    client, option = await shop.add_client(), await shop.sell(10_000, tax_rate=await shop.tax())
    # As somebody types it.
    assert (await quote(shop, client, option, f" {code.lower().replace('-', ' ')} ")).gift_minor == 11_900
    whole = await buy(shop, client, option, 11_900, code, 11_900)
    assert whole.state == Purchase.PAID
    await shop.work_off()
    assert (await shop.get(whole)).state == Purchase.FULFILLED
    assert await left(shop, card) == 100

    part = await buy(shop, client, option, 11_900, code, 100)
    assert await left(shop, card) == 0
    await refused(quote(shop, client, option, code), NOT_NOW, "GIFT_CARD_USED_UP")
    told = await shop.pay(part)
    assert told["amount"] == 11_800
    await shop.tell_all()
    assert (await shop.get(part)).state == Purchase.FULFILLED
    assert len(await shop.packages(client)) == 2
    moved = await shop.transfers()
    assert (moved["gift_sold"], moved["gift_paid"]) == (12_000, 12_000)
    assert moved["taxed"] + moved["gift_taxed"] == 2 * 1900
    assert await shop.violations() == {}
    compared = await shop.reconcile()
    assert (compared.difference_minor, list(compared.differences)) == (0, [])


async def test_what_is_given_up_goes_back_to_the_card(shop: Shop) -> None:
    card, code = await given(shop)
    purchase = await buy(shop, await shop.add_client(), await shop.sell(), 10_000, code, 5000)
    assert await left(shop, card) == 0
    await shop.start(purchase)
    await shop.cancel(purchase)
    assert await left(shop, card) == 5000
    # The next one is not paid for a day.
    await buy(shop, await shop.add_client(), await shop.sell(), 10_000, code, 5000)
    shop.move(days=1, minutes=1)
    await shop.work_off()
    assert await left(shop, card) == 5000
    assert await shop.violations() == {}


async def test_a_refund_goes_to_the_provider_first_and_then_to_the_card(shop: Shop) -> None:
    card, code = await given(shop)
    purchase = await buy(shop, await shop.add_client(), await shop.sell(10_000, 10), 10_000, code, 5000)
    await shop.pay(purchase)
    await shop.tell_all()
    shown = await shop.preview(purchase)
    assert (shown.amount_minor, shown.credits_revoked, shown.to_gift_card) == (5000, 5, False)
    money = await shop.refund(purchase, 5000, 5)
    await shop.work_off()
    assert await left(shop, card) == 0
    assert (await shop.preview(purchase)).to_gift_card
    to_card = await shop.refund(purchase, 5000, 5)
    await shop.work_off()
    done = await shop.get_refund(to_card)
    assert (done.state, done.to_gift_card) == (Refund.SUCCEEDED, True)
    assert not (await shop.get_refund(money)).to_gift_card
    assert await left(shop, card) == 5000
    assert sum(event["type"] == "refund.created" for event in await shop.told()) == 1
    paid, by_card, by_gift = [await text_of(shop, each) for each in await listed(shop, purchase=purchase.name)]
    assert re.search(r"Paid with\s+Visa •••• 4242\s+Of it by gift card\s+€50.00", paid)
    assert re.search(r"Paid back to\s+Visa •••• 4242", by_card)
    assert re.search(r"Paid back to\s+Gift card", by_gift)
    await refused(shop.preview(purchase), NOT_NOW, "ABOVE_REST")
    assert await shop.violations() == {}
    assert list((await shop.reconcile()).differences) == []


async def test_of_a_card_only_what_is_left_is_refunded(shop: Shop) -> None:
    card, code = await given(shop)
    purchase = purchase_service_pb2.Purchase(
        name=(await shop.staff.GetGiftCard(pb.GetGiftCardRequest(name=card))).purchase
    )
    await buy(shop, await shop.add_client(), await shop.sell(2000), 2000, code, 2000)
    await shop.work_off()
    assert (await shop.preview(purchase)).rest_minor == 3000
    await refused(shop.refund(purchase, 3001, 0), NOT_NOW, "ABOVE_REST")
    refund = await shop.refund(purchase, 3000, 0)
    assert await left(shop, card) == 0
    await shop.work_off()
    assert (await shop.get_refund(refund)).state == Refund.SUCCEEDED
    made = next(event for event in await shop.told() if event["type"] == "refund.created")
    await shop.control("POST", f"refunds/{made['data']['object']['id']}/fail", {"account": shop.account})
    await shop.tell_all()
    assert await left(shop, card) == 3000
    assert await shop.violations() == {}


async def test_many_at_once_never_pay_more_than_is_left(shop: Shop) -> None:
    card, code = await given(shop, 3000)
    client, option = await shop.add_client(), await shop.sell(1000)
    ends = await asyncio.gather(*(outcome(buy(shop, client, option, 1000, code, 1000)) for _ in range(10)))
    assert sorted(ends) == ["BOOKED"] * 3 + ["GIFT_CARD_USED_UP"] * 7
    assert await left(shop, card) == 0
    assert await shop.violations() == {}


async def test_an_expired_card_and_one_for_another_card_are_refused(shop: Shop) -> None:
    _, code = await given(shop, valid_days=30)
    client, option = await shop.add_client(), await shop.sell()
    another = await shop.sell(5000, 0, kind=PricingOption.GIFT_CARD)
    await refused(quote(shop, client, another, code), NOT_NOW, "GIFT_CARD_NOT_FOR_THIS")
    await refused(buy(shop, client, option, 10_000, code, 4999), NOT_NOW, "PRICE_CHANGED")
    shop.move(days=30)
    await refused(quote(shop, client, option, code), NOT_NOW, "GIFT_CARD_EXPIRED")
    await refused(buy(shop, client, option, 10_000, code, 5000), NOT_NOW, "GIFT_CARD_EXPIRED")
    taxed = shop.sell(5000, 0, kind=PricingOption.GIFT_CARD, tax_rate=await shop.tax())
    await refused(taxed, StatusCode.INVALID_ARGUMENT, "TERM_NOT_OF_KIND")


async def test_guessing_is_throttled_also_at_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    _, code = await given(shop)
    client, option = await shop.add_client(), await shop.sell()
    guesses = [quote(shop, client, option, f"AAAA-AAAA-AAAA-AA{number:02}") for number in range(22, 42)]
    ends = await asyncio.gather(*(outcome(guess) for guess in guesses))
    assert sorted(ends) == ["GIFT_CARD_UNKNOWN"] * 10 + ["TOO_MANY_ATTEMPTS"] * 10
    # Not even the right one, for a while; somebody else's is not their fault.
    await refused(quote(shop, client, option, code), StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_ATTEMPTS")
    assert (await quote(shop, await shop.add_client(), option, code)).gift_minor == 5000
    monkeypatch.setattr(gift_cards, "WHILE", -gift_cards.WHILE)
    assert (await quote(shop, client, option, code)).gift_minor == 5000


async def test_a_code_is_shown_to_who_bought_the_card_and_a_new_one_ends_it(shop: Shop) -> None:
    account = new_id()
    buyer, stranger = shop.as_role(Role.ROLE_CLIENT, account), shop.as_role(Role.ROLE_CLIENT, new_id())
    client, option = await shop.add_client(account), await shop.sell(5000, 0, kind=PricingOption.GIFT_CARD)
    await shop.promo("GIVE", off_minor=1000)
    bought = await shop.buy(client, option, 4000, "give", stub=buyer)
    await shop.pay(bought)
    await shop.tell_all()
    card = (await shop.get(bought)).gift_card
    assert await left(shop, card) == 5000
    show = pb.ShowGiftCardCodeRequest(name=card)
    await refused(stranger.ShowGiftCardCode(show), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    first, again = [(await buyer.ShowGiftCardCode(show)).code for _ in range(2)]
    assert again == first
    second = (await buyer.ShowGiftCardCode(pb.ShowGiftCardCodeRequest(name=card, renew=True))).code
    [read] = (await buyer.ListGiftCards(pb.ListGiftCardsRequest(parent=shop.name))).gift_cards
    assert (read.code_end, read.balance_minor) == (second[-4:], 5000)
    pack = await shop.sell()
    await refused(quote(shop, client, pack, first), NOT_NOW, "GIFT_CARD_UNKNOWN")
    assert (await quote(shop, client, pack, second)).gift_minor == 5000
    # No code lies in the database, nor in its audit.
    for table in ("gift_cards", "audit_entries", "idempotency", "outbox"):
        rows = await shop.payments.sql(f"SELECT to_jsonb(t)::text AS row FROM {table} t")
        assert not any(second in row["row"] or second.replace("-", "") in row["row"] for row in rows), table
    assert await shop.violations() == {}
