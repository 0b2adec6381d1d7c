"""Memberships that end, pause or change their plan: what was shown is what happens."""

from datetime import UTC, timedelta
from typing import Any

import pytest
from grpc import StatusCode
from grpc.aio import AioRpcError

from powerhouse.booking.v1.client_package_pb2 import ClientPackage
from powerhouse.booking.v1.events_pb2 import ClientErased
from powerhouse.payments.v1 import membership_service_pb2 as pb
from powerhouse.payments.v1 import refund_service_pb2
from powerhouse.payments.v1.catalogue_pb2 import PricingOption
from powerhouse.payments.v1.membership_pb2 import Membership
from powerhouse.payments.v1.payment_method_service_pb2 import DetachPaymentMethodRequest, PaymentMethod
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from services.chassis.messaging import inbox
from services.chassis.rpc.codec import to_timestamp
from services.payments.consumers import consumers
from tests.integration.booking.house import envelope, key, last_id, refused
from tests.integration.payments.club import DRAFT, Member, active, joined, news, period_end, plan
from tests.integration.payments.house import Shop
from tests.integration.payments.test_refunds import use
from tests.support.services import metadata_of, reason_of


def cancel(member: Member, *, now: bool = False, etag: str = "", stub: Any = None) -> Any:
    wanted = pb.CancelMembershipRequest(name=member.name, now=now, etag=etag)
    return (stub or member.shop.staff).CancelMembership(wanted)


def keep(member: Member) -> Any:
    return member.shop.staff.KeepMembership(pb.KeepMembershipRequest(name=member.name))


def preview(member: Member, option: str) -> Any:
    return member.shop.staff.PreviewPlanChange(pb.PreviewPlanChangeRequest(name=member.name, pricing_option=option))


def change(member: Member, shown: pb.PlanChange) -> Any:
    return member.shop.staff.ChangePlan(
        pb.ChangePlanRequest(
            name=member.name,
            pricing_option=shown.pricing_option,
            due_minor=shown.due_minor,
            quote_time=shown.quote_time,
        )
    )


def refund_preview(member: Member) -> Any:
    return member.shop.staff.PreviewMembershipRefund(pb.PreviewMembershipRefundRequest(name=member.name))


def refund(member: Member, amount: int) -> Any:
    return member.shop.staff.RefundMembership(
        pb.RefundMembershipRequest(name=member.name, refund_minor=amount, reason="moved away", request_id=key())
    )


async def middle(member: Member) -> None:
    """Half of the running interval is over."""
    seen = await member.get()
    start, end = seen.period_start_time.ToDatetime(UTC), period_end(seen)
    await member.until((start + (end - start) / 2).replace(microsecond=0))


async def test_it_ends_with_the_interval_unless_one_changes_ones_mind(shop: Shop) -> None:
    account = new_id()
    client, person = await shop.add_client(account), shop.as_role(Role.ROLE_CLIENT, account)
    member = await active(shop, stub=person, client=client)
    leaving = await cancel(member, stub=person)
    assert (leaving.state, leaving.cancel_at_period_end) == (Membership.ACTIVE, True)
    await refused(cancel(member, etag="1"), StatusCode.ABORTED, "ETAG_MISMATCH")
    assert not (await keep(member)).cancel_at_period_end
    assert (await member.renew()).state == Membership.ACTIVE
    await cancel(member, stub=person)
    over = await member.renew()
    assert (over.state, over.end_reason) == (Membership.ENDED, Membership.CANCELLED)
    await member.until(period_end(over) + timedelta(days=40))
    assert await member.counts() == (2, 2)
    await refused(keep(member), StatusCode.FAILED_PRECONDITION, "MEMBERSHIP_ENDED")
    # Once more is no harm.
    assert (await cancel(member)).state == Membership.ENDED
    assert await news(shop) == ["JOINED", "CANCELLED", "CANCELLED"]
    assert await shop.violations() == {}


async def test_it_ends_now_and_what_was_paid_stays(shop: Shop) -> None:
    member = await active(shop)
    assert (await cancel(member, now=True)).state == Membership.ENDED
    [package] = await shop.packages(member.client)
    assert (package.credits_left, package.HasField("revoke_time")) == (8, False)
    await member.until(period_end(await member.get()) + timedelta(days=40))
    assert await member.counts() == (1, 1)


async def test_cancelling_what_is_drawn_up_or_past_due_charges_nothing_more(shop: Shop) -> None:
    drawn_up, late = await active(shop), await active(shop)
    await drawn_up.until(period_end(await drawn_up.get()) + timedelta(minutes=30))
    assert (await cancel(drawn_up)).state == Membership.ENDED
    await drawn_up.until(period_end(await drawn_up.get()) + DRAFT)
    # Its bank wants to ask.
    await late.keep_card("pm_card_authenticationRequired")
    assert [each.code for each in (await late.renew()).dunning.attempts] == ["authentication_required"]
    session = await late.start()
    assert (await cancel(late)).state == Membership.ENDED
    assert "error" in await shop.confirm(session)
    await late.until(period_end(await late.get()) + timedelta(days=20))
    assert [event["type"] for event in await shop.told()].count("charge.succeeded") == 2
    assert await shop.violations() == {}


async def test_a_pause_charges_and_grants_nothing_until_it_is_over(shop: Shop) -> None:
    member = await active(shop)
    first_end = period_end(await member.get())
    resume_time = to_timestamp(first_end + timedelta(days=5))
    late = pb.PauseMembershipRequest(name=member.name, resume_time=member.membership.create_time)
    await refused(shop.staff.PauseMembership(late), StatusCode.INVALID_ARGUMENT, "RESUME_TIME_PAST")
    paused = await shop.staff.PauseMembership(pb.PauseMembershipRequest(name=member.name, resume_time=resume_time))
    assert (paused.state, paused.resume_time) == (Membership.PAUSED, resume_time)
    assert (await member.until(first_end + DRAFT)).state == Membership.PAUSED
    assert await member.counts() == (1, 1)
    resumed = await member.until(first_end + timedelta(days=6))
    assert resumed.state == Membership.ACTIVE
    await member.renew()
    assert await member.counts() == (2, 2)
    await shop.staff.PauseMembership(pb.PauseMembershipRequest(name=member.name))
    back = await shop.staff.ResumeMembership(pb.ResumeMembershipRequest(name=member.name))
    assert back.state == Membership.ACTIVE
    await member.renew()
    assert await member.counts() == (3, 3)
    assert await news(shop) == ["JOINED", "PAUSED", "RESUMED", "PAUSED", "RESUMED"]
    assert await shop.violations() == {}


async def test_a_dearer_plan_begins_at_once_and_costs_what_was_shown(shop: Shop) -> None:
    member, more = await active(shop), await plan(shop, 12_000, 12)
    await middle(member)
    shown = await preview(member, more)
    assert (shown.due_minor, shown.credits, shown.effective_time) == (2000, 2, shown.quote_time)
    await refused(
        change(member, pb.PlanChange(pricing_option=more, due_minor=1999, quote_time=shown.quote_time)),
        StatusCode.FAILED_PRECONDITION,
        "PREVIEW_OUTDATED",
    )
    await member.keep_card("pm_card_chargeCustomerFail")
    await refused(change(member, shown), StatusCode.FAILED_PRECONDITION, "PAYMENT_DECLINED")
    assert (await member.get()).pricing_option == member.plan
    await member.keep_card("pm_card_visa")
    # A minute later it costs the same.
    shop.move(minutes=1)
    changed = await change(member, shown)
    assert (changed.state, changed.pricing_option, changed.quote.total_minor) == (Membership.ACTIVE, more, 12_000)
    await member.listen()
    assert sorted(each.credits_granted for each in await shop.packages(member.client)) == [2, 8]
    newest, _ = await member.purchases()
    assert (newest.quote.total_minor, newest.quote.credits) == (2000, 2)
    await refused(preview(member, more), StatusCode.FAILED_PRECONDITION, "ALREADY_ON_PLAN")
    await member.renew()
    assert (await member.purchases())[0].quote.total_minor == 12_000
    assert await shop.violations() == {}


async def test_any_other_plan_begins_with_the_next_interval(shop: Shop) -> None:
    member, less = await active(shop), await plan(shop, 4000, 4)
    await middle(member)
    shown = await preview(member, less)
    assert (shown.due_minor, shown.credits) == (0, 0)
    assert shown.effective_time.ToDatetime(UTC) == period_end(await member.get())
    changed = await change(member, shown)
    assert (changed.pricing_option, changed.next_pricing_option) == (member.plan, less)
    more = await plan(shop, 12_000, 0, unlimited=True)
    await refused(preview(member, more), StatusCode.FAILED_PRECONDITION, "CHANGE_PENDING")
    yearly = await plan(shop, 50_000, 100, interval=PricingOption.YEAR)
    await refused(preview(member, yearly), StatusCode.FAILED_PRECONDITION, "INTERVAL_DIFFERS")
    await refused(preview(member, await shop.sell()), StatusCode.FAILED_PRECONDITION, "NOT_A_MEMBERSHIP")
    # Taken back, and done after all.
    assert (await change(member, await preview(member, member.plan))).next_pricing_option == ""
    await change(member, await preview(member, less))
    renewed = await member.renew()
    assert (renewed.pricing_option, renewed.next_pricing_option) == (less, "")
    assert [each.quote.total_minor for each in await member.purchases()] == [4000, 8000]
    assert await shop.violations() == {}


@pytest.mark.parametrize("unlimited", [False, True])
async def test_a_refund_gives_back_what_is_unused(shop: Shop, unlimited: bool) -> None:
    option = await plan(shop, 12_000, 0, unlimited=True) if unlimited else ""
    member = await active(shop, option, 12_000 if unlimited else 8000)
    await use(shop, member.client, 2)
    await middle(member)
    shown = await refund_preview(member)
    assert shown.refund_minor == 6000
    await refused(refund(member, 6001), StatusCode.FAILED_PRECONDITION, "PREVIEW_OUTDATED")
    await refund(member, 6000)
    await shop.work_off()
    over = await member.get()
    assert (over.state, over.end_reason) == (Membership.ENDED, Membership.CANCELLED)
    [package] = await shop.packages(member.client)
    assert (package.kind, package.credits_left, package.HasField("revoke_time")) == (
        ClientPackage.UNLIMITED if unlimited else ClientPackage.MEMBERSHIP,
        0,
        True,
    )
    assert await member.deferred() == 0
    listed = await shop.staff.ListRefunds(refund_service_pb2.ListRefundsRequest(parent=shop.name))
    assert [(each.state, each.amount_minor) for each in listed.refunds] == [(refund_service_pb2.Refund.SUCCEEDED, 6000)]
    await member.until(period_end(over) + DRAFT)
    assert await member.counts() == (1, 1)
    assert await shop.violations() == {}
    await refused(refund_preview(member), StatusCode.FAILED_PRECONDITION, "MEMBERSHIP_ENDED")
    assert await news(shop) == ["JOINED", "CANCELLED"]


async def test_another_card_continues_it_at_once(shop: Shop) -> None:
    account, other_account = new_id(), new_id()
    client, person = await shop.add_client(account), shop.as_role(Role.ROLE_CLIENT, account)
    other, stranger = await shop.add_client(other_account), shop.as_role(Role.ROLE_CLIENT, other_account)
    member = await active(shop, stub=person, client=client)
    [first] = await shop.cards(client, person)
    assert (await member.get()).card == Membership.Card(payment_method=first.name, brand="visa", last4="4242")
    await member.keep_card("pm_card_chargeCustomerFail")
    late = await member.renew()
    assert (late.state, late.card.last4) == (Membership.PAST_DUE, "0341")
    for who, whose, brand in ((person, client, "pm_card_mastercard"), (stranger, other, "pm_card_amex")):
        await shop.save_card(whose, who, brand)
    [card] = [each for each in await shop.cards(client, person) if each.brand == "mastercard"]
    [foreign] = await shop.cards(other, stranger)
    not_mine = pb.SetMembershipCardRequest(name=member.name, payment_method=foreign.name)
    await refused(person.SetMembershipCard(not_mine), StatusCode.NOT_FOUND, "NOT_FOUND")
    paid = await person.SetMembershipCard(pb.SetMembershipCardRequest(name=member.name, payment_method=card.name))
    assert (paid.state, paid.card.payment_method) == (Membership.ACTIVE, card.name)
    # Who pays sees until when the card is good.
    assert (paid.card.expire_month, paid.card.expire_year) == (card.expire_month, card.expire_year) != (0, 0)
    await member.listen()
    assert (await member.card(), await member.counts()) == ("mastercard", (2, 2))
    # A card that takes the place of another does so here too.
    await shop.save_card(client, person, "pm_card_visa", replaces=card.name)
    assert await member.card() == "visa"
    renewed = await member.renew()
    assert renewed.state == Membership.ACTIVE
    assert renewed.card.payment_method in [each.name for each in await shop.cards(client, person)]
    assert await shop.violations() == {}


async def test_a_card_is_not_taken_back_while_a_membership_is_charged_to_it(shop: Shop) -> None:
    account = new_id()
    client, person = await shop.add_client(account), shop.as_role(Role.ROLE_CLIENT, account)
    member = await joined(shop, stub=person, client=client)
    await member.pay()

    def detach(card: PaymentMethod) -> Any:
        return person.DetachPaymentMethod(DetachPaymentMethodRequest(name=card.name))

    # Also while no webhook has told us.
    [visa] = await shop.cards(client, person)
    with pytest.raises(AioRpcError) as refusal:
        await detach(visa)
    assert (reason_of(refusal.value), metadata_of(refusal.value)) == ("CARD_IN_USE", {"memberships": member.name})
    await member.listen()
    await shop.save_card(client, person, "pm_card_mastercard")
    [mastercard] = [each for each in await shop.cards(client, person) if each.brand == "mastercard"]
    await person.SetMembershipCard(pb.SetMembershipCardRequest(name=member.name, payment_method=mastercard.name))
    await detach(visa)
    await refused(detach(mastercard), StatusCode.FAILED_PRECONDITION, "CARD_IN_USE")
    # Who has cancelled is charged no more.
    assert (await cancel(member)).card.brand == "mastercard"
    await detach(mastercard)
    await member.listen()
    assert not (await member.get()).HasField("card")
    # A bank account is none of the saved cards.
    await member.keep_card("pm_usBankAccount_success")
    await member.listen()
    assert (await member.get()).card == Membership.Card(brand="us_bank_account", last4="6789")


async def test_who_is_erased_is_charged_no_more(shop: Shop) -> None:
    member = await active(shop)
    erased = last_id(member.client)
    event = envelope(ClientErased(client_id=str(erased)), shop.tenant, erased, 2)
    await inbox.apply(shop.payments.resources.database, consumers, [event])
    await shop.work_off()
    over = await member.get()
    assert (over.state, over.HasField("card")) == (Membership.ENDED, False)


async def test_only_the_owner_of_a_membership_changes_it(shop: Shop) -> None:
    account = new_id()
    await shop.add_client(account)
    stranger, member = shop.as_role(Role.ROLE_CLIENT, account), await joined(shop)
    for call in (
        stranger.CancelMembership(pb.CancelMembershipRequest(name=member.name, now=True)),
        stranger.KeepMembership(pb.KeepMembershipRequest(name=member.name)),
        stranger.PauseMembership(pb.PauseMembershipRequest(name=member.name)),
        stranger.ResumeMembership(pb.ResumeMembershipRequest(name=member.name)),
        stranger.PreviewPlanChange(pb.PreviewPlanChangeRequest(name=member.name, pricing_option=member.plan)),
    ):
        await refused(call, StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    paused = pb.PauseMembershipRequest(name=member.name)
    await refused(shop.staff.PauseMembership(paused), StatusCode.FAILED_PRECONDITION, "NOT_ACTIVE")
    await refused(refund_preview(member), StatusCode.FAILED_PRECONDITION, "NOT_PAID")
    assert (await cancel(member)).end_reason == Membership.NEVER_PAID
