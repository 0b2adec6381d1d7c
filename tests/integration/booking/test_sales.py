"""Packages that payments sells: granted once per purchase, frozen and given back once per refund."""

import asyncio
from datetime import UTC, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode

from powerhouse.booking.v1 import client_service_pb2, credit_service_pb2
from powerhouse.booking.v1 import sale_service_pb2 as pb
from powerhouse.booking.v1.client_package_pb2 import ClientPackage, LedgerEntry
from powerhouse.booking.v1.client_pb2 import Client
from services.chassis.ids import new_id
from tests.integration.booking.house import BookingStub, House, key, refused


@pytest.fixture
def payments(house: House) -> Any:
    """Booking as payments calls it."""
    return house.running.as_service(BookingStub, "payments")


def purchase(house: House, client: Client, purchase_id: str = "", **terms: Any) -> pb.GrantPurchaseRequest:
    sold = {"display_name": "10 classes", "credits": 10, **terms}
    return pb.GrantPurchaseRequest(
        parent=house.name, purchase_id=purchase_id or str(new_id()), client=client.name, **sold
    )


def freeze(house: House, purchase_id: str, refund_id: str, credits: int) -> pb.FreezeCreditsRequest:
    return pb.FreezeCreditsRequest(parent=house.name, purchase_id=purchase_id, refund_id=refund_id, credits=credits)


async def test_a_purchase_becomes_one_package_however_often_it_is_told(house: House, payments: Any) -> None:
    client = await house.add_client(credits=0)
    wanted = purchase(house, client, valid_days=90)
    made = await asyncio.gather(*(payments.GrantPurchase(wanted) for _ in range(8)))
    assert len({package.name for package in made}) == 1
    assert await house.credits(client) == 10
    sold = pb.GetSoldPackageRequest(parent=house.name, purchase_id=wanted.purchase_id)
    assert (await payments.GetSoldPackage(sold)).name == made[0].name
    assert await house.violations() == {}


async def test_who_became_another_client_is_served_as_that_one(house: House, payments: Any) -> None:
    survivor, duplicate = await house.add_client(credits=0), await house.add_client("Klara", credits=0)
    merge = client_service_pb2.MergeClientsRequest(name=survivor.name, duplicate=duplicate.name, request_id=key())
    await house.staff.MergeClients(merge)
    assert (await payments.GrantPurchase(purchase(house, duplicate))).client == survivor.name
    buyer = await payments.GetBuyer(pb.GetBuyerRequest(parent=house.name, client=duplicate.name))
    assert (buyer.client, buyer.account, buyer.archived) == (survivor.name, "", False)


async def test_credits_are_frozen_once_and_given_back_once(house: House, payments: Any) -> None:
    client = await house.add_client(credits=0)
    package = await payments.GrantPurchase(wanted := purchase(house, client))
    refund_id = str(new_id())
    request = freeze(house, wanted.purchase_id, refund_id, 4)
    await asyncio.gather(*(payments.FreezeCredits(request) for _ in range(4)))
    assert await house.credits(client) == 6
    await refused(
        payments.FreezeCredits(freeze(house, wanted.purchase_id, str(new_id()), 7)),
        StatusCode.FAILED_PRECONDITION,
        "NOT_ENOUGH_CREDITS",
    )
    back = pb.UnfreezeCreditsRequest(parent=house.name, refund_id=refund_id)
    await asyncio.gather(*(payments.UnfreezeCredits(back) for _ in range(4)))
    assert await house.credits(client) == 10
    await refused(payments.FreezeCredits(request), StatusCode.FAILED_PRECONDITION, "UNFROZEN")
    told = await house.staff.ExplainClientPackage(credit_service_pb2.ExplainClientPackageRequest(name=package.name))
    assert [(entry.cause, entry.amount) for entry in told.entries] == [
        (LedgerEntry.GRANTED, 10),
        (LedgerEntry.REFUNDED, -4),
        (LedgerEntry.REFUND_FAILED, 4),
    ]
    assert told.entries[1].sentence == "Taken back, since 10 classes is refunded: 4 credits"
    assert await house.violations() == {}


async def test_what_is_not_there(house: House, payments: Any) -> None:
    client = Client(name=f"{house.name}/clients/{new_id()}")
    nothing = str(new_id())
    for call in (
        payments.GrantPurchase(purchase(house, client)),
        payments.GetBuyer(pb.GetBuyerRequest(parent=house.name, client=client.name)),
        payments.GetSoldPackage(pb.GetSoldPackageRequest(parent=house.name, purchase_id=nothing)),
        payments.FreezeCredits(freeze(house, nothing, nothing, 1)),
        payments.UnfreezeCredits(pb.UnfreezeCreditsRequest(parent=house.name, refund_id=nothing)),
        payments.CheckClassTypes(
            pb.CheckClassTypesRequest(parent=house.name, class_types=[f"{house.name}/classTypes/{nothing}"])
        ),
    ):
        await refused(call, StatusCode.NOT_FOUND, "NOT_FOUND")


async def test_a_period_of_a_membership_pays_until_its_last_day(house: House, payments: Any) -> None:
    client = await house.add_client(credits=0)
    end = Timestamp()
    end.FromDatetime(house.now + timedelta(days=30))
    wanted = purchase(house, client, credits=100_000, kind=ClientPackage.UNLIMITED, end_time=end)
    package = await payments.GrantPurchase(wanted)
    assert (package.kind, package.credits_left) == (ClientPackage.UNLIMITED, 100_000)
    last_day = package.expire_time.ToDatetime(UTC) - timedelta(microseconds=1)
    zone = ZoneInfo(package.time_zone)
    assert last_day.astimezone(zone).date() == end.ToDatetime(UTC).astimezone(zone).date()
    # Known late: what was paid is granted all the same.
    end.FromDatetime(house.now - timedelta(days=3))
    late = await payments.GrantPurchase(purchase(house, client, kind=ClientPackage.MEMBERSHIP, end_time=end))
    assert late.expire_time.ToDatetime(UTC) < house.now
    assert await house.violations() == {}


async def test_what_has_ended_pays_no_more(house: House, payments: Any) -> None:
    client = await house.add_client(credits=0)
    await payments.GrantPurchase(wanted := purchase(house, client, kind=ClientPackage.MEMBERSHIP))
    request = pb.EndPurchaseRequest(parent=house.name, purchase_id=wanted.purchase_id)
    ended = await asyncio.gather(*(payments.EndPurchase(request) for _ in range(4)))
    assert {(each.credits_left, each.revoke_time.ToDatetime(UTC)) for each in ended} == {(0, house.now)}
    assert await house.credits(client) == 0
    unknown = pb.EndPurchaseRequest(parent=house.name, purchase_id=str(new_id()))
    await refused(payments.EndPurchase(unknown), StatusCode.NOT_FOUND, "NOT_FOUND")
    assert await house.violations() == {}
