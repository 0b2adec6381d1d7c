"""Joining the line of a full class: who may, and with which credit."""

from uuid import UUID

from sqlalchemy import select, text

from services.booking import changes, holds, promotions, waits
from services.booking.locks import lock_clients, lock_sessions
from services.booking.models import BookableSession, Client, WaitlistEntry
from services.booking.refusals import to_error
from services.booking.waits import Wait
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import NotFound, PermissionDenied
from services.chassis.ids import new_id

# What keeps a client from a session: its own bookings and waits, and the rules of booking but for the last place.
_OBSTACLES = text(
    "SELECT refusal_v2(s, :now) AS refusal, client_refusal_v1(s, :client) AS conflict,"
    " waits_first_v1(s.tenant_id, s.id) AS waits_first,"
    " s.waiver_required AND must_sign_v1(s.tenant_id, :client) AS must_sign,"
    " EXISTS (SELECT FROM waitlist_entries e WHERE e.tenant_id = s.tenant_id AND e.class_session_id = s.id"
    " AND e.client_id = :client AND e.state IN ('WAITING', 'OFFERED')) AS waiting"
    " FROM bookable_sessions s WHERE s.tenant_id = :tenant AND s.id = :session"
)


async def join(tx: UnitOfWork, session_id: UUID, client_id: UUID | None, account: UUID | None) -> Wait:
    """Stands a client at the end of the line and sets a credit aside. Client and account as in `desk.Wanted`.

    Raises PermissionDenied, NotFound, and what `refusals.to_error` makes of a code.
    """
    client = await _find_client(tx, client_id, account)
    await lock_sessions(tx, [session_id])
    await lock_clients(tx, [client.id])
    await tx.session.refresh(client)
    session = await _session(tx, session_id)
    refusal = await _refusal(tx, session, client)
    if session is None or refusal:
        raise to_error(refusal or "SESSION_NOT_KNOWN_YET", tx.tenant)
    hold_id = await holds.set_aside(tx, session, client.id)
    if hold_id is None:
        raise to_error("NO_CREDIT")
    entry = WaitlistEntry(
        tenant_id=tx.tenant,
        id=new_id(),
        class_session_id=session_id,
        client_id=client.id,
        credit_hold_id=hold_id,
        state="WAITING",
        join_time=tx.now(),
        create_time=tx.now(),
        update_time=tx.now(),
    )
    tx.session.add(entry)
    await tx.session.flush()
    await changes.publish_waits(tx, [entry.id])
    return await waits.get(tx, entry.id, account)


async def _find_client(tx: UnitOfWork, client_id: UUID | None, account: UUID | None) -> Client:
    query = select(Client).where(Client.tenant_id == tx.tenant)
    query = (
        query.where(Client.id == client_id) if client_id else query.where(Client.account_id == account, Client.is_self)
    )
    client = (await tx.session.scalars(query)).one_or_none()
    if client is None and client_id is None:
        raise to_error("CLIENT_REQUIRED")
    if account is not None and (client is None or client.account_id != account):
        raise PermissionDenied()
    if client is None:
        raise NotFound("client")
    return client


async def _session(tx: UnitOfWork, session_id: UUID) -> BookableSession | None:
    query = select(BookableSession).where(BookableSession.tenant_id == tx.tenant, BookableSession.id == session_id)
    return (await tx.session.scalars(query, execution_options={"populate_existing": True})).one_or_none()


async def _refusal(tx: UnitOfWork, session: BookableSession | None, client: Client) -> str:
    """Why a client cannot join the line of a session, or nothing."""
    if client.archive_time is not None:
        return "CLIENT_ARCHIVED"
    if session is None:
        return "SESSION_NOT_KNOWN_YET"
    values = {"tenant": tx.tenant, "session": session.id, "client": client.id, "now": tx.now()}
    found = (await tx.session.execute(_OBSTACLES, values)).one()
    if found.conflict == "ALREADY_BOOKED":
        return "ALREADY_BOOKED"
    if found.waiting:
        return "ALREADY_WAITING"
    if found.refusal not in (None, "SESSION_FULL"):
        return str(found.refusal)
    if session.waitlist_mode == "OFF":
        return "WAITLIST_OFF"
    if tx.now() >= promotions.close_time(session):
        return "WAITLIST_CLOSED"
    if found.conflict:
        return str(found.conflict)
    if found.refusal is None and not found.waits_first:
        return "PLACE_FREE"
    return "WAIVER_NOT_SIGNED" if found.must_sign else ""
