"""What a change of a class session does to its bookings, all at once, in the transaction that applies the change.

The caller holds the lock of the session's row.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text

from services.booking import changes, credits
from services.booking.models import Booking
from services.chassis.db.unit_of_work import UnitOfWork

_CANCEL = text(
    "UPDATE bookings SET state = 'CANCELLED_EARLY', credit_returned = true, session_cancelled = true,"
    " cancel_time = :now, version = version + 1, update_time = :now"
    " WHERE tenant_id = :tenant AND class_session_id = :session AND state = 'CONFIRMED'"
    " RETURNING id, client_package_id"
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
    " FROM bookings b JOIN client_packages p ON p.tenant_id = b.tenant_id AND p.id = b.client_package_id"
    " WHERE b.tenant_id = :tenant AND b.class_session_id = :session AND b.session_cancelled AND p.credits_left > 0)"
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
_MOVE_CREDITS = text(
    "INSERT INTO transfers (tenant_id, debit_account, credit_account, amount, cause, booking_id, create_time)"
    " SELECT :tenant, CASE WHEN :taken THEN moved.package_id ELSE :redeemed END,"
    " CASE WHEN :taken THEN :redeemed ELSE moved.package_id END, 1, :cause, moved.booking_id, :now"
    " FROM unnest(CAST(:packages AS uuid[]), CAST(:bookings AS uuid[])) AS moved (package_id, booking_id)"
)
# Spots that a new layout does not have are let go; then who has none gets the first free one, in order of booking.
_LEAVE_LOST_SPOTS = text(
    "UPDATE bookings b SET spot = NULL, version = b.version + 1, update_time = :now FROM class_sessions s"
    " WHERE b.tenant_id = :tenant AND b.class_session_id = :session AND b.state = 'CONFIRMED'"
    " AND s.tenant_id = b.tenant_id AND s.id = b.class_session_id AND b.spot <> ALL (s.spots)"
)
_TAKE_FREE_SPOTS = text(
    "WITH free AS ("
    " SELECT f.spot, f.place FROM class_sessions s,"
    " unnest(free_spots_v2(s.tenant_id, s.id, s.spots)) WITH ORDINALITY AS f (spot, place)"
    " WHERE s.tenant_id = :tenant AND s.id = :session),"
    " waiting AS (SELECT id, row_number() OVER (ORDER BY create_time, id) AS place FROM bookings"
    " WHERE tenant_id = :tenant AND class_session_id = :session AND state = 'CONFIRMED' AND spot IS NULL)"
    " UPDATE bookings b SET spot = free.spot, version = b.version + 1, update_time = :now"
    " FROM waiting JOIN free USING (place) WHERE b.tenant_id = :tenant AND b.id = waiting.id"
)
_TOUCH = text(
    "UPDATE bookings SET version = version + 1, update_time = :now"
    " WHERE tenant_id = :tenant AND class_session_id = :session AND state = 'CONFIRMED' RETURNING id"
)


async def count_active(tx: UnitOfWork, session_id: UUID) -> int:
    """How many bookings hold a place: what the counter of a session must say that is projected anew."""
    query = select(func.count()).where(
        Booking.tenant_id == tx.tenant, Booking.class_session_id == session_id, Booking.cancel_time.is_(None)
    )
    return await tx.session.scalar(query) or 0


async def cancel_all(tx: UnitOfWork, session_id: UUID) -> None:
    """The session is cancelled: its bookings too, with their credits back however late it is."""
    cancelled = (await tx.session.execute(_CANCEL, _parameters(tx, session_id))).all()
    if cancelled:
        await tx.session.execute(_EMPTY, _parameters(tx, session_id))
        await _move_credits(tx, cancelled, taken=False, cause="session_cancelled")


async def restore_all(tx: UnitOfWork, session_id: UUID) -> int:
    """The session is on again: bookings that went with it come back where place and credit are still there.

    The others stay cancelled for good. Returns how many came back.
    """
    restorable = (await tx.session.execute(_RESTORABLE, _parameters(tx, session_id))).all()
    if not restorable:
        return 0
    await credits.lock(tx, [row.client_package_id for row in restorable])
    restored = (await tx.session.execute(_RESTORE, _parameters(tx, session_id))).all()
    await tx.session.execute(_GIVE_UP_REST, _parameters(tx, session_id))
    await tx.session.execute(_COUNT, {**_parameters(tx, session_id), "restored": len(restored)})
    await _move_credits(tx, restored, taken=True, cause="session_restored")
    return len(restored)


async def settle_spots(tx: UnitOfWork, session_id: UUID) -> None:
    """Everybody booked has a spot of the room's layout as far as there are enough."""
    await tx.session.execute(_LEAVE_LOST_SPOTS, _parameters(tx, session_id))
    await tx.session.execute(_TAKE_FREE_SPOTS, _parameters(tx, session_id))


async def announce_move(tx: UnitOfWork, session_id: UUID) -> None:
    """The session starts at another time: tells it of each active booking."""
    moved = (await tx.session.scalars(_TOUCH, _parameters(tx, session_id))).all()
    await changes.publish_bookings(tx, moved)


async def _move_credits(tx: UnitOfWork, bookings: Sequence[Any], *, taken: bool, cause: str) -> None:
    packages = [row.client_package_id for row in bookings]
    await credits.lock(tx, packages)
    await tx.session.execute(
        _MOVE_CREDITS,
        {
            "tenant": tx.tenant,
            "taken": taken,
            "redeemed": credits.REDEEMED,
            "cause": cause,
            "packages": packages,
            "bookings": [row.id for row in bookings],
            "now": tx.now(),
        },
    )
    await changes.publish_bookings(tx, [row.id for row in bookings])
    await changes.publish_packages(tx, packages)


def _parameters(tx: UnitOfWork, session_id: UUID) -> dict[str, Any]:
    return {"tenant": tx.tenant, "session": session_id, "now": tx.now()}
