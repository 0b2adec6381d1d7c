"""Tags: a studio's labels on its clients."""

from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode

from powerhouse.booking.v1 import client_service_pb2 as pb
from powerhouse.booking.v1.client_pb2 import Client, ClientTag
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from tests.integration.booking.house import House, key, outcome, refused


def create(house: House, name: str) -> Any:
    return house.staff.CreateClientTag(
        pb.CreateClientTagRequest(parent=house.name, client_tag=ClientTag(display_name=name), request_id=key())
    )


def rename(house: House, tag: ClientTag, name: str, etag: str = "") -> Any:
    changed = ClientTag(name=tag.name, display_name=name, etag=etag)
    return house.staff.UpdateClientTag(pb.UpdateClientTagRequest(client_tag=changed, request_id=key()))


def remove(house: House, tag: ClientTag, etag: str = "") -> Any:
    return house.as_role(Role.ROLE_MANAGER).DeleteClientTag(
        pb.DeleteClientTagRequest(name=tag.name, etag=etag, request_id=key())
    )


def put_on(house: House, client: Client, *tags: str, stub: Any = None) -> Any:
    request = pb.UpdateClientRequest(
        client=Client(name=client.name, tags=tags), update_mask=FieldMask(paths=["tags"]), request_id=key()
    )
    return (stub or house.staff).UpdateClient(request)


async def bearers(house: House, tag: ClientTag) -> list[str]:
    answer = await house.staff.ListClients(pb.ListClientsRequest(parent=house.name, client_tag=tag.name))
    return [client.name for client in answer.clients]


async def test_staff_keep_the_studios_tags(house: House) -> None:
    late, early = await create(house, " Late bird "), await create(house, "Early bird")
    assert late.display_name == "Late bird"
    listed = await house.staff.ListClientTags(pb.ListClientTagsRequest(parent=house.name, page_size=1))
    assert [tag.name for tag in listed.client_tags] == [early.name]
    rest = pb.ListClientTagsRequest(parent=house.name, page_token=listed.next_page_token)
    assert [tag.name for tag in (await house.staff.ListClientTags(rest)).client_tags] == [late.name]
    await refused(create(house, "LATE bird"), StatusCode.ALREADY_EXISTS, "TAG_NAME_TAKEN")
    await refused(rename(house, late, "early bird"), StatusCode.ALREADY_EXISTS, "TAG_NAME_TAKEN")
    await refused(rename(house, late, "Owl", etag="7"), StatusCode.ABORTED, "ETAG_MISMATCH")
    assert await outcome(create(house, " ")) == await outcome(rename(house, late, "")) == "INVALID_FIELD"
    assert (await rename(house, late, "Owl", etag=late.etag)).display_name == "Owl"
    unknown = ClientTag(name=f"{house.name}/clientTags/{new_id()}")
    assert await outcome(rename(house, unknown, "X")) == await outcome(remove(house, unknown)) == "NOT_FOUND"


async def test_clients_bear_them(house: House) -> None:
    one, other = await create(house, "One"), await create(house, "Other")
    client = await house.add_client(tags=[one.name])
    assert list(client.tags) == [one.name]
    changed = await put_on(house, client, one.name, other.name)
    assert sorted(changed.tags) == sorted([one.name, other.name])
    assert await bearers(house, other) == [client.name]
    assert list((await put_on(house, client, other.name)).tags) == [other.name]
    assert await bearers(house, one) == []
    await remove(house, other)
    assert list((await house.staff.GetClient(pb.GetClientRequest(name=client.name))).tags) == []
    assert await outcome(put_on(house, client, other.name)) == "NOT_FOUND"


async def test_people_do_not_see_their_own(house: House) -> None:
    account, tag = new_id(), await create(house, "Difficult")
    client = await house.add_client(account=f"accounts/{account}", tags=[tag.name])
    stub = house.as_account(account)
    assert list((await stub.GetClient(pb.GetClientRequest(name=client.name))).tags) == []
    (own,) = (await stub.ListClients(pb.ListClientsRequest(parent=house.name))).clients
    assert list(own.tags) == []
    filtered = stub.ListClients(pb.ListClientsRequest(parent=house.name, client_tag=tag.name))
    await refused(filtered, StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    await refused(put_on(house, client, stub=stub), StatusCode.INVALID_ARGUMENT, "FIELD_NOT_MUTABLE")
    renamed = pb.UpdateClientRequest(
        client=Client(name=client.name, language="de"), update_mask=FieldMask(paths=["language"]), request_id=key()
    )
    assert list((await stub.UpdateClient(renamed)).tags) == []
    assert await bearers(house, tag) == [client.name]
