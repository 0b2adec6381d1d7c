"""What time alone does to lines: offers that nobody answered, nights that end, lines that close."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, literal_column, select

from services.booking import promotions, waitlist
from services.booking.models import BookableSession, WaitlistEntry
from services.chassis.db.unit_of_work import UnitOfWork


async def expire_offers(tx: UnitOfWork, session_id: UUID) -> None:
    """Ends the offers of a session that were not answered in time; their places go to the next in line."""
    entry = WaitlistEntry
    overdue = select(entry.id).where(
        entry.tenant_id == tx.tenant,
        entry.class_session_id == session_id,
        entry.state == "OFFERED",
        entry.offer_expire_time <= tx.now(),
    )
    await waitlist.end(tx, (await tx.session.scalars(overdue)).all(), "EXPIRED", "OFFER_EXPIRED")
    await waitlist.fill(tx, session_id)


async def unsettled(tx: UnitOfWork, studios: Sequence[UUID]) -> list[tuple[UUID, UUID]]:
    """(studio, session) of the lines that `fill` may change, as far as can be told without a lock."""
    session, entry = BookableSession, WaitlistEntry
    in_line = select(entry.id).where(
        entry.tenant_id == session.tenant_id, entry.class_session_id == session.id, entry.state == "WAITING"
    )
    conflict = func.client_refusal_v1(literal_column("bookable_sessions"), entry.client_id)
    leaving = select(entry.id).where(
        entry.tenant_id == session.tenant_id,
        entry.class_session_id == session.id,
        entry.state.in_(("WAITING", "OFFERED")),
        conflict.is_not(None),
    )
    waiting = select(entry.class_session_id).where(
        entry.tenant_id.in_(studios), entry.state.in_(("WAITING", "OFFERED"))
    )
    query = select(session, in_line.exists(), leaving.exists()).where(
        session.tenant_id.in_(studios), session.id.in_(waiting)
    )
    now = tx.now()
    return [
        (line.tenant_id, line.id)
        for line, waits, leaves in await tx.session.execute(query)
        if leaves or (waits and _is_due(line, now))
    ]


def _is_due(line: BookableSession, now: datetime) -> bool:
    free = line.booked_count < line.planned_capacity and promotions.quiet_until(line, now) is None
    return free or line.waitlist_mode == "OFF" or now >= promotions.close_time(line)
