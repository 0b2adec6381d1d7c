"""Sellable sessions: a projection of scheduling's plan with booking's own counters."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Text, case, func, literal_column, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert

from services.booking import announcements, displacements, line_changes, no_shows, policies, waitlist
from services.booking.announcements import Face
from services.booking.models import BookableSession, BookingDetail, ClassSession, WaitlistEntry
from services.chassis.db.paging import Page
from services.chassis.db.records import insert_many
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import InvalidArgument, NotFound, PermissionDenied

LONGEST_RANGE = timedelta(days=62)

_DIGEST = text("SELECT md5(string_agg(s::text, '|' ORDER BY s.id)) FROM class_sessions s WHERE s.tenant_id = :tenant")
_WITH_PEOPLE = text(
    "SELECT class_session_id FROM bookings"
    " WHERE tenant_id = :tenant AND class_session_id = ANY (CAST(:sessions AS uuid[]))"
    " UNION SELECT class_session_id FROM waitlist_entries"
    " WHERE tenant_id = :tenant AND class_session_id = ANY (CAST(:sessions AS uuid[]))"
)


@dataclass(frozen=True, kw_only=True)
class PlannedSession:
    """The state of a class session as scheduling tells it. `version` counts every change, `time_version` new starts."""

    id: UUID
    version: int
    time_version: int
    class_type_display_name: str
    room_display_name: str
    location_display_name: str
    instructor_display_name: str
    instructor_account_id: UUID | None
    start_time: datetime
    end_time: datetime
    time_zone: str
    spots: list[str]
    cancelled: bool
    planned_capacity: int
    class_type_id: UUID
    room_id: UUID
    location_id: UUID
    instructor_id: UUID
    # ISO 4217, the studio's.
    currency_code: str
    # When scheduling last changed it.
    update_time: datetime


@dataclass(frozen=True)
class Offer:
    """A session as a caller could book it."""

    session: BookableSession
    # Why it cannot be booked now, None when it can.
    refusal: str | None
    free_spots: list[str]
    # The caller's own active booking.
    booking_id: UUID | None = None


async def apply(tx: UnitOfWork, planned: PlannedSession) -> bool:
    """Takes over a session's state unless a newer one is known, with all that follows for its bookings.

    True when it was news. States may come in any order and more than once: the newest stays. A cut of the capacity is
    applied and never refused: who booked last stands first in the waitlist then.
    """
    await policies.settle(tx)
    before = await announcements.lock_face(tx, planned.id)
    values = asdict(planned)
    booked = await displacements.count_taken(tx, planned.id)
    fresh = insert(ClassSession).values(
        **values,
        tenant_id=tx.tenant,
        booked_count=booked,
        effective_capacity=max(planned.planned_capacity, booked),
    )
    upsert = fresh.on_conflict_do_update(
        index_elements=["tenant_id", "id"],
        set_={
            **values,
            "effective_capacity": func.greatest(fresh.excluded.planned_capacity, ClassSession.booked_count),
        },
        where=ClassSession.version < fresh.excluded.version,
    )
    if await tx.session.scalar(upsert.returning(ClassSession.id)) is None:
        return False
    if not await displacements.lock(tx, planned.id):
        return True
    await _follow(tx, planned)
    if before is not None:
        await announcements.tell(tx, planned.id, planned.version, before, _face(planned))
    return True


async def _follow(tx: UnitOfWork, planned: PlannedSession) -> None:
    """Bookings and waits become what the session has become."""
    if planned.cancelled:
        await line_changes.cancel_all(tx, planned.id)
        await displacements.cancel_all(tx, planned.id)
        await displacements.follow_move(tx, planned.id)
        return
    await displacements.restore_all(tx, planned.id)
    if planned.start_time > tx.now():
        await no_shows.take_back(tx, planned.id)
    await line_changes.cut(tx, planned.id)
    await displacements.settle_spots(tx, planned.id)
    await displacements.follow_move(tx, planned.id)
    await line_changes.follow_move(tx, planned.id)
    await line_changes.restore_all(tx, planned.id)
    await waitlist.fill(tx, planned.id)


def _face(planned: PlannedSession) -> Face:
    return Face(**{field.name: getattr(planned, field.name) for field in fields(Face)})


async def add(tx: UnitOfWork, planned: Sequence[PlannedSession]) -> None:
    """Takes over the first state of new sessions, many in one statement; what is known already is as new or newer.

    One that has bookings or a line before it is known belongs to a projection that was emptied: it takes the long way.
    """
    await policies.settle(tx)
    found = await tx.session.scalars(_WITH_PEOPLE, {"tenant": tx.tenant, "sessions": [each.id for each in planned]})
    with_people = set(found)
    rows = [
        {
            **asdict(each),
            "tenant_id": tx.tenant,
            "booked_count": 0,
            "effective_capacity": each.planned_capacity,
        }
        for each in planned
        if each.id not in with_people
    ]
    await insert_many(tx, ClassSession, rows, or_nothing=True)
    for each in planned:
        if each.id in with_people:
            await apply(tx, each)


async def list_bookable(
    tx: UnitOfWork, page: Page, *, start: datetime | None, end: datetime | None, account: UUID | None
) -> Sequence[Offer]:
    """Sessions that start in [start, end), by start, with the account's own bookings.

    By default the seven days from now. Raises InvalidArgument for a range that is empty or longer than 62 days.
    """
    start = start or tx.now()
    end = end or start + timedelta(days=7)
    if not timedelta() < end - start <= LONGEST_RANGE:
        raise InvalidArgument("end_time", "must be after start_time, by at most 62 days", reason="INVALID_RANGE")
    session = BookableSession
    own = (
        select(BookingDetail.id)
        .where(
            BookingDetail.tenant_id == tx.tenant,
            BookingDetail.class_session_id == session.id,
            BookingDetail.account_id == account,
            BookingDetail.cancel_time.is_(None),
        )
        .order_by(BookingDetail.id)
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(session, refusal_now(tx), spots_left(), own)
        .where(session.tenant_id == tx.tenant, session.start_time >= start, session.start_time < end)
        .order_by(session.start_time, session.id)
        .limit(page.limit)
    )
    if page.after:
        query = query.where(tuple_(session.start_time, session.id) > tuple(page.after))
    return [Offer(*row) for row in await tx.session.execute(query)]


async def get_taught(tx: UnitOfWork, session_id: UUID, account: UUID | None) -> Offer:
    """A session; with `account` only one that this account's instructor teaches.

    Raises PermissionDenied for any other, known or not, when narrowed; else NotFound.
    """
    query = select(BookableSession, refusal_now(tx), spots_left())
    row = (
        await tx.session.execute(query.where(BookableSession.tenant_id == tx.tenant, BookableSession.id == session_id))
    ).one_or_none()
    if account is not None and (row is None or row[0].instructor_account_id != account):
        raise PermissionDenied()
    if row is None:
        raise NotFound("class_session")
    return Offer(*row)


async def digest(tx: UnitOfWork) -> str:
    """A digest of the studio's sessions, plan and counters: equal states have equal ones, however they came about."""
    return await tx.session.scalar(_DIGEST, {"tenant": tx.tenant}) or ""


def refusal_now(tx: UnitOfWork) -> ColumnElement[str | None]:
    """For a query of BookableSession: the rules that also refuse a booking, so what is shown as open can be booked.

    A place that others wait for first is as good as taken.
    """
    session, entry = BookableSession, WaitlistEntry
    refusal = func.refusal_v2(literal_column("bookable_sessions"), tx.now(), type_=Text())
    waits_first = select(entry.id).where(
        entry.tenant_id == session.tenant_id,
        entry.class_session_id == session.id,
        entry.state == "WAITING",
        entry.passed_over == "",
    )
    return func.coalesce(refusal, case((waits_first.exists(), "SESSION_FULL")))


def spots_left() -> ColumnElement[list[str]]:
    """For a query of BookableSession: its free spots in the order of the layout."""
    session = BookableSession
    return func.free_spots_v2(session.tenant_id, session.id, session.spots, type_=ARRAY(Text()))
