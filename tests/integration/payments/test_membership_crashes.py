"""A process dies, or an answer is lost, while a membership is begun, changed or ended: nothing is doubled."""

import pytest
from grpc import StatusCode
from grpc.aio import AioRpcError

from powerhouse.payments.v1.membership_pb2 import Membership
from services.payments import membership_payments, membership_refunds, plan_changes
from tests.integration.booking.house import refused
from tests.integration.payments.club import active, joined, plan
from tests.integration.payments.house import Shop
from tests.integration.payments.test_crashes import Died, dies_once
from tests.integration.payments.test_membership_changes import change, preview, refund, refund_preview


async def test_while_it_is_begun(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    member = await joined(shop)
    monkeypatch.setattr(membership_payments, "crashpoint", dies_once("payments_after_subscription"))
    with pytest.raises(AioRpcError):
        await member.start()
    # What the provider tells is enough.
    await member.listen()
    await member.pay()
    await member.listen()
    assert (await member.get()).state == Membership.ACTIVE
    assert [event["type"] for event in await shop.told()].count("customer.subscription.created") == 1
    assert await member.counts() == (1, 1)


async def test_while_it_changes_its_plan(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    member, more = await active(shop), await plan(shop, 12_000, 12)
    shown = await preview(member, more)
    monkeypatch.setattr(plan_changes, "crashpoint", dies_once("payments_after_plan_change"))
    with pytest.raises(AioRpcError):
        await change(member, shown)
    await member.listen()
    changed = await member.get()
    assert (changed.state, changed.pricing_option) == (Membership.ACTIVE, more)
    await refused(change(member, shown), StatusCode.FAILED_PRECONDITION, "ALREADY_ON_PLAN")
    assert await member.counts() == (2, 2)
    assert await shop.violations() == {}


async def test_while_it_ends_with_a_refund(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    member = await active(shop)
    await refund(member, (await refund_preview(member)).refund_minor)
    monkeypatch.setattr(membership_refunds, "crashpoint", dies_once("payments_after_membership_end"))
    with pytest.raises(Died):
        await shop.work_off()
    await shop.payments.sql(
        "UPDATE jobs SET state = 'queued', lease_until = NULL, lease_token = NULL WHERE state = 'running'"
    )
    await shop.work_off()
    assert (await member.get()).state == Membership.ENDED
    assert (await shop.transfers())["unearned_refunded"] == 8000
    [package] = await shop.packages(member.client)
    assert package.credits_left == 0
    assert await shop.violations() == {}


@pytest.mark.parametrize("fault", ["done_then_500", "done_then_close", "reject_500"])
async def test_bad_weather_makes_one_membership(shop: Shop, fault: str) -> None:
    member = await joined(shop)
    await shop.misbehave(fault, "/v1/subscriptions$", 1)
    await refused(member.start(), StatusCode.UNAVAILABLE, "PROVIDER_AWAY")
    await member.listen()
    await shop.payments.sql(
        "UPDATE memberships SET create_key_time = create_key_time - interval '2 minutes' WHERE tenant_id = $1",
        shop.tenant,
    )
    await member.pay()
    await member.listen()
    assert (await member.get()).state == Membership.ACTIVE
    assert await member.counts() == (1, 1)
