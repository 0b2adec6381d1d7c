"""Merging duplicates and taking it back: what moves, what stays, what is refused."""

from typing import Any

import asyncpg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode

from powerhouse.booking.v1 import booking_service_pb2, client_note_service_pb2, credit_service_pb2, waiver_service_pb2
from powerhouse.booking.v1 import client_service_pb2 as pb
from powerhouse.booking.v1.client_note_pb2 import ClientNote
from powerhouse.booking.v1.client_pb2 import Client, ClientMerge, ClientTag
from powerhouse.booking.v1.events_pb2 import BookingChanged
from powerhouse.booking.v1.waiver_pb2 import Waiver
from powerhouse.policy.v1.policy_pb2 import Role
from services.booking.service import SERVICE
from services.chassis.db.urls import service_url
from services.chassis.ids import new_id
from tests.integration.booking.house import House, key, last_id, outcome, refused


def merge(house: House, survivor: Client, duplicate: Client) -> Any:
    return house.staff.MergeClients(
        pb.MergeClientsRequest(name=survivor.name, duplicate=duplicate.name, request_id=key())
    )


def undo(house: House, merged: ClientMerge) -> Any:
    return house.staff.UndoClientMerge(pb.UndoClientMergeRequest(name=merged.name, request_id=key()))


async def get(house: House, client: Client) -> Client:
    read: Client = await house.staff.GetClient(pb.GetClientRequest(name=client.name))
    return read


async def change(house: House, client: Client, **fields: Any) -> Client:
    request = pb.UpdateClientRequest(
        client=Client(name=client.name, **fields), update_mask=FieldMask(paths=list(fields)), request_id=key()
    )
    changed: Client = await house.staff.UpdateClient(request)
    return changed


async def bookings(house: House, client: Client) -> set[str]:
    request = booking_service_pb2.ListBookingsRequest(parent=house.name, client=client.name)
    return {booking.name for booking in (await house.staff.ListBookings(request)).bookings}


async def packages(house: House, client: Client) -> set[str]:
    request = credit_service_pb2.ListClientPackagesRequest(parent=house.name, client=client.name)
    return {package.name for package in (await house.staff.ListClientPackages(request)).client_packages}


async def notes(house: House, client: Client) -> list[str]:
    request = client_note_service_pb2.ListClientNotesRequest(client=client.name)
    answer = await house.as_role(Role.ROLE_MANAGER).ListClientNotes(request)
    return [note.body for note in answer.client_notes]


async def write(house: House, client: Client, body: str) -> None:
    note = ClientNote(client=client.name, kind=ClientNote.HEALTH, body=body)
    await house.staff.CreateClientNote(
        client_note_service_pb2.CreateClientNoteRequest(parent=house.name, client_note=note, request_id=key())
    )


async def tag(house: House, name: str) -> str:
    made = await house.staff.CreateClientTag(
        pb.CreateClientTagRequest(parent=house.name, client_tag=ClientTag(display_name=name), request_id=key())
    )
    return str(made.name)


async def test_everything_goes_over_and_comes_back(house: House) -> None:
    manager, account = house.as_role(Role.ROLE_MANAGER), f"accounts/{new_id()}"
    shared, own = await tag(house, "Shared"), await tag(house, "Own")
    survivor = await house.add_client("Clara", credits=2, tags=[shared])
    duplicate = await house.add_client(
        "Klara", credits=3, email="klara@example.com", birth_date="1990-05-31", account=account, tags=[shared, own]
    )
    child = await house.add_client("Kim", credits=0, account=account)
    waiver = Waiver(name=f"{house.name}/waiver", title="Waiver", text="At my own risk.")
    await manager.PublishWaiver(waiver_service_pb2.PublishWaiverRequest(waiver=waiver, request_id=key()))
    await house.staff.SignWaiver(
        waiver_service_pb2.SignWaiverRequest(client=duplicate.name, waiver_version=1, typed_name="K", request_id=key())
    )
    await write(house, duplicate, "Bad knee")
    session, given_up, theirs_too, later = await house.plan_many(4)
    cancelled = await house.book(given_up, duplicate)
    await house.cancel(cancelled)
    booked = await house.book(session, duplicate)
    theirs = await house.book(theirs_too, survivor)
    before = [await get(house, each) for each in (survivor, duplicate, child)]
    moved_packages = await packages(house, duplicate)
    house.move(seconds=1)

    merged = await merge(house, survivor, duplicate)
    assert (merged.survivor, merged.duplicate) == (survivor.name, duplicate.name)
    assert (merged.moved_bookings, merged.moved_packages) == (2, 1)
    assert await bookings(house, survivor) == {booked.name, cancelled.name, theirs.name}
    assert await packages(house, duplicate) == await bookings(house, duplicate) == set()
    assert moved_packages < await packages(house, survivor)
    now = await get(house, survivor)
    assert (now.credits_left, now.account, now.email, now.birth_date) == (
        3,
        account,
        "klara@example.com",
        "1990-05-31",
    )
    assert (sorted(now.tags), now.must_sign_waiver) == (sorted([shared, own]), False)
    assert await notes(house, survivor) == ["Bad knee"]
    gone = await get(house, duplicate)
    assert (gone.account, gone.credits_left, gone.HasField("archive_time")) == ("", 0, True)
    assert (await get(house, child)).guardian == survivor.name
    told = await house.running.events(BookingChanged, house.tenant)
    assert told[-1].client_id == str(last_id(survivor.name))
    assert await house.violations() == {}

    since = await house.book(later, survivor)
    await write(house, survivor, "Since then")
    undone = await undo(house, merged)
    assert undone.HasField("undo_time")
    assert await bookings(house, duplicate) == {booked.name, cancelled.name}
    assert await bookings(house, survivor) == {theirs.name, since.name}
    assert await packages(house, duplicate) == moved_packages
    assert (await notes(house, survivor), await notes(house, duplicate)) == (["Since then"], ["Bad knee"])
    ignored = ("etag", "update_time", "credits_left")
    for old, new in zip(before, [await get(house, each) for each in (survivor, duplicate, child)], strict=True):
        for field in ignored:
            old.ClearField(field)
            new.ClearField(field)
        assert sorted(old.tags) == sorted(new.tags)
        old.ClearField("tags")
        new.ClearField("tags")
        assert old == new
    assert await house.violations() == {}
    listed = await house.staff.ListClientMerges(pb.ListClientMergesRequest(parent=house.name, client=duplicate.name))
    assert list(listed.client_merges) == [undone]


async def test_what_changed_since_stays(house: House) -> None:
    survivor = await house.add_client("Clara", credits=0)
    duplicate = await house.add_client("Klara", email="klara@example.com", account=f"accounts/{new_id()}")
    booked = await house.book(await house.plan(), duplicate)
    merged = await merge(house, survivor, duplicate)
    other = f"accounts/{new_id()}"
    await change(house, survivor, email="clara@example.com", account=other)
    await house.cancel(booked)
    await undo(house, merged)
    now, back = await get(house, survivor), await get(house, duplicate)
    assert (now.email, now.account) == ("clara@example.com", other)
    assert (back.email, back.account, back.credits_left) == ("klara@example.com", "", 1)
    assert await house.violations() == {}


class TestRefusals:
    async def test_a_client_and_itself(self, house: House) -> None:
        client, unknown = await house.add_client(), Client(name=f"{house.name}/clients/{new_id()}")
        await refused(merge(house, client, client), StatusCode.FAILED_PRECONDITION, "SAME_CLIENT")
        for pair in ((client, unknown), (unknown, client)):
            assert await outcome(merge(house, *pair)) == "NOT_FOUND"

    async def test_of_another_studio(self, house: House) -> None:
        client = await house.add_client()
        foreign = Client(name=f"studios/{new_id()}/clients/{last_id(client.name)}")
        await refused(merge(house, client, foreign), StatusCode.INVALID_ARGUMENT, "FOREIGN_RESOURCE")

    async def test_two_accounts(self, house: House) -> None:
        pair = [await house.add_client(account=f"accounts/{new_id()}") for _ in range(2)]
        await refused(merge(house, *pair), StatusCode.FAILED_PRECONDITION, "BOTH_HAVE_ACCOUNTS")

    async def test_two_places_in_one_class(self, house: House) -> None:
        session = await house.plan()
        survivor, duplicate = await house.add_client(), await house.add_client()
        mine, theirs = await house.book(session, survivor), await house.book(session, duplicate)
        await refused(merge(house, survivor, duplicate), StatusCode.FAILED_PRECONDITION, "BOTH_BOOKED")
        # They would both come back with the class.
        await house.change(session, 2, cancelled=True)
        await refused(merge(house, survivor, duplicate), StatusCode.FAILED_PRECONDITION, "BOTH_BOOKED")
        await house.change(session, 3)
        await house.cancel(theirs)
        await merge(house, survivor, duplicate)
        assert await bookings(house, survivor) == {mine.name, theirs.name}

    async def test_an_archived_one(self, house: House) -> None:
        survivor, duplicate, third = [await house.add_client() for _ in range(3)]
        merged = await merge(house, survivor, duplicate)
        await refused(merge(house, third, duplicate), StatusCode.FAILED_PRECONDITION, "ARCHIVED")
        later = await merge(house, third, survivor)
        await refused(undo(house, merged), StatusCode.FAILED_PRECONDITION, "ARCHIVED")
        undelete = house.staff.UndeleteClient(pb.UndeleteClientRequest(name=duplicate.name, request_id=key()))
        await refused(undelete, StatusCode.FAILED_PRECONDITION, "MERGED")
        for each in (later, merged):
            await undo(house, each)
            await refused(undo(house, each), StatusCode.FAILED_PRECONDITION, "ALREADY_UNDONE")
        assert await outcome(undo(house, ClientMerge(name=f"{house.name}/clientMerges/{new_id()}"))) == "NOT_FOUND"
        assert [(await get(house, each)).credits_left for each in (survivor, duplicate, third)] == [1, 1, 1]

    async def test_an_address_that_somebody_took(self, house: House) -> None:
        survivor, duplicate = [await house.add_client(email=email) for email in ("c@example.com", "k@example.com")]
        merged = await merge(house, survivor, duplicate)
        await house.add_client(email="k@example.com")
        await refused(undo(house, merged), StatusCode.ALREADY_EXISTS, "CLIENT_EMAIL_TAKEN")

    async def test_a_guardian_that_would_get_one(self, house: House) -> None:
        account = f"accounts/{new_id()}"
        await house.add_client("Ann", account=account)
        dependant, survivor = await house.add_client("Kim", account=account), await house.add_client("Kimmy")
        link = pb.LinkGuardianRequest(name=(await house.add_client()).name, guardian=survivor.name, request_id=key())
        await house.staff.LinkGuardian(link)
        await refused(merge(house, survivor, dependant), StatusCode.FAILED_PRECONDITION, "HAS_DEPENDANTS")


class TestGuardians:
    async def test_ones_own_dependant_is_oneself(self, house: House) -> None:
        account = f"accounts/{new_id()}"
        own, twice = await house.add_client("Ann", account=account), await house.add_client("Ann", account=account)
        for survivor, duplicate in ((own, twice), (twice, own)):
            merged = await merge(house, survivor, duplicate)
            now = await get(house, survivor)
            assert (now.account, now.guardian) == (account, "")
            await undo(house, merged)
            assert (await get(house, own)).guardian == ""
            assert (await get(house, twice)).guardian == own.name
            assert (await get(house, twice)).account == account

    async def test_a_guardian_who_left_does_not_act_again(self, house: House) -> None:
        account = f"accounts/{new_id()}"
        guardian = await house.add_client("Ann", credits=0, account=account)
        child, survivor = await house.add_client("Kim", account=account), await house.add_client("Kimmy")
        merged = await merge(house, survivor, child)
        assert (await get(house, survivor)).guardian == guardian.name
        await house.staff.DeleteClient(pb.DeleteClientRequest(name=guardian.name, request_id=key()))
        await undo(house, merged)
        assert (await get(house, child)).guardian == (await get(house, survivor)).guardian == ""


async def test_two_merges_at_once(house: House) -> None:
    one, other = await house.add_client(), await house.add_client()
    counted = await house.count([merge(house, one, other), merge(house, other, one)])
    assert counted == {"BOOKED": 1, "ARCHIVED": 1}
    assert await house.violations() == {}


async def test_while_both_are_booked_and_cancelled(house: House) -> None:
    """Whatever comes first, no credit is lost, no lock is waited for in a circle."""
    for _ in range(3):
        survivor, duplicate = await house.add_client(credits=4), await house.add_client(credits=4)
        people = (survivor, duplicate, duplicate)
        held = [
            await house.book(session, client) for session, client in zip(await house.plan_many(3), people, strict=True)
        ]
        calls = [merge(house, survivor, duplicate), *(house.cancel(booking) for booking in held)]
        assert await house.count(calls) == {"BOOKED": 4}
        assert (await get(house, survivor)).credits_left == 8
    assert await house.violations() == {}


_RECORD = (
    "INSERT INTO client_merges (tenant_id, id, survivor_id, duplicate_id, moved, create_time)"
    " VALUES ($1, gen_random_uuid(), $2, $3, $4, now())"
)


@pytest.mark.parametrize("recorded", ["elsewhere", "without the booking", "the other way round"])
async def test_a_booking_changes_hands_by_a_merge_alone(house: House, recorded: str) -> None:
    """A record that is there, one of this transaction that does not name the booking, and one to somebody else."""
    survivor, duplicate, third = [await house.add_client() for _ in range(3)]
    booking = last_id((await house.book(await house.plan(), duplicate)).name)
    await merge(house, survivor, duplicate)
    giver, taker = last_id(survivor.name), last_id(duplicate.name)
    url = service_url(SERVICE.name, "app", {"POWERHOUSE_DATABASE_URL": house.running.mesh.admin_url})
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SELECT set_config('app.tenants', $1, false)", f"{{{house.tenant}}}")
        async with connection.transaction():
            if recorded == "without the booking":
                await connection.execute(_RECORD, house.tenant, last_id(third.name), giver, '{"bookings": []}')
                taker = last_id(third.name)
            elif recorded == "the other way round":
                named = f'{{"bookings": ["{booking}"]}}'
                await connection.execute(_RECORD, house.tenant, giver, last_id(third.name), named)
                taker = last_id(third.name)
            with pytest.raises(asyncpg.CheckViolationError, match="keeps its client"):
                await connection.execute("UPDATE bookings SET client_id = $1 WHERE id = $2", taker, booking)
            raise _Undo
    except _Undo:
        pass
    finally:
        await connection.close()


class _Undo(Exception):
    """Rolls a test's transaction back."""
