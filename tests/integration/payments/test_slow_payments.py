"""Payments by a bank that takes days: nothing is granted, paid twice or given up until it has said."""

import pytest
from grpc import StatusCode

from powerhouse.payments.v1 import purchase_service_pb2 as pb
from powerhouse.payments.v1.purchase_service_pb2 import Purchase
from services.chassis.jobs.registry import Retry, read_job
from services.payments import jobs
from tests.integration.booking.house import refused
from tests.integration.payments.house import Shop

DAYS = 5 * 86400


async def _processing(shop: Shop, method: str) -> Purchase:
    """One that the client's bank is at."""
    purchase = await shop.buy(await shop.add_client(), await shop.sell(), 10_000)
    assert (await shop.pay(purchase, method))["status"] == "processing"
    await shop.tell_all()
    return await shop.get(purchase)


async def _decide(shop: Shop) -> None:
    await shop.control("POST", "timers", {"account": shop.account, "within": DAYS})


async def test_it_is_granted_when_the_bank_has_paid(shop: Shop) -> None:
    purchase = await _processing(shop, "pm_usBankAccount_success")
    assert (purchase.state, purchase.processing) == (Purchase.OPEN, True)
    assert not purchase.client_package
    await refused(shop.start(purchase), StatusCode.FAILED_PRECONDITION, "PAYMENT_PROCESSING")
    given_up = shop.staff.CancelPurchase(pb.CancelPurchaseRequest(name=purchase.name))
    await refused(given_up, StatusCode.FAILED_PRECONDITION, "PAYMENT_PROCESSING")
    await _decide(shop)
    await shop.tell_all()
    paid = await shop.get(purchase)
    assert (paid.state, paid.processing) == (Purchase.FULFILLED, False)
    assert len(await shop.packages(paid.client)) == 1


async def test_who_did_not_pay_within_a_day_is_waited_for(shop: Shop) -> None:
    purchase = await _processing(shop, "pm_usBankAccount_success")
    [row] = await shop.payments.sql(
        "SELECT * FROM jobs WHERE kind = 'expire_purchase' AND args->>'purchase' = $1", purchase.name.split("/")[-1]
    )
    outcome = await jobs.expire_purchase(shop.payments.resources, read_job(row))
    assert isinstance(outcome, Retry)
    assert outcome.after_seconds
    assert (await shop.get(purchase)).processing


@pytest.mark.parametrize("late", [False, True], ids=["in order", "the news of the beginning comes last"])
async def test_what_the_bank_refuses_is_open_again(shop: Shop, late: bool) -> None:
    purchase = await shop.buy(await shop.add_client(), await shop.sell(), 10_000)
    await shop.pay(purchase, "pm_usBankAccount_insufficientFunds")
    if not late:
        await shop.tell_all()
        assert (await shop.get(purchase)).processing
    await _decide(shop)
    events = await shop.told()
    await shop.tell(list(reversed(events)) if late else events)
    await shop.work_off()
    refused_purchase = await shop.get(purchase)
    assert (refused_purchase.state, refused_purchase.processing) == (Purchase.OPEN, False)
    assert [each.code for each in refused_purchase.attempts] == ["payment_method_provider_decline"]
    await shop.pay(purchase)
    await shop.tell_all()
    assert (await shop.get(purchase)).state == Purchase.FULFILLED
