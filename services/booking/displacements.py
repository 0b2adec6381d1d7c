"""What a change of a class session does to its bookings, all at once, in the transaction that applies the change.

The caller holds the lock of the session's row.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from services.booking import changes, fees, ledger
from services.booking.locks import lock_clients
from services.booking.models import Booking
from services.chassis.db.unit_of_work import UnitOfWork

# Who comes back with the session is who had a place that was paid.
_SESSION_CANCELLED = "the class was cancelled"

_CANCEL = text(
    "UPDATE bookings b SET state = 'CANCELLED_EARLY', credit_returned = b.client_package_id IS NOT NULL,"
    " session_cancelled = b.state <> 'PENDING_PAYMENT', check_in_time = NULL,"
    " cancel_time = :now, version = b.version + 1, update_time = :now"
    " FROM bookings was"
    " WHERE b.tenant_id = :tenant AND b.class_session_id = :session AND b.cancel_time IS NULL"
    " AND was.tenant_id = b.tenant_id AND was.id = b.id"
    " RETURNING b.id, CASE WHEN NOT was.credit_returned THEN b.client_package_id END AS client_package_id"
)
_CLIENTS = text(
    "SELECT client_id FROM bookings WHERE tenant_id = :tenant AND class_session_id = :session"
    " UNION SELECT client_id FROM waitlist_entries WHERE tenant_id = :tenant AND class_session_id = :session"
)
_TAKEN = text(
    "SELECT (SELECT count(*) FROM bookings"
    " WHERE tenant_id = :tenant AND class_session_id = :session AND cancel_time IS NULL)"
    " + (SELECT count(*) FROM waitlist_entries"
    " WHERE tenant_id = :tenant AND class_session_id = :session AND state = 'OFFERED')"
)
_EMPTY = text(
    "UPDATE class_sessions SET booked_count = 0, effective_capacity = planned_capacity"
    " WHERE tenant_id = :tenant AND id = :session"
)
_RESTORABLE = text(
    "SELECT id, client_package_id FROM bookings"
    " WHERE tenant_id = :tenant AND class_session_id = :session AND session_cancelled"
)
# Who booked first comes back first, as long as there are places and the credit is still there.
_RESTORE = text(
    "WITH ranked AS ("
    " SELECT b.id, row_number() OVER (ORDER BY b.create_time, b.id) AS place"
    " FROM bookings b LEFT JOIN client_packages p ON p.tenant_id = b.tenant_id AND p.id = b.client_package_id"
    " WHERE b.tenant_id = :tenant AND b.class_session_id = :session AND b.session_cancelled"
    " AND (p.id IS NULL OR p.revoke_time IS NULL AND p.credits_left >= (SELECT count(*) FROM bookings o"
    " WHERE o.tenant_id = b.tenant_id"
    " AND o.class_session_id = b.class_session_id AND o.client_package_id = p.id AND o.session_cancelled"
    " AND (o.create_time, o.id) <= (b.create_time, b.id)))"
    " AND NOT EXISTS (SELECT FROM bookings o WHERE o.tenant_id = b.tenant_id AND o.client_id = b.client_id"
    " AND o.cancel_time IS NULL AND o.guest_display_name = '' AND b.guest_display_name = ''"
    " AND o.start_time < b.end_time AND o.end_time > b.start_time))"
    " UPDATE bookings b SET state = 'CONFIRMED', credit_returned = false, session_cancelled = false,"
    " cancel_time = NULL, version = b.version + 1, update_time = :now"
    " FROM ranked, class_sessions s"
    " WHERE b.tenant_id = :tenant AND b.id = ranked.id AND s.tenant_id = :tenant AND s.id = :session"
    " AND ranked.place <= s.planned_capacity - s.booked_count"
    " RETURNING b.id, b.client_package_id"
)
_GIVE_UP_REST = text(
    "UPDATE bookings SET session_cancelled = false"
    " WHERE tenant_id = :tenant AND class_session_id = :session AND session_cancelled"
)
_COUNT = text(
    "UPDATE class_sessions SET booked_count = booked_count + :restored WHERE tenant_id = :tenant AND id = :session"
)
# Spots that a new layout does not have are let go; then who has none gets the first free one, in order of booking.
_LEAVE_LOST_SPOTS = text(
    "UPDATE bookings b SET spot = NULL, version = b.version + 1, update_time = :now FROM class_sessions s"
    " WHERE b.tenant_id = :tenant AND b.class_session_id = :session AND b.cancel_time IS NULL"
    " AND s.tenant_id = b.tenant_id AND s.id = b.class_session_id AND b.spot <> ALL (s.spots)"
)
_TAKE_FREE_SPOTS = text(
    "WITH free AS ("
    " SELECT f.spot, f.place FROM class_sessions s,"
    " unnest(free_spots_v2(s.tenant_id, s.id, s.spots)) WITH ORDINALITY AS f (spot, place)"
    " WHERE s.tenant_id = :tenant AND s.id = :session),"
    " waiting AS (SELECT id, row_number() OVER (ORDER BY create_time, id) AS place FROM bookings"
    " WHERE tenant_id = :tenant AND class_session_id = :session AND cancel_time IS NULL AND spot IS NULL)"
    " UPDATE bookings b SET spot = free.spot, version = b.version + 1, update_time = :now"
    " FROM waiting JOIN free USING (place) WHERE b.tenant_id = :tenant AND b.id = waiting.id"
)
# What holds a place is told of the move; the others only follow.
_MOVE = text(
    "UPDATE bookings b SET start_time = s.start_time, end_time = s.end_time,"
    " version = b.version + CASE WHEN b.cancel_time IS NULL THEN 1 ELSE 0 END,"
    " update_time = CASE WHEN b.cancel_time IS NULL THEN :now ELSE b.update_time END"
    " FROM class_sessions s WHERE s.tenant_id = :tenant AND s.id = :session"
    " AND b.tenant_id = s.tenant_id AND b.class_session_id = s.id"
    " AND (b.start_time, b.end_time) <> (s.start_time, s.end_time)"
    " RETURNING b.id, b.cancel_time IS NULL AS active"
)


async def count_taken(tx: UnitOfWork, session_id: UUID) -> int:
    """How many places are held or on offer: what the counter of a session must say that is projected anew."""
    return await tx.session.scalar(_TAKEN, {"tenant": tx.tenant, "session": session_id}) or 0


async def lock(tx: UnitOfWork, session_id: UUID) -> bool:
    """Locks everybody who has or had a place or a wait, before any of the below. False when nobody ever had."""
    clients = (await tx.session.scalars(_CLIENTS, {"tenant": tx.tenant, "session": session_id})).all()
    if clients:
        await lock_clients(tx, clients)
    return bool(clients)


async def cancel_all(tx: UnitOfWork, session_id: UUID) -> None:
    """The session is cancelled: its bookings too, with their credits back however late it is, and its fees void."""
    cancelled = (await tx.session.execute(_CANCEL, _parameters(tx, session_id))).all()
    if cancelled:
        await tx.session.execute(_EMPTY, _parameters(tx, session_id))
        moves = [(ledger.REDEEMED, row.client_package_id, row.id) for row in cancelled if row.client_package_id]
        await ledger.transfer_ones(tx, moves, "session_cancelled")
        await changes.publish_bookings(tx, [row.id for row in cancelled])
    await fees.settle(tx, await _all(tx, session_id), before="DUE", state="VOID", reason=_SESSION_CANCELLED)


async def restore_all(tx: UnitOfWork, session_id: UUID) -> int:
    """The session is on again: bookings that went with it come back where place and credit are still there.

    The others stay cancelled for good. Fees that went with it are due again. Returns how many came back.
    """
    await fees.settle(tx, await _all(tx, session_id), before="VOID", state="DUE", only_reason=_SESSION_CANCELLED)
    restorable = (await tx.session.execute(_RESTORABLE, _parameters(tx, session_id))).all()
    if not restorable:
        return 0
    restored = (await tx.session.execute(_RESTORE, _parameters(tx, session_id))).all()
    await tx.session.execute(_GIVE_UP_REST, _parameters(tx, session_id))
    await tx.session.execute(_COUNT, {**_parameters(tx, session_id), "restored": len(restored)})
    moves = [(row.client_package_id, ledger.REDEEMED, row.id) for row in restored if row.client_package_id]
    await ledger.transfer_ones(tx, moves, "session_restored")
    await changes.publish_bookings(tx, [row.id for row in restored])
    return len(restored)


async def settle_spots(tx: UnitOfWork, session_id: UUID) -> None:
    """Everybody booked has a spot of the room's layout as far as there are enough."""
    await tx.session.execute(_LEAVE_LOST_SPOTS, _parameters(tx, session_id))
    await tx.session.execute(_TAKE_FREE_SPOTS, _parameters(tx, session_id))


async def follow_move(tx: UnitOfWork, session_id: UUID) -> None:
    """Bookings stand at the time of their session; those that hold a place tell when it is another one."""
    moved = (await tx.session.execute(_MOVE, _parameters(tx, session_id))).all()
    await changes.publish_bookings(tx, [row.id for row in moved if row.active])


async def _all(tx: UnitOfWork, session_id: UUID) -> Sequence[UUID]:
    query = select(Booking.id).where(Booking.tenant_id == tx.tenant, Booking.class_session_id == session_id)
    return (await tx.session.scalars(query)).all()


def _parameters(tx: UnitOfWork, session_id: UUID) -> dict[str, Any]:
    return {"tenant": tx.tenant, "session": session_id, "now": tx.now()}
