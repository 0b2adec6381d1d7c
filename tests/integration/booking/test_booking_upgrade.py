"""Migrations over a database that is in use."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.config import Config

from services.booking.service import SERVICE
from services.chassis.db.urls import derived_url, role_name, sqlalchemy_url
from services.chassis.ids import new_id
from tests.support.services import Running

TENANT, CLIENT, SESSION = new_id(), new_id(), new_id()
BEFORE = f"""
    INSERT INTO studio_ids VALUES ('{TENANT}');
    INSERT INTO booking_policies (tenant_id, version, create_time) VALUES ('{TENANT}', 1, now());
    INSERT INTO clients (tenant_id, id, display_name, language, is_self, version)
        VALUES ('{TENANT}', '{CLIENT}', 'Clara', '', false, 1);
    INSERT INTO class_sessions (tenant_id, id, version, time_version, class_type_display_name, room_display_name,
        location_display_name, instructor_display_name, start_time, end_time, time_zone, spots, cancelled,
        planned_capacity, effective_capacity, booked_count)
        VALUES ('{TENANT}', '{SESSION}', 1, 1, '', '', '', '', now(), now(), 'UTC', '{{}}', true, 8, 8, 0)"""
AFTER = f"""
    INSERT INTO class_sessions (tenant_id, id, version, time_version, class_type_display_name, room_display_name,
        location_display_name, instructor_display_name, start_time, end_time, time_zone, spots, cancelled,
        planned_capacity, effective_capacity, booked_count, class_type_id, room_id, location_id, instructor_id,
        currency_code)
        VALUES ('{TENANT}', '{SESSION}', 1, 1, '', '', '', '', now(), now(), 'UTC', '{{}}', true, 8, 8, 0,
        '{SESSION}', '{SESSION}', '{SESSION}', '{SESSION}', 'EUR')"""
BOOK = "SELECT code FROM book_v1($1, '', '', '', '', $2, $2, $3, NULL, '', now(), $2, $2, $2, NULL)"


@pytest.fixture
async def database(booking: Running) -> AsyncIterator[str]:
    """The URL, as the owner, of an empty database beside that of booking."""
    name = f"upgrade_{new_id().hex}"
    admin = await asyncpg.connect(booking.mesh.admin_url)
    await admin.execute(f"CREATE DATABASE {name} OWNER {role_name('booking', 'owner')} TEMPLATE template0")
    yield derived_url(booking.mesh.admin_url, "booking", "owner").rpartition("/")[0] + f"/{name}"
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


async def upgrade(url: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(SERVICE.folder / "migrations"))
    config.attributes["url"] = sqlalchemy_url(url)
    await asyncio.to_thread(command.upgrade, config, revision)


async def in_studio(connection: Any, script: str) -> None:
    async with connection.transaction():
        await connection.execute("SELECT set_config('app.tenants', $1, true)", f"{{{TENANT}}}")
        await connection.execute(script)


async def test_sessions_get_their_subjects_under_an_open_connection(database: str) -> None:
    """It goes on booking, and the projection that was emptied will be loaded."""
    await upgrade(database, "0001")
    connection = await asyncpg.connect(database)
    await in_studio(connection, BEFORE)
    assert await connection.fetchval(BOOK, TENANT, SESSION, CLIENT) == "SESSION_CANCELLED"
    await upgrade(database, "0002")
    assert await connection.fetchval(BOOK, TENANT, SESSION, CLIENT) == "SESSION_NOT_KNOWN_YET"
    await in_studio(connection, AFTER)
    assert await connection.fetchval(BOOK, TENANT, SESSION, CLIENT) == "SESSION_CANCELLED"
    await upgrade(database, "head")
    assert await connection.fetchval("SELECT state FROM jobs WHERE kind = 'load_class_sessions'") == "queued"
    await connection.close()
