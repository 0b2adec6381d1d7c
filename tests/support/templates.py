"""Databases that are copied instead of being migrated again."""

from hashlib import sha256
from pathlib import Path

import asyncpg

from services.chassis.db.urls import database_name, role_name

CHASSIS = Path(__file__).parents[2] / "services" / "chassis"
PREFIX = "template_"


async def copy_template(admin_url: str, service: str, folder: Path) -> None:
    """Makes the service's database from a kept one that the same migrations made, if there is one."""
    admin = await asyncpg.connect(admin_url)
    try:
        known = {row[0] for row in await admin.fetch("SELECT datname FROM pg_database")}
        template = _name(service, folder)
        if template in known and database_name(service) not in known:
            await _copy(admin, template, database_name(service), role_name(service, "owner"))
    finally:
        await admin.close()


async def keep_template(admin_url: str, service: str, folder: Path) -> None:
    """Keeps a copy of the service's database, which has just been migrated and is not yet used."""
    admin = await asyncpg.connect(admin_url)
    try:
        template = _name(service, folder)
        if not await admin.fetchval("SELECT true FROM pg_database WHERE datname = $1", template):
            await _copy(admin, database_name(service), template, role_name(service, "owner"))
    finally:
        await admin.close()


async def drop_all_but_templates(admin_url: str) -> None:
    """Leaves the server as if nobody had used it."""
    admin = await asyncpg.connect(admin_url)
    try:
        for row in await admin.fetch("SELECT datname FROM pg_database WHERE datname NOT LIKE '%template%'"):
            if row[0] != "postgres":
                await admin.execute(f'DROP DATABASE "{row[0]}" WITH (FORCE)')
    finally:
        await admin.close()


async def _copy(admin: asyncpg.Connection, source: str, copy: str, owner: str) -> None:
    await admin.execute(f"CREATE DATABASE {copy} OWNER {owner} TEMPLATE {source} STRATEGY FILE_COPY")


def _name(service: str, folder: Path) -> str:
    """Other for every change of what makes a schema, spoilt migrations among them."""
    digest = sha256()
    for part in (folder / "migrations", folder / "sql", CHASSIS / "db", CHASSIS / "migrate.py"):
        for file in sorted([part, *part.rglob("*")]):
            if file.suffix in (".py", ".sql"):
                digest.update(f"{file.relative_to(CHASSIS.parent)}\n".encode() + file.read_bytes())
    return f"{PREFIX}{service}_{digest.hexdigest()[:16]}"
