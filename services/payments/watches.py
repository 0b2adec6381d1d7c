"""Watching purchases: who pays sees what became of it within a second, whichever process learned of it."""

import asyncio
from collections.abc import AsyncGenerator
from uuid import UUID

from services.chassis.clock import monotonic
from services.chassis.db.database import Database
from services.chassis.errors import ResourceExhausted
from services.payments import purchases

# Seconds between looks: one row by its key. Few watch at a time, each for the minute of a payment.
POLL = 0.5
# Shorter than the deadline of the RPC, so that a watch ends well.
LONGEST_WATCH = 270.0
# Fewer than a process serves calls at once.
MAX_WATCHERS = 200


class Watches:
    """Who watches in this process."""

    def __init__(self, database: Database) -> None:
        self._database, self._watchers = database, 0

    async def watch(self, tenant: UUID, purchase_id: UUID, account: UUID | None) -> AsyncGenerator[str, None]:
        """The etag of a purchase: now, and each time that it is another one.

        Raises as `purchases.get`, and ResourceExhausted when too many watch already.
        """
        if self._watchers >= MAX_WATCHERS:
            raise ResourceExhausted("too many watch at the moment", reason="TOO_MANY_WATCHERS", retry_after=5)
        self._watchers += 1
        try:
            told, until = "", monotonic() + LONGEST_WATCH
            while monotonic() < until:
                async with self._database.transaction(tenant) as tx:
                    etag = (await purchases.get(tx, purchase_id, account)).etag
                if etag != told:
                    yield etag
                    told = etag
                await asyncio.sleep(POLL)
        finally:
            self._watchers -= 1
