"""Giving money back: what is revoked is said first, and money and credits end together."""

import asyncio

import pytest
from grpc import StatusCode
from sqlalchemy import text

from powerhouse.booking.v1 import booking_service_pb2
from powerhouse.booking.v1.events_pb2 import ClientErased
from powerhouse.payments.v1.events_pb2 import PaymentRefunded
from powerhouse.payments.v1.refund_service_pb2 import Refund
from services.booking.service import SERVICE as BOOKING
from services.chassis.messaging import inbox
from services.chassis.messaging.envelope import COLUMNS, Envelope
from services.payments.consumers import consumers
from tests.integration.booking.house import House, envelope, key, last_id, outcome, refused
from tests.integration.payments.house import Shop

assert BOOKING.name == "booking"


async def carry(shop: Shop) -> None:
    """Booking's events of the studio reach payments."""
    rows = await shop.booking.sql(f"SELECT {COLUMNS} FROM outbox WHERE tenant_id = $1 ORDER BY random()", shop.tenant)
    await inbox.apply(shop.payments.resources.database, consumers, [Envelope.of_row(row) for row in rows])


async def use(shop: Shop, client: str, count: int) -> None:
    """The client books so many classes."""
    house = House(shop.booking, shop.tenant, shop.booker)
    for session in await house.plan_many(count):
        wanted = booking_service_pb2.NewBooking(class_session=session, client=client)
        await shop.booker.CreateBooking(
            booking_service_pb2.CreateBookingRequest(parent=shop.name, booking=wanted, request_id=key())
        )


async def test_a_full_refund_revokes_all_that_is_left(shop: Shop) -> None:
    option = await shop.sell(10_000, tax_rate=await shop.tax())
    purchase = await shop.buy(await shop.add_client(), option, 11_900)
    await shop.pay(purchase)
    await shop.tell_all()
    shown = await shop.preview(purchase)
    assert (shown.amount_minor, shown.tax_minor, shown.credits_revoked, shown.credits_left) == (11_900, 1900, 10, 10)
    refund = await shop.refund(purchase, 11_900, 10)
    assert refund.state == Refund.REQUESTED
    await shop.work_off()
    done = await shop.get_refund(refund)
    assert (done.state, done.tax_minor) == (Refund.SUCCEEDED, 1900)
    assert (await shop.get(purchase)).refunded_minor == 11_900
    [package] = await shop.packages(purchase.client)
    assert package.credits_left == 0
    moved = await shop.transfers()
    assert (moved["tax_refunded"], moved["unearned_refunded"]) == (1900, 10_000)
    [event] = await shop.payments.events(PaymentRefunded, shop.tenant)
    assert (event.amount_minor, event.refunded_minor) == (11_900, 11_900)
    # What the provider tells of it later is known.
    await shop.tell_all()
    assert await shop.transfers() == moved
    assert await shop.violations() == {}
    await refused(shop.preview(purchase), StatusCode.FAILED_PRECONDITION, "ABOVE_REST")


async def test_what_was_used_is_earned_and_stays_earned(shop: Shop) -> None:
    purchase = await shop.bought(10_000, 10)
    await use(shop, purchase.client, 4)
    await carry(shop)
    assert (await shop.transfers())["earned"] == 4000
    shown = await shop.preview(purchase, 3000)
    assert (shown.credits_revoked, shown.rest_minor, shown.credits_left) == (3, 10_000, 6)
    await shop.refund(purchase, 3000, 3)
    await shop.work_off()
    await carry(shop)
    [package] = await shop.packages(purchase.client)
    assert package.credits_left == 3
    # All the rest: three credits are left, the rest of the money was earned.
    shown = await shop.preview(purchase)
    assert (shown.amount_minor, shown.credits_revoked) == (7000, 3)
    await shop.refund(purchase, 7000, 3)
    await shop.work_off()
    await carry(shop)
    moved = await shop.transfers()
    assert (moved["sold"], moved["earned"]) == (10_000, 4000)
    assert (moved["unearned_refunded"], moved["earned_refunded"]) == (6000, 4000)
    assert await shop.violations() == {}


async def test_more_than_is_left_is_refused_also_at_once(shop: Shop) -> None:
    purchase = await shop.bought()
    await refused(shop.refund(purchase, 10_001, 10), StatusCode.FAILED_PRECONDITION, "ABOVE_REST")
    await refused(shop.refund(purchase, 10_000, 9), StatusCode.FAILED_PRECONDITION, "PREVIEW_OUTDATED")
    held = text("SELECT FROM payments WHERE tenant_id = :tenant FOR UPDATE")
    async with shop.payments.resources.database.transaction(shop.tenant) as tx:
        # Until each has weighed the refund, or waits for one that does.
        await tx.session.execute(held, {"tenant": shop.tenant})
        asked = [asyncio.create_task(outcome(shop.refund(purchase, 6000, 6))) for _ in range(3)]
        await shop.wait_until_held_up(3)
    assert (await asyncio.gather(*asked)).count("ABOVE_REST") == 2
    await shop.work_off()
    assert (await shop.get(purchase)).refunded_minor == 6000
    assert await shop.violations() == {}


async def test_credits_used_meanwhile_stop_the_refund(shop: Shop) -> None:
    purchase = await shop.bought(10_000, 2)
    refund = await shop.refund(purchase, 10_000, 2)
    await use(shop, purchase.client, 1)
    await shop.work_off()
    failed = await shop.get_refund(refund)
    assert (failed.state, failed.failure) == (Refund.FAILED, "CREDITS_USED")
    [package] = await shop.packages(purchase.client)
    assert package.credits_left == 1
    assert (await shop.preview(purchase)).rest_minor == 10_000
    assert not any(event["type"].startswith("refund.") for event in await shop.told())
    assert await shop.violations() == {}


async def test_a_refund_that_the_bank_gives_back_restores_the_credits(shop: Shop) -> None:
    purchase = await shop.bought()
    refund = await shop.refund(purchase, 10_000, 10)
    await shop.work_off()
    made = next(event for event in await shop.told() if event["type"] == "refund.created")
    await shop.control("POST", f"refunds/{made['data']['object']['id']}/fail", {"account": shop.account})
    await shop.tell_all()
    assert (await shop.get_refund(refund)).state == Refund.FAILED
    [package] = await shop.packages(purchase.client)
    assert package.credits_left == 10
    assert (await shop.get(purchase)).refunded_minor == 0
    await carry(shop)
    assert await shop.violations() == {}


async def test_a_refund_made_at_the_provider_is_in_the_books(shop: Shop) -> None:
    import stripe

    from tests.integration.payments.house import API_KEY

    purchase = await shop.bought()
    intent = next(e for e in await shop.told() if e["type"] == "payment_intent.succeeded")["data"]["object"]["id"]
    client = stripe.StripeClient(API_KEY, base_addresses={"api": shop.sandbox}, http_client=stripe.HTTPXClient())
    wanted: stripe.params.RefundCreateParams = {"payment_intent": intent, "amount": 2500}
    await client.v1.refunds.create_async(wanted, {"stripe_account": shop.account})
    await shop.tell_all()
    await shop.tell_all()
    assert (await shop.get(purchase)).refunded_minor == 2500
    assert (await shop.preview(purchase)).rest_minor == 7500
    assert await shop.violations() == {}


@pytest.mark.parametrize("fault", ["done_then_500", "done_then_close", "reject_500", "reject_429"])
async def test_bad_weather_at_the_provider_makes_one_refund(shop: Shop, fault: str) -> None:
    purchase = await shop.bought()
    await shop.misbehave(fault, path="/v1/refunds", times=2)
    refund = await shop.refund(purchase, 10_000, 10)
    await shop.work_off()
    await shop.tell_all()
    assert (await shop.get_refund(refund)).state == Refund.SUCCEEDED
    assert sum(event["type"] == "refund.created" for event in await shop.told()) == 1
    assert await shop.violations() == {}


async def test_what_was_written_about_a_client_goes_with_the_client(shop: Shop) -> None:
    purchase, other = await shop.bought(), await shop.bought()
    refund, others = await shop.refund(purchase, 4000, 4), await shop.refund(other, 4000, 4)
    await shop.work_off()
    assert (await shop.get_refund(refund)).reason == "moved away"
    erased = ClientErased(client_id=str(last_id(purchase.client)))
    told = [envelope(erased, shop.tenant, last_id(purchase.client), 2)]
    await inbox.apply(shop.payments.resources.database, consumers, told)
    forgotten = await shop.get_refund(refund)
    assert (forgotten.reason, forgotten.state, forgotten.amount_minor) == ("", Refund.SUCCEEDED, 4000)
    assert (await shop.get_refund(others)).reason == "moved away"
    assert await shop.violations() == {}
