"""Live sessions: who watches a class sees each change of it within a second, whichever process made it.

One query every half second looks at all sessions that are watched in this process, however many watch them. What it
compares changes with everything that a session shows: `xmin`, the transaction that last wrote the session's row (each
booking and each news from scheduling does), the version of the policy, and the refusal that time alone can change.
"""

import asyncio
import contextvars
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from services.booking import class_sessions
from services.booking.class_sessions import Offer
from services.booking.models import BookingDetail
from services.chassis.clock import monotonic
from services.chassis.db.database import Database
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import NotFound, ResourceExhausted
from services.chassis.telemetry import logger

log = logger(__name__)

# Seconds.
POLL = 0.5
HEARTBEAT = 10.0
# Shorter than the deadline of the RPC, so that a watch ends well.
LONGEST_WATCH = 270.0
# Polls in a row that may fail.
PATIENCE = 3
# Fewer than a process serves calls at once.
MAX_WATCHERS = 400

_MARKERS = text(
    "SELECT s.tenant_id, s.id, c.xmin::text, s.policy_version, refusal_v2(s, :now),"
    " waits_first_v1(s.tenant_id, s.id)"
    " FROM unnest(CAST(:tenants AS uuid[]), CAST(:ids AS uuid[])) AS w (tenant_id, id)"
    " JOIN class_sessions c ON c.tenant_id = w.tenant_id AND c.id = w.id"
    " JOIN bookable_sessions s ON s.tenant_id = w.tenant_id AND s.id = w.id"
)

Key = tuple[UUID, UUID]


@dataclass
class _Session:
    """A session that is watched."""

    marker: Any = None
    offer: Offer | None = None
    # Account → its active booking.
    bookings: dict[UUID, UUID] = field(default_factory=dict)
    watchers: int = 0
    # Set and replaced at each change.
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class LiveSessions:
    """The watched sessions of a process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sessions: dict[Key, _Session] = {}
        self._watchers = 0
        self._poller: asyncio.Task[None] | None = None

    async def watch(self, tenant: UUID, session_id: UUID, account: UUID | None) -> AsyncGenerator[Offer, None]:
        """The session as the account could book it: now, at each change, and unchanged every HEARTBEAT seconds.

        Raises NotFound, ResourceExhausted when too many watch already, and whatever keeps it from being read.
        """
        if self._watchers >= MAX_WATCHERS:
            raise ResourceExhausted("too many watch at the moment", reason="TOO_MANY_WATCHERS", retry_after=5)
        key, until = (tenant, session_id), monotonic() + LONGEST_WATCH
        session = self._sessions.setdefault(key, _Session())
        session.watchers += 1
        self._watchers += 1
        try:
            if session.offer is None:
                await self._look([key])
            while monotonic() < until:
                changed = session.changed
                if session.offer is None:
                    raise NotFound("class_session")
                yield replace(session.offer, booking_id=session.bookings.get(account) if account else None)
                await self._next(changed)
        finally:
            self._watchers -= 1
            session.watchers -= 1
            if not session.watchers:
                del self._sessions[key]
            if not self._sessions and self._poller:
                self._poller.cancel()
                self._poller = None

    async def _next(self, changed: asyncio.Event) -> None:
        """Waits for a change, but not longer than a heartbeat. Raises what ended the polling, if something did."""
        if self._poller is None:
            # In a context of its own: it belongs to no caller's trace.
            self._poller = asyncio.create_task(self._poll(), context=contextvars.Context())
        poller, waiting = self._poller, asyncio.create_task(changed.wait())
        try:
            await asyncio.wait({waiting, poller}, timeout=HEARTBEAT, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if poller.done() and not poller.cancelled():
            if self._poller is poller:
                self._poller = None
            poller.result()

    async def _poll(self) -> None:
        failures = 0
        while True:
            await asyncio.sleep(POLL)
            try:
                await self._look(list(self._sessions))
                failures = 0
            except Exception as error:
                # A moment without a connection is no reason to send everybody away.
                failures += 1
                if failures > PATIENCE:
                    raise
                log.warning("poll_failed", error=type(error).__name__)

    async def _look(self, keys: list[Key]) -> None:
        async with self._database.transaction(*{tenant for tenant, _ in keys}) as tx:
            parameters = {
                "now": tx.now(),
                "tenants": [tenant for tenant, _ in keys],
                "ids": [session_id for _, session_id in keys],
            }
            for tenant, session_id, *marker in await tx.session.execute(_MARKERS, parameters):
                session = self._sessions.get((tenant, session_id))
                if session and session.marker != marker:
                    await _read(tx.of(tenant), session_id, session)
                    session.marker = marker
                    session.changed.set()
                    session.changed = asyncio.Event()


async def _read(tx: UnitOfWork, session_id: UUID, session: _Session) -> None:
    session.offer = await class_sessions.get_taught(tx, session_id, None)
    query = (
        select(BookingDetail.account_id, BookingDetail.id)
        .where(
            BookingDetail.tenant_id == tx.tenant,
            BookingDetail.class_session_id == session_id,
            BookingDetail.cancel_time.is_(None),
        )
        # Of several, the oldest, as in the list.
        .order_by(BookingDetail.id.desc())
    )
    session.bookings = {account: booking_id for account, booking_id in await tx.session.execute(query) if account}
