"""Guardians and dependants: who acts for whom, and who is written to."""

from typing import Any
from uuid import UUID

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode

from powerhouse.booking.v1 import booking_service_pb2
from powerhouse.booking.v1 import client_service_pb2 as pb
from powerhouse.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from powerhouse.booking.v1.client_pb2 import Client
from services.chassis.ids import new_id
from tests.integration.booking.house import House, key, last_id, outcome, refused


def add(house: House, stub: Any, guardian: Client | None = None, **fields: Any) -> Any:
    request = pb.AddDependantRequest(
        parent=house.name,
        guardian=guardian.name if guardian else "",
        client=Client(**{"display_name": "Kim", **fields}),
        request_id=key(),
    )
    return stub.AddDependant(request)


def link(house: House, client: Client, guardian: Client) -> Any:
    return house.staff.LinkGuardian(pb.LinkGuardianRequest(name=client.name, guardian=guardian.name, request_id=key()))


def unlink(house: House, client: Client) -> Any:
    return house.staff.UnlinkGuardian(pb.UnlinkGuardianRequest(name=client.name, request_id=key()))


def give_account(house: House, client: Client, account: UUID | None) -> Any:
    changed = Client(name=client.name, account=f"accounts/{account}" if account else "")
    return house.staff.UpdateClient(
        pb.UpdateClientRequest(client=changed, update_mask=FieldMask(paths=["account"]), request_id=key())
    )


async def get(house: House, client: Client) -> Client:
    read: Client = await house.staff.GetClient(pb.GetClientRequest(name=client.name))
    return read


class TestAdding:
    async def test_a_guardian_adds_a_child_and_books_for_it(self, house: House) -> None:
        account = new_id()
        guardian, stub = await house.add_client(account=f"accounts/{account}"), house.as_account(account)
        child = await add(house, stub, birth_date="2018-02-03")
        assert (child.guardian, child.account, child.email) == (guardian.name, f"accounts/{account}", "")
        await house.grant(child)
        booking = await house.book(await house.plan(), child, stub=stub)
        assert booking.client_display_name == "Kim"

    async def test_who_is_no_client_joins_first(self, house: House) -> None:
        await refused(add(house, house.as_account(new_id())), StatusCode.FAILED_PRECONDITION, "CLIENT_REQUIRED")

    async def test_only_for_whom_one_acts(self, house: House) -> None:
        account = new_id()
        await house.add_client(account=f"accounts/{account}")
        call = add(house, house.as_account(account), await house.add_client())
        await refused(call, StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")

    async def test_staff_add_one_for_anybody(self, house: House) -> None:
        guardian = await house.add_client()
        child = await add(house, house.staff, guardian)
        assert (child.guardian, child.account) == (guardian.name, "")
        await refused(add(house, house.staff, child), StatusCode.FAILED_PRECONDITION, "GUARDIAN_IS_DEPENDANT")
        unknown = Client(name=f"{house.name}/clients/{new_id()}")
        assert await outcome(add(house, house.staff, unknown)) == "NOT_FOUND"
        assert await outcome(add(house, house.staff, guardian, display_name=" ")) == "INVALID_FIELD"


class TestLinking:
    async def test_gives_the_guardians_account_and_takes_it_back(self, house: House) -> None:
        account = new_id()
        guardian, child = await house.add_client(account=f"accounts/{account}"), await house.add_client("Kim")
        linked = await link(house, child, guardian)
        assert (linked.guardian, linked.account) == (guardian.name, f"accounts/{account}")
        free = await unlink(house, child)
        assert (free.guardian, free.account) == ("", "")
        await refused(unlink(house, child), StatusCode.FAILED_PRECONDITION, "NO_GUARDIAN")

    async def test_goes_one_level_deep(self, house: House) -> None:
        old, middle, young = [await house.add_client(name) for name in ("Old", "Middle", "Young")]
        await link(house, young, middle)
        await refused(link(house, middle, old), StatusCode.FAILED_PRECONDITION, "HAS_DEPENDANTS")
        await refused(link(house, old, young), StatusCode.FAILED_PRECONDITION, "GUARDIAN_IS_DEPENDANT")
        await refused(link(house, old, old), StatusCode.FAILED_PRECONDITION, "GUARDIAN_IS_CLIENT")
        assert (await link(house, young, old)).guardian == old.name

    async def test_two_links_the_other_way_round(self, house: House) -> None:
        one, other = await house.add_client("One"), await house.add_client("Other")
        counted = await house.count([link(house, one, other), link(house, other, one)])
        assert counted["BOOKED"] == 1
        assert set(counted) <= {"BOOKED", "GUARDIAN_IS_DEPENDANT", "HAS_DEPENDANTS"}

    async def test_not_of_who_signs_in_or_is_archived(self, house: House) -> None:
        own, other = await house.add_client(account=f"accounts/{new_id()}"), await house.add_client()
        await refused(link(house, own, other), StatusCode.FAILED_PRECONDITION, "HAS_ACCOUNT")
        await house.staff.DeleteClient(pb.DeleteClientRequest(name=other.name, request_id=key()))
        for call in (link(house, other, own), link(house, await house.add_client(), other), unlink(house, other)):
            await refused(call, StatusCode.FAILED_PRECONDITION, "ARCHIVED")


class TestAccounts:
    async def test_dependants_change_hands_with_their_guardian(self, house: House) -> None:
        guardian, first, second = await house.add_client(), new_id(), new_id()
        child = await add(house, house.staff, guardian)
        for account in (first, second, None):
            assert (await give_account(house, guardian, account)).guardian == ""
            assert (await get(house, child)).account == (f"accounts/{account}" if account else "")
        assert (await get(house, child)).guardian == guardian.name

    async def test_an_account_names_the_guardian(self, house: House) -> None:
        account = new_id()
        guardian, child = await house.add_client(account=f"accounts/{account}"), await house.add_client("Kim")
        assert (await give_account(house, child, account)).guardian == guardian.name
        assert (await give_account(house, child, None)).guardian == ""
        await link(house, await house.add_client(), child)
        await refused(give_account(house, child, account), StatusCode.FAILED_PRECONDITION, "HAS_DEPENDANTS")


class TestMessages:
    @pytest.mark.parametrize("own_address", ["", "kim@example.com"])
    async def test_go_to_the_guardian_when_there_is_no_address(self, house: House, own_address: str) -> None:
        guardian = await house.add_client("Ann", email="ann@example.com", phone="+4930123456", language="de")
        child = await add(house, house.staff, guardian, email=own_address, language="en")
        await house.grant(child)
        booking = await house.book(await house.plan(), child)
        notify = house.running.as_service(BookingServiceStub, "notify")
        request = booking_service_pb2.BatchGetRecipientsRequest(
            parent=house.name, booking_ids=[str(last_id(booking.name))]
        )
        (recipient,) = (await notify.BatchGetRecipients(request)).recipients
        assert (recipient.display_name, recipient.client_id) == ("Kim", str(last_id(child.name)))
        contact = (recipient.email, recipient.phone, recipient.language, recipient.guardian_display_name)
        expected = (own_address, "", "en", "") if own_address else ("ann@example.com", "+4930123456", "de", "Ann")
        assert contact == expected
