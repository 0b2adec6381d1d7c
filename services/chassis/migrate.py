"""`migrate`: makes a service's database and roles, brings its schema up to date, declares its queues."""

import asyncio
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config

from services.chassis.config import read
from services.chassis.db.urls import database_name, derived_url, role_name, role_password, service_url, sqlalchemy_url
from services.chassis.messaging.topology import declare
from services.chassis.service import Service


def prepare(service: Service) -> None:
    """The command `migrate`: the database, then the broker's queues and bindings, before anything is published."""
    migrate(service.name, service.folder)
    if broker_url := read("POWERHOUSE_BROKER_URL"):
        declare(broker_url, service.name, service.consumers)


def migrate(service: str, folder: Path) -> None:
    """Brings the database up to date; safe to run again and while the service runs.

    Raises ConfigurationError when no database is named.
    """
    admin_url = read("POWERHOUSE_DATABASE_URL")
    owner_url = service_url(service, "owner")
    if admin_url and owner_url == derived_url(admin_url, service, "owner"):
        asyncio.run(_provision(admin_url, service))
    upgrade(folder, owner_url)


def upgrade(folder: Path, owner_url: str) -> None:
    """Runs the Alembic migrations of a service as the owner of its database."""
    alembic = Config()
    alembic.set_main_option("script_location", str(folder / "migrations"))
    alembic.attributes["url"] = sqlalchemy_url(owner_url)
    command.upgrade(alembic, "head")


async def _provision(admin_url: str, service: str) -> None:
    """Creates roles and database where missing; the app role owns nothing and cannot bypass row level security."""
    admin = await asyncpg.connect(admin_url)
    try:
        for kind in ("owner", "app"):
            role = role_name(service, kind)
            known = await admin.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role)
            verb = "ALTER" if known else "CREATE"
            # The password is hexadecimal, so it cannot break out of its quotes.
            await admin.execute(
                f"{verb} ROLE {role} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE"
                f" PASSWORD '{role_password(admin_url, role)}'"
            )
        database = database_name(service)
        if not await admin.fetchval("SELECT true FROM pg_database WHERE datname = $1", database):
            await admin.execute(f"CREATE DATABASE {database} OWNER {role_name(service, 'owner')} TEMPLATE template0")
        await admin.execute(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
        await admin.execute(f"GRANT CONNECT ON DATABASE {database} TO {role_name(service, 'app')}")
    finally:
        await admin.close()
    # Extensions that are not trusted need the administrator.
    in_database = await asyncpg.connect(admin_url.rsplit("@", 1)[0] + "@" + _host(admin_url) + f"/{database}")
    try:
        await in_database.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    finally:
        await in_database.close()


def _host(url: str) -> str:
    return url.rsplit("@", 1)[1].split("/", 1)[0]
