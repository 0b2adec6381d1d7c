"""What a calendar shows of a booking and of a class session. No I/O."""

from datetime import datetime
from zoneinfo import ZoneInfo

from icalendar.enums import STATUS

from services.booking.cancellation import free_cancel_until
from services.booking.ics import Entry
from services.booking.models import BookingDetail, ClassSession


def of_booking(booking: BookingDetail, session: ClassSession) -> Entry:
    """What its client reads: with whom, where, and until when cancelling is free."""
    details = [f"Instructor: {session.instructor_display_name}"]
    if booking.guest_display_name:
        details.append(f"Guest: {booking.guest_display_name}")
    if booking.spot:
        details.append(f"Spot: {booking.spot}")
    if booking.state == "PENDING_PAYMENT" and booking.hold_expire_time:
        details.append(f"To be paid until {_local(booking.hold_expire_time, session.time_zone)}")
    if booking.state == "CONFIRMED":
        details.append(f"Free to cancel until {_local(free_cancel_until(booking), session.time_zone)}")
    return _entry(
        session,
        uid=f"{booking.id}@bookings.powerhouse.studio",
        # Each of the two only grows, so the sum grows with every change of one of them.
        sequence=booking.version + session.version,
        modified=max(booking.update_time, session.update_time),
        status=_status(booking),
        details=details,
    )


def _status(booking: BookingDetail) -> STATUS:
    if booking.cancel_time is not None:
        return STATUS.CANCELLED
    return STATUS.TENTATIVE if booking.state == "PENDING_PAYMENT" else STATUS.CONFIRMED


def of_session(session: ClassSession) -> Entry:
    """What an instructor and the studio read: how many come, and not who."""
    return _entry(
        session,
        uid=f"{session.id}@sessions.powerhouse.studio",
        sequence=session.version,
        modified=session.update_time,
        status=STATUS.CANCELLED if session.cancelled else STATUS.CONFIRMED,
        details=[
            f"Instructor: {session.instructor_display_name}",
            f"Booked: {session.booked_count} of {session.planned_capacity}",
        ],
    )


def _entry(
    session: ClassSession, *, uid: str, sequence: int, modified: datetime, status: STATUS, details: list[str]
) -> Entry:
    return Entry(
        uid=uid,
        sequence=sequence,
        modified=modified,
        start=session.start_time,
        end=session.end_time,
        time_zone=session.time_zone,
        status=status,
        summary=session.class_type_display_name,
        location=f"{session.room_display_name}, {session.location_display_name}",
        details=details,
    )


def _local(at: datetime, time_zone: str) -> str:
    return f"{at.astimezone(ZoneInfo(time_zone)):%a %d %b %Y, %H:%M} ({time_zone})"
