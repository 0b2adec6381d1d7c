"""Calendar feeds: secret addresses at which calendars read a client's bookings, an instructor's or a room's sessions.

Who has the address needs nothing else, so it ends where the right to it does: a feed that an account has made answers
only as long as the client or the instructor is that account's.
"""

import base64
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, null, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from services.booking import calendar_entries
from services.booking.ics import Entry
from services.booking.models import BookingDetail, CalendarFeed, ClassSession, Client
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, NotFound, PermissionDenied
from services.chassis.ids import new_id

CLIENTS, INSTRUCTORS, ROOMS = SUBJECTS = ("clients", "instructors", "rooms")
# Live ones of one subject.
MOST_FEEDS = 20
LOOK_BACK = timedelta(days=30)
LOOK_AHEAD = timedelta(days=62)
# In one calendar, those that start first.
MOST_ENTRIES = 1000

_SUFFIX = ".ics"
_SECRET_BYTES = 32


async def create(
    tx: UnitOfWork, *, collection: str, subject_id: UUID, account: UUID | None
) -> tuple[CalendarFeed, str]:
    """A new feed and the name of its file, which cannot be had again. `account` narrows to what is its own.

    Raises PermissionDenied for anything else, known or not, when narrowed; else NotFound; FailedPrecondition
    TOO_MANY_CALENDAR_FEEDS.
    """
    subject = await _find_subject(tx, collection, subject_id)
    if account is not None and (subject is None or subject.account_id != account):
        raise PermissionDenied()
    if subject is None:
        raise NotFound(collection.removesuffix("s"))
    live = select(func.count()).where(*_of(tx, collection, subject_id), CalendarFeed.revoke_time.is_(None))
    if (await tx.session.scalar(live) or 0) >= MOST_FEEDS:
        raise FailedPrecondition(
            "revoke one that is not used any more",
            reason="TOO_MANY_CALENDAR_FEEDS",
            field="calendar_feed.subject",
            metadata={"most": str(MOST_FEEDS)},
        )
    token = base64.urlsafe_b64encode(tx.tenant.bytes + secrets.token_bytes(_SECRET_BYTES)).decode()
    feed = CalendarFeed(
        tenant_id=tx.tenant,
        id=new_id(),
        subject_collection=collection,
        subject_id=subject_id,
        account_id=account,
        token_sha256=_hash(token),
        hint=token[-4:],
        create_time=tx.now(),
    )
    tx.session.add(feed)
    await tx.session.flush()
    return feed, token + _SUFFIX


async def list_newest(tx: UnitOfWork, page: Page, account: UUID | None) -> Sequence[CalendarFeed]:
    """Feeds, newest first: all, or those that `account` may revoke."""
    query = select(CalendarFeed).where(CalendarFeed.tenant_id == tx.tenant)
    if account is not None:
        query = query.where(_reached_by(tx, account))
    if page.after:
        query = query.where(CalendarFeed.id < page.after[0])
    return (await tx.session.scalars(query.order_by(CalendarFeed.id.desc()).limit(page.limit))).all()


async def revoke(tx: UnitOfWork, feed_id: UUID, account: UUID | None) -> CalendarFeed:
    """Ends a feed; one that has ended keeps its time. Raises PermissionDenied when narrowed, else NotFound."""
    query = select(CalendarFeed).where(CalendarFeed.tenant_id == tx.tenant, CalendarFeed.id == feed_id)
    if account is not None:
        query = query.where(_reached_by(tx, account))
    feed: CalendarFeed | None = await tx.session.scalar(query.with_for_update())
    if feed is None:
        raise NotFound("calendar_feed") if account is None else PermissionDenied()
    feed.revoke_time = feed.revoke_time or tx.now()
    return feed


def studio_of(file: str) -> UUID:
    """The studio that the name of a file leads to, be there such a file or not. Raises NotFound for no such name."""
    try:
        raw = base64.b64decode(file.removesuffix(_SUFFIX), altchars=b"-_", validate=True)
    except ValueError:
        raw = b""
    if len(raw) != 16 + _SECRET_BYTES or not file.endswith(_SUFFIX):
        raise NotFound("calendar")
    return UUID(bytes=raw[:16])


async def read(tx: UnitOfWork, file: str) -> tuple[str, list[Entry]]:
    """What the calendar of a file in its studio is called and what is in it. Notes the use, once a day.

    Raises NotFound for one that never was, was revoked, or is not its maker's any more.
    """
    feed, name = await _use(tx, file)
    if feed.subject_collection == CLIENTS:
        entries = [calendar_entries.of_booking(*row) for row in await _bookings(tx, feed.subject_id)]
    else:
        entries = [calendar_entries.of_session(session) for session in await _sessions(tx, feed)]
    return name, entries


async def _use(tx: UnitOfWork, file: str) -> tuple[CalendarFeed, str]:
    """The feed of a file in its studio and what its calendar is called. Raises as `read`."""
    feed: CalendarFeed | None = await tx.session.scalar(
        select(CalendarFeed).where(
            CalendarFeed.tenant_id == tx.tenant,
            CalendarFeed.token_sha256 == _hash(file.removesuffix(_SUFFIX)),
            CalendarFeed.revoke_time.is_(None),
        )
    )
    subject = await _find_subject(tx, feed.subject_collection, feed.subject_id) if feed else None
    if feed is None or subject is None or feed.account_id not in (None, subject.account_id):
        raise NotFound("calendar")
    if feed.last_used_time is None or feed.last_used_time <= tx.now() - timedelta(days=1):
        feed.last_used_time = tx.now()
    return feed, subject.display_name


async def _bookings(tx: UnitOfWork, client_id: UUID) -> Sequence[tuple[BookingDetail, ClassSession]]:
    """A client's bookings from 30 days back to the last one ahead; cancelled ones for 30 days, so that they vanish."""
    booking, since = BookingDetail, tx.now() - LOOK_BACK
    query = (
        select(booking, ClassSession)
        .join(ClassSession, and_(ClassSession.tenant_id == tx.tenant, ClassSession.id == booking.class_session_id))
        .where(
            booking.tenant_id == tx.tenant,
            booking.client_id == client_id,
            booking.start_time >= since,
            or_(booking.cancel_time.is_(None), booking.cancel_time >= since),
        )
        .order_by(booking.start_time, booking.id)
        .limit(MOST_ENTRIES)
    )
    return [(row[0], row[1]) for row in await tx.session.execute(query)]


async def _sessions(tx: UnitOfWork, feed: CalendarFeed) -> Sequence[ClassSession]:
    """What an instructor teaches or a room holds, from 30 days back to 62 ahead, cancelled sessions too."""
    query = (
        select(ClassSession)
        .where(
            ClassSession.tenant_id == tx.tenant,
            _subject_column(feed.subject_collection) == feed.subject_id,
            ClassSession.start_time >= tx.now() - LOOK_BACK,
            ClassSession.start_time < tx.now() + LOOK_AHEAD,
        )
        .order_by(ClassSession.start_time, ClassSession.id)
        .limit(MOST_ENTRIES)
    )
    return (await tx.session.scalars(query)).all()


@dataclass(frozen=True)
class _Subject:
    """Whom or what a calendar is of, and the account that this is, if any. A room is nobody's."""

    account_id: UUID | None
    display_name: str


async def _find_subject(tx: UnitOfWork, collection: str, subject_id: UUID) -> _Subject | None:
    """What booking knows of instructors and rooms is in their sessions: the last one says how things are."""
    session = ClassSession
    if collection == CLIENTS:
        query = select(Client.account_id, Client.display_name).where(
            Client.tenant_id == tx.tenant, Client.id == subject_id
        )
    else:
        shown = {
            INSTRUCTORS: select(session.instructor_account_id, session.instructor_display_name),
            ROOMS: select(null(), session.room_display_name + ", " + session.location_display_name),
        }
        last = session.start_time.desc()
        query = (
            shown[collection]
            .where(session.tenant_id == tx.tenant, _subject_column(collection) == subject_id)
            .order_by(last)
            .limit(1)
        )
    row = (await tx.session.execute(query)).one_or_none()
    return _Subject(*row) if row else None


def _subject_column(collection: str) -> InstrumentedAttribute[UUID]:
    return {INSTRUCTORS: ClassSession.instructor_id, ROOMS: ClassSession.room_id}[collection]


def _of(tx: UnitOfWork, collection: str, subject_id: UUID) -> tuple[ColumnElement[bool], ...]:
    feed = CalendarFeed
    return feed.tenant_id == tx.tenant, feed.subject_collection == collection, feed.subject_id == subject_id


def _reached_by(tx: UnitOfWork, account: UUID) -> ColumnElement[bool]:
    """What the account has made, and what anyone has made of the clients that it acts for."""
    own = select(Client.id).where(Client.tenant_id == tx.tenant, Client.account_id == account)
    of_client = and_(CalendarFeed.subject_collection == CLIENTS, CalendarFeed.subject_id.in_(own))
    return or_(CalendarFeed.account_id == account, of_client)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
