"""Waivers: versions that stay, and who signed which."""

from typing import Any

import asyncpg
import pytest
from grpc import StatusCode

from powerhouse.booking.v1 import client_service_pb2
from powerhouse.booking.v1 import waiver_service_pb2 as pb
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.booking.v1.waiver_pb2 import Waiver, WaiverSignature
from powerhouse.policy.v1.policy_pb2 import Role
from services.booking import person_keys, waivers
from services.booking.service import SERVICE
from services.chassis.db.urls import service_url
from services.chassis.ids import new_id
from tests.integration.booking.house import House, key, last_id, outcome, refused


def publish(house: House, text: str = "At my own risk.") -> Any:
    waiver = Waiver(name=f"{house.name}/waiver", title="Liability waiver", text=text)
    return house.as_role(Role.ROLE_MANAGER).PublishWaiver(pb.PublishWaiverRequest(waiver=waiver, request_id=key()))


def sign(house: House, client: Client, version: int = 1, stub: Any = None, name: str = "Clara C.") -> Any:
    request = pb.SignWaiverRequest(client=client.name, waiver_version=version, typed_name=name, request_id=key())
    return (stub or house.staff).SignWaiver(request)


async def read(house: House, version: int = 0, stub: Any = None) -> Waiver:
    request = pb.GetWaiverRequest(name=f"{house.name}/waiver", version=version)
    waiver: Waiver = await (stub or house.staff).GetWaiver(request)
    return waiver


async def signatures(house: House, stub: Any = None, **fields: Any) -> list[WaiverSignature]:
    request = pb.ListWaiverSignaturesRequest(parent=house.name, **fields)
    return list((await (stub or house.staff).ListWaiverSignatures(request)).waiver_signatures)


async def must_sign(house: House, client: Client) -> bool:
    read = await house.staff.GetClient(client_service_pb2.GetClientRequest(name=client.name))
    async with house.running.resources.database.transaction(house.tenant) as tx:
        assert await waivers.is_signed(tx, last_id(client.name)) is not read.must_sign_waiver
    return bool(read.must_sign_waiver)


async def test_a_new_text_is_a_new_version(house: House) -> None:
    assert await outcome(read(house)) == "NOT_FOUND"
    first, second = await publish(house, "One"), await publish(house, "Two")
    assert (first.version, second.version) == (1, 2)
    stranger = house.as_account(new_id())
    assert await read(house, stub=stranger) == second
    assert await read(house, 1, stranger) == first
    assert await outcome(read(house, 3)) == "NOT_FOUND"
    at_once = await house.count([publish(house, str(number)) for number in range(4)])
    assert at_once["BOOKED"] >= 1
    assert set(at_once) <= {"BOOKED", "ETAG_MISMATCH"}
    assert (await read(house)).version == 2 + at_once["BOOKED"]


async def test_everybody_signs_each_version_once(house: House) -> None:
    account = new_id()
    client = await house.add_client(account=f"accounts/{account}")
    assert not await must_sign(house, client)
    await publish(house)
    assert await must_sign(house, client)
    signed = await sign(house, client, stub=house.as_account(account))
    assert (signed.typed_name, signed.signed_by) == ("Clara C.", f"accounts/{account}")
    assert (signed.waiver_version, signed.recorded_by_staff) == (1, False)
    assert not await must_sign(house, client)
    await refused(sign(house, client), StatusCode.ALREADY_EXISTS, "ALREADY_SIGNED")
    await publish(house)
    assert await must_sign(house, client)
    await refused(sign(house, client), StatusCode.FAILED_PRECONDITION, "WAIVER_OUTDATED")
    assert (await sign(house, client, 2)).recorded_by_staff
    assert not await must_sign(house, client)


async def test_two_signatures_at_once(house: House) -> None:
    client = await house.add_client()
    await publish(house)
    assert await house.count([sign(house, client) for _ in range(3)]) == {"BOOKED": 1, "ALREADY_SIGNED": 2}


async def test_a_guardian_signs_for_a_child_and_nobody_else(house: House) -> None:
    account = new_id()
    await house.add_client(account=f"accounts/{account}")
    child, other = await house.add_client("Kim", account=f"accounts/{account}"), await house.add_client()
    await publish(house)
    stub = house.as_account(account)
    mine = await sign(house, child, stub=stub)
    await refused(sign(house, other, stub=stub), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    house.move(seconds=1)
    theirs = await sign(house, other)
    assert await signatures(house) == [theirs, mine]
    assert await signatures(house, client=child.name) == [mine]
    assert await signatures(house, stub) == [mine]
    assert await signatures(house, stub, client=other.name) == []
    page = await house.staff.ListWaiverSignatures(pb.ListWaiverSignaturesRequest(parent=house.name, page_size=1))
    assert await signatures(house, page_token=page.next_page_token) == [mine]


async def test_what_cannot_be_signed(house: House) -> None:
    client, unknown = await house.add_client(), Client(name=f"{house.name}/clients/{new_id()}")
    assert await outcome(sign(house, client)) == "NOT_FOUND"
    await publish(house)
    assert await outcome(sign(house, unknown)) == "NOT_FOUND"
    await house.staff.DeleteClient(client_service_pb2.DeleteClientRequest(name=client.name, request_id=key()))
    await refused(sign(house, client), StatusCode.FAILED_PRECONDITION, "ARCHIVED")


async def test_an_erased_client_has_signed_without_a_name(house: House) -> None:
    client = await house.add_client()
    await publish(house)
    await sign(house, client)
    async with house.running.resources.database.transaction(house.tenant) as tx:
        await person_keys.destroy(tx, last_id(client.name))
    assert [signature.typed_name for signature in await signatures(house)] == [""]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE waivers SET text = 'x'",
        "DELETE FROM waivers",
        "UPDATE waiver_signatures SET waiver_version = 2",
        "DELETE FROM waiver_signatures",
    ],
)
async def test_what_was_signed_stays(house: House, statement: str) -> None:
    url = service_url(SERVICE.name, "app", {"POWERHOUSE_DATABASE_URL": house.running.mesh.admin_url})
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SELECT set_config('app.tenants', $1, false)", f"{{{house.tenant}}}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()
