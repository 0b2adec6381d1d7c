"""Notes from CSV files: encrypted like those that staff type, known again, and gone with the person."""

from typing import Any

import pytest

from powerhouse.booking.v1.client_note_pb2 import ClientNote
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.booking.v1.erasure_service_pb2 import EraseClientRequest
from powerhouse.booking.v1.import_service_pb2 import Import
from powerhouse.policy.v1.policy_pb2 import Role
from tests.integration.booking.files import Files, counts
from tests.integration.booking.house import House, key, last_id
from tests.integration.booking.test_client_notes import read

NOTES = """\
Note ID,Client ID,Email,Type,Note
n1,100,,Health,Slipped disc
n2,,BEN@example.org,,"Likes the window,
and jazz"
"""


@pytest.fixture
async def files(house: House) -> Files:
    """With two people from `mindbody`."""
    files = Files(house)
    people = "Client ID,Name,Email\n100,Clara,clara@example.org\n101,Ben,ben@example.org\n"
    await files.bring(people, source="mindbody")
    return files


async def client(house: House, name: str) -> Client:
    (row,) = await house.running.sql(
        "SELECT id FROM clients WHERE tenant_id = $1 AND display_name = $2", house.tenant, name
    )
    return Client(name=f"{house.name}/clients/{row['id']}")


async def bodies(house: House, name: str, stub: Any = None) -> list[tuple[int, str]]:
    notes = await read(house, await client(house, name), stub or house.as_role(Role.ROLE_MANAGER))
    return [(note.kind, note.body) for note in notes]


async def test_they_are_written_once_and_read_by_whom_they_may_concern(house: House, files: Files) -> None:
    made = await files.upload(NOTES, Import.CLIENT_NOTES, source="mindbody")
    assert counts(await files.check(made)) == (2, 0, 0, 0)
    assert await bodies(house, "Clara") == []
    assert counts(await files.run(made)) == (2, 0, 0, 0)
    assert await bodies(house, "Clara") == [(ClientNote.HEALTH, "Slipped disc")]
    assert await bodies(house, "Ben") == [(ClientNote.GENERAL, "Likes the window,\nand jazz")]
    # The front desk only sees that there is one.
    assert await bodies(house, "Clara", house.staff) == [(ClientNote.HEALTH, "")]
    assert counts(await files.run(made)) == (0, 0, 2, 0)
    rows = await house.running.sql("SELECT body, author FROM client_notes WHERE tenant_id = $1", house.tenant)
    assert not any(b"disc" in row["body"] or b"jazz" in row["body"] for row in rows)
    assert all(row["author"].startswith("accounts/") for row in rows)


async def test_what_cannot_be_a_note(house: House, files: Files) -> None:
    made = await files.bring(
        "Client ID,Type,Note\n100,Secret,x\n100,,\n999,,Who\n,,Whose\n100,," + "x" * 4001 + "\n",
        Import.CLIENT_NOTES,
        source="mindbody",
    )
    assert [row[2] for row in await files.report(made)] == [
        "NOTE_KIND_UNKNOWN",
        "VALUE_REQUIRED",
        "CLIENT_UNKNOWN",
        "VALUE_REQUIRED",
        "VALUE_TOO_LONG",
    ]


async def test_nothing_of_them_is_left_of_somebody_who_is_erased(house: House, files: Files) -> None:
    await files.bring(NOTES, Import.CLIENT_NOTES, source="mindbody")
    clara = await client(house, "Clara")
    await house.as_role(Role.ROLE_OWNER).EraseClient(EraseClientRequest(name=clara.name, request_id=key()))
    rows = await house.running.sql(
        "SELECT client_id FROM client_notes WHERE tenant_id = $1 AND client_id = $2", house.tenant, last_id(clara.name)
    )
    assert rows == []
    known = await house.running.sql(
        "SELECT external_id FROM external_ids WHERE tenant_id = $1 AND kind = 'CLIENT_NOTES'", house.tenant
    )
    assert [row["external_id"] for row in known] == ["n2"]
