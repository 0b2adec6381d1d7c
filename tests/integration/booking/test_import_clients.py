"""People from CSV files: matched, not doubled, reported row by row; checked first, and going on where it stopped."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody
from grpc import StatusCode

from powerhouse.booking.v1 import client_service_pb2
from powerhouse.booking.v1 import import_service_pb2 as pb
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.booking.v1.events_pb2 import ClientChanged
from powerhouse.booking.v1.import_service_pb2 import Import, ImportRow
from powerhouse.policy.v1.policy_pb2 import Role
from services.booking import import_chunks
from services.booking.import_chunks import _ROWS
from services.booking.person_keys import PersonKeys
from services.chassis.ids import new_id
from services.chassis.jobs.registry import Cancelled, Done
from tests.integration.booking.files import Files, counts, run_job
from tests.integration.booking.house import House, key, last_id, refused
from tests.support.services import fields_of, reason_of

MINDBODY = """\
Client ID,First Name,Last Name,Email,Mobile Phone,Birth Date,Emergency Contact
100,Clara,Weber,clara@example.org,+49 30 123456,1990-05-31,Karl
101,Ben,Meier,ben@example.org,,,
102,Ada,"Lovelace, Countess",ada@example.org,+44 20 7946 0000,1985-12-10,
"""
GERMAN = """\
Kundennummer;Vorname;Nachname;E-Mail;Handy;Geburtsdatum
7;Jörg;Müller;joerg@example.org;+49 171 1234567;31.05.1990
8;Änne;Strauß;aenne@example.org;;1.1.2001
"""


@pytest.fixture
def files(house: House) -> Files:
    return Files(house)


async def clients(house: House) -> dict[str, Client]:
    request = client_service_pb2.ListClientsRequest(parent=house.name, page_size=200)
    return {client.display_name: client for client in (await house.staff.ListClients(request)).clients}


async def test_a_file_is_understood_checked_and_run(house: House, files: Files) -> None:
    made = await files.upload(MINDBODY, source="mindbody")
    assert (made.state, made.delimiter, made.encoding) == (Import.UPLOADED, ",", Import.UTF_8)
    assert made.columns == {
        "external_id": "Client ID",
        "first_name": "First Name",
        "last_name": "Last Name",
        "email": "Email",
        "phone": "Mobile Phone",
        "birth_date": "Birth Date",
        "emergency_contact_name": "Emergency Contact",
    }
    checked = await files.check(made)
    assert (checked.state, checked.rows_total, checked.progress_percent) == (Import.CHECKED, 3, 100)
    assert counts(checked) == (3, 0, 0, 0)
    report = await files.report(made)
    assert await clients(house) == {}
    done = await files.run(made)
    assert (done.state, counts(done)) == (Import.DONE, (3, 0, 0, 0))
    assert await files.report(made) == report == [(2, "CREATED", ""), (3, "CREATED", ""), (4, "CREATED", "")]
    there = await clients(house)
    clara = there["Clara Weber"]
    assert (clara.email, clara.phone, clara.birth_date) == ("clara@example.org", "+4930123456", "1990-05-31")
    assert clara.emergency_contact_name == "Karl"
    assert {row.resource for row in await files.rows(made)} == {client.name for client in there.values()}
    assert "Ada Lovelace, Countess" in there
    assert len(await house.running.events(ClientChanged, house.tenant)) == 3


async def test_the_same_file_again_changes_nothing(house: House, files: Files) -> None:
    await files.bring(MINDBODY, source="mindbody")
    before = await clients(house)
    again = await files.bring(MINDBODY, source="mindbody")
    assert counts(again) == (0, 0, 3, 0)
    assert await clients(house) == before
    assert len(await house.running.events(ClientChanged, house.tenant)) == 3


async def test_a_later_file_completes_what_is_there_and_empties_nothing(house: House, files: Files) -> None:
    await files.bring(MINDBODY, source="mindbody")
    later = MINDBODY.replace("+49 30 123456", "").replace("ben@example.org,", "ben@new.example,+49 40 999999")
    assert counts(await files.bring(later, source="mindbody")) == (0, 1, 2, 0)
    there = await clients(house)
    assert (there["Ben Meier"].email, there["Ben Meier"].phone) == ("ben@new.example", "+4940999999")
    assert there["Clara Weber"].phone == "+4930123456"


async def test_who_is_there_already_is_found_by_the_address(house: House, files: Files) -> None:
    clara = await house.add_client("Clara W.", credits=0, email="Clara@Example.org")
    assert counts(await files.bring(MINDBODY)) == (2, 1, 0, 0)
    assert (await clients(house))["Clara Weber"].name == clara.name


async def test_nobody_is_doubled_and_a_family_shares_an_address(house: House, files: Files) -> None:
    data = (
        "Client ID,Name,Email\n1,Clara,c@example.org\n2,Clara,C@example.org\n1,Somebody,s@example.org\n"
        "3,Kim,c@example.org\n"
    )
    checked = await files.check(made := await files.upload(data))
    report = await files.report(made)
    assert report == [
        (2, "CREATED", ""),
        (3, "REFUSED", "DUPLICATE_IN_FILE"),
        (4, "REFUSED", "DUPLICATE_IN_FILE"),
        (5, "CREATED", "EMAIL_SHARED"),
    ]
    assert counts(await files.run(made)) == counts(checked)
    assert await files.report(made) == report
    emails = {name: client.email for name, client in (await clients(house)).items()}
    assert emails == {"Clara": "c@example.org", "Kim": ""}
    assert counts(await files.bring(data)) == (0, 0, 2, 2)
    assert len(await clients(house)) == 2


async def test_duplicates_are_found_across_chunks_by_check_and_run_alike(
    house: House, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_ROWS, "CLIENTS", 2)
    lines = [f"{n},Person {n},p{n}@example.org" for n in range(7)]
    data = "\n".join(["id,name,email", *lines, "0,Person 0,x@example.org", "9,Other,p1@example.org", lines[3]])
    checked = await files.check(made := await files.upload(data))
    report = await files.report(made)
    assert report[-3:] == [
        (9, "REFUSED", "DUPLICATE_IN_FILE"),
        (10, "CREATED", "EMAIL_SHARED"),
        (11, "REFUSED", "DUPLICATE_IN_FILE"),
    ]
    assert await clients(house) == {}
    assert counts(await files.run(made)) == counts(checked)
    assert await files.report(made) == report
    (row,) = await house.running.sql("SELECT count(*) FROM import_keys WHERE tenant_id = $1", house.tenant)
    assert row[0] == 0


async def test_a_worker_that_dies_loses_nothing_and_doubles_nothing(
    house: House, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_ROWS, "CLIENTS", 2)
    data = "\n".join(["id,name", *(f"{n},Person {n}" for n in range(7))])
    made = await files.upload(data)
    await files.manager.RunImport(pb.RunImportRequest(name=made.name, request_id=key()))
    assert await run_job(house, "import_chunk") == Done()
    halfway = await files.get(made)
    assert (halfway.state, halfway.rows_done) == (Import.RUNNING, 2)
    assert 0 < halfway.progress_percent < 100

    async def die(*_args: Any, **_kwargs: Any) -> None:
        raise OSError

    with monkeypatch.context() as dying:
        dying.setattr(import_chunks, "_report", die)
        with pytest.raises(OSError):
            await run_job(house, "import_chunk")
    assert len(await clients(house)) == 2
    # The same chunk twice: a lease was lost, and both ran it.
    (row,) = await house.running.sql("SELECT id FROM jobs WHERE tenant_id = $1 AND state = 'queued'", house.tenant)
    assert await run_job(house, "import_chunk") == Done()
    await house.running.sql("UPDATE jobs SET state = 'queued' WHERE id = $1", row["id"])
    assert await run_job(house, "import_chunk") == Cancelled("MOVED_ON")
    done = await files.finish(made)
    assert (done.state, counts(done), done.rows_total) == (Import.DONE, (7, 0, 0, 0), 7)
    assert len(await clients(house)) == 7


async def test_after_the_last_attempt_it_has_failed_and_can_run_again(
    house: House, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await files.upload("id,name\n1,Clara\n")
    await files.manager.RunImport(pb.RunImportRequest(name=made.name, request_id=key()))
    await house.running.sql("UPDATE jobs SET attempts = 7 WHERE tenant_id = $1", house.tenant)

    async def fail(*_args: Any, **_kwargs: Any) -> None:
        raise OSError

    with monkeypatch.context() as failing:
        failing.setattr(import_chunks, "_report", fail)
        with pytest.raises(OSError):
            await run_job(house, "import_chunk")
    failed = await files.get(made)
    assert (failed.state, failed.reason) == (Import.FAILED, "INTERNAL")
    await house.running.sql("UPDATE jobs SET state = 'done' WHERE tenant_id = $1", house.tenant)
    assert (await files.run(made)).state == Import.DONE


async def test_one_at_a_time_and_it_can_be_cancelled_and_go_on(house: House, files: Files) -> None:
    one, two = await files.upload("id,name\n1,Clara\n"), await files.upload("id,name\n2,Ben\n")
    await files.manager.RunImport(pb.RunImportRequest(name=one.name, request_id=key()))
    for other in (one, two):
        await refused(
            files.manager.CheckImport(pb.CheckImportRequest(name=other.name, request_id=key())),
            StatusCode.FAILED_PRECONDITION,
            "IMPORT_IN_PROGRESS",
        )
    stopped = await files.manager.CancelImport(pb.CancelImportRequest(name=one.name, request_id=key()))
    assert stopped.state == Import.CANCELLED
    assert await run_job(house, "import_chunk") == Cancelled("MOVED_ON")
    await refused(
        files.manager.CancelImport(pb.CancelImportRequest(name=one.name, request_id=key())),
        StatusCode.FAILED_PRECONDITION,
        "IMPORT_OVER",
    )
    assert counts(await files.run(one)) == (1, 0, 0, 0)


async def test_rows_that_cannot_be_are_refused_by_line_and_column(house: House, files: Files) -> None:
    data = (
        "Client ID,Name,Email,Phone,Birth Date\n"
        "1,,a@example.org,,\n"
        "2,Ben,no address,,\n"
        "3,Ben,,030 123456,\n"
        "4,Ben,,,2026-02-30\n"
        "5,Ben,,,2031-01-01\n"
        "6,Ben,,,03/04/1990\n"
        "7,Ben,,,,,,extra\n"
        f"8,{'B' * 121},,,\n"
        "9,Be\0n,,,\n"
        '10,"Be"n,,,\n'
        f'11,"{"x" * 70_000}",,,\n'
        "12,Ben\n"
        "\n"
        "13,Änne,,,31/12/1990\n"
    )
    done = await files.bring(data)
    rows = {row.line: row for row in await files.rows(done, outcome=ImportRow.REFUSED)}
    assert {line: (row.reason, row.column) for line, row in rows.items()} == {
        2: ("VALUE_REQUIRED", "Name"),
        3: ("EMAIL_INVALID", "Email"),
        4: ("PHONE_INVALID", "Phone"),
        5: ("DATE_INVALID", "Birth Date"),
        6: ("BIRTH_DATE_INVALID", "Birth Date"),
        8: ("COLUMN_COUNT", ""),
        9: ("VALUE_TOO_LONG", "Name"),
        10: ("NUL_IN_ROW", ""),
        11: ("MALFORMED_ROW", ""),
        12: ("ROW_TOO_LONG", ""),
    }
    assert all(row.message for row in rows.values())
    # 7 is read day first, since 31/12 of another row can be nothing else.
    there = await clients(house)
    assert there["Änne"].birth_date == "1990-12-31"
    assert counts(done) == (3, 0, 0, 10)


@pytest.mark.parametrize(
    ("text", "order", "born"),
    [
        ("03/04/1990", "DATE_ORDER_UNSPECIFIED", None),
        ("03/04/1990", "DAY_FIRST", "1990-04-03"),
        ("03/04/1990", "MONTH_FIRST", "1990-03-04"),
        ("03.04.1990", "MONTH_FIRST", "1990-04-03"),
        ("1990/4/3", "DATE_ORDER_UNSPECIFIED", "1990-04-03"),
        ("3 Apr 1990", "DATE_ORDER_UNSPECIFIED", "1990-04-03"),
        ("3. März 1990", "DATE_ORDER_UNSPECIFIED", "1990-03-03"),
        ("13/13/1990", "DATE_ORDER_UNSPECIFIED", None),
    ],
)
async def test_dates_are_read_one_way_or_refused(
    house: House, files: Files, text: str, order: str, born: str | None
) -> None:
    done = await files.bring(f"id,name,birthday\n1,Clara,{text}\n", date_order=Import.DateOrder.Value(order))
    there = await clients(house)
    assert (there["Clara"].birth_date if there else None) == born
    if born is None:
        (row,) = await files.rows(done)
        assert row.reason == ("DATE_AMBIGUOUS" if text.startswith("03") else "DATE_INVALID")


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (GERMAN.encode("utf-8-sig"), Import.UTF_8),
        (GERMAN.encode("utf-16"), Import.UTF_16),
        (GERMAN.encode("utf-16-be"), Import.UTF_16),
        (GERMAN.encode("cp1252"), Import.WINDOWS_1252),
        (GERMAN.replace("\n", "\r\n").encode(), Import.UTF_8),
        (GERMAN.replace("\n", "\r").encode(), Import.UTF_8),
        (GERMAN.rstrip().encode(), Import.UTF_8),
    ],
    ids=["utf-8 with a mark", "utf-16", "utf-16 without a mark", "cp1252", "crlf", "cr", "no end"],
)
async def test_every_usual_encoding_is_found(house: House, files: Files, data: bytes, encoding: int) -> None:
    made = await files.upload(data)
    assert (made.encoding, made.delimiter) == (encoding, ";")
    assert counts(await files.run(made)) == (2, 0, 0, 0)
    there = await clients(house)
    assert set(there) == {"Jörg Müller", "Änne Strauß"}
    assert there["Jörg Müller"].birth_date == "1990-05-31"


@pytest.mark.parametrize(
    ("data", "fields", "reason"),
    [
        (b"PK\x03\x04 a spreadsheet", {}, "BLOB_TYPE_NOT_ACCEPTED"),
        (b"", {}, "INVALID_FIELD"),
        (GERMAN.encode("cp1252"), {"encoding": Import.UTF_8}, "FILE_NOT_DECODABLE"),
        (b"name\n\x81\xff", {"encoding": Import.WINDOWS_1252}, "FILE_NOT_DECODABLE"),
        (b"id~name~email\n1~Clara~c@example.org\n", {}, "UNKNOWN_DELIMITER"),
        (b"1,Clara,c@example.org\n", {}, "NO_HEADER"),
        (b"\n1,Clara\n", {}, "NO_HEADER"),
        (b"id,name,name\n1,a,b\n", {}, "DUPLICATE_COLUMN"),
    ],
    ids=["spreadsheet", "empty", "not utf-8", "not cp1252", "delimiter", "data first", "blank first", "twice"],
)
async def test_what_is_no_such_file_is_refused(
    house: House, files: Files, data: bytes, fields: dict[str, Any], reason: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await files.upload(data, **fields)
    assert (refusal.value.code(), reason_of(refusal.value)) == (StatusCode.INVALID_ARGUMENT, reason)
    assert fields_of(refusal.value) == ["file"]


async def test_an_upload_that_broke_off_is_no_import(house: House, files: Files) -> None:
    async def broken() -> AsyncIterator[pb.UploadImportRequest]:
        yield pb.UploadImportRequest(parent=house.name, kind=Import.CLIENTS)
        yield pb.UploadImportRequest(file=HttpBody(data=MINDBODY.encode()))

    await refused(files.manager.UploadImport(broken()), StatusCode.ABORTED, "UPLOAD_BROKEN_OFF")
    assert not (await files.manager.ListImports(pb.ListImportsRequest(parent=house.name))).imports


async def test_the_same_upload_waits_once(house: House, files: Files) -> None:
    one = await files.upload(MINDBODY)
    assert (await files.upload(MINDBODY)).name == one.name
    other = await files.upload(MINDBODY, source="mindbody")
    listed = await files.manager.ListImports(pb.ListImportsRequest(parent=house.name, page_size=1))
    assert [each.name for each in listed.imports] == [other.name]
    rest = await files.manager.ListImports(
        pb.ListImportsRequest(parent=house.name, page_size=1, page_token=listed.next_page_token)
    )
    assert [each.name for each in rest.imports] == [one.name]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"shoe_size": "Name"}, "UNKNOWN_IMPORT_FIELD"),
        ({"display_name": "Nom"}, "UNKNOWN_COLUMN"),
        ({"email": "Mail"}, "COLUMN_REQUIRED"),
    ],
)
async def test_a_mapping_must_fit_the_file(house: House, files: Files, columns: dict[str, str], reason: str) -> None:
    made = await files.upload("Numéro,Nom complet,Mail\n1,Clara,c@example.org\n")
    await refused(files.check(made, columns=columns), StatusCode.INVALID_ARGUMENT, reason)
    done = await files.run(made, columns={"external_id": "Numéro", "display_name": "Nom complet"})
    assert counts(done) == (1, 0, 0, 0)
    assert (await clients(house))["Clara"].email == ""


async def test_a_zone_must_exist(files: Files) -> None:
    made = await files.upload(MINDBODY)
    await refused(files.check(made, time_zone="Mars/Olympus"), StatusCode.INVALID_ARGUMENT, "UNKNOWN_TIME_ZONE")


async def test_who_is_archived_stays_so(house: House, files: Files) -> None:
    await files.bring(MINDBODY)
    clara = (await clients(house))["Clara Weber"]
    await house.staff.DeleteClient(client_service_pb2.DeleteClientRequest(name=clara.name, request_id=key()))
    done = await files.bring(MINDBODY)
    assert [(row.line, row.reason) for row in await files.rows(done, outcome=ImportRow.REFUSED)] == [
        (2, "CLIENT_ARCHIVED")
    ]


async def test_the_report_comes_as_a_file_too_and_says_nothing_of_people(house: House, files: Files) -> None:
    made = await files.bring("id,name,email\n1,Clara,wrong\n2,Ben,b@example.org\n")
    call = files.manager.DownloadImportReport(pb.DownloadImportReportRequest(name=made.name))
    bodies = [body async for body in call]
    assert bodies[0].content_type == "text/csv; charset=utf-8"
    lines = b"".join(body.data for body in bodies).decode().splitlines()
    assert lines[0] == "line,outcome,reason,column,message,resource"
    assert lines[1] == "2,REFUSED,EMAIL_INVALID,email,the value is no e-mail address,"
    assert lines[2].startswith("3,CREATED,,,,studios/")
    assert not any(word in line for line in lines for word in ("Clara", "Ben", "wrong", "example.org"))


async def test_only_who_runs_the_studio_imports(files: Files, house: House) -> None:
    for role in (Role.ROLE_FRONT_DESK, Role.ROLE_INSTRUCTOR, Role.ROLE_CLIENT):
        await refused(files.upload(MINDBODY, stub=house.as_role(role)), StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")


async def test_reports_are_paged(house: House, files: Files) -> None:
    made = await files.bring("id,name\n" + "".join(f"{n},P{n}\n" for n in range(5)))
    first = await files.manager.ListImportRows(pb.ListImportRowsRequest(parent=made.name, page_size=3))
    rest = await files.manager.ListImportRows(
        pb.ListImportRowsRequest(parent=made.name, page_size=3, page_token=first.next_page_token)
    )
    assert [row.line for row in [*first.rows, *rest.rows]] == [2, 3, 4, 5, 6]


async def test_a_job_of_another_run_is_not_wanted(house: House, files: Files) -> None:
    made = await files.upload("id,name\n1,Clara\n")
    await files.run(made)
    assert not await import_chunks.advance(
        house.running.resources.database,
        PersonKeys(house.running.resources.settings),
        house.tenant,
        last_id(made.name),
        new_id(),
        8,
    )
