"""Series: the same class week after week, booked at once. All of it or what is free, and first as a preview."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select

from services.booking.desk import Wanted, book_within
from services.booking.locks import lock_sessions
from services.booking.models import BookableSession, BookingDetail
from services.booking.refusals import OF_THE_MOMENT
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import DomainError, FailedPrecondition, NotFound
from services.chassis.ids import derived_id

# What is wrong with a week in which the class is not planned.
NO_SESSION = FailedPrecondition("the class is not planned in this week", reason="NO_SESSION")


@dataclass(frozen=True)
class Week:
    """One week of a series: the class in it and what came, or would come, of booking it."""

    # At the location.
    day: date
    class_session: UUID | None
    booking: BookingDetail | None = None
    refusal: DomainError | None = None


async def book(tx: UnitOfWork, first: Wanted, weeks: int, *, all_or_none: bool) -> list[Week]:
    """Books the class of `first` and its like in the weeks that follow: same type, location, weekday and wall time.

    Raises NotFound for an unknown class, and FailedPrecondition/SERIES_NOT_POSSIBLE when a week of all is refused, or
    each of them; `metadata` then names the first such day and its reason. In either case nothing is booked.
    """
    planned = await _planned(tx, first.class_session, weeks)
    await lock_sessions(tx, [session.id for _, session in planned if session])
    booked = [await _book(tx, first, number, day, session) for number, (day, session) in enumerate(planned)]
    refused = [week for week in booked if week.refusal]
    if refused and (all_or_none or len(refused) == len(booked)):
        refusal = refused[0].refusal
        assert refusal is not None
        raise FailedPrecondition(
            f"{refused[0].day}: {refusal.message}",
            reason="SERIES_NOT_POSSIBLE",
            metadata={**refusal.metadata, "day": refused[0].day.isoformat(), "reason": refusal.reason},
        )
    return booked


async def preview(tx: UnitOfWork, first: Wanted, weeks: int) -> list[Week]:
    """What of a series could be booked now: each week as if those before it had been. Raises NotFound."""
    async with tx.trial():
        planned = await _planned(tx, first.class_session, weeks)
        await lock_sessions(tx, [session.id for _, session in planned if session])
        found = [await _book(tx, first, number, day, session) for number, (day, session) in enumerate(planned)]
        tx.session.expunge_all()
    return found


async def _book(tx: UnitOfWork, first: Wanted, number: int, day: date, session: BookableSession | None) -> Week:
    if session is None:
        return Week(day, None, refusal=NO_SESSION)
    wanted = replace(first, class_session=session.id, request_id=derived_id(first.request_id, str(number)))
    try:
        return Week(day, session.id, await book_within(tx, wanted))
    except OF_THE_MOMENT as refusal:
        if refusal.reason == "CLIENT_REQUIRED":
            raise
        return Week(day, session.id, refusal=refusal)


async def _planned(tx: UnitOfWork, first: UUID, weeks: int) -> Sequence[tuple[date, BookableSession | None]]:
    """The days of the series with the class that is planned on each; of several at once the one with most places."""
    session = await tx.session.get(BookableSession, (tx.tenant, first))
    if session is None:
        raise NotFound("class_session")
    zone = ZoneInfo(session.time_zone)
    start = session.start_time.astimezone(zone)
    query = select(BookableSession).where(
        BookableSession.tenant_id == tx.tenant,
        BookableSession.class_type_id == session.class_type_id,
        BookableSession.location_id == session.location_id,
        BookableSession.start_time > session.start_time,
        # An hour more than the weeks, since the clocks may change.
        BookableSession.start_time < session.start_time + timedelta(weeks=weeks - 1, hours=3),
        ~BookableSession.cancelled,
    )
    like: dict[datetime, BookableSession] = {}
    for other in await tx.session.scalars(query.order_by(BookableSession.id)):
        wall = other.start_time.astimezone(zone).replace(tzinfo=None)
        known = like.get(wall)
        if known is None or _places(other) > _places(known):
            like[wall] = other
    walls = [start.replace(tzinfo=None) + timedelta(weeks=week) for week in range(weeks)]
    return [(wall.date(), session if week == 0 else like.get(wall)) for week, wall in enumerate(walls)]


def _places(session: BookableSession) -> int:
    return session.planned_capacity - session.booked_count
