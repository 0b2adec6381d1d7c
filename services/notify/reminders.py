"""Reminders: rows derived from what booking tells of a booking, what its studio set and what its client prefers.

`follow` takes a booking's new state over and makes its rows what they must be: a place that is held has one for each
offset that is still to come; what was planned for another start, or for a place that is gone, is skipped with its
reason; what was skipped for a reason that has gone is armed again. What has been sent stays.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from services.chassis.db.unit_of_work import UnitOfWork
from services.notify import deliveries, preferences, push_subscriptions, reminder_settings
from services.notify.deliveries import Plan, step
from services.notify.due_times import due_time
from services.notify.models import Channel, Delivery, Kind, RemindedBooking, State
from services.notify.preferences import Preferences
from services.notify.quiet_hours import send_time

# Bookings in one transaction when many are arranged anew.
CHUNK = 100
GONE = "the booking does not hold a place any more"
MOVED = "the class has moved"
NOT_THEN = "nobody is reminded then any more"
_NOT_BEGUN = (State.PENDING, State.SKIPPED)


@dataclass(frozen=True, kw_only=True)
class BookingState:
    """A booking after a change."""

    id: UUID
    version: int
    client_id: UUID
    class_session_id: UUID
    class_type_id: UUID
    confirmed: bool
    start_time: datetime
    time_zone: str
    time_version: int
    # Business time.
    change_time: datetime


@dataclass(frozen=True)
class Wanted:
    """A reminder that there must be: when it is due, and when it leaves; None for never."""

    due_time: datetime
    send_time: datetime | None


Key = tuple[int, Channel, int]


async def follow(tx: UnitOfWork, state: BookingState) -> None:
    """Takes a booking's state over, unless a newer one is known, and arranges its reminders."""
    row = insert(RemindedBooking).values(tenant_id=tx.tenant, **asdict(state))
    news = {name: row.excluded[name] for name in asdict(state) if name != "id"}
    upsert = row.on_conflict_do_update(
        index_elements=["tenant_id", "id"], set_=news, where=RemindedBooking.version < row.excluded.version
    ).returning(RemindedBooking)
    booking = await tx.session.scalar(upsert, execution_options={"populate_existing": True})
    if booking is not None:
        # A message that comes late is still worth sending: what counts is when the place was taken.
        await arrange(tx, booking, since=booking.change_time)


async def arrange(tx: UnitOfWork, booking: RemindedBooking, *, since: datetime) -> None:
    """Makes the reminders of a booking what they must be; none anew that was due at `since` or before."""
    mine = (Delivery.tenant_id == tx.tenant, Delivery.kind == Kind.REMINDER, Delivery.subject_id == booking.id)
    query = select(Delivery).where(*mine, Delivery.attempts == 0, Delivery.state.in_(_NOT_BEGUN)).with_for_update()
    known = {_key(row): row for row in await tx.session.scalars(query.execution_options(populate_existing=True))}
    waiting = {key for key, row in known.items() if row.state == State.PENDING}
    wanted: Mapping[Key, Wanted] = {}
    if booking.confirmed and booking.start_time > tx.now():
        wishes = (await preferences.load(tx, [booking.client_id]))[booking.client_id]
        offsets = {**await reminder_settings.offsets(tx, booking.class_type_id), **wishes.offsets}
        if offsets.get(Channel.PUSH) and not await push_subscriptions.listening(tx, [booking.client_id]):
            del offsets[Channel.PUSH]
        wanted = reminders_of(booking, offsets, wishes, since=since, now=tx.now(), waiting=waiting)
    for key, row in known.items():
        # Clients are merged, and their bookings move.
        row.client_id = booking.client_id
        _settle(tx, row, wanted.get(key), _why_not(booking, row))
    fresh = [_plan(booking, key, reminder) for key, reminder in wanted.items() if key not in known]
    await deliveries.plan(tx, *fresh)


async def rearrange(tx: UnitOfWork, client_id: UUID) -> None:
    """A client prefers something else: the reminders of its bookings follow."""
    booking = RemindedBooking
    query = select(booking).where(
        booking.tenant_id == tx.tenant, booking.client_id == client_id, booking.start_time > tx.now(), booking.confirmed
    )
    for each in (await tx.session.scalars(query.order_by(booking.id))).all():
        await arrange(tx, each, since=tx.now())


async def rearrange_some(tx: UnitOfWork, after: UUID) -> UUID | None:
    """The studio reminds at other times: some of its bookings follow, in order; the last one's id if there are more."""
    booking = RemindedBooking
    query = select(booking).where(
        booking.tenant_id == tx.tenant, booking.start_time > tx.now(), booking.confirmed, booking.id > after
    )
    found = (await tx.session.scalars(query.order_by(booking.id).limit(CHUNK))).all()
    for each in found:
        await arrange(tx, each, since=tx.now())
    return found[-1].id if len(found) == CHUNK else None


def reminders_of(
    booking: RemindedBooking,
    offsets: Mapping[Channel, Sequence[int]],
    wishes: Preferences,
    *,
    since: datetime,
    now: datetime,
    waiting: Collection[Key] = (),
) -> dict[Key, Wanted]:
    """The reminders of a booking that are due after `since`, and those that were and wait for the morning. Pure."""
    found = {}
    for channel, minutes in offsets.items():
        for offset in minutes:
            due, key = due_time(booking.start_time, booking.time_zone, offset), (offset, channel, booking.time_version)
            if due <= since and key not in waiting:
                continue
            quiet = wishes.quiet_for(Kind.REMINDER, channel)
            leaves = send_time(due, booking.start_time, quiet, wishes.zone, earliest=now)
            found[key] = Wanted(due, leaves)
    return found


def _settle(tx: UnitOfWork, row: Delivery, wanted: Wanted | None, why_not: str) -> None:
    """A row that was not begun follows what is wanted now."""
    now = tx.now()
    if wanted is None or wanted.send_time is None:
        reason = "quiet hours" if wanted else why_not
        if row.state == State.PENDING:
            row.state, row.reason = State.SKIPPED, reason
            row.story = [*row.story, step(now, "skipped", reason)]
    elif row.state == State.SKIPPED or row.due_at != wanted.send_time:
        what = "armed" if row.state == State.SKIPPED else "put off"
        row.state, row.reason, row.due_at, row.announced_at = State.PENDING, "", wanted.send_time, None
        row.story = [*row.story, step(now, what)]


def _why_not(booking: RemindedBooking, row: Delivery) -> str:
    if not booking.confirmed:
        return GONE
    return MOVED if row.time_version != booking.time_version else NOT_THEN


def _plan(booking: RemindedBooking, key: Key, wanted: Wanted) -> Plan:
    offset, channel, time_version = key
    return Plan(
        kind=Kind.REMINDER,
        channel=channel,
        subject_id=booking.id,
        offset_minutes=offset,
        time_version=time_version,
        client_id=booking.client_id,
        booking_id=booking.id,
        class_session_id=booking.class_session_id,
        due_time=wanted.due_time,
        send_time=wanted.send_time,
        useful_until=booking.start_time,
        skipped="" if wanted.send_time else "quiet hours",
    )


def _key(row: Delivery) -> Key:
    return row.offset_minutes, Channel(row.channel), row.time_version
