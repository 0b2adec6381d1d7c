"""The tables: as the models say, guarded or named as unguarded, and emptied in time."""

from datetime import timedelta

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from services.chassis.clock import real_now
from services.chassis.db.migrations import CHASSIS_TABLES
from services.chassis.ids import new_id
from services.chassis.jobs.registry import Job
from services.identity.jobs import jobs
from services.identity.models import Base
from tests.integration.identity.house import Browser, Studio, reason
from tests.support.services import Running

# docs/adr/0006 says why.
UNGUARDED = {
    "accounts",
    "sessions",
    "password_resets",
    "attempts",
    "role_bindings",
    "invitations",
    "api_keys",
    "alembic_version",
    *CHASSIS_TABLES,
}


async def test_the_migrated_schema_is_what_the_models_say(identity: Running) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection, opts={"include_name": lambda name, kind, _: kind != "table" or name in Base.metadata.tables}
        )
        return list(compare_metadata(context, Base.metadata))

    async with identity.resources.database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_every_table_is_guarded_or_named(identity: Running) -> None:
    rows = await identity.sql(
        "SELECT relname, relrowsecurity AND relforcerowsecurity AS guarded FROM pg_class"
        " WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
    )
    assert {row["relname"] for row in rows if not row["guarded"]} == UNGUARDED
    assert {row["relname"] for row in rows if row["guarded"]} == {"audit_entries"}


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM accounts",
        "DELETE FROM invitations",
        "DELETE FROM api_keys",
        "UPDATE attempts SET create_time = now()",
    ],
)
async def test_the_app_may_only_do_what_it_does(identity: Running, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await identity.sql(statement, role="app")


async def test_a_role_is_held_once_and_is_one_of_four(identity: Running, studio: Studio) -> None:
    with pytest.raises(asyncpg.UniqueViolationError):
        await studio.grant(studio.owner, 1)
    for role in (0, 5):
        with pytest.raises(asyncpg.CheckViolationError):
            await studio.grant(studio.owner, role)


async def test_what_has_ended_is_forgotten(browser: Browser, identity: Running) -> None:
    ended, alive = [(await browser.sign_up()) for _ in range(2)]
    ids = {name: new_id() for name in ("old reset", "reset", "old attempt", "attempt")}
    old, young = real_now() - timedelta(days=31), real_now() - timedelta(days=29)
    await identity.sql(
        "UPDATE sessions SET last_use_time = $1 WHERE account_id = $2",
        real_now() - timedelta(days=15),
        ended.account.name.removeprefix("accounts/"),
    )
    for name, time in (("old reset", old), ("reset", young)):
        await identity.sql("INSERT INTO password_resets VALUES ($1, NULL, $2, $2)", ids[name], time)
    for name, time in (("old attempt", old), ("attempt", young)):
        await identity.sql("INSERT INTO attempts VALUES ($1, $2, $3)", ids[name], name.encode(), time)

    kind = jobs.kinds["tick:purge"]
    assert jobs.ticks["tick:purge"] == timedelta(hours=1)
    await kind.handler(identity.resources, _tick())

    kept = {row["id"] for row in await identity.sql("SELECT id FROM password_resets UNION SELECT id FROM attempts")}
    assert {name for name, id_ in ids.items() if id_ in kept} == {"reset", "attempt"}
    assert await reason(browser.exchange(session_token=ended.session_token)) == ("UNAUTHENTICATED", "SESSION_EXPIRED")
    sessions = await identity.sql("SELECT account_id FROM sessions")
    held = {f"accounts/{row['account_id']}" for row in sessions}
    assert alive.account.name in held
    assert ended.account.name not in held


def _tick() -> Job:
    now = real_now()
    return Job(new_id(), None, "tick:purge", now.isoformat(), {}, now, 1, new_id(), None)
