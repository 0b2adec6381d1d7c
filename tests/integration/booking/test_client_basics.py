"""Clients: who they are, whose they are, who sees and changes them."""

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode

from powerhouse.booking.v1 import client_service_pb2 as pb
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.booking.v1.events_pb2 import ClientChanged
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from tests.integration.booking.house import House, key, last_id, outcome, refused


def join(house: House, account: Any, request_id: str = "", **fields: Any) -> Any:
    client = Client(**{"display_name": "Jo", **fields})
    return house.as_account(account).JoinStudio(
        pb.JoinStudioRequest(parent=house.name, client=client, request_id=request_id or key())
    )


def update(house: House, client: Client, *paths: str, stub: Any = None, **fields: Any) -> Any:
    changed = Client(name=client.name, **fields)
    mask = FieldMask(paths=paths) if paths else None
    return (stub or house.staff).UpdateClient(
        pb.UpdateClientRequest(client=changed, update_mask=mask, request_id=key())
    )


async def listed(house: House, stub: Any, **fields: Any) -> Any:
    return await stub.ListClients(pb.ListClientsRequest(parent=house.name, **fields))


async def test_staff_add_a_client(house: House) -> None:
    account = f"accounts/{new_id()}"
    client = await house.add_client(
        "  Clara ", credits=0, email="clara@example.com", phone="+4930123456", language="de", account=account
    )
    assert (client.display_name, client.email, client.phone) == ("Clara", "clara@example.com", "+4930123456")
    assert (client.language, client.account, client.credits_left, client.etag) == ("de", account, 0, "1")
    assert client == await house.staff.GetClient(pb.GetClientRequest(name=client.name))
    told = await house.running.events(ClientChanged, house.tenant)
    assert [event.client_id for event in told] == [str(last_id(client.name))]


async def test_an_address_belongs_to_one_client_of_a_studio(house: House) -> None:
    await house.add_client(email="Clara@example.com")
    call = house.add_client(email="clara@EXAMPLE.com")
    await refused(call, StatusCode.ALREADY_EXISTS, "CLIENT_EMAIL_TAKEN")
    await refused(join(house, new_id(), email="clara@example.com"), StatusCode.ALREADY_EXISTS, "CLIENT_EMAIL_TAKEN")
    other = await house.add_client()
    taken = update(house, other, "email", email="clara@example.com")
    await refused(taken, StatusCode.ALREADY_EXISTS, "CLIENT_EMAIL_TAKEN")
    # People without one do not collide.
    await house.add_client()


@pytest.mark.parametrize(
    "fields",
    [{"display_name": " "}, {"email": "no address"}, {"phone": "030 123456"}, {"account": "somebody"}],
    ids=lambda fields: next(iter(fields)),
)
async def test_fields_that_are_wrong(house: House, fields: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="INVALID_ARGUMENT"):
        await house.add_client(**fields)
    assert await house.running.sql("SELECT FROM clients WHERE tenant_id = $1", house.tenant) == []


class TestJoining:
    async def test_makes_the_account_a_client_once(self, house: House) -> None:
        account = new_id()
        client = await join(house, account, display_name="Jo", email="jo@example.com")
        assert client.account == f"accounts/{account}"
        assert await join(house, account, display_name="Somebody else") == client
        assert len(await house.running.events(ClientChanged, house.tenant)) == 1

    async def test_by_several_calls_at_once(self, house: House) -> None:
        account = new_id()
        counted = await house.count([join(house, account) for _ in range(5)])
        assert counted == {"BOOKED": 5}
        assert len((await listed(house, house.staff)).clients) == 1

    async def test_finds_who_staff_linked(self, house: House) -> None:
        account = new_id()
        client = await house.add_client(account=f"accounts/{account}")
        assert (await join(house, account)).name == client.name
        # Another client of the same account is a dependant.
        child = await house.add_client("Kim", account=f"accounts/{account}")
        assert (await join(house, account)).name == client.name
        own = await listed(house, house.as_account(account))
        assert {shown.name for shown in own.clients} == {client.name, child.name}

    async def test_needs_a_name(self, house: House) -> None:
        assert await outcome(join(house, new_id(), display_name="")) == "INVALID_FIELD"


class TestOwn:
    async def test_people_see_their_own_only(self, house: House) -> None:
        account = new_id()
        own, other = await house.add_client(account=f"accounts/{account}"), await house.add_client()
        stub = house.as_account(account)
        assert (await stub.GetClient(pb.GetClientRequest(name=own.name))).credits_left == 1
        for name in (other.name, f"{house.name}/clients/{new_id()}"):
            call = stub.GetClient(pb.GetClientRequest(name=name))
            await refused(call, StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
        assert [client.name for client in (await listed(house, stub)).clients] == [own.name]

    async def test_people_change_how_they_are_reached(self, house: House) -> None:
        account = new_id()
        own, other = await house.add_client(account=f"accounts/{account}"), await house.add_client()
        stub = house.as_account(account)
        changed = await update(house, own, "phone", "language", phone="+4930123456", language="en", stub=stub)
        assert (changed.display_name, changed.phone, changed.language, changed.etag) == (
            "Clara",
            "+4930123456",
            "en",
            "2",
        )
        for path in ("account", "credits_left"):
            call = update(house, own, path, stub=stub)
            await refused(call, StatusCode.INVALID_ARGUMENT, "FIELD_NOT_MUTABLE")
        await refused(update(house, other, "phone", stub=stub), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")

    async def test_not_what_is_for_staff(self, house: House) -> None:
        stub = house.as_account(new_id())
        create = stub.CreateClient(
            pb.CreateClientRequest(parent=house.name, client=Client(display_name="X"), request_id=key())
        )
        await refused(create, StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")
        await refused(
            house.as_role(Role.ROLE_INSTRUCTOR).CreateClient(
                pb.CreateClientRequest(parent=house.name, client=Client(display_name="X"), request_id=key())
            ),
            StatusCode.PERMISSION_DENIED,
            "ROLE_REQUIRED",
        )


class TestUpdating:
    async def test_by_mask(self, house: House) -> None:
        client = await house.add_client(email="clara@example.com", phone="+4930123456")
        changed = await update(house, client, "email", display_name="Ignored")
        assert (changed.display_name, changed.email, changed.phone) == ("Clara", "", "+4930123456")
        assert changed.credits_left == 1

    async def test_with_a_stale_etag(self, house: House) -> None:
        client = await house.add_client()
        await update(house, client, "language", language="en", etag=client.etag)
        stale = update(house, client, "language", language="de", etag=client.etag)
        await refused(stale, StatusCode.ABORTED, "ETAG_MISMATCH")

    async def test_an_empty_name(self, house: House) -> None:
        assert await outcome(update(house, await house.add_client(), "display_name")) == "INVALID_FIELD"

    async def test_an_unknown_client(self, house: House) -> None:
        unknown = Client(name=f"{house.name}/clients/{new_id()}")
        await refused(update(house, unknown, "language"), StatusCode.NOT_FOUND, "NOT_FOUND")

    async def test_who_acts_for_it(self, house: House) -> None:
        account, client = new_id(), await house.add_client()
        linked = await update(house, client, "account", account=f"accounts/{account}")
        assert linked.account == f"accounts/{account}"
        assert (await join(house, account)).name == client.name
        assert (await update(house, client, "account")).account == ""
        assert (await join(house, account)).name != client.name


async def test_lists_go_by_name_in_pages(house: House) -> None:
    names = ["Ada", "Ada", "Bea", "Cleo", "Dora"]
    for name in reversed(names):
        await house.add_client(name)
    shown: list[str] = []
    token = ""
    while True:
        page = await listed(house, house.staff, page_size=2, page_token=token)
        assert len(page.clients) <= 2
        shown += [client.display_name for client in page.clients]
        token = page.next_page_token
        if not token:
            break
    assert shown == names
    bad = listed(house, house.staff, page_token="nonsense")
    await refused(bad, StatusCode.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN")
