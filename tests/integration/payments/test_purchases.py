"""Buying a class pack: from the quote to the credits, once per payment."""

import asyncio

import pytest
from grpc import StatusCode
from sqlalchemy import text

from powerhouse.payments.v1 import purchase_service_pb2 as pb
from powerhouse.payments.v1.catalogue_pb2 import PricingOption
from powerhouse.payments.v1.events_pb2 import PaymentFailed, PurchasePaid
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from tests.integration.booking.house import refused
from tests.integration.payments.house import OLD_SECRET, Shop

Purchase = pb.Purchase


async def test_a_client_buys_a_pack(shop: Shop) -> None:
    account = new_id()
    client, person = await shop.add_client(account), shop.as_role(Role.ROLE_CLIENT, account)
    option = await shop.sell(10_000, tax_rate=await shop.tax())
    quote = await shop.quote(client, option, stub=person)
    assert (quote.net_minor, quote.tax_minor, quote.total_minor, quote.currency_code) == (10_000, 1900, 11_900, "EUR")
    purchase = await shop.buy(client, option, 11_900, stub=person)
    assert (purchase.state, purchase.quote) == (Purchase.OPEN, quote)
    session = await shop.start(purchase, stub=person)
    assert (await shop.confirm(session))["status"] == "succeeded"
    # The browser's word grants nothing.
    assert (await shop.get(purchase)).state == Purchase.OPEN
    await shop.tell_all()
    paid = await shop.get(purchase)
    assert paid.state == Purchase.FULFILLED
    [attempt] = paid.attempts
    assert attempt.succeeded
    [package] = await shop.packages(client)
    assert (package.name, package.credits_left) == (paid.client_package, 10)
    assert await shop.transfers() == {"sold": 10_000, "taxed": 1900}
    [event] = await shop.payments.events(PurchasePaid, shop.tenant)
    assert (event.total_minor, event.currency_code) == (11_900, "EUR")
    assert await shop.violations() == {}


async def test_a_declined_card_grants_nothing_and_another_one_works(shop: Shop) -> None:
    client = await shop.add_client()
    purchase = await shop.buy(client, await shop.sell(), 10_000)
    session = await shop.start(purchase)
    answer = await shop.confirm(session, "pm_card_visa_chargeDeclinedInsufficientFunds")
    assert answer["error"]["code"] == "card_declined"
    await shop.tell_all()
    declined = await shop.get(purchase)
    assert declined.state == Purchase.OPEN
    [attempt] = declined.attempts
    assert (attempt.message, attempt.code) == ("Payment declined. Please try different card.", "card_declined")
    assert attempt.decline_code == "insufficient_funds"
    assert await shop.packages(client) == []
    assert len(await shop.payments.events(PaymentFailed, shop.tenant)) == 1
    # The same purchase, the same intent.
    again = await shop.start(purchase)
    assert again.client_secret == session.client_secret
    await shop.confirm(again)
    await shop.tell_all()
    paid = await shop.get(purchase)
    assert paid.state == Purchase.FULFILLED
    assert sorted(each.succeeded for each in paid.attempts) == [False, True]
    assert await shop.violations() == {}


async def test_two_tabs_and_a_double_click_make_one_charge_and_one_grant(shop: Shop) -> None:
    client, option, request_id = await shop.add_client(), await shop.sell(), str(new_id())
    purchases = await asyncio.gather(
        *(shop.buy(client, option, 10_000, request_id=request_id, stub=shop.staff) for _ in range(4))
    )
    assert len({each.name for each in purchases}) == 1
    async with shop.payments.resources.database.transaction(shop.tenant) as tx:
        # Until each is about to write its payment, or waits for one that is.
        await tx.session.execute(text("LOCK TABLE payments IN SHARE MODE"))
        starts = asyncio.gather(*(shop.start(purchases[0]) for _ in range(4)))
        await shop.wait_until_held_up(4)
    sessions = await starts
    assert len({each.client_secret for each in sessions}) == 1
    await asyncio.gather(*(shop.confirm(each) for each in sessions), return_exceptions=True)
    events = await shop.told()
    assert sum(event["type"] == "charge.succeeded" for event in events) == 1
    await shop.tell([*events, *events])
    await shop.work_off()
    assert len(await shop.packages(client)) == 1
    assert await shop.violations() == {}
    await refused(shop.start(purchases[0]), StatusCode.FAILED_PRECONDITION, "ALREADY_PAID")


async def test_a_second_device_that_only_returns_sees_the_payment_without_a_webhook(shop: Shop) -> None:
    client = await shop.add_client()
    purchase = await shop.buy(client, await shop.sell(), 10_000)
    await shop.pay(purchase)
    await refused(shop.start(purchase), StatusCode.FAILED_PRECONDITION, "ALREADY_PAID")
    await shop.work_off()
    assert (await shop.get(purchase)).state == Purchase.FULFILLED


async def test_a_fee_is_earned_when_it_is_paid_and_only_staff_sell_it(shop: Shop) -> None:
    account = new_id()
    client, option = await shop.add_client(account), await shop.sell(1000, 0, kind="FEE", tax_rate=await shop.tax())
    person = shop.as_role(Role.ROLE_CLIENT, account)
    await refused(shop.buy(client, option, 1190, stub=person), StatusCode.FAILED_PRECONDITION, "FOR_STAFF_ONLY")
    fee = await shop.buy(client, option, 1190)
    await shop.pay(fee)
    await shop.tell_all()
    paid = await shop.get(fee)
    assert (paid.state, paid.kind, paid.client_package) == (Purchase.FULFILLED, PricingOption.FEE, "")
    assert await shop.packages(client) == []
    assert await shop.transfers() == {"sold": 1000, "taxed": 190, "earned": 1000}
    # Who has paid a fee has bought nothing yet.
    intro = await shop.sell(1000, intro_offer=True)
    assert (await shop.quote(client, intro)).total_minor == 1000
    refund = await shop.refund(paid, 1190, 0)
    await shop.work_off()
    assert (await shop.get_refund(refund)).state == refund.SUCCEEDED
    assert (await shop.transfers())["earned_refunded"] == 1000
    assert await shop.violations() == {}


async def test_what_costs_nothing_is_granted_at_once(shop: Shop) -> None:
    client, option = await shop.add_client(), await shop.sell()
    await shop.promo("FREE", off_ppm=1_000_000)
    purchase = await shop.buy(client, option, 0, "free")
    await refused(shop.start(purchase), StatusCode.FAILED_PRECONDITION, "NOTHING_TO_PAY")
    await shop.work_off()
    assert (await shop.get(purchase)).state == Purchase.FULFILLED
    assert await shop.transfers() == {}
    assert await shop.violations() == {}


async def test_a_limited_code_holds_its_limit_and_comes_back(shop: Shop) -> None:
    option = await shop.sell()
    await shop.promo("TEN", off_minor=1000, max_redemptions=3, max_per_client=1)
    clients = await asyncio.gather(*(shop.add_client() for _ in range(100)))
    made = await asyncio.gather(*(shop.buy(client, option, 9000, "TEN") for client in clients), return_exceptions=True)
    purchases = [each for each in made if isinstance(each, Purchase)]
    assert len(purchases) == 3
    assert await shop.violations() == {}
    cancelled = await shop.cancel(purchases[0])
    assert cancelled.state == Purchase.CANCELLED
    late = next(c for c, each in zip(clients, made, strict=True) if not isinstance(each, Purchase))
    assert (await shop.buy(late, option, 9000, "TEN")).state == Purchase.OPEN
    assert await shop.violations() == {}


async def test_an_intro_offer_is_for_newcomers_once(shop: Shop) -> None:
    intro, pack, client = await shop.sell(1000, intro_offer=True), await shop.sell(), await shop.add_client()
    made = await asyncio.gather(*(shop.buy(client, intro, 1000) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(each, Purchase) for each in made) == 1
    await refused(shop.quote(client, intro), StatusCode.FAILED_PRECONDITION, "INTRO_OFFER_USED")
    regular = await shop.add_client()
    await shop.pay(await shop.buy(regular, pack, 10_000))
    await shop.tell_all()
    await refused(shop.buy(regular, intro, 1000), StatusCode.FAILED_PRECONDITION, "INTRO_OFFER_USED")


async def test_terms_are_those_of_the_day(shop: Shop) -> None:
    from powerhouse.payments.v1 import catalogue_pb2
    from powerhouse.payments.v1 import catalogue_service_pb2 as catalogue

    client, option = await shop.add_client(), await shop.sell(10_000, valid_days=90)
    purchase = await shop.buy(client, option, 10_000)
    dearer = catalogue_pb2.PricingOption(name=option, price_minor=12_000, credits=5)
    changed = await shop.staff.UpdatePricingOption(
        catalogue.UpdatePricingOptionRequest(pricing_option=dearer, request_id=str(new_id()))
    )
    assert (changed.terms_version, changed.price_minor, changed.credits, changed.valid_days) == (2, 12_000, 5, 90)
    await refused(shop.buy(client, option, 10_000), StatusCode.FAILED_PRECONDITION, "PRICE_CHANGED")
    await shop.pay(purchase)
    await shop.tell_all()
    [package] = await shop.packages(client)
    assert package.credits_granted == 10
    assert (await shop.get(purchase)).quote.total_minor == 10_000


async def test_a_purchase_that_nobody_pays_is_given_up_at_the_provider_too(shop: Shop) -> None:
    client = await shop.add_client()
    purchase = await shop.buy(client, await shop.sell(), 10_000)
    session = await shop.start(purchase)
    shop.move(hours=24)
    await shop.work_off()
    assert (await shop.get(purchase)).state == Purchase.CANCELLED
    assert "error" in await shop.confirm(session)
    await shop.tell_all()
    assert await shop.packages(client) == []
    await refused(shop.start(purchase), StatusCode.FAILED_PRECONDITION, "CANCELLED")
    assert await shop.violations() == {}


async def test_one_that_was_paid_in_the_last_moment_is_kept(shop: Shop) -> None:
    client = await shop.add_client()
    purchase = await shop.buy(client, await shop.sell(), 10_000)
    await shop.pay(purchase)
    shop.move(hours=24)
    await shop.work_off()
    assert (await shop.get(purchase)).state == Purchase.FULFILLED
    assert len(await shop.packages(client)) == 1


async def test_a_secret_on_its_way_out_is_still_good(shop: Shop) -> None:
    client = await shop.add_client()
    purchase = await shop.buy(client, await shop.sell(), 10_000)
    await shop.pay(purchase)
    await shop.tell(await shop.told(), OLD_SECRET)
    await shop.work_off()
    assert (await shop.get(purchase)).state == Purchase.FULFILLED


async def test_who_may_buy_for_whom(shop: Shop) -> None:
    account = new_id()
    client, other, option = await shop.add_client(account), await shop.add_client(), await shop.sell()
    person = shop.as_role(Role.ROLE_CLIENT, account)
    await refused(shop.quote(other, option, stub=person), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    nobody = f"{shop.name}/clients/{new_id()}"
    await refused(shop.quote(nobody, option, stub=person), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    await refused(shop.quote(nobody, option), StatusCode.NOT_FOUND, "NOT_FOUND")
    theirs, mine = await shop.buy(other, option, 10_000), await shop.buy(client, option, 10_000, stub=person)
    with pytest.raises(Exception, match="PERMISSION_DENIED"):
        await person.GetPurchase(pb.GetPurchaseRequest(name=theirs.name))
    listed = await person.ListPurchases(pb.ListPurchasesRequest(parent=shop.name))
    assert [each.name for each in listed.purchases] == [mine.name]


async def test_a_studio_that_cannot_be_paid_sells_nothing(stranger: Shop) -> None:
    await refused(stranger.sell(), StatusCode.FAILED_PRECONDITION, "NOT_A_MERCHANT")
    await stranger.open(active=False)
    client, option = await stranger.add_client(), await stranger.sell()
    await refused(stranger.buy(client, option, 10_000), StatusCode.FAILED_PRECONDITION, "MERCHANT_NOT_ACTIVE")
