"""A studio's export: everything that booking holds, documented, streamed, for the owner alone, for seven days."""

import csv
import io
import json
import tracemalloc
import zipfile
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from grpc import StatusCode

from powerhouse.booking.v1 import client_note_service_pb2
from powerhouse.booking.v1 import export_service_pb2 as pb
from powerhouse.booking.v1.client_note_pb2 import ClientNote
from powerhouse.booking.v1.export_service_pb2 import Export
from powerhouse.booking.v1.import_service_pb2 import Import
from powerhouse.policy.v1.policy_pb2 import Role
from services.booking import exports, person_keys
from services.booking.export_tables import LEFT_OUT, LEFT_OUT_COLUMNS, TABLES
from services.booking.jobs import sweep_blobs
from services.chassis.jobs.registry import Cancelled, Done
from tests.integration.booking.files import Files, run_job
from tests.integration.booking.house import House, key, last_id, refused
from tests.integration.booking.test_client_waivers import publish, sign


@pytest.fixture
def owner(house: House) -> Any:
    return house.as_role(Role.ROLE_OWNER)


async def request(house: House, owner: Any) -> Export:
    made: Export = await owner.RequestExport(pb.RequestExportRequest(parent=house.name, request_id=key()))
    return made


async def get(owner: Any, made: Export) -> Export:
    read: Export = await owner.GetExport(pb.GetExportRequest(name=made.name))
    return read


async def download(owner: Any, made: Export) -> tuple[str, bytes]:
    bodies = [body async for body in owner.DownloadExport(pb.DownloadExportRequest(name=made.name))]
    return bodies[0].content_type, b"".join(body.data for body in bodies)


async def test_every_column_is_exported_or_left_out_for_a_reason(house: House) -> None:
    rows = await house.running.sql(
        "SELECT c.table_name, c.column_name FROM information_schema.columns c JOIN information_schema.tables t"
        " USING (table_schema, table_name) WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        " AND table_name IN (SELECT table_name FROM information_schema.columns WHERE column_name = 'tenant_id')"
    )
    there = {(row[0], row[1]) for row in rows if row[1] != "tenant_id" and row[0] not in LEFT_OUT}
    told = {(name, column) for name, table in TABLES.items() for column in table.columns}
    assert there - told == set(LEFT_OUT_COLUMNS)
    assert told - there == set()


async def test_all_of_a_studio_comes_as_documented(house: House, owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "_ROWS", 2)
    session = await house.plan(spots=["A", "B"], capacity=2)
    clara = await house.add_client('Clara "C", Änne\n', credits=3, email="clara@example.org", phone="+4930123456")
    for name in ("Ben", "Ada", "Zoë"):
        await house.add_client(name)
    await house.cancel(await house.book(session, clara))
    booking = await house.book(session, clara)
    await Files(house).bring("id,name\n7,Kim\n")
    made = await request(house, owner)
    assert (made.state, made.progress_percent) == (Export.RUNNING, 0)
    assert (await request(house, owner)).name == made.name
    await refused(anext(aiter(_call(owner, made))), StatusCode.FAILED_PRECONDITION, "EXPORT_NOT_READY")
    assert await run_job(house, "write_export") == Done()
    ready = await get(owner, made)
    assert (ready.state, ready.progress_percent) == (Export.READY, 100)
    content_type, data = await download(owner, made)
    assert (content_type, len(data)) == ("application/zip", ready.size_bytes)
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    assert set(archive.namelist()) == {
        "README.txt",
        "manifest.json",
        *(f"{name}.{kind}" for name in TABLES for kind in ("csv", "json")),
    }
    manifest, readme = json.loads(archive.read("manifest.json")), archive.read("README.txt").decode()
    assert (manifest["format"], manifest["studio"]) == ("powerhouse.booking/1", house.name)
    total = 0
    for name, table in TABLES.items():
        records = json.loads(archive.read(f"{name}.json"))
        lines = list(csv.DictReader(io.StringIO(archive.read(f"{name}.csv").decode(), newline="")))
        (count,) = await house.running.sql(f"SELECT count(*) FROM {name} WHERE tenant_id = $1", house.tenant)
        # What the export itself has done is audited before it is written.
        assert len(records) == len(lines) == manifest["tables"][name]["rows"] == count[0] - (name == "audit_entries")
        total += len(records)
        assert name in readme
        for line, record in zip(lines, records, strict=True):
            assert list(line) == list(record) == list(table.columns)
        assert all(f"  {column}: " in readme for column in table.columns)
    assert ready.rows == total
    people = {record["display_name"]: record for record in json.loads(archive.read("clients.json"))}
    assert set(people) == {'Clara "C", Änne', "Ben", "Ada", "Zoë", "Kim"}
    assert people['Clara "C", Änne']["email"] == "clara@example.org"
    states = {record["id"]: record["state"] for record in json.loads(archive.read("bookings.json"))}
    assert states[str(last_id(booking.name))] == "CONFIRMED"
    assert sorted(states.values()) == ["CANCELLED_EARLY", "CONFIRMED"]
    (told,) = json.loads(archive.read("class_sessions.json"))
    assert (told["spots"], told["cancelled"]) == (["A", "B"], False)


async def test_what_was_written_about_people_comes_as_text(house: House, owner: Any) -> None:
    clara, gone = await house.add_client("Clara"), await house.add_client("Gone")
    for client in (clara, gone):
        note = ClientNote(client=client.name, kind=ClientNote.HEALTH, body="Slipped disc")
        await owner.CreateClientNote(
            client_note_service_pb2.CreateClientNoteRequest(parent=house.name, client_note=note, request_id=key())
        )
    await publish(house)
    await sign(house, clara, name="Clara C.")
    async with house.running.resources.database.transaction(house.tenant) as tx:
        await person_keys.destroy(tx, last_id(gone.name))
    made = await request(house, owner)
    await run_job(house, "write_export")
    archive = zipfile.ZipFile(io.BytesIO((await download(owner, made))[1]))
    notes = {record["client_id"]: record["body"] for record in json.loads(archive.read("client_notes.json"))}
    assert notes == {str(last_id(clara.name)): "Slipped disc", str(last_id(gone.name)): ""}
    assert "Slipped disc" in archive.read("client_notes.csv").decode()
    (signature,) = json.loads(archive.read("waiver_signatures.json"))
    assert signature["typed_name"] == "Clara C."


def _call(owner: Any, made: Export) -> Any:
    return owner.DownloadExport(pb.DownloadExportRequest(name=made.name))


async def test_nothing_of_another_studio_is_in_it(house: House, owner: Any) -> None:
    other = House(house.running, UUID(int=house.tenant.int ^ 1), None)
    other.staff = other.as_role(Role.ROLE_FRONT_DESK)
    await other.add_client("Stranger")
    await house.add_client("Clara")
    made = await request(house, owner)
    await run_job(house, "write_export")
    archive = zipfile.ZipFile(io.BytesIO((await download(owner, made))[1]))
    text = b"".join(archive.read(name) for name in archive.namelist())
    assert b"Clara" in text
    assert b"Stranger" not in text
    assert str(other.tenant).encode() not in text


async def test_it_goes_after_seven_days(house: House, owner: Any) -> None:
    await house.running.sql("INSERT INTO studio_ids VALUES ($1) ON CONFLICT DO NOTHING", house.tenant)
    made = await request(house, owner)
    await run_job(house, "write_export")
    house.move(days=6)
    await sweep_blobs(house.running.resources, house.now)
    assert (await get(owner, made)).state == Export.READY
    house.move(days=2)
    await sweep_blobs(house.running.resources, house.now)
    assert (await get(owner, made)).state == Export.EXPIRED
    await refused(anext(aiter(_call(owner, made))), StatusCode.FAILED_PRECONDITION, "EXPORT_EXPIRED")
    (row,) = await house.running.sql("SELECT count(*) FROM blob_chunks WHERE tenant_id = $1", house.tenant)
    assert row[0] == 0
    again = await request(house, owner)
    assert again.name != made.name
    listed = await owner.ListExports(pb.ListExportsRequest(parent=house.name))
    assert [each.name for each in listed.exports] == [again.name, made.name]


async def test_an_imported_file_goes_after_thirty_days(house: House) -> None:
    await house.running.sql("INSERT INTO studio_ids VALUES ($1) ON CONFLICT DO NOTHING", house.tenant)
    files = Files(house)
    made = await files.bring("id,name\n1,Clara\n")
    house.move(days=31)
    await sweep_blobs(house.running.resources, house.now)
    assert (await files.get(made)).state == Import.DONE
    assert len(await files.rows(made)) == 1
    await refused(files.run(made), StatusCode.FAILED_PRECONDITION, "IMPORT_FILE_GONE")


async def test_it_is_the_owners_alone_and_audited(house: House, owner: Any) -> None:
    made = await request(house, owner)
    await run_job(house, "write_export")
    for role in (Role.ROLE_MANAGER, Role.ROLE_FRONT_DESK, Role.ROLE_INSTRUCTOR, Role.ROLE_CLIENT):
        stub = house.as_role(role)
        await refused(request(house, stub), StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")
        await refused(anext(aiter(_call(stub, made))), StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")
    await download(owner, made)
    rows = await house.running.sql(
        "SELECT method, resource FROM audit_entries WHERE tenant_id = $1 ORDER BY create_time", house.tenant
    )
    assert [tuple(row) for row in rows] == [("RequestExport", made.name), ("DownloadExport", made.name)]


async def test_after_the_last_attempt_it_has_failed(house: House, owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await request(house, owner)
    await house.running.sql("UPDATE jobs SET attempts = 4 WHERE tenant_id = $1", house.tenant)
    with monkeypatch.context() as failing:
        failing.setattr(exports, "_MAX_FILE", 10)
        with pytest.raises(Exception, match="larger"):
            await run_job(house, "write_export")
    assert (await get(owner, made)).state == Export.FAILED
    assert await run_job(house, "write_export") == Cancelled("NOT_WANTED")


async def test_one_that_nobody_writes_any_more_gives_way(house: House, owner: Any) -> None:
    lost = await request(house, owner)
    house.move(days=1)
    assert (await request(house, owner)).name != lost.name
    assert (await get(owner, lost)).state == Export.FAILED


async def test_memory_holds_a_page_and_not_the_studio(house: House, owner: Any) -> None:
    await house.running.sql(
        "INSERT INTO clients (tenant_id, id, display_name, language, is_self, version)"
        " SELECT $1, gen_random_uuid(), md5(n::text) || md5(n::text), '', false, 1 FROM generate_series(1, 20000) n",
        house.tenant,
    )
    await house.running.sql("ANALYZE clients")
    made = await request(house, owner)
    tracemalloc.start()
    try:
        await run_job(house, "write_export")
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()
    assert (await get(owner, made)).rows > 20_000


async def test_time_over_is_business_time(house: House, owner: Any) -> None:
    made = await request(house, owner)
    await run_job(house, "write_export")
    assert (await get(owner, made)).expire_time.ToDatetime() == (house.now + timedelta(days=7)).replace(tzinfo=None)
