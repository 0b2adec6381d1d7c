"""What time alone does to lines: offers that nobody answered, nights that end, lines that close."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, literal_column, or_, select

from services.booking import promotions, waitlist
from services.booking.models import IN_LINE, BookableSession, WaitlistEntry
from services.chassis.db.unit_of_work import UnitOfWork


async def settle(tx: UnitOfWork, session_id: UUID) -> None:
    """Ends the offers of a session that were not answered in time, and does all that `waitlist.fill` can."""
    entry = WaitlistEntry
    lapsed = select(entry.id).where(
        entry.tenant_id == tx.tenant, entry.class_session_id == session_id, _has_lapsed(tx.now())
    )
    await waitlist.end(tx, (await tx.session.scalars(lapsed)).all(), "EXPIRED", "OFFER_EXPIRED")
    await waitlist.fill(tx, session_id, thoroughly=True)


async def unsettled(tx: UnitOfWork, studios: Sequence[UUID]) -> list[tuple[UUID, UUID]]:
    """(studio, session) of the lines that `settle` may change, as far as can be told without a lock."""
    now, session, entry = tx.now(), BookableSession, WaitlistEntry
    in_line = entry.state.in_(IN_LINE)
    conflict = func.client_refusal_v1(literal_column("bookable_sessions"), entry.client_id)
    anybody = select(entry.id).where(entry.tenant_id == session.tenant_id, entry.class_session_id == session.id)
    waits = anybody.where(entry.state == "WAITING").exists()
    leaves = anybody.where(in_line, or_(conflict.is_not(None), _has_lapsed(now))).exists()
    lines = select(entry.class_session_id).where(entry.tenant_id.in_(studios), in_line)
    query = select(session, waits, leaves).where(session.tenant_id.in_(studios), session.id.in_(lines))
    return [
        (line.tenant_id, line.id)
        for line, somebody_waits, somebody_leaves in await tx.session.execute(query)
        if somebody_leaves or (somebody_waits and _is_due(line, now))
    ]


def _has_lapsed(now: datetime) -> ColumnElement[bool]:
    return and_(WaitlistEntry.state == "OFFERED", WaitlistEntry.offer_expire_time <= now)


def _is_due(line: BookableSession, now: datetime) -> bool:
    free = line.booked_count < line.planned_capacity and promotions.quiet_until(line, now) is None
    return free or line.waitlist_mode == "OFF" or now >= promotions.close_time(line)
