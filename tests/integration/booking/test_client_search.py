"""Finding clients: what is found and in which order, by an index that works under row level security."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from grpc import StatusCode

from powerhouse.booking.v1 import client_service_pb2 as pb
from powerhouse.policy.v1.policy_pb2 import Role
from services.booking.service import SERVICE
from services.chassis.db.urls import service_url
from services.chassis.ids import new_id
from tests.integration.booking.house import House, key, refused
from tests.support.services import Running

# One process makes the crowd.
pytestmark = pytest.mark.xdist_group("crowd")
MANY = 30_000


async def search(house: House, q: str, stub: Any = None) -> list[str]:
    request = pb.SearchClientsRequest(parent=house.name, q=q)
    return [client.display_name for client in (await (stub or house.staff).SearchClients(request)).clients]


@pytest.fixture
async def people(house: House) -> House:
    """A few of them, each to be found in another way."""
    await house.add_client("Anna Müller", email="anna.mueller@example.com", phone="+4930123456")
    await house.add_client("Anna-Lena Schmidt", email="lena@example.com", phone="+493098765")
    await house.add_client("Joanna Krüger", email="jo_k@example.com")
    await house.add_client("Maximilian Anders")
    return house


@pytest.mark.parametrize(
    ("q", "first"),
    [
        ("ann", ["Anna Müller", "Anna-Lena Schmidt"]),
        ("ANNA m", ["Anna Müller"]),
        ("müller anna", ["Anna Müller"]),
        ("lena", ["Anna-Lena Schmidt"]),
        ("anna-lena", ["Anna-Lena Schmidt"]),
        ("and", ["Maximilian Anders"]),
        # Typos, and letters that a keyboard does not have.
        ("muller", ["Anna Müller"]),
        ("maximillian", ["Maximilian Anders"]),
        ("schmitd", ["Anna-Lena Schmidt"]),
        ("joana", ["Joanna Krüger"]),
        # Numbers as they are written, dialled or remembered.
        ("+49 30 123456", ["Anna Müller"]),
        ("030/123 456", ["Anna Müller"]),
        ("98765", ["Anna-Lena Schmidt"]),
        ("lena@", ["Anna-Lena Schmidt"]),
        ("jo_k", ["Joanna Krüger"]),
    ],
)
async def test_what_is_found_first(people: House, q: str, first: list[str]) -> None:
    assert (await search(people, q))[: len(first)] == first


@pytest.mark.parametrize("q", ["zzz", "99 99 99", "%", "_____", "\\", " ", "12", "'; DROP TABLE clients; --"])
async def test_what_is_not_found(people: House, q: str) -> None:
    assert await search(people, q) == []


async def test_archived_ones_are_not_found(people: House) -> None:
    client = await people.add_client("Xaver")
    assert await search(people, "xav") == ["Xaver"]
    await people.staff.DeleteClient(pb.DeleteClientRequest(name=client.name, request_id=key()))
    assert await search(people, "xav") == []


async def test_twenty_at_most(house: House) -> None:
    for number in range(22):
        await house.add_client(f"Ada {number:02}", credits=0)
    assert await search(house, "ada") == [f"Ada {number:02}" for number in range(20)]


async def test_for_staff_alone(people: House) -> None:
    for stub in (people.as_account(new_id()), people.as_role(Role.ROLE_INSTRUCTOR)):
        request = pb.SearchClientsRequest(parent=people.name, q="anna")
        await refused(stub.SearchClients(request), StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")


@pytest.fixture(scope="module")
async def crowd(booking: Running) -> AsyncIterator[UUID]:
    """A studio with a great many clients."""
    tenant = new_id()
    await booking.sql(
        "INSERT INTO clients (tenant_id, id, display_name, email, phone, language, is_self, version)"
        " SELECT $1, gen_random_uuid(),"
        " initcap(substr(md5('a' || n), 1, 6)) || ' ' || initcap(translate(substr(md5('b' || n), 1, 9), '012', 'xyz')),"
        " 'c' || n || '@example.com', '+4930' || lpad(n::text, 7, '0'), '', false, 1"
        " FROM generate_series(1, $2::int) n",
        tenant,
        MANY,
    )
    await booking.sql("ANALYZE clients")
    yield tenant
    await booking.sql("DELETE FROM clients WHERE tenant_id = $1", tenant)
    # What is planned for so many is slow for the few of other tests.
    await booking.sql("ANALYZE clients")


@pytest.fixture
async def app(booking: Running, crowd: UUID) -> AsyncIterator[asyncpg.Connection]:
    """A connection with booking's own rights, working in the crowded studio."""
    connection = await asyncpg.connect(
        service_url(SERVICE.name, "app", {"POWERHOUSE_DATABASE_URL": booking.mesh.admin_url})
    )
    await connection.execute("SELECT set_config('app.tenants', $1, false)", f"{{{crowd}}}")
    yield connection
    await connection.close()


async def _scans(app: asyncpg.Connection) -> tuple[int, int]:
    """How often the index of the search and the whole table were read, by anybody."""
    await app.execute("SELECT pg_stat_force_next_flush()")
    await app.execute("SELECT pg_stat_clear_snapshot()")
    row = await app.fetchrow(
        "SELECT i.idx_scan, t.seq_scan FROM pg_stat_user_indexes i JOIN pg_stat_user_tables t USING (relid)"
        " WHERE i.indexrelname = 'ix_clients_search'"
    )
    return row[0], row[1]


@pytest.mark.parametrize("q", ["c99", "schmitd", "c12345@", "0012345"])
async def test_the_index_finds_it(app: asyncpg.Connection, crowd: UUID, q: str) -> None:
    before = await _scans(app)
    await app.fetch("SELECT * FROM search_clients_v1($1, $2, 20)", crowd, q)
    after = await _scans(app)
    assert after[0] > before[0]
    assert after[1] == before[1]


async def test_without_the_function_there_is_no_index(app: asyncpg.Connection, crowd: UUID) -> None:
    """The negative control: the same condition under row level security."""
    plan = await app.fetch(
        "EXPLAIN SELECT id FROM clients WHERE tenant_id = $1"
        " AND client_search_text_v1(display_name, email, phone) LIKE '% c12345@%'",
        crowd,
    )
    assert not any("Cond" in row[0] and "~~" in row[0] for row in plan)
    assert any("Filter" in row[0] and "~~" in row[0] for row in plan)


async def test_other_studios_do_not_come_out(people: House, app: asyncpg.Connection, crowd: UUID) -> None:
    renamed = "UPDATE clients SET display_name = 'Anna Crowd' WHERE tenant_id = $1 AND phone LIKE '%777'"
    await people.running.sql(renamed, crowd)
    assert not any("Crowd" in name for name in await search(people, "anna"))
    # Who works in one studio cannot ask for another, and who works in none gets an error.
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.fetch("SELECT * FROM search_clients_v1($1, 'anna', 20)", people.tenant)
    await app.execute("RESET app.tenants")
    with pytest.raises((asyncpg.UndefinedObjectError, asyncpg.InvalidTextRepresentationError)):
        await app.fetch("SELECT * FROM search_clients_v1($1, 'anna', 20)", crowd)
