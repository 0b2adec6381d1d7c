"""What a calendar shows of a booking in each of its states."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from icalendar.enums import STATUS

from services.booking.calendar_entries import of_booking
from services.booking.models import BookingDetail, ClassSession

START = datetime(2027, 1, 6, 8, tzinfo=UTC)
SESSION = ClassSession(
    version=3,
    update_time=START - timedelta(days=5),
    start_time=START,
    end_time=START + timedelta(minutes=50),
    time_zone="Europe/Berlin",
    class_type_display_name="Reformer Flow",
    room_display_name="Room 1",
    location_display_name="Mitte",
    instructor_display_name="Ines",
)


def booking(**fields: Any) -> BookingDetail:
    plan: dict[str, Any] = {
        "id": UUID(int=7),
        "state": "CONFIRMED",
        "version": 2,
        "update_time": START - timedelta(days=4),
        "start_time": START,
        "time_zone": "Europe/Berlin",
        "cancellation_window_minutes": 720,
        "guest_display_name": "",
    }
    return BookingDetail(**{**plan, **fields})


@pytest.mark.parametrize(
    ("fields", "status", "details"),
    [
        ({}, STATUS.CONFIRMED, ["Free to cancel until Tue 05 Jan 2027, 21:00 (Europe/Berlin)"]),
        ({"spot": "A"}, STATUS.CONFIRMED, ["Spot: A", "Free to cancel until Tue 05 Jan 2027, 21:00 (Europe/Berlin)"]),
        (
            {"free_decline_time": START - timedelta(hours=2), "guest_display_name": "Jo"},
            STATUS.CONFIRMED,
            ["Guest: Jo", "Free to cancel until Wed 06 Jan 2027, 07:00 (Europe/Berlin)"],
        ),
        (
            {"state": "PENDING_PAYMENT", "hold_expire_time": START - timedelta(hours=9)},
            STATUS.TENTATIVE,
            ["To be paid until Wed 06 Jan 2027, 00:00 (Europe/Berlin)"],
        ),
        ({"state": "ATTENDED"}, STATUS.CONFIRMED, []),
        ({"state": "NO_SHOW"}, STATUS.CONFIRMED, []),
        *(({"state": state, "cancel_time": START}, STATUS.CANCELLED, []) for state in ("CANCELLED_LATE", "EXPIRED")),
    ],
)
def test_each_state(fields: dict[str, Any], status: STATUS, details: list[str]) -> None:
    entry = of_booking(booking(**fields), SESSION)
    assert (entry.status, list(entry.details)) == (status, ["Instructor: Ines", *details])
    assert entry.uid == f"{UUID(int=7)}@bookings.powerhouse.studio"
    assert (entry.sequence, entry.modified) == (5, START - timedelta(days=4))
