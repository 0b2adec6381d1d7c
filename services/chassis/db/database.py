"""The database of a service: transactions with their tenant, and the one-call hot path beside them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast
from uuid import UUID

import asyncpg
from google.protobuf.message import Message
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from services.chassis.clock import Clock
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.db.urls import sqlalchemy_url
from services.chassis.ids import NO_TENANT
from services.chassis.rpc.call import current_call
from services.chassis.telemetry import HOT_POOL_IN_USE, POOL_IN_USE

R = TypeVar("R", bound=Message)

# Connections for the statements of queues, which many rows share.
_QUEUE_POOL = 4
_NONE: Mapping[str, str] = {}
_SET_TENANTS = text("SELECT set_config('app.tenants', :tenants, true)")


class Database:
    """Opened once per process, on the event loop that uses it."""

    def __init__(self, url: str, clock: Clock, *, pool_size: int = 8) -> None:
        self._url, self.clock = url, clock
        self.engine: AsyncEngine = create_async_engine(
            sqlalchemy_url(url),
            pool_size=pool_size,
            max_overflow=0,
            # The same few connections as long as they suffice: each has megabytes of caches in its server process.
            pool_use_lifo=True,
            pool_timeout=5,
            pool_pre_ping=True,
            hide_parameters=True,  # they hold personal data, and errors are logged
            connect_args={
                "server_settings": {"statement_timeout": "30000", "idle_in_transaction_session_timeout": "30000"}
            },
        )
        self._pool_size = pool_size
        POOL_IN_USE.set_function(self.engine.pool.checkedout)  # type: ignore[attr-defined]  # of QueuePool
        self._hot: asyncpg.Pool[asyncpg.Record] | None = None
        self._queue: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self, *tenants: UUID) -> AsyncIterator[UnitOfWork]:
        """A transaction that sees the given studios and commits when the block ends without an error.

        Without a tenant every tenant table refuses; NO_TENANT is for rows of no studio.
        """
        async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
            if tenants:
                listed = ",".join(str(tenant) for tenant in tenants)
                await session.execute(_SET_TENANTS, {"tenants": f"{{{listed}}}"})
            yield UnitOfWork(session, self.clock, tenants[0] if tenants else NO_TENANT)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[UnitOfWork]:
        """A transaction for the studio of the current call."""
        async with self.transaction(current_call().tenant) as tx:
            yield tx

    async def write(self, change: Callable[[UnitOfWork], Awaitable[R]]) -> R:
        """Runs a write of the current call once per idempotency key, with its audit entry, in one transaction.

        A repeat answers what the first one answered; the same key with another request raises InvalidArgument.
        Refusals roll back and are decided anew when repeated.
        """
        call = current_call()
        async with self.transaction(call.tenant) as tx:
            if call.request_id:
                stored = await tx.claim_key(call)
                if stored is not None:
                    return cast(R, call.parse_response(stored))
            response = await change(tx)
            if call.request_id:
                await tx.store_response(call, response)
            if call.policy.audit:
                await tx.audit(call, response)
            return response

    async def hot(self, statement: str, *args: Any) -> list[asyncpg.Record]:
        """One statement, one round trip, its own transaction: a call of a SQL function that sets its tenants itself."""
        pool = self._hot or await self._open_hot()
        return list(await pool.fetch(statement, *args))

    async def queue(self, statement: str, *args: Any) -> list[asyncpg.Record]:
        """One statement on a table that is a queue of all studios: `jobs`, or one guarded with `guard_queue`.

        It sees the rows of every studio there, and nothing of any studio elsewhere.
        """
        pool = self._queue or await self._open_queue()
        return list(await pool.fetch(statement, *args))

    async def close(self) -> None:
        for pool in (self._hot, self._queue):
            if pool is not None:
                await pool.close()
        await self.engine.dispose()

    async def _open_hot(self) -> "asyncpg.Pool[asyncpg.Record]":
        async with self._opening:
            if self._hot is None:
                pool = self._hot = await self._create_pool(self._pool_size)
                HOT_POOL_IN_USE.set_function(lambda: pool.get_size() - pool.get_idle_size())
            return self._hot

    async def _open_queue(self) -> "asyncpg.Pool[asyncpg.Record]":
        async with self._opening:
            if self._queue is None:
                self._queue = await self._create_pool(_QUEUE_POOL, {"app.tenants": "{}", "app.dispatch": "on"})
            return self._queue

    async def _create_pool(self, size: int, settings: Mapping[str, str] = _NONE) -> "asyncpg.Pool[asyncpg.Record]":
        return await asyncpg.create_pool(
            self._url,
            min_size=1,
            max_size=size,
            reset=_keep,
            server_settings={"statement_timeout": "10000", **settings},
        )


async def _keep(_connection: Any) -> None:
    """Hot statements leave nothing behind on a connection, so there is nothing to reset."""
