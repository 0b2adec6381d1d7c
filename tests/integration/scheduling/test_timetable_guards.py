"""What holds below the code: row level security, constraints, the schema, and how many statements a call takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import create_async_engine
from timetable_house import House, last_id, open_house

from powerhouse.scheduling.v1 import scheduling_service_pb2 as pb
from services.chassis.db.urls import service_url, sqlalchemy_url
from services.scheduling.models import Base
from tests.support.services import Running

TABLES = ["studios", "locations", "rooms", "class_types", "instructors", "class_sessions"]


@pytest.mark.parametrize("table", TABLES)
async def test_rows_of_another_studio_do_not_exist(scheduling: Running, house: House, table: str) -> None:
    other = await open_house(scheduling)
    for one in (house, other):
        await one.plan()
    connection = await asyncpg.connect(_url(scheduling))
    try:
        async with connection.transaction():
            await connection.execute("SELECT set_config('app.tenants', $1, true)", f"{{{house.tenant}}}")
            seen = await connection.fetch(f"SELECT DISTINCT tenant_id FROM {table}")
            assert [row["tenant_id"] for row in seen] == [house.tenant]
            done = await connection.execute(f"UPDATE {table} SET version = 99 WHERE tenant_id = $1", other.tenant)
            assert done == "UPDATE 0"
        with pytest.raises(asyncpg.InvalidTextRepresentationError):
            await connection.fetch(f"SELECT 1 FROM {table}")
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE rooms SET spots = '{a}' WHERE tenant_id = $1", "ck_rooms_spots"),
        ("UPDATE rooms SET capacity = 0 WHERE tenant_id = $1", "rooms_capacity_check"),
        ("UPDATE class_sessions SET end_at = start_at WHERE tenant_id = $1", "ck_class_sessions_length"),
        (
            "UPDATE class_sessions SET end_at = start_at + interval '8 hours 1 second' WHERE tenant_id = $1",
            "ck_class_sessions_length",
        ),
        ("UPDATE class_sessions SET capacity = 0 WHERE tenant_id = $1", "class_sessions_capacity_check"),
    ],
)
async def test_the_database_refuses_what_the_code_would_not_do(house: House, statement: str, constraint: str) -> None:
    await house.plan()
    with pytest.raises(asyncpg.CheckViolationError) as refusal:
        await house.running.sql(statement, house.tenant)
    assert refusal.value.constraint_name == constraint


async def test_a_session_cannot_use_another_studios_room(scheduling: Running, house: House) -> None:
    other = await open_house(scheduling)
    await house.plan()
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await scheduling.sql(
            "UPDATE class_sessions SET room_id = $1 WHERE tenant_id = $2", last_id(other.room.name), house.tenant
        )


async def test_the_models_match_the_schema(scheduling: Running) -> None:
    engine = create_async_engine(sqlalchemy_url(_url(scheduling, "owner")))

    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"include_object": _is_ours})
        return compare_metadata(context, Base.metadata)

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


def _is_ours(obj: Any, name: str, type_: str, reflected: bool, compare_to: Any) -> bool:
    """Tables and columns of this service: keys and indexes live in the migrations, other tables in the chassis."""
    return type_ == "column" or (type_ == "table" and name in Base.metadata.tables)


async def test_row_level_security_leaves_the_indexes_of_a_full_timetable_in_use(house: House) -> None:
    session = await house.plan()
    await house.running.sql(
        "INSERT INTO class_sessions SELECT tenant_id, gen_random_uuid(), class_type_id, room_id, instructor_id,"
        " start_at + n * interval '1 hour', end_at + n * interval '1 hour', 1, 8, false, '', 1"
        " FROM class_sessions, generate_series(1, 5000) n WHERE id = $1",
        last_id(session.name),
    )
    await house.running.sql("ANALYZE class_sessions")
    asked: dict[str, str] = {}
    for question, filters in {
        "list": "start_at >= '2027-01-05' AND start_at < '2027-01-12' ORDER BY start_at, id LIMIT 51",
        "overlap": "start_at > '2027-03-01 02:00' AND start_at < '2027-03-01 10:50' AND end_at > '2027-03-01 10:00'"
        f" AND NOT cancelled AND room_id = '{last_id(house.room.name)}' LIMIT 1",
        "snapshot": f"id > '{session.name.rpartition('/')[2]}' ORDER BY id LIMIT 200",
    }.items():
        connection = await asyncpg.connect(_url(house.running))
        async with connection.transaction():
            await connection.execute("SELECT set_config('app.tenants', $1, true)", f"{{{house.tenant}}}")
            plan = await connection.fetch(
                f"EXPLAIN SELECT id FROM class_sessions WHERE tenant_id = '{house.tenant}' AND {filters}"
            )
        await connection.close()
        asked[question] = "\n".join(row[0] for row in plan)
    assert "ix_class_sessions_start_at" in asked["list"], asked["list"]
    assert "ix_class_sessions_start_at" in asked["overlap"], asked["overlap"]
    assert "class_sessions_pkey" in asked["snapshot"], asked["snapshot"]


async def test_statements_per_call(house: House) -> None:
    session = await house.plan()
    listing = pb.ListClassSessionsRequest(parent=house.name)
    with counted(house.running) as reading:
        await house.get(session.name)
    with counted(house.running) as listed:
        await house.stub.ListClassSessions(listing)
    with counted(house.running) as planning:
        await house.plan("2027-01-06T10:00")
    with counted(house.running) as moving:
        await house.move(session, local_start="2027-01-07T10:00")
    with counted(house.running) as cancelling:
        await house.cancel(session)
    # The studio is set and the row read; writes also claim and fill their key, lock the studio, tell and audit, and
    # those that may overlap stand between a savepoint and its release.
    assert [len(each) for each in (reading, listed, planning, moving, cancelling)] == [2, 2, 10, 10, 8]


@contextmanager
def counted(running: Running) -> Iterator[list[str]]:
    """The statements that the service sends meanwhile."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    engine = running.resources.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


def _url(running: Running, role: str = "app") -> str:
    return service_url("scheduling", role, {"POWERHOUSE_DATABASE_URL": running.mesh.admin_url})
