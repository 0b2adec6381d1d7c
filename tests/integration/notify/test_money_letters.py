"""What payments has to say is written: fees that a card did not pay, memberships, lost places, disputes."""

from dataclasses import replace
from datetime import UTC, timedelta
from uuid import UUID

import httpx
import pytest

from powerhouse.booking.v1.booking_pb2 import Booking
from powerhouse.booking.v1.booking_service_pb2 import GetBookingRequest
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.payments.v1 import membership_service_pb2 as pb
from powerhouse.payments.v1.fact_service_pb2 import FeeFacts, GetFeeFactsRequest
from powerhouse.payments.v1.fact_service_pb2_grpc import FactServiceStub
from powerhouse.payments.v1.membership_pb2 import Membership
from powerhouse.payments.v1.purchase_service_pb2 import ListPurchasesRequest, Purchase
from services.chassis.ids import new_id
from services.chassis.rpc.codec import to_timestamp
from services.notify import push_subscriptions, sending
from services.notify.providers.choice import providers_of
from services.notify.providers.push import Subscription
from services.notify.providers.web_push import WebPush
from tests.integration.booking.front_desk import book, expire_holds, mark_paid, rule
from tests.integration.booking.house import last_id
from tests.integration.booking.test_fees import cancel_late, charge, fees, waive
from tests.integration.notify.channels import gate
from tests.integration.notify.test_alerts import owner_of
from tests.integration.notify.test_push import PRIVATE_KEY
from tests.integration.notify.till import Payer, Till, shown
from tests.integration.payments.club import Member, active, period_end
from tests.integration.payments.test_membership_changes import refund

DECLINES = "pm_card_chargeCustomerFail"


async def cancelled(till: Till, payer: Payer, card: str = DECLINES) -> Booking:
    """The client cancels late, of which payments has not heard yet; `card` is the one to be tried."""
    house = till.shop.house()
    await charge(house)
    if card:
        await till.shop.save_card(payer.name, payer.person, card)
    client = client_of(payer)
    await house.grant(client)
    return await cancel_late(house, client)


async def owe(till: Till, payer: Payer, card: str = DECLINES) -> Purchase:
    """The client cancels late, and the card does not pay for it."""
    booking = await cancelled(till, payer, card)
    await till.shop.hear()
    [fee] = [each for each in await bought(till, payer) if each.booking == booking.name]
    return fee


async def hear_of_fee(till: Till, booking: Booking) -> UUID:
    """What booking says of the fee comes to notify; its id."""
    [fee] = await fees(till.shop.house(), client=booking.client)
    fee_id = last_id(fee.name)
    await till.post.carry(till.shop.booking, fee_id)
    return fee_id


def client_of(payer: Payer) -> Client:
    return Client(name=payer.name)


async def bought(till: Till, payer: Payer) -> list[Purchase]:
    wanted = ListPurchasesRequest(parent=till.shop.name, client=payer.name)
    return list((await till.shop.staff.ListPurchases(wanted)).purchases)


async def test_a_declined_fee_is_told_at_first_and_at_last(till: Till) -> None:
    shop, payer = till.shop, await till.payer()
    fee = await owe(till, payer)
    await till.write()
    subject = "We could not charge your card: €5.00, Late cancellation fee"
    assert await till.subjects(payer.email) == [subject]
    [mail] = await till.post.mails(payer.email)
    again = fee.create_time.ToDatetime(UTC) + timedelta(days=1)
    assert f"We try again on {shown(again)}." in mail["text"]
    assert f"/pay?purchase={fee.name}" in mail["text"]
    assert "List-Unsubscribe" in mail["headers"]
    # On screen the client sees it.
    assert "error" in await shop.confirm(await shop.start(fee, payer.person), "pm_card_visa_chargeDeclined")
    for days in (1, 2):
        shop.move(days=days)
        await shop.tell_all()
        await till.write()
    assert await till.subjects(payer.email) == [subject]
    shop.move(days=4)
    await shop.tell_all()
    await till.write()
    assert await till.subjects(payer.email) == [subject] * 2
    assert "The card is not tried again." in (await till.post.mails(payer.email))[0]["text"]


async def test_whatever_is_heard_first_a_fee_that_a_card_is_tried_for_brings_one_mail(till: Till) -> None:
    shop, declined = till.shop, "We could not charge your card: €5.00, Late cancellation fee"
    for first in ("booking", "payments", "booking, long before"):
        payer = await till.payer()
        booking = await cancelled(till, payer)
        if first == "payments":
            await shop.hear()
            await till.write()
        await hear_of_fee(till, booking)
        await till.post.work_off()
        if first == "booking, long before":
            for minutes in (1, 5):
                shop.move(minutes=minutes)
                await till.post.work_off()
        if first != "payments":
            assert await till.subjects(payer.email) == []
            await shop.hear()
            await till.write()
        shop.move(minutes=5)
        await till.write()
        assert await till.subjects(payer.email) == [declined], first
    # Paid at once, it is told by its receipt.
    payer = await till.payer()
    booking = await cancelled(till, payer, "pm_card_visa")
    await shop.hear()
    await hear_of_fee(till, booking)
    shop.move(minutes=1)
    await till.write()
    assert [mail["subject"] for mail in await till.post.mails(payer.email)] == ["Receipt 000001: €5.00"]
    assert await till.skipped("fee_due") == ["a card was tried, of which another mail tells"] * 4


async def test_a_fee_for_which_no_card_is_tried_is_told_after_a_minute(till: Till) -> None:
    shop, payer, unheard = till.shop, await till.payer(), await till.payer()
    fee_id = await hear_of_fee(till, await cancelled(till, payer, ""))
    await shop.hear()
    shop.move(seconds=59)
    await till.write()
    assert await till.post.mails(payer.email) == []
    shop.move(seconds=1)
    await till.write()
    [mail] = await till.post.mails(payer.email)
    assert mail["subject"].startswith("A fee of €5.00: ")
    # Who takes no money here is not waited for.
    facts = shop.payments.as_service(FactServiceStub, "notify")
    nobody = GetFeeFactsRequest(parent=f"studios/{new_id()}", fee_id=str(fee_id))
    assert (await facts.GetFeeFacts(nobody)).charge == FeeFacts.NONE
    # Payments has not heard of it for an hour: it is told all the same.
    await hear_of_fee(till, await cancelled(till, unheard, ""))
    for minutes in (1, 58):
        shop.move(minutes=minutes)
        await till.post.work_off()
        assert await till.post.mails(unheard.email) == []
    shop.move(minutes=5)
    await till.post.work_off()
    [mail] = await till.post.mails(unheard.email)
    assert mail["subject"].startswith("A fee of €5.00: ")


async def test_of_a_fee_that_is_let_go_or_paid_meanwhile_nothing_is_written(till: Till) -> None:
    let_go, paid = await till.payer(), await till.payer()
    owed = [await owe(till, payer) for payer in (let_go, paid)]
    await till.carry()
    house = till.shop.house()
    booking = await house.staff.GetBooking(GetBookingRequest(name=owed[0].booking))
    await waive(house, booking)
    await till.shop.confirm(await till.shop.start(owed[1], paid.person))
    await till.shop.tell_all()
    await till.post.work_off()
    assert sorted(await till.skipped("fee_declined")) == ["the fee is fulfilled", "the fee is waived"]


async def test_a_fee_that_staff_sold_is_for_no_class(till: Till) -> None:
    shop, payer = till.shop, await till.payer()
    await shop.save_card(payer.name, payer.person, DECLINES)
    fee = await shop.buy(payer.name, await shop.sell(700, 0, kind="FEE", display_name="Grip socks"), 700)
    await shop.work_off()
    await till.write()
    [mail] = await till.post.mails(payer.email)
    assert mail["subject"] == "We could not charge your card: €7.00, Grip socks"
    assert f"/pay?purchase={fee.name}" in mail["text"]
    assert "Class:" not in mail["text"]


async def member_of(till: Till, payer: Payer) -> Member:
    return await active(till.shop, stub=payer.person, client=payer.name)


async def test_who_joins_reads_what_it_costs_and_who_cancels_until_when_it_stays(till: Till) -> None:
    shop, payer = till.shop, await till.payer()
    member = await member_of(till, payer)
    await till.write()
    assert await till.subjects(payer.email) == ["Welcome: 8 a month"]
    welcome, end = await till.newest(payer.email, "Welcome"), shown(period_end(await member.get()))
    for said in ("€80.00 every month", f"Renews:      {end}", "two clicks"):
        assert said in welcome["text"]
    # Taken back before it is written: no news.
    await shop.staff.CancelMembership(pb.CancelMembershipRequest(name=member.name))
    await till.carry()
    await shop.staff.KeepMembership(pb.KeepMembershipRequest(name=member.name))
    await till.post.work_off()
    assert await till.skipped("membership_cancelled") == ["the membership is active"]
    await shop.staff.CancelMembership(pb.CancelMembershipRequest(name=member.name))
    await till.write()
    told = await till.newest(payer.email, "Cancelled")
    assert f"it ends on {end}" in told["text"]
    assert f"can be used until {end}" in told["text"]
    # Over as was said.
    await member.renew()
    await till.write()
    assert await till.subjects(payer.email) == ["Welcome: 8 a month", "Cancelled: 8 a month"]


async def test_who_ends_it_at_once_keeps_what_was_paid_unless_it_is_given_back(till: Till) -> None:
    shop, keeper, other = till.shop, await till.payer(), await till.payer()
    kept, given_back = await member_of(till, keeper), await member_of(till, other)
    await shop.staff.CancelMembership(pb.CancelMembershipRequest(name=kept.name, now=True))
    await refund(given_back, 8000)
    await shop.work_off()
    await till.write()
    told = (await till.newest(keeper.email, "Cancelled"))["text"]
    assert "has ended" in told
    assert f"can be used until {shown(period_end(await kept.get()))}" in told
    told = (await till.newest(other.email, "Cancelled"))["text"]
    assert "has ended" in told
    assert "can be used" not in told


async def test_a_renewal_that_is_declined_until_it_has_ended(till: Till) -> None:
    payer = await till.payer()
    member = await member_of(till, payer)
    await till.write()
    await member.keep_card(DECLINES)
    late = await member.renew()
    await till.write()
    told = await till.newest(payer.email, "Not paid: 8 a month, €80.00")
    retry = late.dunning.next_attempt_time.ToDatetime(UTC)
    assert f"We try again on {shown(retry)}." in told["text"]
    assert f"/pay?membership={member.name}" in told["text"]
    # Of two tries of which nobody was told the newer speaks; of what has ended, that alone.
    for _ in range(2):
        late = await member.until(late.dunning.next_attempt_time.ToDatetime(UTC) + timedelta(minutes=1))
    await till.write()
    assert await till.skipped("membership_past_due") == ["the card was tried again, of which another mail tells"]
    over = await member.until(period_end(late) + timedelta(days=30))
    assert over.end_reason == Membership.PAYMENT_FAILED
    await till.write()
    assert await till.subjects(payer.email) == [
        "Welcome: 8 a month",
        *["Not paid: 8 a month, €80.00"] * 2,
        "Ended: 8 a month",
    ]
    assert "nothing is owed" in (await till.newest(payer.email, "Ended"))["text"]


async def browser_of(till: Till, payer: Payer) -> str:
    """A browser that shows what the payer is sent; its address."""
    async with httpx.AsyncClient() as client:
        made = (await client.post(f"{till.post.sandbox}/sandbox/push")).json()
    browser = Subscription(made["endpoint"], **made["keys"])
    async with till.post.notify.resources.database.transaction(till.shop.tenant) as tx:
        await push_subscriptions.add(tx, last_id(payer.name), payer.account, browser, principal="test")
    return browser.endpoint.rpartition("/")[2]


async def test_a_browser_that_listens_shows_what_a_card_did_not_pay(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = WebPush(PRIVATE_KEY, "mailto:studio@north.example", {till.post.sandbox: gate()})
    monkeypatch.setattr(sending, "providers_of", lambda work: replace(providers_of(work), push=provider))
    debtor, payer = await till.payer(), await till.payer()
    debtors, payers = [await browser_of(till, each) for each in (debtor, payer)]
    fee, member = await owe(till, debtor), await member_of(till, payer)
    await till.write()
    [told] = await till.post.mails(debtors)
    assert told["subject"] == "We could not charge your card · Kiez Pilates"
    assert "Late cancellation fee: €5.00 is not paid. Tap to pay now" in told["text"]
    assert told["link"].endswith(f"/pay?purchase={fee.name}")
    await member.keep_card(DECLINES)
    await member.renew()
    await till.write()
    [told] = await till.post.mails(payers)
    assert told["subject"] == "Not paid: 8 a month · Kiez Pilates"
    assert "€80.00 could not be charged. Tap to pay now, or we try again on" in told["text"]
    assert told["link"].endswith(f"/pay?membership={member.name}")


async def test_a_bank_that_asks_and_a_pause(till: Till) -> None:
    shop, payer = till.shop, await till.payer()
    member = await member_of(till, payer)
    await till.write()
    until = period_end(await member.get()) + timedelta(days=5)
    pause = pb.PauseMembershipRequest(name=member.name, resume_time=to_timestamp(until))
    await shop.staff.PauseMembership(pause)
    await till.write()
    assert f"It goes on by itself on {shown(until)}." in (await till.newest(payer.email, "Paused"))["text"]
    await shop.staff.ResumeMembership(pb.ResumeMembershipRequest(name=member.name))
    await till.write()
    charged = shown(period_end(await member.get()))
    assert f"Next charge:  {charged}" in (await till.newest(payer.email, "Goes on"))["text"]
    await member.keep_card("pm_card_authenticationRequired")
    await member.renew()
    await till.write()
    assert "your bank wants to ask you first" in (await till.newest(payer.email, "Not paid"))["text"]
    # Paid before the news of another try leaves.
    late = await member.get()
    await member.until(late.dunning.next_attempt_time.ToDatetime(UTC) + timedelta(minutes=1))
    await till.carry()
    await member.keep_card("pm_card_visa")
    await member.pay()
    await member.listen()
    await till.post.work_off()
    assert await till.skipped("membership_past_due") == ["the membership is active"]


async def test_who_paid_for_a_place_that_is_gone_reads_that_the_money_goes_back(till: Till) -> None:
    shop, house = till.shop, till.shop.house()
    await rule(house, drop_in_price_minor=2000, cancellation_window_minutes=720, late_cancel_fee_minor=0)
    option = await shop.sell(0, 0, kind="DROP_IN")
    lost, kept = await till.payer(), await till.payer()
    purchases = []
    for payer in (lost, kept):
        session = await house.plan(capacity=1)
        held = await book(house, session, client_of(payer), drop_in=True)
        purchases.append(await shop.buy(payer.name, option, 2000, booking=held.name))
        if payer is kept:
            await mark_paid(house, held)
            continue
        house.move(minutes=15)
        await expire_holds(house)
        await house.book(session, await house.add_client())
    for purchase in purchases:
        await shop.pay(purchase)
    await shop.tell_all()
    await till.write()
    [mail] = [mail for mail in await till.post.mails(lost.email) if mail["subject"].startswith("Your money goes back")]
    assert "the place could not be had any more" in mail["text"]
    assert "Amount:  €20.00" in mail["text"]
    assert "stays yours" in (await till.newest(kept.email, "Your money goes back"))["text"]
    # Only who has lost it is told in a hurry.
    assert sorted(await till.skipped("purchase_returned")) == ["no phone number", "the client has the place"]


async def test_owners_read_of_a_dispute_and_how_it_ended(till: Till) -> None:
    shop, owner = till.shop, await owner_of(till.post)
    await shop.bought(card="pm_card_visa")
    paid = next(event for event in await shop.told() if event["type"] == "charge.succeeded")["data"]["object"]["id"]
    dispute = await shop.control("POST", "disputes", {"account": shop.account, "charge": paid, "amount": 4000})
    await shop.tell_all()
    await till.write()
    [mail] = await till.post.mails(owner)
    assert mail["subject"] == "A payment is disputed: €40.00"
    assert "10 classes" in mail["text"]
    [shown_due] = await shop.payments.sql("SELECT due_time FROM disputes WHERE tenant_id = $1", shop.tenant)
    assert f"answer at the payment provider until {shown(shown_due['due_time'])}" in mail["text"]
    await shop.control("POST", f"disputes/{dispute['id']}", {"account": shop.account, "outcome": "won"})
    await shop.tell_all()
    await till.write()
    assert await till.subjects(owner) == ["A payment is disputed: €40.00", "Dispute won: €40.00"]


async def test_a_dispute_that_is_decided_meanwhile_asks_for_no_answer(till: Till) -> None:
    shop, owner = till.shop, await owner_of(till.post)
    await shop.bought(card="pm_card_visa")
    paid = next(event for event in await shop.told() if event["type"] == "charge.succeeded")["data"]["object"]["id"]
    dispute = await shop.control("POST", "disputes", {"account": shop.account, "charge": paid, "amount": 4000})
    await shop.tell_all()
    await till.carry()
    await shop.control("POST", f"disputes/{dispute['id']}", {"account": shop.account, "outcome": "lost"})
    await shop.tell_all()
    await till.write()
    assert await till.subjects(owner) == ["Dispute lost: €40.00"]
    assert await till.skipped("dispute_alert") == ["the dispute is in another state"]
