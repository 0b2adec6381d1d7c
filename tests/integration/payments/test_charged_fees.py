"""Fees: charged once while the client is away, paid by the client where the bank wants that, let go."""

from dataclasses import dataclass
from typing import Any

import pytest
from grpc import StatusCode

from powerhouse.booking.v1.booking_pb2 import Booking
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.payments.v1.catalogue_pb2 import PricingOption
from powerhouse.payments.v1.catalogue_service_pb2 import UpdatePricingOptionRequest
from powerhouse.payments.v1.events_pb2 import FeeChargeDeclined, PaymentFailed, PurchasePaid
from powerhouse.payments.v1.purchase_service_pb2 import ListPurchasesRequest, Purchase, StartPaymentRequest
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from tests.integration.booking.house import House, key, last_id, refused
from tests.integration.booking.test_fees import cancel_late, charge, waive
from tests.integration.payments.house import Shop
from tests.integration.payments.test_crashes import Died, dies_once

FEE = 500


@dataclass
class Late:
    """A client who may cancel late for EUR 5."""

    shop: Shop
    house: House
    client: str
    person: Any

    async def cancel(self) -> Booking:
        """The client cancels late, and payments hears of it."""
        client = Client(name=self.client)
        await self.house.grant(client)
        booking = await cancel_late(self.house, client)
        await self.shop.hear()
        return booking

    async def fees(self, *states: str, stub: Any = None) -> list[Purchase]:
        wanted = ListPurchasesRequest(parent=self.shop.name, kind="FEE", states=states)
        return list((await (stub or self.person).ListPurchases(wanted)).purchases)

    async def charges(self) -> list[bool]:
        """Whether each try to take money came through, in order."""
        kinds = [event["type"] for event in await self.shop.told()]
        return [kind == "charge.succeeded" for kind in kinds if kind in ("charge.succeeded", "charge.failed")]


@pytest.fixture
async def late(shop: Shop) -> Late:
    account = new_id()
    house = shop.house()
    await charge(house, FEE)
    return Late(shop, house, await shop.add_client(account), shop.as_role(Role.ROLE_CLIENT, account))


async def test_the_default_card_is_charged_once(late: Late) -> None:
    shop = late.shop
    await shop.save_card(late.client, late.person)
    booking = await late.cancel()
    [fee] = await late.fees()
    assert (fee.state, fee.quote.total_minor, fee.quote.display_name) == (
        Purchase.FULFILLED,
        FEE,
        "Late cancellation fee",
    )
    assert fee.booking == booking.name
    # Told again and late, and a month of the schedule.
    await shop.hear()
    shop.move(days=30)
    await shop.tell_all()
    assert await late.charges() == [True]
    assert await shop.transfers() == {"sold": FEE, "earned": FEE}
    assert len(await shop.payments.events(PurchasePaid, shop.tenant)) == 1
    assert (await shop.reconcile()).difference_minor == 0
    assert await shop.violations() == {}


async def test_a_worker_dies_after_the_charge(late: Late, monkeypatch: pytest.MonkeyPatch) -> None:
    from services.payments import payments

    await late.shop.save_card(late.client, late.person)
    monkeypatch.setattr(payments, "crashpoint", dies_once("payments_after_charge"))
    with pytest.raises(Died):
        await late.cancel()
    await late.shop.payments.sql(
        "UPDATE jobs SET state = 'queued', lease_until = NULL, lease_token = NULL WHERE state = 'running'"
    )
    await late.shop.work_off()
    [fee] = await late.fees()
    assert fee.state == Purchase.FULFILLED
    assert await late.charges() == [True]


@pytest.mark.parametrize("fault", ["done_then_500", "reject_close"])
async def test_bad_weather_at_the_provider_charges_once(late: Late, fault: str) -> None:
    await late.shop.save_card(late.client, late.person)
    await late.shop.misbehave(fault, "confirm$", 1)
    await late.cancel()
    [fee] = await late.fees()
    assert (fee.state, await late.charges()) == (Purchase.FULFILLED, [True])


@pytest.mark.parametrize(
    ("card", "code"),
    [("pm_card_authenticationRequired", "authentication_required"), ("pm_card_chargeCustomerFail", "card_declined")],
)
async def test_what_the_bank_does_not_give_the_client_pays_by_the_same_intent(late: Late, card: str, code: str) -> None:
    shop = late.shop
    answer = await shop.save_card(late.client, late.person, card)
    if answer["status"] == "requires_action":
        await shop.authenticate(answer)
        await shop.tell_all()
    await late.cancel()
    [fee] = await late.fees("OPEN")
    [attempt] = fee.attempts
    assert (attempt.succeeded, attempt.code) == (False, code)
    assert await late.fees("OPEN", stub=shop.staff) == [fee]
    assert len(await shop.payments.events(PaymentFailed, shop.tenant)) == 1
    # The client may neither give it up nor be spared by staff here.
    await refused(shop.cancel(fee, late.person), StatusCode.FAILED_PRECONDITION, "FOR_STAFF_ONLY")
    await refused(shop.cancel(fee), StatusCode.FAILED_PRECONDITION, "WAIVE_INSTEAD")
    if code == "authentication_required":
        [saved] = await shop.cards(late.client, late.person)
        wanted = StartPaymentRequest(name=fee.name, payment_method=saved.name)
        await shop.authenticate(await shop.confirm(await late.person.StartPayment(wanted), card=""))
    else:
        await shop.confirm(await shop.start(fee, late.person))
    await shop.tell_all()
    shop.move(days=30)
    await shop.tell_all()
    assert (await shop.get(fee)).state == Purchase.FULFILLED
    intents = [event for event in await shop.told() if event["type"] == "payment_intent.created"]
    assert (len(intents), await late.charges()) == (1, [False, True])
    assert await shop.violations() == {}


async def test_a_try_that_the_client_does_not_see_is_told_and_so_is_the_last(late: Late) -> None:
    shop = late.shop
    await shop.save_card(late.client, late.person, "pm_card_chargeCustomerFail")
    await late.cancel()
    [fee] = await late.fees("OPEN")
    # Declined on screen: the client knows.
    assert "error" in await shop.confirm(await shop.start(fee, late.person), "pm_card_visa_chargeDeclined")
    await shop.tell_all()
    told = await shop.payments.events(FeeChargeDeclined, shop.tenant)
    assert [(each.purchase_id, each.fee_id, each.last) for each in told] == [
        (str(last_id(fee.name)), str(last_id(fee.fee)), False)
    ]
    for days in (1, 2, 4):
        shop.move(days=days)
        await shop.tell_all()
    told = await shop.payments.events(FeeChargeDeclined, shop.tenant)
    assert [each.last for each in told] == [False, False, False, True]


async def test_without_a_card_it_is_open_until_the_schedule_finds_one(late: Late) -> None:
    shop = late.shop
    await late.cancel()
    [fee] = await late.fees("OPEN")
    assert list(fee.attempts) == []
    shop.move(days=1)
    await shop.work_off()
    await shop.save_card(late.client, late.person)
    assert (await shop.get(fee)).state == Purchase.OPEN
    shop.move(days=2)
    await shop.tell_all()
    assert (await shop.get(fee)).state == Purchase.FULFILLED
    assert await late.charges() == [True]


@pytest.mark.parametrize("paid", [False, True], ids=["before it is paid", "after"])
async def test_a_fee_that_is_waived(late: Late, paid: bool) -> None:
    shop = late.shop
    if paid:
        await shop.save_card(late.client, late.person)
    booking = await late.cancel()
    await waive(late.house, booking)
    await shop.hear()
    await shop.tell_all()
    [fee] = await late.fees()
    if paid:
        assert (fee.state, fee.return_reason, fee.refunded_minor) == (Purchase.RETURNED, "WAIVED", FEE)
        moved = await shop.transfers()
        assert (moved["earned"], moved["earned_refunded"]) == (FEE, FEE)
    else:
        assert fee.state == Purchase.CANCELLED
        await shop.save_card(late.client, late.person)
        shop.move(days=30)
        await shop.tell_all()
    assert await late.charges() == ([True] if paid else [])
    assert await shop.violations() == {}


async def test_a_fee_that_was_waived_before_we_heard_of_it(late: Late) -> None:
    await late.shop.save_card(late.client, late.person)
    await late.house.grant(Client(name=late.client))
    await waive(late.house, await cancel_late(late.house, Client(name=late.client)))
    # The younger word comes first.
    await late.shop.hear()
    assert (await late.fees(), await late.charges()) == ([], [])


async def test_the_studio_taxes_its_fees(late: Late) -> None:
    shop = late.shop
    await late.cancel()
    [first] = await late.fees()
    option = PricingOption(name=first.pricing_option, display_name="Too late", tax_rate=await shop.tax(190_000))
    await shop.staff.UpdatePricingOption(UpdatePricingOptionRequest(pricing_option=option, request_id=key()))
    await late.cancel()
    newer, _ = await late.fees()
    # What the client was told it costs, with the tax in it.
    assert (newer.quote.total_minor, newer.quote.tax_minor, newer.quote.display_name) == (FEE, 80, "Too late")


async def test_staff_charge_a_fee_for_equipment(late: Late) -> None:
    shop = late.shop
    await shop.save_card(late.client, late.person)
    await shop.buy(late.client, await shop.sell(1200, 0, kind="FEE", display_name="Lost socks"), 1200)
    await shop.work_off()
    [fee] = await late.fees()
    assert (fee.state, fee.quote.total_minor, await late.charges()) == (Purchase.FULFILLED, 1200, [True])


async def test_a_studio_that_is_no_merchant_charges_nobody(stranger: Shop) -> None:
    house = stranger.house()
    await charge(house, FEE)
    await cancel_late(house, await house.add_client())
    await stranger.hear()
    [job] = await stranger.payments.sql("SELECT state FROM jobs WHERE kind = 'settle_fee'")
    assert job["state"] == "cancelled"
