"""A client's profile, and its archive."""

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode

from powerhouse.booking.v1 import client_service_pb2 as pb
from powerhouse.booking.v1.client_pb2 import Client
from services.chassis.ids import new_id
from tests.integration.booking.house import House, key, outcome, refused


def update(house: House, client: Client, *paths: str, **fields: Any) -> Any:
    changed = Client(name=client.name, **fields)
    return house.staff.UpdateClient(
        pb.UpdateClientRequest(client=changed, update_mask=FieldMask(paths=paths), request_id=key())
    )


def archive(house: House, client: Client, etag: str = "") -> Any:
    return house.staff.DeleteClient(pb.DeleteClientRequest(name=client.name, etag=etag, request_id=key()))


def restore(house: House, client: Client) -> Any:
    return house.staff.UndeleteClient(pb.UndeleteClientRequest(name=client.name, request_id=key()))


async def names(house: House, **fields: Any) -> list[str]:
    answer = await house.staff.ListClients(pb.ListClientsRequest(parent=house.name, **fields))
    return [client.name for client in answer.clients]


async def test_whom_to_call_and_when_they_were_born(house: House) -> None:
    client = await house.add_client(
        birth_date="2001-05-31", emergency_contact_name=" Karl ", emergency_contact_phone="+49 (0)30 / 654321"
    )
    assert (client.birth_date, client.emergency_contact_name) == ("2001-05-31", "Karl")
    assert client.emergency_contact_phone == "+4930654321"
    emptied = await update(house, client, "birth_date", "emergency_contact_name", "emergency_contact_phone")
    assert (emptied.birth_date, emptied.emergency_contact_name, emptied.emergency_contact_phone) == ("", "", "")


async def test_numbers_are_kept_in_one_spelling(house: House) -> None:
    client = await house.add_client(phone=" +1 (202) 555-0123 ")
    assert client.phone == "+12025550123"
    for wrong in ("030 123456", "+49", "+49 30 123456 ext. 7", "ring me", "+999 123456"):
        await refused(update(house, client, "phone", phone=wrong), StatusCode.INVALID_ARGUMENT, "PHONE_INVALID")
        call = update(house, client, "emergency_contact_phone", emergency_contact_phone=wrong)
        await refused(call, StatusCode.INVALID_ARGUMENT, "PHONE_INVALID")


@pytest.mark.parametrize("birth_date", ["2027-01-05", "1899-12-31", "2001-02-30", "0000-00-00"])
async def test_dates_on_which_nobody_was_born(house: House, birth_date: str) -> None:
    await refused(house.add_client(birth_date=birth_date), StatusCode.INVALID_ARGUMENT, "BIRTH_DATE_INVALID")
    # The day itself is possible.
    assert (await house.add_client(birth_date="2027-01-04")).birth_date == "2027-01-04"


class TestArchiving:
    async def test_hides_a_client_until_it_is_brought_back(self, house: House) -> None:
        client, other = await house.add_client(), await house.add_client("Dora")
        gone = await archive(house, client, client.etag)
        assert gone.HasField("archive_time")
        assert await names(house) == [other.name]
        assert await names(house, show_archived=True) == [client.name, other.name]
        assert await house.staff.GetClient(pb.GetClientRequest(name=client.name)) == gone
        await refused(archive(house, client), StatusCode.FAILED_PRECONDITION, "ARCHIVED")
        await refused(update(house, client, "language"), StatusCode.FAILED_PRECONDITION, "ARCHIVED")
        back = await restore(house, client)
        assert not back.HasField("archive_time")
        assert await names(house) == [client.name, other.name]
        await refused(restore(house, client), StatusCode.FAILED_PRECONDITION, "NOT_ARCHIVED")

    async def test_not_with_a_stale_etag_nor_while_booked(self, house: House) -> None:
        client = await house.add_client()
        session = await house.plan()
        booking = await house.book(session, client)
        await refused(archive(house, client, "0"), StatusCode.ABORTED, "ETAG_MISMATCH")
        await refused(archive(house, client), StatusCode.FAILED_PRECONDITION, "STILL_IN_USE")
        house.move(days=3)
        assert (await archive(house, client)).HasField("archive_time")
        assert (await house.get(booking)).client == client.name

    async def test_leaves_the_address_to_who_comes_with_it(self, house: House) -> None:
        client = await house.add_client(email="clara@example.com")
        await archive(house, client)
        again = await house.add_client(email="Clara@example.com")
        await refused(restore(house, client), StatusCode.ALREADY_EXISTS, "CLIENT_EMAIL_TAKEN")
        await archive(house, again)
        assert (await restore(house, client)).email == "clara@example.com"

    async def test_does_not_end_by_joining_again(self, house: House) -> None:
        account = new_id()
        client = await house.add_client(account=f"accounts/{account}")
        await archive(house, client)
        request = pb.JoinStudioRequest(parent=house.name, client=Client(display_name="Jo"), request_id=key())
        await refused(house.as_account(account).JoinStudio(request), StatusCode.FAILED_PRECONDITION, "ARCHIVED")

    async def test_what_is_not_there(self, house: House) -> None:
        unknown = Client(name=f"{house.name}/clients/{new_id()}")
        for call in (archive(house, unknown), restore(house, unknown)):
            assert await outcome(call) == "NOT_FOUND"
