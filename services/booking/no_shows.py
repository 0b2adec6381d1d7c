"""No-shows: after a class, and the policy's grace, who held a place and was not checked in counts as absent.

The place stays held, the credit spent, and the policy's fee is due. `no_show_marking` of the policy that a booking was
made under says in which classes. Nobody is told to be absent by a studio that does not check in.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, text

from services.booking import changes, fees, line_changes
from services.booking.models import Booking, BookingDetail
from services.chassis.db.unit_of_work import UnitOfWork

# Since when classes are looked at. Checking in ends a day after the class and the grace within a day, so that the rest
# is how long an outage may last without anybody being forgotten.
_SINCE = timedelta(days=7)
# Sessions of one transaction, which holds their locks.
_SESSIONS = 100

_ABSENT = """b.state = 'CONFIRMED' AND p.tenant_id = b.tenant_id AND p.version = b.policy_version
    AND b.end_time + make_interval(mins => p.no_show_grace_minutes) <= :now
    AND (p.no_show_marking = 'ALWAYS' OR p.no_show_marking = 'WHEN_CHECKED_IN' AND EXISTS (
        SELECT FROM bookings o WHERE o.tenant_id = b.tenant_id AND o.class_session_id = b.class_session_id
            AND o.cancel_time IS NULL AND o.state = 'ATTENDED'))"""

_LOCK_SESSIONS = text(f"""
    SELECT s.id FROM class_sessions s
    WHERE s.tenant_id = ANY(:tenants) AND s.start_time > :since AND s.start_time < :now AND EXISTS (
        SELECT FROM bookings b, booking_policies p
        WHERE b.tenant_id = s.tenant_id AND b.class_session_id = s.id AND b.cancel_time IS NULL AND {_ABSENT})
    ORDER BY s.id LIMIT :sessions FOR NO KEY UPDATE OF s
""")  # noqa: S608  # constants of this module
_LOCK_CLIENTS = text(f"""
    SELECT b.id FROM bookings b
    JOIN booking_policies p ON p.tenant_id = b.tenant_id AND p.version = b.policy_version
    JOIN clients c ON c.tenant_id = b.tenant_id AND c.id = b.client_id
    WHERE b.tenant_id = ANY(:tenants) AND b.class_session_id = ANY(:locked) AND b.cancel_time IS NULL AND {_ABSENT}
    ORDER BY c.id FOR NO KEY UPDATE OF c
""")  # noqa: S608
_MARK = text(f"""
    UPDATE bookings b SET state = 'NO_SHOW', version = b.version + 1, update_time = :now FROM booking_policies p
    WHERE b.tenant_id = ANY(:tenants) AND b.id = ANY(:ids) AND {_ABSENT}
    RETURNING b.tenant_id, b.id
""")  # noqa: S608
# Whose absence was let pass, with the credit given back, has not paid for the place any more.
_EXPECT = text("""
    UPDATE bookings SET state = CASE WHEN credit_returned THEN 'CANCELLED_EARLY' ELSE 'CONFIRMED' END,
        cancel_time = CASE WHEN credit_returned THEN CAST(:now AS timestamptz) END,
        version = version + 1, update_time = :now
    WHERE tenant_id = :tenant AND class_session_id = :session AND state = 'NO_SHOW'
    RETURNING id, credit_returned AS gone
""")


async def mark_some(tx: UnitOfWork, tenants: Sequence[UUID]) -> int:
    """Marks the absent of up to 100 sessions of these studios of the transaction; returns how many. At 0 all are."""
    found = {"tenants": list(tenants), "since": tx.now() - _SINCE, "now": tx.now(), "sessions": _SESSIONS}
    locked = (await tx.session.scalars(_LOCK_SESSIONS, found)).all()
    if not locked:
        return 0
    known = {"tenants": list(tenants), "now": tx.now(), "locked": list(locked)}
    ids = (await tx.session.scalars(_LOCK_CLIENTS, known)).all()
    return len(await mark(tx, tenants, ids))


async def mark(tx: UnitOfWork, tenants: Sequence[UUID], booking_ids: Sequence[UUID]) -> Sequence[UUID]:
    """Marks those of the bookings that count as absent and makes their fees due; returns which they were.

    The caller holds the locks of their sessions and clients.
    """
    marked = await tx.session.execute(_MARK, {"tenants": list(tenants), "ids": list(booking_ids), "now": tx.now()})
    by_studio: dict[UUID, list[UUID]] = defaultdict(list)
    for tenant, booking_id in marked:
        by_studio[tenant].append(booking_id)
    for tenant, ids in by_studio.items():
        studio = tx.of(tenant)
        booking = BookingDetail
        owing = select(booking).where(booking.tenant_id == tenant, booking.id.in_(ids), booking.no_show_fee_minor > 0)
        for absent in await tx.session.scalars(owing.execution_options(populate_existing=True)):
            await fees.charge(studio, absent, "NO_SHOW", absent.no_show_fee_minor)
        await changes.publish_bookings(studio, ids)
    return [booking_id for ids in by_studio.values() for booking_id in ids]


async def take_back(tx: UnitOfWork, session_id: UUID) -> None:
    """The class is still to come, since it was moved: nobody was absent from it, and nobody owes a fee for that.

    The caller holds the locks of the session and of all who are booked.
    """
    expected = (await tx.session.execute(_EXPECT, {"tenant": tx.tenant, "session": session_id, "now": tx.now()})).all()
    await line_changes.free_places(tx, session_id, sum(booking.gone for booking in expected))
    of_session = select(Booking.id).where(Booking.tenant_id == tx.tenant, Booking.class_session_id == session_id)
    booked = (await tx.session.scalars(of_session)).all()
    await fees.settle(tx, booked, before="DUE", state="VOID", reason="the class was moved", only_kind="NO_SHOW")
    await changes.publish_bookings(tx, [booking.id for booking in expected])
