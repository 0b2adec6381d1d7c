"""What each service's `migrations/env.py` runs: the migrations of one service, as the owner of its database."""

import asyncio

from alembic import context
from sqlalchemy import Connection, pool
from sqlalchemy.ext.asyncio import create_async_engine


def run() -> None:
    """Upgrades over the URL that `services.chassis.migrate` put into the Alembic configuration."""
    asyncio.run(_run(context.config.attributes["url"]))


async def _run(url: str) -> None:
    engine = create_async_engine(url, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(_upgrade)
        await connection.commit()
    await engine.dispose()


def _upgrade(connection: Connection) -> None:
    context.configure(connection=connection)
    # Two `migrate` at once wait for each other instead of tripping over half a schema.
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7205763011)")
    with context.begin_transaction():
        context.run_migrations()
