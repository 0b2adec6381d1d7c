"""One client's wait for a class: reading it, ending it, and answering an offer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, false, func, literal_column, or_, select, tuple_
from sqlalchemy.orm import aliased

from services.booking import changes, waitlist
from services.booking.locks import lock_line
from services.booking.models import IN_LINE, BookableSession, Client, WaitlistEntry
from services.booking.refusals import to_error
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import NotFound, PermissionDenied, check_etag


@dataclass(frozen=True)
class Wait:
    """An entry, and what is shown beside it."""

    entry: WaitlistEntry
    client: Client
    session: BookableSession
    # From 1; 0 when it is no longer in line.
    position: int


async def leave(tx: UnitOfWork, entry_id: UUID, *, account: UUID | None, etag: str) -> Wait:
    """Ends a wait; a place that was on offer goes to the next.

    Raises PermissionDenied, NotFound, FailedPrecondition/NOT_WAITING, Aborted/ETAG_MISMATCH.
    """
    wait = await _lock(tx, entry_id, account, etag)
    if wait.entry.state not in IN_LINE:
        raise to_error("NOT_WAITING")
    return await _end(tx, wait, account, "REMOVED", "LEFT")


async def decline(tx: UnitOfWork, entry_id: UUID, *, account: UUID | None, etag: str) -> Wait:
    """Lets a place on offer go to the next. Raises as `leave`, with NOT_OFFERED."""
    wait = await _lock(tx, entry_id, account, etag)
    if wait.entry.state != "OFFERED":
        raise to_error("NOT_OFFERED")
    return await _end(tx, wait, account, "DECLINED", "DECLINED")


async def accept(tx: UnitOfWork, entry_id: UUID, *, account: UUID | None, etag: str) -> Wait:
    """Makes a booking of a place on offer.

    Raises PermissionDenied, NotFound, Aborted/ETAG_MISMATCH, and what `refusals.to_error` makes of a code.
    """
    wait = await _lock(tx, entry_id, account, etag)
    expire_time = wait.entry.offer_expire_time
    if wait.entry.reason == "OFFER_EXPIRED" or (expire_time and tx.now() >= expire_time):
        raise to_error("OFFER_EXPIRED")
    if wait.entry.state != "OFFERED":
        raise to_error("NOT_OFFERED")
    (candidate,) = await waitlist.candidates(tx, wait.session.id, entry_id=entry_id)
    hindrance = candidate.hindrance()
    if hindrance:
        raise to_error("NO_CREDIT" if hindrance == "PACKAGE_NOT_USABLE" else hindrance, tx.tenant)
    await waitlist.promote(tx, wait.session, [candidate], accepted=True)
    await changes.publish_waits(tx, [entry_id])
    tx.note_change("state", wait.entry.state, "PROMOTED")
    return await get(tx, entry_id, account)


async def get(tx: UnitOfWork, entry_id: UUID, account: UUID | None) -> Wait:
    """An entry; with `account` only of a client it acts for.

    Raises PermissionDenied for any other, known or not, when narrowed; else NotFound.
    """
    query = _waits(tx).where(WaitlistEntry.id == entry_id).execution_options(populate_existing=True)
    row = (await tx.session.execute(query)).one_or_none()
    if account is not None and (row is None or row[1].account_id != account):
        raise PermissionDenied()
    if row is None:
        raise NotFound("waitlist_entry")
    return Wait(*row)


async def list_in_order(
    tx: UnitOfWork,
    page: Page,
    *,
    account: UUID | None,
    teacher: UUID | None,
    session_id: UUID | None,
    client_id: UUID | None,
    show_ended: bool,
) -> Sequence[Wait]:
    """Entries by session, then in the order of its line.

    All, or those of the clients that `account` acts for and of the sessions that `teacher` teaches.
    """
    entry = WaitlistEntry
    query = _waits(tx)
    if account is not None:
        own = Client.account_id == account
        # Compared with nobody it would be the sessions that nobody teaches.
        taught = BookableSession.instructor_account_id == teacher if teacher else false()
        query = query.where(or_(own, taught))
    if session_id is not None:
        query = query.where(entry.class_session_id == session_id)
    if client_id is not None:
        query = query.where(entry.client_id == client_id)
    if not show_ended:
        query = query.where(entry.state.in_(IN_LINE))
    order = (entry.class_session_id, ~entry.displaced, entry.join_time, entry.id)
    if page.after:
        query = query.where(tuple_(*order) > tuple(page.after))
    return [Wait(*row) for row in await tx.session.execute(query.order_by(*order).limit(page.limit))]


def sort_key(wait: Wait) -> tuple[UUID, bool, datetime, UUID]:
    """Where a wait stands in `list_in_order`."""
    entry = wait.entry
    return entry.class_session_id, not entry.displaced, entry.join_time, entry.id


async def _lock(tx: UnitOfWork, entry_id: UUID, account: UUID | None, etag: str) -> Wait:
    seen = await get(tx, entry_id, account)
    await lock_line(tx, seen.entry.class_session_id, seen.entry.client_id)
    wait = await get(tx, entry_id, account)
    check_etag(etag, wait.entry.etag)
    return wait


async def _end(tx: UnitOfWork, wait: Wait, account: UUID | None, state: str, reason: str) -> Wait:
    before = wait.entry.state
    await waitlist.end(tx, [wait.entry.id], state, reason)
    if before == "OFFERED":
        await waitlist.fill(tx, wait.session.id)
    tx.note_change("state", before, state)
    return await get(tx, wait.entry.id, account)


def _waits(tx: UnitOfWork) -> Select[*tuple[Any, ...]]:
    """Rows of a Wait's fields."""
    entry, client, session = WaitlistEntry, Client, BookableSession
    return (
        select(entry, client, session, _position())
        .join(client, (client.tenant_id == entry.tenant_id) & (client.id == entry.client_id))
        .join(session, (session.tenant_id == entry.tenant_id) & (session.id == entry.class_session_id))
        .where(entry.tenant_id == tx.tenant)
    )


def _position() -> ColumnElement[int]:
    entry, other = WaitlistEntry, aliased(WaitlistEntry)
    before = tuple_(~other.displaced, other.join_time, other.id) <= tuple_(~entry.displaced, entry.join_time, entry.id)
    ahead = select(func.count(literal_column("1"))).where(
        other.tenant_id == entry.tenant_id,
        other.class_session_id == entry.class_session_id,
        other.state.in_(IN_LINE),
        entry.state.in_(IN_LINE),
        before,
    )
    return ahead.correlate(entry).scalar_subquery()
