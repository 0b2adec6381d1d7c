"""Attendance: who of those who hold a place was there."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import update

from services.booking import bookings, changes, check_in_codes, class_sessions, drop_ins, fees, no_shows
from services.booking.check_in_codes import CheckInCodes
from services.booking.desk import Wanted, book_within
from services.booking.locks import lock_place
from services.booking.models import Booking, BookingDetail, BookingPolicy
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, NotFound, PermissionDenied, check_etag

OPENS_BEFORE_START = timedelta(minutes=60)
CLOSES_AFTER_END = timedelta(hours=24)
# Why the rules of hours, caps and waitlist do not matter to who stands at the desk, and how a single place was paid.
WALK_IN = "walk-in"


async def check_in(tx: UnitOfWork, booking_id: UUID, *, instructor: UUID | None = None) -> BookingDetail:
    """Notes that somebody is there; again changes nothing. With `instructor` only in a class that this account teaches.

    Raises NotFound, PermissionDenied, FailedPrecondition/CHECK_IN_NOT_OPEN, CHECK_IN_CLOSED, NOT_PAID,
    BOOKING_NOT_ACTIVE or CREDIT_RETURNED.
    """
    booking = await _lock(tx, booking_id, instructor)
    _check_hours(tx, booking.start_time - OPENS_BEFORE_START, booking.end_time + CLOSES_AFTER_END)
    return await _attend(tx, booking)


async def undo_check_in(tx: UnitOfWork, booking_id: UUID, *, instructor: UUID | None, etag: str) -> BookingDetail:
    """Takes a check-in back: the booking waits for its class again, or is absent where the absent are marked.

    Raises NotFound, PermissionDenied, FailedPrecondition/NOT_CHECKED_IN or CHECK_IN_CLOSED, Aborted/ETAG_MISMATCH.
    """
    booking = await _lock(tx, booking_id, instructor)
    check_etag(etag, booking.etag)
    if booking.state != "ATTENDED":
        raise FailedPrecondition("nobody was checked in", reason="NOT_CHECKED_IN")
    _check_hours(tx, None, booking.end_time + CLOSES_AFTER_END)
    await _step(tx, booking, state="CONFIRMED", check_in_time=None)
    if not await no_shows.mark(tx, [tx.tenant], [booking.id]):
        await changes.publish_bookings(tx, [booking.id])
    undone = await bookings.get(tx, booking.id, None)
    tx.note_change("state", booking.state, undone.state)
    return undone


async def count_self_check_in(tx: UnitOfWork, booking_id: UUID, *, account: UUID) -> None:
    """Takes one of the attempts that a client has for the code, unless there is nothing to guess; commits before it.

    Raises what `self_check_in` does of the hour and the booking, and ResourceExhausted/TOO_MANY_CODES.
    """
    booking = await bookings.get(tx, booking_id, account)
    if booking.state != "ATTENDED":
        await _check_self(tx, booking)
        await check_in_codes.count_attempt(tx, booking_id)


async def self_check_in(
    tx: UnitOfWork, booking_id: UUID, code: str, codes: CheckInCodes, *, account: UUID
) -> BookingDetail:
    """A client checks in, or somebody who acts for it, with the code of the class. `count_self_check_in` comes first.

    Raises PermissionDenied, InvalidArgument/WRONG_CODE, FailedPrecondition/SELF_CHECK_IN_OFF, CHECK_IN_NOT_OPEN,
    CHECK_IN_CLOSED, NOT_PAID or BOOKING_NOT_ACTIVE.
    """
    seen = await bookings.get(tx, booking_id, account)
    booking = await _lock(tx, seen.id, None)
    codes.check(code, booking.class_session_id, booking.start_time)
    if booking.state != "ATTENDED":
        await _check_self(tx, booking)
    await check_in_codes.forget_attempts(tx, booking_id)
    return await _attend(tx, booking)


async def walk_in(tx: UnitOfWork, wanted: Wanted) -> BookingDetail:
    """Books who stands at the desk and checks them in. A single place is paid there and then.

    Raises what `desk.book_within` and `check_in` do.
    """
    booking = await book_within(tx, wanted)
    if wanted.drop_in:
        await drop_ins.pay(tx, booking, reason=WALK_IN)
    return await check_in(tx, booking.id)


async def _lock(tx: UnitOfWork, booking_id: UUID, instructor: UUID | None) -> BookingDetail:
    """The booking under its locks. With `instructor` PermissionDenied for any that is not in a class it teaches."""
    try:
        seen = await bookings.get(tx, booking_id, None)
    except NotFound:
        if instructor is not None:
            raise PermissionDenied() from None
        raise
    await class_sessions.get_taught(tx, seen.class_session_id, instructor)
    await lock_place(tx, seen.class_session_id, seen.client_id)
    return await bookings.get(tx, booking_id, None)


def _check_hours(tx: UnitOfWork, opens: datetime | None, closes: datetime) -> None:
    if opens is not None and tx.now() < opens:
        raise FailedPrecondition("checking in has not opened yet", reason="CHECK_IN_NOT_OPEN")
    if tx.now() > closes:
        raise FailedPrecondition("it is too late to check in", reason="CHECK_IN_CLOSED")


async def _check_self(tx: UnitOfWork, booking: BookingDetail) -> None:
    policy = await tx.session.get_one(BookingPolicy, (tx.tenant, booking.policy_version))
    if policy.self_check_in_minutes == 0:
        raise FailedPrecondition("only staff check in here", reason="SELF_CHECK_IN_OFF")
    opens = booking.start_time - timedelta(minutes=policy.self_check_in_minutes)
    _check_hours(tx, opens, booking.end_time)


async def _attend(tx: UnitOfWork, booking: BookingDetail) -> BookingDetail:
    if booking.state == "ATTENDED":
        return booking
    if booking.state == "PENDING_PAYMENT":
        raise FailedPrecondition("the place is not paid yet", reason="NOT_PAID")
    if booking.state not in ("CONFIRMED", "NO_SHOW"):
        raise FailedPrecondition("the booking is not active", reason="BOOKING_NOT_ACTIVE")
    if booking.credit_returned:
        raise FailedPrecondition("the absence was let pass and its credit given back", reason="CREDIT_RETURNED")
    await _step(tx, booking, state="ATTENDED", check_in_time=tx.now())
    if booking.state == "NO_SHOW":
        await fees.settle(
            tx, [booking.id], before="DUE", state="VOID", reason="was there after all", only_kind="NO_SHOW"
        )
    await changes.publish_bookings(tx, [booking.id])
    tx.note_change("state", booking.state, "ATTENDED")
    return await bookings.get(tx, booking.id, None)


async def _step(tx: UnitOfWork, booking: BookingDetail, **values: Any) -> None:
    await tx.session.execute(
        update(Booking)
        .where(Booking.tenant_id == tx.tenant, Booking.id == booking.id)
        .values(**values, version=Booking.version + 1, update_time=tx.now())
        .execution_options(synchronize_session=False)
    )
