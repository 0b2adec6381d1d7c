"""Single places: held at booking, paid here, confirmed once; the money back where the place is gone or given back."""

import asyncio
from typing import Any

import pytest
from grpc import StatusCode

from powerhouse.booking.v1.booking_pb2 import Booking
from powerhouse.booking.v1.booking_service_pb2 import GetBookingRequest
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.payments.v1.catalogue_pb2 import PricingOption
from powerhouse.payments.v1.events_pb2 import PurchaseReturned
from powerhouse.payments.v1.purchase_service_pb2 import Purchase
from powerhouse.payments.v1.refund_service_pb2 import ListRefundsRequest, Refund
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from services.payments import fulfilment, promo_codes, provider_events
from tests.integration.booking.front_desk import book, expire_holds, mark_paid, rule
from tests.integration.booking.house import House, last_id, refused
from tests.integration.payments.house import Shop
from tests.integration.payments.test_crashes import Died, dies_once
from tests.integration.payments.test_membership_offers import redemptions

PRICE = 2000


@pytest.fixture
async def house(shop: Shop) -> House:
    """The shop's studio at booking, which sells single places for EUR 20."""
    house = shop.house()
    await rule(house, drop_in_price_minor=PRICE, cancellation_window_minutes=720, late_cancel_fee_minor=0)
    return house


async def hold(house: House, client: str, session: str = "") -> Booking:
    """A place that waits for its payment."""
    held: Booking = await book(house, session or await house.plan(), Client(name=client), drop_in=True)
    return held


async def paid(
    shop: Shop, house: House, session: str = "", *, total: int = PRICE, code: str = "", **terms: Any
) -> tuple[Booking, Any]:
    """A held place and its purchase, paid and told here."""
    client = await shop.add_client()
    held = await hold(house, client, session)
    option = await shop.sell(0, 0, kind="DROP_IN", **terms)
    purchase = await shop.buy(client, option, total, code, booking=held.name)
    await shop.pay(purchase)
    await shop.tell(await shop.told())
    return held, purchase


async def state_of(house: House, booking: Booking) -> "Booking.State.ValueType":
    state: Booking.State.ValueType = (await house.staff.GetBooking(GetBookingRequest(name=booking.name))).state
    return state


async def refunds_of(shop: Shop, purchase: Purchase) -> list[Refund]:
    listed = await shop.staff.ListRefunds(ListRefundsRequest(parent=shop.name, purchase=purchase.name))
    return list(listed.refunds)


async def test_a_client_pays_a_held_place_and_it_is_earned_when_the_class_begins(shop: Shop, house: House) -> None:
    account = new_id()
    client, person = await shop.add_client(account), shop.as_role(Role.ROLE_CLIENT, account)
    held = await hold(house, client)
    option = await shop.sell(0, 0, kind="DROP_IN", tax_rate=await shop.tax(70_000, inclusive=True))
    quote = await shop.quote(client, option, stub=person, booking=held.name)
    assert (quote.total_minor, quote.tax_minor) == (PRICE, 131)
    purchase = await shop.buy(client, option, PRICE, stub=person, booking=held.name)
    assert (purchase.kind, purchase.booking) == (PricingOption.DROP_IN, held.name)
    await shop.pay(purchase)
    assert await state_of(house, held) == Booking.PENDING_PAYMENT
    # The same events again, and once more: confirmed once.
    await shop.tell_all()
    await shop.tell_all()
    await shop.hear()
    assert (await shop.get(purchase)).state == Purchase.FULFILLED
    assert await state_of(house, held) == Booking.CONFIRMED
    assert await shop.transfers() == {"sold": 1869, "taxed": 131}
    shop.move(days=2)
    await shop.work_off()
    assert (await shop.transfers())["earned"] == 1869
    assert await shop.violations() == {}


async def test_no_bank_that_takes_days_pays_a_place_that_is_held_for_minutes(shop: Shop, house: House) -> None:
    client = await shop.add_client()
    held = await hold(house, client)
    purchase = await shop.buy(client, await shop.sell(0, 0, kind="DROP_IN"), PRICE, booking=held.name)
    refusal = await shop.pay(purchase, "pm_usBankAccount_success")
    assert refusal["error"]["param"] == "payment_method"
    assert (await shop.pay(purchase))["status"] == "succeeded"


async def test_the_reconciler_confirms_what_no_webhook_told(shop: Shop, house: House) -> None:
    client = await shop.add_client()
    held = await hold(house, client)
    option = await shop.sell(2500, 0, kind="DROP_IN")
    purchase = await shop.buy(client, option, 2500, booking=held.name)
    await shop.pay(purchase)
    compared = await shop.reconcile()
    assert (compared.difference_minor, list(compared.differences)) == (0, [])
    assert await state_of(house, held) == Booking.CONFIRMED


@pytest.mark.parametrize("gone", [False, True], ids=["a place is free", "the place is gone"])
async def test_paid_after_the_hold_has_ended(shop: Shop, house: House, gone: bool) -> None:
    session = await house.plan(capacity=1)
    client = await shop.add_client()
    held = await hold(house, client, session)
    purchase = await shop.buy(client, await shop.sell(0, 0, kind="DROP_IN"), PRICE, booking=held.name)
    house.move(minutes=15)
    await expire_holds(house)
    if gone:
        await house.book(session, await house.add_client())
    await shop.hear()
    await shop.pay(purchase)
    await shop.tell_all()
    if not gone:
        assert await state_of(house, held) == Booking.CONFIRMED
        return
    await shop.tell_all()
    told = await shop.get(purchase)
    assert (told.state, told.return_reason, told.refunded_minor) == (Purchase.RETURNED, "PLACE_GONE", PRICE)
    assert await state_of(house, held) == Booking.EXPIRED
    [event] = await shop.payments.events(PurchaseReturned, shop.tenant)
    assert (event.reason, event.total_minor) == ("PLACE_GONE", PRICE)
    assert await shop.transfers() == {"sold": PRICE, "unearned_refunded": PRICE}
    assert await shop.violations() == {}


async def test_given_back_in_time_it_is_refunded_once(shop: Shop, house: House) -> None:
    await shop.promo("LESS", off_minor=500)
    held, purchase = await paid(shop, house, total=1500, code="LESS")
    await shop.work_off()
    assert await redemptions(shop) == 1
    await house.cancel(held)
    for _ in range(2):
        await shop.hear()
        await shop.tell_all()
    told = await shop.get(purchase)
    assert (told.state, told.return_reason, told.refunded_minor) == (Purchase.RETURNED, "CANCELLED", 1500)
    assert [refund.state for refund in await refunds_of(shop, purchase)] == [Refund.SUCCEEDED]
    assert (await redemptions(shop), await shop.violations()) == (0, {})


async def test_given_back_before_we_know_that_it_was_confirmed(
    shop: Shop, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, purchase = await paid(shop, house)
    [intent] = [event for event in await shop.told() if event["type"] == "payment_intent.succeeded"]
    await provider_events.apply(shop.payments.resources, shop.account, intent["id"])
    with monkeypatch.context() as patch:
        patch.setattr(fulfilment, "crashpoint", dies_once("payments_after_confirm"))
        with pytest.raises(Died):
            await fulfilment.fulfil(shop.payments.resources, shop.tenant, last_id(purchase.name))
    await house.cancel(held)
    await shop.hear()
    await shop.tell_all()
    assert (await shop.get(purchase)).refunded_minor == PRICE
    assert await shop.violations() == {}


async def test_given_back_late_it_is_kept_and_earned(shop: Shop, house: House) -> None:
    held, purchase = await paid(shop, house)
    await shop.work_off()
    shop.move(hours=40)
    await house.cancel(held)
    await shop.hear()
    assert (await shop.get(purchase)).state == Purchase.FULFILLED
    assert await shop.transfers() == {"sold": PRICE, "earned": PRICE}
    assert await refunds_of(shop, purchase) == []


@pytest.mark.parametrize("refunded", [True, False], ids=["the money went back", "the money is still here"])
async def test_a_class_that_is_on_again(shop: Shop, house: House, refunded: bool) -> None:
    session = await house.plan()
    held, purchase = await paid(shop, house, session)
    await shop.work_off()
    await house.change(session, 2, cancelled=True)
    await shop.hear(work=refunded)
    await house.change(session, 3, cancelled=False)
    await shop.hear()
    await shop.tell_all()
    told = await shop.get(purchase)
    if refunded:
        assert (told.state, told.refunded_minor) == (Purchase.RETURNED, PRICE)
        assert await state_of(house, held) == Booking.CANCELLED_EARLY
    else:
        assert (told.state, told.refunded_minor) == (Purchase.FULFILLED, 0)
        assert await state_of(house, held) == Booking.CONFIRMED
        assert [refund.failure for refund in await refunds_of(shop, purchase)] == ["PLACE_HELD"]
    assert await shop.violations() == {}


async def test_paid_at_the_desk_meanwhile(shop: Shop, house: House) -> None:
    held, purchase = await paid(shop, house)
    await mark_paid(house, held)
    await shop.work_off()
    await shop.tell_all()
    told = await shop.get(purchase)
    assert (told.state, told.return_reason, told.refunded_minor) == (Purchase.RETURNED, "ALREADY_PAID", PRICE)
    # And before anybody paid by card: nobody can any more.
    client, option = await shop.add_client(), await shop.sell(0, 0, kind="DROP_IN")
    other = await hold(house, client)
    unpaid = await shop.buy(client, option, PRICE, booking=other.name)
    await mark_paid(house, other)
    await shop.hear()
    assert (await shop.get(unpaid)).state == Purchase.CANCELLED
    await refused(shop.buy(client, option, PRICE, booking=other.name), StatusCode.FAILED_PRECONDITION, "ALREADY_PAID")


async def test_what_nobody_got_gives_the_code_back_once(shop: Shop, house: House) -> None:
    promo = await shop.promo("ONCE", off_minor=500, max_redemptions=2, max_per_client=1)
    bought = [await paid(shop, house, total=1500, code="ONCE") for _ in range(2)]
    for event in await shop.told():
        if event["type"] == "payment_intent.succeeded":
            await provider_events.apply(shop.payments.resources, shop.account, event["id"])
    for held, _ in bought:
        await mark_paid(house, held)
    ids = [last_id(purchase.name) for _, purchase in bought]
    async with shop.payments.resources.database.transaction(shop.tenant) as tx:
        # Until two workers at each of them wait for the code, or for one who does.
        await promo_codes.lock(tx, last_id(promo.name))
        work = [fulfilment.fulfil(shop.payments.resources, shop.tenant, each) for each in ids * 2]
        done = asyncio.gather(*work)
        await shop.wait_until_held_up(len(work))
    await done
    assert (await redemptions(shop), await shop.violations()) == (0, {})
    # The same client may use it again. Refunded as a favour, it stays used.
    client, pack = bought[0][1].client, await shop.sell()
    again = await shop.buy(client, pack, 9500, "once")
    await shop.pay(again)
    await shop.tell_all()
    await shop.refund(again, 9500, 10)
    await shop.work_off()
    await refused(shop.quote(client, pack, "once"), StatusCode.FAILED_PRECONDITION, "PROMO_CODE_USED_UP")
    assert (await redemptions(shop), await shop.violations()) == (1, {})


async def test_one_purchase_for_one_place(shop: Shop, house: House) -> None:
    client = await shop.add_client()
    held, option = await hold(house, client), await shop.sell(0, 0, kind="DROP_IN")
    made = await asyncio.gather(
        *(shop.buy(client, option, PRICE, booking=held.name) for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(each, Purchase) for each in made) == 1
    await refused(shop.buy(client, option, PRICE, booking=held.name), StatusCode.FAILED_PRECONDITION, "PURCHASE_EXISTS")


async def test_what_is_refused(shop: Shop, house: House) -> None:
    account = new_id()
    client, other = await shop.add_client(account), await shop.add_client()
    person = shop.as_role(Role.ROLE_CLIENT, account)
    option, pack = await shop.sell(0, 0, kind="DROP_IN"), await shop.sell()
    held, theirs = await hold(house, client), await hold(house, other)
    await refused(shop.quote(client, option), StatusCode.INVALID_ARGUMENT, "BOOKING_MISSING")
    await refused(shop.quote(client, pack, booking=held.name), StatusCode.INVALID_ARGUMENT, "BOOKING_NOT_WANTED")
    await refused(shop.quote(client, option, booking=theirs.name), StatusCode.NOT_FOUND, "NOT_FOUND")
    for name in (theirs.name, f"{shop.name}/bookings/{new_id()}"):
        call = shop.quote(client, option, booking=name, stub=person)
        await refused(call, StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    await house.cancel(held)
    await refused(shop.quote(client, option, booking=held.name), StatusCode.FAILED_PRECONDITION, "PLACE_GONE")
    await refused(shop.sell(0, 3, kind="DROP_IN"), StatusCode.INVALID_ARGUMENT, "TERM_NOT_OF_KIND")
    dearer = shop.buy(other, option, PRICE + 1, booking=theirs.name)
    await refused(dearer, StatusCode.FAILED_PRECONDITION, "PRICE_CHANGED")
