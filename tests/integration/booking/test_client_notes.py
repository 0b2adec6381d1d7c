"""Notes on clients: who reads what, how they lie in the database, and what a roster shows of them."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode

from powerhouse.booking.v1 import client_note_service_pb2 as pb
from powerhouse.booking.v1.client_note_pb2 import ClientNote
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.policy.v1.policy_pb2 import Role
from services.booking import person_keys
from services.booking.client_flags import Flags, client_flags
from services.chassis.ids import new_id
from tests.integration.booking.house import House, key, last_id, outcome, refused

SECRET = "Slipped disc L4/L5"


def write(
    house: House, client: Client, body: str = SECRET, kind: Any = ClientNote.HEALTH, stub: Any = None, **fields: Any
) -> Any:
    request_id = fields.pop("request_id", "") or key()
    note = ClientNote(client=client.name, kind=kind, body=body, **fields)
    return (stub or house.staff).CreateClientNote(
        pb.CreateClientNoteRequest(parent=house.name, client_note=note, request_id=request_id)
    )


def change(house: House, note: ClientNote, stub: Any = None, **fields: Any) -> Any:
    etag = fields.pop("etag", "")
    return (stub or house.staff).UpdateClientNote(
        pb.UpdateClientNoteRequest(
            client_note=ClientNote(name=note.name, etag=etag, **fields),
            update_mask=FieldMask(paths=list(fields)),
            request_id=key(),
        )
    )


def remove(house: House, note: ClientNote, stub: Any = None) -> Any:
    return (stub or house.staff).DeleteClientNote(pb.DeleteClientNoteRequest(name=note.name, request_id=key()))


async def read(house: House, client: Client, stub: Any = None, **fields: Any) -> list[ClientNote]:
    request = pb.ListClientNotesRequest(client=client.name, **fields)
    return list((await (stub or house.staff).ListClientNotes(request)).client_notes)


async def flags(house: House, client: Client, start: datetime) -> Flags:
    async with house.running.resources.database.transaction(house.tenant) as tx:
        return (await client_flags(tx, [last_id(client.name)], start, "Europe/Berlin"))[last_id(client.name)]


async def test_pinned_first_then_the_newest(house: House) -> None:
    client, manager = await house.add_client(), house.as_role(Role.ROLE_MANAGER)
    bodies = {"first": False, "pinned": True, "second": False}
    for body, pinned in bodies.items():
        await write(house, client, body, ClientNote.GENERAL, pinned=pinned)
        house.move(seconds=1)
    assert [note.body for note in await read(house, client)] == ["pinned", "second", "first"]
    pages = pb.ListClientNotesRequest(client=client.name, page_size=2)
    page = await manager.ListClientNotes(pages)
    assert [note.body for note in page.client_notes] == ["pinned", "second"]
    rest = await read(house, client, page_token=page.next_page_token)
    assert [note.body for note in rest] == ["first"]


async def test_they_change_and_go(house: House) -> None:
    client = await house.add_client()
    note = await write(house, client, "Tall", ClientNote.GENERAL)
    assert note.author.startswith("accounts/")
    changed = await change(house, note, body="Very tall", pinned=True, etag=note.etag)
    assert (changed.body, changed.pinned, changed.etag) == ("Very tall", True, "2")
    await refused(change(house, note, body="x", etag=note.etag), StatusCode.ABORTED, "ETAG_MISMATCH")
    await remove(house, note)
    assert await read(house, client) == []
    assert await outcome(remove(house, note)) == "NOT_FOUND"
    unknown = Client(name=f"{house.name}/clients/{new_id()}")
    assert await outcome(write(house, unknown)) == "NOT_FOUND"


class TestHealth:
    async def test_the_front_desk_sees_only_that_there_is_one(self, house: House) -> None:
        client = await house.add_client()
        note = await write(house, client)
        (seen,) = await read(house, client)
        assert (seen.body, seen.restricted, seen.kind) == ("", True, ClientNote.HEALTH)
        for role in (Role.ROLE_OWNER, Role.ROLE_MANAGER):
            (open_note,) = await read(house, client, house.as_role(role))
            assert (open_note.body, open_note.restricted) == (SECRET, False)
        for call in (change(house, note, body="x"), remove(house, note)):
            await refused(call, StatusCode.PERMISSION_DENIED, "HEALTH_NOTE_RESTRICTED")

    async def test_instructors_read_of_whom_they_teach(self, house: House) -> None:
        account = new_id()
        taught, other = await house.add_client(), await house.add_client()
        note, foreign = await write(house, taught), await write(house, other)
        booking = await house.book(await house.plan(instructor_account_id=str(account)), taught)
        await house.book(await house.plan(), other)
        stub = house.as_role(Role.ROLE_INSTRUCTOR, account)
        assert [seen.body for seen in await read(house, taught, stub)] == [SECRET]
        assert (await change(house, note, stub, pinned=True)).pinned
        refusals = [
            stub.ListClientNotes(pb.ListClientNotesRequest(client=other.name)),
            write(house, other, stub=stub),
            change(house, foreign, stub, pinned=True),
            remove(house, foreign, stub),
            remove(house, ClientNote(name=f"{house.name}/clientNotes/{new_id()}"), stub),
        ]
        for call in refusals:
            await refused(call, StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
        await house.cancel(booking)
        call = stub.ListClientNotes(pb.ListClientNotesRequest(client=taught.name))
        await refused(call, StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")

    async def test_until_a_day_after_the_class(self, house: House) -> None:
        account, client = new_id(), await house.add_client()
        await house.book(await house.plan(instructor_account_id=str(account)), client)
        stub = house.as_role(Role.ROLE_INSTRUCTOR, account)
        house.move(days=3)
        assert (await write(house, client, stub=stub)).body == SECRET
        house.move(hours=1)
        call = stub.ListClientNotes(pb.ListClientNotesRequest(client=client.name))
        await refused(call, StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")

    async def test_clients_read_none(self, house: House) -> None:
        account = new_id()
        client = await house.add_client(account=f"accounts/{account}")
        call = house.as_account(account).ListClientNotes(pb.ListClientNotesRequest(client=client.name))
        await refused(call, StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")


class TestAtRest:
    async def test_nothing_readable_is_stored(self, house: House) -> None:
        client, request_id = await house.add_client(), key()
        manager = house.as_role(Role.ROLE_MANAGER)
        note = await write(house, client, stub=manager, request_id=request_id)
        # The stored answer of a repeat lacks it too.
        assert await write(house, client, stub=manager, request_id=request_id) == ClientNote(
            **{field.name: value for field, value in note.ListFields() if field.name != "body"}
        )
        for table in ("client_notes", "idempotency", "audit_entries", "outbox", "client_keys"):
            rows = await house.running.sql(f"SELECT t::text FROM {table} t WHERE tenant_id = $1", house.tenant)
            assert all(SECRET not in row[0] and SECRET.encode().hex() not in row[0] for row in rows), table

    async def test_erasure_destroys_the_key(self, house: House) -> None:
        client, other = await house.add_client(), await house.add_client()
        for each in (client, other):
            await write(house, each, "Tall", ClientNote.GENERAL)
        async with house.running.resources.database.transaction(house.tenant) as tx:
            await person_keys.destroy(tx, last_id(client.name))
        assert [note.body for note in await read(house, client)] == [""]
        assert [note.body for note in await read(house, other)] == ["Tall"]


class TestFlags:
    async def test_notes_and_first_visit(self, house: House) -> None:
        client, start = await house.add_client(credits=2), house.now + timedelta(days=3)
        assert await flags(house, client, start) == Flags(first_visit=True)
        await write(house, client, kind=ClientNote.GENERAL)
        await house.cancel(await house.book(await house.plan(), client))
        assert await flags(house, client, start) == Flags(has_general_note=True, first_visit=True)
        await house.book(await house.plan(), client)
        await write(house, client)
        assert await flags(house, client, start) == Flags(has_health_note=True, has_general_note=True)

    async def test_of_another_studio_there_are_none(self, house: House) -> None:
        client = await house.add_client()
        other: UUID = new_id()
        async with house.running.resources.database.transaction(other) as tx:
            assert await client_flags(tx, [last_id(client.name)], house.now, "Europe/Berlin") == {}
