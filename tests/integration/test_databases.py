"""The databases themselves: row level security everywhere, roles that own nothing, models that match."""

import asyncpg
import pytest

from services.booking.service import SERVICE as BOOKING
from services.chassis.db.urls import database_name, role_name, service_url
from services.chassis.ids import new_id
from services.chassis.migrate import migrate
from services.chassis.service import Service
from services.identity.service import SERVICE as IDENTITY
from services.notify.service import SERVICE as NOTIFY
from services.payments.service import SERVICE as PAYMENTS
from services.scheduling.service import SERVICE as SCHEDULING
from tests.support.services import Mesh

SERVICES = [IDENTITY, SCHEDULING, BOOKING, NOTIFY, PAYMENTS]

# Tables with a tenant that serve all studios at once, and why: docs/adr/0006.
OUTSIDE = {
    "identity": {"role_bindings", "api_keys", "invitations"},
}
CHASSIS = {"outbox", "inbox", "jobs", "idempotency", "dead_letters", "feed_positions"}

_TABLES = """
SELECT c.relname AS name, c.relrowsecurity AND c.relforcerowsecurity AS guarded, r.rolname AS owner,
       (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid) AS policies
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
JOIN pg_roles r ON r.oid = c.relowner
WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
"""


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
async def test_every_tenant_table_is_guarded(service: Service, mesh: Mesh) -> None:
    async with mesh.running(service) as running:
        tables = await running.sql(_TABLES)
        unguarded = {row["name"] for row in tables if not (row["guarded"] and row["policies"])}
        assert unguarded - CHASSIS == OUTSIDE.get(service.name, set())
        assert {row["owner"] for row in tables} == {role_name(service.name, "owner")}
        [role] = await running.sql("SELECT * FROM pg_roles WHERE rolname = $1", role_name(service.name, "app"))
        assert [role[right] for right in ("rolsuper", "rolbypassrls", "rolcreatedb", "rolcreaterole")] == [False] * 4


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
async def test_without_a_studio_a_query_is_an_error_and_never_an_empty_answer(service: Service, mesh: Mesh) -> None:
    async with mesh.running(service) as running:
        guarded = [row["name"] for row in await running.sql(_TABLES) if row["guarded"]]
        connection = await asyncpg.connect(
            service_url(service.name, "app", {"POWERHOUSE_DATABASE_URL": mesh.admin_url})
        )
        try:
            for table in guarded:
                with pytest.raises((asyncpg.UndefinedObjectError, asyncpg.InvalidTextRepresentationError)):
                    await connection.fetch(f"SELECT 1 FROM {table}")
            # On a connection that has served a studio before, the setting is empty instead of unknown.
            async with connection.transaction():
                await connection.execute("SELECT set_config('app.tenants', '{}', true)")
            for table in guarded:
                with pytest.raises(asyncpg.InvalidTextRepresentationError):
                    await connection.fetch(f"SELECT 1 FROM {table}")
        finally:
            await connection.close()


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
async def test_the_app_role_may_not_rewrite_the_audit_log(service: Service, mesh: Mesh) -> None:
    async with mesh.running(service):
        url = service_url(service.name, "app", {"POWERHOUSE_DATABASE_URL": mesh.admin_url})
        connection = await asyncpg.connect(url)
        try:
            await connection.execute("SELECT set_config('app.tenants', $1, false)", f"{{{new_id()}}}")
            for statement in ("UPDATE audit_entries SET principal = 'x'", "DELETE FROM audit_entries"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)
        finally:
            await connection.close()


def test_migrating_again_changes_nothing(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERHOUSE_DATABASE_URL", mesh.admin_url)
    for _ in range(2):
        migrate(NOTIFY.name, NOTIFY.folder)
    assert database_name("notify") == "powerhouse_notify"
