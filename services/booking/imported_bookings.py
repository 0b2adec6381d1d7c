"""Bookings of a file take their places, one by one at the desk: the rules of places and credits hold for them too."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select

from services.booking import locks
from services.booking.desk import Wanted, book_within
from services.booking.import_rows import BookingRow
from services.booking.imported_results import Numbered, Result, among, clients_of
from services.booking.models import Booking, ClassSession, Import
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import DomainError

_METHOD = "/powerhouse.booking.v1.ImportService/RunImport"
# What staff say to let hours, caps and overlaps pass: the other system has accepted the booking.
_OVERRIDE = "imported"


async def book(tx: UnitOfWork, found: Import, rows: Sequence[Numbered[BookingRow]]) -> list[Result]:
    """Books what is new; what was booked by an import before, or in any other way, is unchanged."""
    sessions = await _sessions_of(tx, rows)
    clients = await clients_of(tx, found.source, rows)
    await locks.lock_sessions(tx, {each for each in sessions.values() if isinstance(each, UUID)})
    await locks.lock_clients(tx, {each for each in clients.values() if isinstance(each, UUID)})
    keys = {row.line: _key(found, row.value) for row in rows}
    known = await _known(tx, set(keys.values()))
    return [
        await _book(tx, found, row.line, sessions[row.line], clients[row.line], keys[row.line], known) for row in rows
    ]


async def _book(
    tx: UnitOfWork,
    found: Import,
    line: int,
    session: UUID | str,
    client: UUID | str,
    key: UUID,
    known: dict[UUID, UUID],
) -> Result:
    if key in known:
        return Result(line, "UNCHANGED", resource_id=known[key])
    if isinstance(client, str) or isinstance(session, str):
        return Result(line, "REFUSED", client if isinstance(client, str) else str(session))
    wanted = Wanted(
        tenant=tx.tenant,
        principal=found.principal,
        method=_METHOD,
        request_id=key,
        request_hash=key,
        class_session=session,
        client=client,
        account=None,
        override=_OVERRIDE,
    )
    try:
        booking = await book_within(tx, wanted)
    except DomainError as refusal:
        if refusal.reason == "ALREADY_BOOKED":
            return Result(line, "UNCHANGED", refusal.reason)
        return Result(line, "REFUSED", refusal.reason)
    return Result(line, "CREATED", resource_id=booking.id)


async def _sessions_of(tx: UnitOfWork, rows: Sequence[Numbered[BookingRow]]) -> dict[int, UUID | str]:
    """Line → its class, or why there is none: CLASS_SESSION_UNKNOWN, CLASS_SESSION_AMBIGUOUS, IN_THE_PAST."""
    session = ClassSession
    local = func.timezone(session.time_zone, session.start_time)
    starts = {row.value.start for row in rows if row.value.start}
    named = {row.value.class_session_id for row in rows if row.value.class_session_id}
    query = select(
        session.id, local, func.lower(session.class_type_display_name), func.lower(session.location_display_name),
        session.start_time, session.cancelled,
    ).where(session.tenant_id == tx.tenant, local.in_(starts) | session.id.in_(named))  # fmt: skip
    if not named and starts:
        # Zones are at most 14 hours from UTC; with this the index of starts is of use.
        query = query.where(session.start_time.between(*_range(starts)))
    by_id, by_start = {}, defaultdict(list)
    for found in await tx.session.execute(query):
        by_id[found.id] = found
        by_start[found[1]].append(found)
    answers: dict[int, UUID | str] = {}
    for row in rows:
        value = row.value
        if value.class_session_id is not None:
            fitting = [by_id[value.class_session_id]] if value.class_session_id in by_id else []
        else:
            fitting = [each for each in by_start[value.start] if each[2] == value.class_type and not each.cancelled]
            if value.location:
                fitting = [each for each in fitting if each[3] == value.location]
        if len(fitting) != 1:
            answers[row.line] = "CLASS_SESSION_AMBIGUOUS" if fitting else "CLASS_SESSION_UNKNOWN"
        else:
            answers[row.line] = fitting[0].id if fitting[0].start_time > tx.now() else "IN_THE_PAST"
    return answers


def _range(starts: Collection[datetime]) -> tuple[datetime, datetime]:
    day = timedelta(days=1)
    return min(starts).replace(tzinfo=UTC) - day, max(starts).replace(tzinfo=UTC) + day


async def _known(tx: UnitOfWork, keys: set[UUID]) -> dict[UUID, UUID]:
    query = select(Booking.request_id, Booking.id).where(
        Booking.tenant_id == tx.tenant, among(Booking.request_id, keys)
    )
    return {key: booking for key, booking in await tx.session.execute(query) if key is not None}


def _key(found: Import, row: BookingRow) -> UUID:
    """The idempotency key: the same row of the same source is the same booking."""
    text = "\0".join(("import", str(found.tenant_id), found.source, row.external_id))
    return UUID(bytes=hashlib.sha256(text.encode()).digest()[:16])
