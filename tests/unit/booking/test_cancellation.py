"""The cancellation deadline."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.booking.cancellation import free_cancel_until, is_early

BERLIN = "Europe/Berlin"
DAY = 24 * 60


def local(text: str, zone: str = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def test_hours_are_absolute() -> None:
    # The clocks go forward at 02:00: twelve hours before 10:00 it was 21:00.
    assert free_cancel_until(local("2027-03-28T10:00"), BERLIN, 12 * 60) == local("2027-03-27T21:00")


@pytest.mark.parametrize("day", ["2027-03-28", "2027-10-31", "2027-06-15"])
def test_a_day_is_the_same_wall_time_the_day_before(day: str) -> None:
    start = local(f"{day}T10:00")
    before = (datetime.fromisoformat(day) - timedelta(days=1)).date()
    assert free_cancel_until(start, BERLIN, DAY) == local(f"{before}T10:00")


def test_a_wall_time_that_does_not_exist_moves_forward() -> None:
    assert free_cancel_until(local("2027-03-29T02:30"), BERLIN, DAY) == local("2027-03-28T03:30")


def test_a_wall_time_that_exists_twice_is_the_first() -> None:
    first = datetime(2027, 10, 31, 0, 30, tzinfo=UTC)
    assert free_cancel_until(local("2027-11-01T02:30"), BERLIN, DAY) == first


def test_no_window_is_the_start_itself_also_when_that_wall_time_exists_twice() -> None:
    second = datetime(2027, 10, 31, 1, 30, tzinfo=UTC)
    assert free_cancel_until(second, BERLIN, 0) == second


def test_exactly_at_the_deadline_is_early() -> None:
    start = local("2027-06-15T10:00")
    deadline = start - timedelta(hours=12)
    assert is_early(deadline, start, BERLIN, 720)
    assert not is_early(deadline + timedelta(microseconds=1), start, BERLIN, 720)


@given(
    start=st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2035, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # Hypothesis wants naive bounds
    zone=st.timezone_keys(allow_prefix=False),
    days=st.integers(0, 14),
)
def test_days_anywhere_are_days_up_to_a_change_of_the_clocks(start: datetime, zone: str, days: int) -> None:
    deadline = free_cancel_until(start, zone, days * DAY)
    assert abs(start - deadline - timedelta(days=days)) <= timedelta(days=1)  # Samoa once left out a whole day
    assert deadline <= start
