"""Closures: days on which a studio or one of its locations has no classes. Generation skips them."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select, tuple_

from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition
from services.chassis.ids import new_id
from services.scheduling import catalogue, class_sessions, studios, timetable
from services.scheduling.clashes import Closed
from services.scheduling.local_time import check_days
from services.scheduling.models import Closure, Location
from services.scheduling.recurrence import wall_of
from services.scheduling.timetable import Entry

MUTABLE = ("display_name", "start_date", "end_date")
# Sessions that one closure cancels: what a transaction, and booking in a preview, can bear.
MOST = 2000


async def create(
    tx: UnitOfWork,
    *,
    display_name: str,
    location_id: UUID | None,
    start_date: date,
    end_date: date,
    cancel_class_sessions: bool,
) -> Closure:
    """Closes the days, the whole studio without a location, and cancels the sessions in the way if told to.

    Raises InvalidArgument END_BEFORE_START, RANGE_TOO_LONG, NotFound, FailedPrecondition ARCHIVED,
    CLASS_SESSIONS_IN_THE_WAY, TOO_MANY_CLASS_SESSIONS.
    """
    check_days("closure.end_date", start_date, end_date)
    await studios.lock(tx)
    if location_id is not None:
        catalogue.require_active(await catalogue.get(tx, Location, location_id))
    closure = Closure(
        tenant_id=tx.tenant,
        id=new_id(),
        display_name=display_name,
        location_id=location_id,
        start_date=start_date,
        end_date=end_date,
    )
    await _clear(tx, closure, await in_the_way(tx, _closed(closure)), cancel_class_sessions=cancel_class_sessions)
    tx.session.add(closure)
    await tx.session.flush()
    return closure


async def update(
    tx: UnitOfWork, closure_id: UUID, etag: str, changes: dict[str, Any], *, cancel_class_sessions: bool
) -> Closure:
    """Changes some of MUTABLE; only sessions on days that were open before are in the way. Raises as `create`."""
    closure = await catalogue.open_for_change(tx, Closure, closure_id, etag)
    before = _closed(closure)
    if catalogue.apply(tx, closure, changes) & {"start_date", "end_date"}:
        check_days("closure.end_date", closure.start_date, closure.end_date)
        entries = [entry for entry in await in_the_way(tx, _closed(closure)) if not _touches(before, entry)]
        await _clear(tx, closure, entries, cancel_class_sessions=cancel_class_sessions)
    await tx.session.flush()
    return closure


async def delete(tx: UnitOfWork, closure_id: UUID, etag: str) -> Closure:
    """Opens the days again. What was cancelled for it stays so; generation plans what is missing."""
    closure = await catalogue.open_for_change(tx, Closure, closure_id, etag)
    closure.archive_time = tx.now()
    closure.touch(tx.now())
    await tx.session.flush()
    return closure


async def list_page(tx: UnitOfWork, page: Page, *, show_archived: bool, show_past: bool) -> Sequence[Closure]:
    """By (first day, id)."""
    query = select(Closure).where(Closure.tenant_id == tx.tenant)
    if not show_archived:
        query = query.where(Closure.archive_time.is_(None))
    if not show_past:
        # In some zone it is still yesterday.
        query = query.where(Closure.end_date >= tx.now().date() - timedelta(days=1))
    if page.after:
        after = (date.fromisoformat(str(page.after[0])), page.after[1])
        query = query.where(tuple_(Closure.start_date, Closure.id) > tuple_(*after))
    return (await tx.session.scalars(query.order_by(Closure.start_date, Closure.id).limit(page.limit))).all()


async def preview(tx: UnitOfWork, location_id: UUID | None, start_date: date, end_date: date) -> list[Entry]:
    """The sessions that such a closure would cancel, by start. Raises as `create`, but for what is in the way."""
    check_days("closure.end_date", start_date, end_date)
    if location_id is not None:
        await catalogue.get(tx, Location, location_id)
    return await in_the_way(tx, Closed(new_id(), location_id, start_date, end_date))


async def in_the_way(tx: UnitOfWork, closed: Closed) -> list[Entry]:
    """Sessions to come with a part in a closure, by start. Raises FailedPrecondition TOO_MANY_CLASS_SESSIONS."""
    # Every zone is within a day of UTC.
    start = datetime.combine(closed.first, time(), UTC) - timedelta(days=1)
    end = datetime.combine(closed.last, time(), UTC) + timedelta(days=2)
    entries = await timetable.list_planned(tx, start, end, MOST + 1)
    if len(entries) > MOST:
        raise FailedPrecondition(
            f"more than {MOST} class sessions are planned around those days; close fewer at once",
            reason="TOO_MANY_CLASS_SESSIONS",
            metadata={"limit": str(MOST)},
        )
    return [entry for entry in entries if _touches(closed, entry)]


async def _clear(tx: UnitOfWork, closure: Closure, entries: list[Entry], *, cancel_class_sessions: bool) -> None:
    if not entries:
        return
    if not cancel_class_sessions:
        raise FailedPrecondition(
            f"{len(entries)} class sessions are planned on those days",
            reason="CLASS_SESSIONS_IN_THE_WAY",
            metadata={"class_session": entries[0].session.name, "class_session_count": str(len(entries))},
        )
    await class_sessions.cancel_all(tx, entries, f"Closed: {closure.display_name}")
    tx.note_change("cancelled_class_sessions", 0, len(entries))


def _closed(closure: Closure) -> Closed:
    return Closed(closure.id, closure.location_id, closure.start_date, closure.end_date)


def _touches(closed: Closed, entry: Entry) -> bool:
    session, location = entry.session, entry.plan.location
    zone = ZoneInfo(location.time_zone)
    return closed.touches(location.id, wall_of(session.start_at, zone), wall_of(session.end_at, zone))
