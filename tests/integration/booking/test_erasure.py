"""A person is erased: nothing personal is left in any column, and the books add up as before."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from grpc import StatusCode
from sqlalchemy import insert

from powerhouse.booking.v1 import (
    booking_service_pb2,
    calendar_service_pb2,
    client_note_service_pb2,
    client_service_pb2,
    credit_service_pb2,
    export_service_pb2,
    import_service_pb2,
)
from powerhouse.booking.v1 import erasure_service_pb2 as pb
from powerhouse.booking.v1.booking_pb2 import Booking
from powerhouse.booking.v1.client_note_pb2 import ClientNote
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.booking.v1.erasure_service_pb2 import ErasurePreview
from powerhouse.booking.v1.events_pb2 import ClientErased
from powerhouse.booking.v1.export_service_pb2 import Export
from powerhouse.booking.v1.import_service_pb2 import Import
from powerhouse.policy.v1.policy_pb2 import Role
from services.booking import ledger
from services.booking.models import CreditHold, WaitlistEntry
from services.chassis.ids import new_id
from tests.integration.booking.files import Files, run_job
from tests.integration.booking.house import House, key, last_id, refused

CANARY = "quetzal"
EMAIL, PHONE, NAME = f"{CANARY}@example.org", "+4915777000777", f"Clara {CANARY.title()}"
# What is kept on purpose: what staff gave as a reason for what they did, on record.
KEPT = {("audit_entries", "changes")}


@pytest.fixture
def manager(house: House) -> Any:
    return house.as_role(Role.ROLE_MANAGER)


async def erase(manager: Any, client: Client, *, cancel_future: bool = False, etag: str = "") -> Client:
    erased: Client = await manager.EraseClient(
        pb.EraseClientRequest(name=client.name, cancel_future=cancel_future, etag=etag, request_id=key())
    )
    return erased


async def preview(manager: Any, client: Client) -> ErasurePreview:
    seen: ErasurePreview = await manager.PreviewErasure(pb.PreviewErasureRequest(name=client.name))
    return seen


async def traces(house: House, *wanted: str) -> set[tuple[str, str]]:
    """The columns of any table in which one of these words is found, whatever their type."""
    columns = await house.running.sql(
        "SELECT c.relname, a.attname, a.atttypid::regtype::text AS type FROM pg_catalog.pg_attribute a"
        " JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'public' AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped"
    )
    found = set()
    for relation, column, kind in columns:
        shown = f"encode(\"{column}\", 'escape')" if kind == "bytea" else f'"{column}"::text'
        (row,) = await house.running.sql(
            f"SELECT count(*) FROM {relation} WHERE {shown} ILIKE ANY ($1)", [f"%{word}%" for word in wanted]
        )
        if row[0]:
            found.add((relation, column))
    return found


async def books(house: House) -> list[Any]:
    """What must not change: places, credits by account, money."""
    return [
        [tuple(row) for row in await house.running.sql(statement, house.tenant)]
        for statement in (
            "SELECT state, count(*) FROM bookings WHERE tenant_id = $1 GROUP BY state ORDER BY state",
            "SELECT id, booked_count FROM class_sessions WHERE tenant_id = $1 ORDER BY id",
            "SELECT cause, sum(amount) FROM transfers WHERE tenant_id = $1 AND cause <> 'revoked'"
            " GROUP BY cause ORDER BY cause",
            "SELECT kind, state, sum(amount_minor) FROM fees WHERE tenant_id = $1 GROUP BY kind, state ORDER BY 1, 2",
        )
    ]


async def plant(house: House, manager: Any) -> Client:
    """A client with a past, whose name is wherever a name can be."""
    account = new_id()
    policy = await manager.GetBookingPolicy(
        booking_service_pb2.GetBookingPolicyRequest(name=f"{house.name}/bookingPolicy")
    )
    policy.late_cancel_fee_minor, policy.max_guests = 900, 3
    await manager.UpdateBookingPolicy(
        booking_service_pb2.UpdateBookingPolicyRequest(booking_policy=policy, request_id=key())
    )
    files = Files(house)
    await files.bring(f"Client ID,Name,E-Mail,Phone\n{CANARY}-1,{NAME},{EMAIL},{PHONE}\n", source="mindbody")
    await files.bring(
        f"Client ID,Package,Remaining,Package ID\n{CANARY}-1,10 classes,5,{CANARY}-p\n",
        Import.CLIENT_PACKAGES,
        "mindbody",
    )
    listed = await house.staff.ListClients(client_service_pb2.ListClientsRequest(parent=house.name))
    (clara,) = listed.clients
    clara.birth_date, clara.language, clara.account = "1990-05-31", "de", f"accounts/{account}"
    clara.emergency_contact_name, clara.emergency_contact_phone = f"Karl {CANARY}", PHONE
    await house.staff.UpdateClient(client_service_pb2.UpdateClientRequest(client=clara, request_id=key()))
    wanted = credit_service_pb2.NewClientPackage(
        client=clara.name, display_name="Gift", credits=4, reason=f"for {CANARY}"
    )
    await house.staff.GrantClientPackage(
        credit_service_pb2.GrantClientPackageRequest(parent=house.name, client_package=wanted, request_id=key())
    )
    note = ClientNote(client=clara.name, kind=ClientNote.HEALTH, body=f"{CANARY} has a bad knee")
    await manager.CreateClientNote(
        client_note_service_pb2.CreateClientNoteRequest(parent=house.name, client_note=note, request_id=key())
    )
    feed = calendar_service_pb2.NewCalendarFeed(subject=clara.name)
    await house.as_account(account).CreateCalendarFeed(
        calendar_service_pb2.CreateCalendarFeedRequest(parent=house.name, calendar_feed=feed, request_id=key())
    )
    early, late, past = [await house.plan(start=start) for start in _starts(house)]
    await house.cancel(await house.book(early, clara))
    await house.cancel(await house.book(late, clara))
    await house.book(past, clara)
    await house.running.sql(
        "UPDATE fees SET state = 'WAIVED', reason = $2 WHERE tenant_id = $1", house.tenant, f"{CANARY} was ill"
    )
    guest = await house.staff.CreateBooking(
        booking_service_pb2.CreateBookingRequest(
            parent=house.name,
            booking=booking_service_pb2.NewBooking(
                class_session=past, client=clara.name, guest_display_name=f"Friend of {CANARY}"
            ),
            request_id=key(),
        )
    )
    assert guest.guest_display_name
    owner = house.as_role(Role.ROLE_OWNER)
    await owner.RequestExport(export_service_pb2.RequestExportRequest(parent=house.name, request_id=key()))
    await run_job(house, "write_export")
    house.move(days=1)
    read: Client = await house.staff.GetClient(client_service_pb2.GetClientRequest(name=clara.name))
    return read


def _starts(house: House) -> list[datetime]:
    return [house.now + timedelta(hours=hours) for hours in (40, 8, 10)]


async def test_no_trace_is_left_and_the_books_are_as_before(house: House, manager: Any) -> None:
    clara = await plant(house, manager)
    other = await house.add_client("Ben", email="ben@example.org")
    planted = await traces(house, CANARY, PHONE)
    assert planted >= {
        ("clients", "display_name"),
        ("clients", "email"),
        ("clients", "phone"),
        ("clients", "emergency_contact_name"),
        ("clients", "emergency_contact_phone"),
        ("client_packages", "reason"),
        ("transfers", "reason"),
        ("fees", "reason"),
        ("bookings", "guest_display_name"),
        ("external_ids", "external_id"),
        ("blob_chunks", "data"),
        ("idempotency", "response"),
    }
    before = await books(house)
    seen = await preview(manager, clara)
    assert (seen.erasable, seen.upcoming_bookings, seen.waits) == (True, 0, 0)
    assert (seen.import_files, seen.export_files) == (2, 1)
    assert {kept.records: kept.count for kept in seen.kept}["bookings"] == 4
    left = clara.credits_left
    assert seen.credits_left == left > 0
    erased = await erase(manager, clara)
    assert (erased.display_name, erased.email, erased.phone, erased.birth_date) == ("Erased client", "", "", "")
    assert (erased.account, erased.language, erased.credits_left) == ("", "", 0)
    assert erased.HasField("archive_time")
    assert await traces(house, CANARY, PHONE) - KEPT == set()
    assert await books(house) == before
    assert await house.violations() == {}
    rows = await house.running.sql(
        "SELECT sum(amount) AS amount FROM transfers WHERE tenant_id = $1 AND cause = 'revoked'", house.tenant
    )
    assert rows[0]["amount"] == left
    assert [event.client_id for event in await house.running.events(ClientErased, house.tenant)] == [
        clara.name.rpartition("/")[2]
    ]
    assert (await house.staff.GetClient(client_service_pb2.GetClientRequest(name=other.name))).email
    feeds = await manager.ListCalendarFeeds(calendar_service_pb2.ListCalendarFeedsRequest(parent=house.name))
    assert [feed.HasField("revoke_time") for feed in feeds.calendar_feeds] == [True]


async def test_once_is_for_ever(house: House, manager: Any) -> None:
    clara = await house.add_client(NAME, email=EMAIL)
    erased = await erase(manager, clara)
    assert await erase(manager, clara) == erased
    await refused(
        house.staff.UndeleteClient(client_service_pb2.UndeleteClientRequest(name=clara.name, request_id=key())),
        StatusCode.FAILED_PRECONDITION,
        "CLIENT_ERASED",
    )
    clara.display_name = NAME
    clara.etag = ""
    await refused(
        house.staff.UpdateClient(client_service_pb2.UpdateClientRequest(client=clara, request_id=key())),
        StatusCode.FAILED_PRECONDITION,
        "ARCHIVED",
    )
    with pytest.raises(asyncpg.CheckViolationError, match="ck_clients_erase_time"):
        await house.running.sql("UPDATE clients SET email = 'x@y.z' WHERE id = $1", last_id(clara.name))


async def test_the_answer_to_a_repeat_tells_nothing_and_makes_nobody(house: House, manager: Any) -> None:
    request = client_service_pb2.CreateClientRequest(
        parent=house.name, client=Client(display_name=NAME, email=EMAIL), request_id=key()
    )
    clara = await house.staff.CreateClient(request)
    await erase(manager, clara)
    assert await house.staff.CreateClient(request) == Client()
    listed = await house.staff.ListClients(client_service_pb2.ListClientsRequest(parent=house.name, show_archived=True))
    assert [each.display_name for each in listed.clients] == ["Erased client"]


async def test_what_is_ahead_is_cancelled_first(house: House, manager: Any) -> None:
    session, full = await house.plan(), await house.plan(capacity=1, start=house.now.replace(hour=20))
    clara = await house.add_client(NAME, credits=3)
    ben = await house.add_client("Ben")
    booking: Booking = await house.book(session, clara)
    await house.book(full, ben)
    await wait(house, full, clara)
    assert await house.violations() == {}
    seen = await preview(manager, clara)
    assert (seen.erasable, seen.upcoming_bookings, seen.waits, seen.credits_left) == (False, 1, 1, 2)
    await refused(erase(manager, clara), StatusCode.FAILED_PRECONDITION, "UPCOMING_BOOKINGS")
    await erase(manager, clara, cancel_future=True)
    assert (await house.get(booking)).state == Booking.CANCELLED_EARLY
    assert (await house.counters(session))[2] == 0
    assert (await house.counters(full))[2] == 1
    assert await house.violations() == {}
    (row,) = await house.running.sql(
        "SELECT sum(amount) FROM transfers WHERE tenant_id = $1 AND cause = 'revoked'", house.tenant
    )
    assert row[0] == 3


async def wait(house: House, session: str, client: Client) -> None:
    """The client stands in line with a credit set aside."""
    hold, client_id = new_id(), last_id(client.name)
    (row,) = await house.running.sql("SELECT id FROM client_packages WHERE client_id = $1", client_id)
    async with house.running.resources.database.transaction(house.tenant) as tx:
        common = {"tenant_id": house.tenant, "client_id": client_id}
        held = insert(CreditHold).values(**common, id=hold, client_package_id=row["id"], create_time=house.now)
        await tx.session.execute(held)
        await ledger.transfer(tx, row["id"], hold, 1, "held")
        entry = WaitlistEntry(
            **common, class_session_id=last_id(session), credit_hold_id=hold, state="WAITING", join_time=house.now
        )
        tx.session.add(entry)


async def test_files_that_may_hold_the_person_are_gone(house: House, manager: Any) -> None:
    files, owner = Files(house), house.as_role(Role.ROLE_OWNER)
    made = await files.bring(f"id,name\n1,{NAME}\n")
    export = await owner.RequestExport(export_service_pb2.RequestExportRequest(parent=house.name, request_id=key()))
    clara = await house.add_client("Clara")
    await erase(manager, clara)
    await refused(files.run(made), StatusCode.FAILED_PRECONDITION, "IMPORT_FILE_GONE")
    read = await owner.GetExport(export_service_pb2.GetExportRequest(name=export.name))
    assert read.state == Export.FAILED
    running = await files.upload("id,name\n2,Ben\n")
    await files.manager.RunImport(import_service_pb2.RunImportRequest(name=running.name, request_id=key()))
    await refused(erase(manager, await house.add_client("Ada")), StatusCode.FAILED_PRECONDITION, "IMPORT_IN_PROGRESS")


async def test_who_became_the_person_by_way_of_another_is_erased_too(house: House, manager: Any) -> None:
    first, second, last = [await house.add_client(display_name=f"{name} {CANARY}") for name in ("Ann", "Anna", "Anne")]
    for survivor, duplicate in ((second, first), (last, second)):
        await house.staff.MergeClients(
            client_service_pb2.MergeClientsRequest(name=survivor.name, duplicate=duplicate.name, request_id=key())
        )
    await erase(manager, last)
    ids = [UUID(client.name.rpartition("/")[2]) for client in (first, second, last)]
    rows = await house.running.sql("SELECT display_name, erase_time FROM clients WHERE id = ANY($1)", ids)
    assert len(rows) == 3
    assert {row["display_name"] for row in rows} == {"Erased client"}
    assert all(row["erase_time"] for row in rows)


async def test_only_who_runs_the_studio_erases(house: House, manager: Any) -> None:
    clara = await house.add_client(NAME)
    for role in (Role.ROLE_FRONT_DESK, Role.ROLE_INSTRUCTOR, Role.ROLE_CLIENT):
        await refused(erase(house.as_role(role), clara), StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")
    await refused(erase(manager, clara, etag="99"), StatusCode.ABORTED, "ETAG_MISMATCH")
    unknown = Client(name=f"{house.name}/clients/{new_id()}")
    await refused(erase(manager, unknown), StatusCode.NOT_FOUND, "NOT_FOUND")
    await refused(preview(manager, unknown), StatusCode.NOT_FOUND, "NOT_FOUND")


async def test_no_credit_moves_by_blanking_what_was_said(house: House) -> None:
    await house.add_client()
    for change in ("reason = 'better'", "reason = 'erased', amount = 2", "amount = amount"):
        with pytest.raises(asyncpg.RestrictViolationError, match="immutable"):
            await house.running.sql(f"UPDATE transfers SET {change} WHERE tenant_id = $1", house.tenant)
