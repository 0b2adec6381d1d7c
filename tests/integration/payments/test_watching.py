"""Watching a purchase: a declined try, the money, what was bought; only for those whose it is."""

import asyncio
from typing import Any

from grpc import StatusCode

from powerhouse.payments.v1 import purchase_service_pb2 as pb
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from services.payments import watches
from tests.integration.booking.house import refused
from tests.integration.payments.house import Shop


async def test_a_purchase_is_told_as_it_goes(shop: Shop) -> None:
    account = new_id()
    client = shop.as_role(Role.ROLE_CLIENT, account)
    purchase = await shop.buy(await shop.add_client(account), await shop.sell(), 10_000, stub=client)
    call = client.WatchPurchase(pb.WatchPurchaseRequest(name=purchase.name))
    answers, seen = aiter(call), set()

    async def until(state: "pb.Purchase.State.ValueType", attempts: int) -> pb.Purchase:
        async with asyncio.timeout(60):
            while True:
                answer = await anext(answers)
                assert answer.event_id not in seen
                seen.add(answer.event_id)
                if (answer.purchase.state, len(answer.purchase.attempts)) == (state, attempts):
                    told: pb.Purchase = answer.purchase
                    return told

    await until(pb.Purchase.OPEN, 0)
    await shop.pay(purchase, "pm_card_visa_chargeDeclined")
    await shop.tell_all()
    [attempt] = (await until(pb.Purchase.OPEN, 1)).attempts
    assert attempt.message == "Payment declined. Please try different card."
    await shop.pay(purchase)
    await shop.tell_all()
    assert (await until(pb.Purchase.FULFILLED, 2)).client_package
    call.cancel()


async def test_strangers_do_not_watch_and_not_too_many_do(shop: Shop, monkeypatch: Any) -> None:
    purchase = await shop.buy(await shop.add_client(), await shop.sell(), 10_000)
    request = pb.WatchPurchaseRequest(name=purchase.name)
    stranger = shop.as_role(Role.ROLE_CLIENT, new_id())
    await refused(anext(aiter(stranger.WatchPurchase(request))), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    unknown = pb.WatchPurchaseRequest(name=f"{shop.name}/purchases/{new_id()}")
    await refused(anext(aiter(shop.staff.WatchPurchase(unknown))), StatusCode.NOT_FOUND, "NOT_FOUND")
    monkeypatch.setattr(watches, "MAX_WATCHERS", 0)
    await refused(anext(aiter(shop.staff.WatchPurchase(request))), StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_WATCHERS")
