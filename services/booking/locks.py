"""The one order in which everybody locks: class sessions by id, then clients by id.

A session's row guards its places, spots and line; a client's row guards what the client has: bookings at one time,
packages, holds, waits. `book_v4` keeps to the same order.
"""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select

from services.booking.models import ClassSession, Client, WaitlistEntry
from services.chassis.db.unit_of_work import UnitOfWork


async def lock_sessions(tx: UnitOfWork, ids: Collection[UUID]) -> None:
    """Before any client."""
    query = select(ClassSession.id).where(ClassSession.tenant_id == tx.tenant, ClassSession.id.in_(ids))
    await tx.session.execute(query.order_by(ClassSession.id).with_for_update(key_share=True))


async def lock_clients(tx: UnitOfWork, ids: Collection[UUID]) -> None:
    """All at once, after all sessions."""
    query = select(Client.id).where(Client.tenant_id == tx.tenant, Client.id.in_(ids))
    await tx.session.execute(query.order_by(Client.id).with_for_update(key_share=True))


async def lock_line(tx: UnitOfWork, session_id: UUID, *clients: UUID) -> None:
    """A session with all who wait for it, and further clients: for who gives a place back, which then goes to the line.

    Who joins needs the session's lock, so nobody is added meanwhile.
    """
    await lock_sessions(tx, [session_id])
    entry = WaitlistEntry
    waiting = select(entry.client_id).where(
        entry.tenant_id == tx.tenant, entry.class_session_id == session_id, entry.state.in_(("WAITING", "OFFERED"))
    )
    await lock_clients(tx, {*clients, *(await tx.session.scalars(waiting)).all()})


async def lock_place(tx: UnitOfWork, session_id: UUID, client_id: UUID) -> None:
    """One place and who has it: for who changes a booking and gives nothing to the line."""
    await lock_sessions(tx, [session_id])
    await lock_clients(tx, [client_id])
