"""A process dies at each step of a purchase and of a refund: one charge, one grant, one refund come of it."""

import importlib
from collections.abc import Callable

import pytest
from grpc.aio import AioRpcError

from powerhouse.payments.v1.purchase_service_pb2 import Purchase
from powerhouse.payments.v1.refund_service_pb2 import Refund
from tests.integration.payments.house import Shop

# Where each lies: module and name of the crash point.
OF_JOBS = {
    "payments_after_apply": "services.payments.provider_events",
    "payments_after_grant": "services.payments.fulfilment",
    "payments_after_freeze": "services.payments.refunding",
    "payments_after_refund": "services.payments.refunding",
}


class Died(BaseException):
    """Nothing catches it on its way, as nothing catches `kill -9`."""


def dies_once(name: str) -> Callable[[str], None]:
    left = [name]

    def crashpoint(here: str) -> None:
        if here in left:
            left.remove(here)
            raise Died(here)

    return crashpoint


@pytest.mark.parametrize("name", OF_JOBS)
async def test_a_worker_dies(shop: Shop, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    died = False
    monkeypatch.setattr(importlib.import_module(OF_JOBS[name]), "crashpoint", dies_once(name))

    async def work_off() -> None:
        nonlocal died
        try:
            await shop.work_off()
        except Died:
            died = True
            # Its lease ends, and the sweeper gives its jobs to others.
            await shop.payments.sql(
                "UPDATE jobs SET state = 'queued', lease_until = NULL, lease_token = NULL WHERE state = 'running'"
            )
            await shop.work_off()

    client = await shop.add_client()
    purchase = await shop.buy(client, await shop.sell(), 10_000)
    await shop.pay(purchase)
    await shop.tell(await shop.told())
    await work_off()
    assert (await shop.get(purchase)).state == Purchase.FULFILLED
    refund = await shop.refund(purchase, 4000, 4)
    await work_off()
    await shop.tell(await shop.told())
    await work_off()
    assert died
    assert (await shop.get_refund(refund)).state == Refund.SUCCEEDED
    kinds = [event["type"] for event in await shop.told()]
    assert (kinds.count("charge.succeeded"), kinds.count("refund.created")) == (1, 1)
    [package] = await shop.packages(client)
    assert package.credits_left == 6
    moved = await shop.transfers()
    assert (moved["sold"], moved["unearned_refunded"]) == (10_000, 4000)
    assert await shop.violations() == {}


async def test_a_server_dies_between_the_provider_and_us(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from services.payments import payments

    client = await shop.add_client()
    purchase = await shop.buy(client, await shop.sell(), 10_000)
    monkeypatch.setattr(payments, "crashpoint", dies_once("payments_after_intent"))
    with pytest.raises(AioRpcError):
        await shop.start(purchase)
    await shop.pay(purchase)
    await shop.tell_all()
    assert (await shop.get(purchase)).state == Purchase.FULFILLED
    kinds = [event["type"] for event in await shop.told()]
    assert (kinds.count("payment_intent.created"), kinds.count("charge.succeeded")) == (1, 1)
    assert await shop.violations() == {}
