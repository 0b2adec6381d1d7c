"""Memberships: joined, renewed, past due, ended; each paid invoice grants once."""

import asyncio
import random
from datetime import UTC, timedelta
from typing import Any

import pytest
from grpc import StatusCode
from sqlalchemy import event

from powerhouse.booking.v1.client_package_pb2 import ClientPackage
from powerhouse.payments.v1 import membership_service_pb2 as pb
from powerhouse.payments.v1.catalogue_pb2 import PricingOption
from powerhouse.payments.v1.events_pb2 import MembershipChanged
from powerhouse.payments.v1.membership_pb2 import Membership
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from tests.integration.booking.house import refused
from tests.integration.payments.club import DRAFT, active, join, joined, news, period_end, plan
from tests.integration.payments.house import Shop
from tests.integration.payments.test_refunds import use


async def test_a_client_joins(shop: Shop) -> None:
    account = new_id()
    client, person = await shop.add_client(account), shop.as_role(Role.ROLE_CLIENT, account)
    option = await plan(shop, 8000, 8, tax_rate=await shop.tax())
    quote = await shop.quote(client, option, stub=person)
    assert (quote.net_minor, quote.tax_minor, quote.total_minor, quote.credits) == (8000, 1520, 9520, 8)
    member = await joined(shop, option, 9520, stub=person, client=client)
    made = member.membership
    assert (made.state, made.quote, made.interval) == (Membership.PENDING, quote, PricingOption.MONTH)
    await refused(shop.buy(client, option, 9520), StatusCode.FAILED_PRECONDITION, "IS_A_MEMBERSHIP")
    assert (await member.pay())["status"] == "succeeded"
    await member.listen()
    paid = await member.get()
    assert paid.state == Membership.ACTIVE
    [package] = await shop.packages(client)
    assert (package.kind, package.credits_left) == (ClientPackage.MEMBERSHIP, 8)
    assert package.expire_time.ToDatetime(UTC) > period_end(paid)
    assert await shop.transfers() == {"sold": 8000, "taxed": 1520}
    [purchase] = await member.purchases()
    assert (purchase.kind, purchase.client_package) == (PricingOption.MEMBERSHIP, package.name)
    assert await shop.violations() == {}
    await refused(join(shop, client, option, 9520), StatusCode.FAILED_PRECONDITION, "ALREADY_MEMBER")
    listed = await person.ListMemberships(pb.ListMembershipsRequest(parent=shop.name, state=Membership.ACTIVE))
    assert [each.name for each in listed.memberships] == [made.name]


async def test_two_tabs_join_once_and_webhooks_in_any_order_grant_once(shop: Shop) -> None:
    client, option, request_id = await shop.add_client(), await plan(shop), str(new_id())
    await asyncio.gather(*(join(shop, client, option, 8000, request_id=request_id) for _ in range(4)))
    await refused(join(shop, client, option, 8000), StatusCode.FAILED_PRECONDITION, "ALREADY_MEMBER")
    member = await joined(shop, option)
    sessions = await asyncio.gather(*(member.start() for _ in range(3)), return_exceptions=True)
    assert len({each.client_secret for each in sessions if not isinstance(each, BaseException)}) == 1
    await member.pay()
    events = [*await shop.told()] * 2
    random.Random(7).shuffle(events)
    await shop.tell(events)
    await shop.work_off()
    assert await member.counts() == (1, 1)
    assert (await member.get()).state == Membership.ACTIVE
    assert await shop.violations() == {}
    await refused(member.pay(), StatusCode.FAILED_PRECONDITION, "NOTHING_TO_PAY")


async def test_nobody_paid(shop: Shop) -> None:
    client = await shop.add_client()
    started, untouched = await joined(shop), await joined(shop, client=client)
    session = await started.start()
    shop.move(hours=24)
    await shop.work_off()
    for member in (started, untouched):
        over = await member.get()
        assert (over.state, over.end_reason) == (Membership.ENDED, Membership.NEVER_PAID)
        await refused(member.pay(), StatusCode.FAILED_PRECONDITION, "MEMBERSHIP_ENDED")
    assert "error" in await shop.confirm(session)
    # And may be joined anew.
    assert (await join(shop, client, untouched.plan, 8000)).state == Membership.PENDING


async def test_a_renewal_grants_once_whatever_comes(shop: Shop) -> None:
    member = await active(shop)
    first_end = period_end(await member.get())
    await member.until_there(first_end + DRAFT)
    events = [*await shop.told()] * 2
    random.Random(3).shuffle(events)
    await shop.tell(events)
    await shop.work_off()
    renewed = await member.get()
    assert (renewed.state, renewed.period_start_time.ToDatetime(UTC)) == (Membership.ACTIVE, first_end)
    assert await member.counts() == (2, 2)
    assert (await shop.transfers())["sold"] == 16_000
    told = await shop.payments.events(MembershipChanged, shop.tenant)
    assert max(each.period_end_time.ToDatetime(UTC) for each in told) == period_end(renewed)
    assert await shop.violations() == {}


async def test_an_interval_that_costs_something_else_grants_nothing(shop: Shop) -> None:
    member = await active(shop)
    # The studio gives half of it away by hand, at the provider.
    await member.discount(50)
    await member.renew()
    assert await member.counts() == (2, 1)
    assert (await shop.transfers())["sold"] == 8000
    failed = await shop.payments.sql(
        "SELECT count(*) AS count FROM jobs WHERE state = 'failed' AND args ->> 'account' = $1", shop.account
    )
    assert failed[0]["count"] > 0


@pytest.mark.parametrize("events_are_listed", [True, False])
async def test_a_renewal_of_which_no_webhook_came_is_found(shop: Shop, events_are_listed: bool) -> None:
    member = await active(shop)
    await member.until_there(period_end(await member.get()) + DRAFT)
    if not events_are_listed:
        # Longer ago than the provider lists events: its line alone tells of the charge.
        await shop.payments.sql(
            "UPDATE merchants SET events_until = now() + interval '1 year' WHERE studio_id = $1", shop.tenant
        )
    compared = await shop.reconcile()
    assert (compared.difference_minor, list(compared.differences)) == (0, [])
    assert await member.counts() == (2, 2)
    assert await shop.violations() == {}


async def test_credits_are_earned_as_they_are_used_and_the_rest_at_the_end(shop: Shop) -> None:
    member = await active(shop)
    await use(shop, member.client, 2)
    assert await member.deferred() == 6000
    await member.renew()
    # Of the first interval nothing is left to be earned, of the second everything.
    shop.move(days=1)
    assert await member.deferred() == 8000
    assert (await shop.transfers())["earned"] == 8000


async def test_unlimited_is_earned_at_its_end(shop: Shop) -> None:
    member = await active(shop, await plan(shop, 12_000, 0, unlimited=True), 12_000)
    [package] = await shop.packages(member.client)
    assert package.kind == ClientPackage.UNLIMITED
    assert (await member.get()).unlimited
    await use(shop, member.client, 1)
    assert await member.deferred() == 11_999
    await member.renew()
    shop.move(days=1)
    assert await member.deferred() == 12_000
    assert await shop.violations() == {}


async def test_past_due_until_another_card_pays(shop: Shop) -> None:
    member = await active(shop)
    await member.keep_card("pm_card_chargeCustomerFail")
    end = period_end(await member.get())
    late = await member.renew()
    assert late.state == Membership.PAST_DUE
    assert (late.dunning.due_minor, [each.code for each in late.dunning.attempts]) == (8000, ["card_declined"])
    retry = late.dunning.next_attempt_time.ToDatetime(UTC)
    assert end + timedelta(days=3) <= retry <= end + timedelta(days=3) + DRAFT
    # Nothing of the interval that was not paid.
    assert await member.counts() == (1, 1)
    later = await member.until(retry + timedelta(minutes=1))
    assert [each.code for each in later.dunning.attempts] == ["card_declined"] * 2
    told = await shop.payments.events(MembershipChanged, shop.tenant)
    assert {each.declined_attempts for each in told if each.state == "PAST_DUE"} == {1, 2}
    assert await news(shop) == ["JOINED", "DECLINED", "DECLINED"]
    assert (await member.pay())["status"] == "succeeded"
    await member.listen()
    rescued = await member.get()
    assert (rescued.state, rescued.HasField("dunning")) == (Membership.ACTIVE, False)
    assert await member.counts() == (2, 2)
    # That card pays from now on.
    assert (await member.renew()).state == Membership.ACTIVE
    assert await member.counts() == (3, 3)
    assert await shop.violations() == {}


async def test_the_last_try_ends_it_and_nothing_is_charged_any_more(shop: Shop) -> None:
    # The next two weeks are due before the tries for the first are over.
    member = await active(shop, await plan(shop, interval=PricingOption.WEEK))
    await member.keep_card("pm_card_chargeCustomerFail")
    late = await member.renew()
    session = await member.start()
    assert (await member.until(period_end(late) + timedelta(days=8))).dunning.due_minor == 8000
    assert (await member.start()).client_secret == session.client_secret
    over = await member.until(period_end(late) + timedelta(days=20))
    assert (over.state, over.end_reason) == (Membership.ENDED, Membership.PAYMENT_FAILED)
    assert not over.HasField("dunning")
    heard = await news(shop)
    assert (heard[0], {*heard[1:-1]}, heard[-1]) == ("JOINED", {"DECLINED"}, "ENDED_UNPAID")
    await member.listen()
    assert "error" in await shop.confirm(session)
    await member.until(period_end(late) + timedelta(days=60))
    assert await member.counts() == (1, 1)
    assert await shop.violations() == {}


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"credits": 0}, "TERM_MISSING"),
        ({"unlimited": True}, "TERM_NOT_OF_KIND"),
        ({"interval": 0}, "TERM_MISSING"),
        ({"valid_days": 30}, "TERM_NOT_OF_KIND"),
        ({"price": 0}, "TERM_MISSING"),
        ({"interval": PricingOption.YEAR, "interval_count": 4}, "INTERVAL_TOO_LONG"),
    ],
)
async def test_what_a_plan_needs(shop: Shop, terms: dict[str, int], reason: str) -> None:
    await refused(plan(shop, **terms), StatusCode.INVALID_ARGUMENT, reason)


async def test_who_may_see_and_join(shop: Shop) -> None:
    account = new_id()
    client, person, option = await shop.add_client(account), shop.as_role(Role.ROLE_CLIENT, account), await plan(shop)
    other = await joined(shop, option)
    for call in (
        person.GetMembership(pb.GetMembershipRequest(name=other.name)),
        person.StartMembershipPayment(pb.StartMembershipPaymentRequest(name=other.name)),
        join(shop, other.client, option, 8000, stub=person),
    ):
        await refused(call, StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    await refused(join(shop, client, option, 7000, stub=person), StatusCode.FAILED_PRECONDITION, "PRICE_CHANGED")
    await refused(join(shop, client, await shop.sell(), 10_000), StatusCode.FAILED_PRECONDITION, "NOT_A_MEMBERSHIP")
    listed = await person.ListMemberships(pb.ListMembershipsRequest(parent=shop.name))
    assert list(listed.memberships) == []


async def test_a_page_is_read_at_once(shop: Shop) -> None:
    option, executed = await plan(shop, tax_rate=await shop.tax()), list[str]()
    for _ in range(3):
        await join(shop, await shop.add_client(), option, 9520)

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        executed.append(statement)

    engine = shop.payments.resources.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        listed = await shop.staff.ListMemberships(pb.ListMembershipsRequest(parent=shop.name))
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert len(listed.memberships) == 3
    # The studio is set; memberships, their terms with the tax rates, who was merged.
    assert len(executed) == 4
