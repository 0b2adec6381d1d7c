"""The cancellation deadline."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.booking.cancellation import free_cancel_until, policy_deadline

BERLIN = "Europe/Berlin"
DAY = 24 * 60


def local(text: str, zone: str = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def test_hours_are_absolute() -> None:
    # The clocks go forward at 02:00: twelve hours before 10:00 it was 21:00.
    assert policy_deadline(local("2027-03-28T10:00"), BERLIN, 12 * 60) == local("2027-03-27T21:00")


@pytest.mark.parametrize("day", ["2027-03-28", "2027-10-31", "2027-06-15"])
def test_a_day_is_the_same_wall_time_the_day_before(day: str) -> None:
    start = local(f"{day}T10:00")
    before = (datetime.fromisoformat(day) - timedelta(days=1)).date()
    assert policy_deadline(start, BERLIN, DAY) == local(f"{before}T10:00")


def test_a_wall_time_that_does_not_exist_moves_forward() -> None:
    assert policy_deadline(local("2027-03-29T02:30"), BERLIN, DAY) == local("2027-03-28T03:30")


def test_a_wall_time_that_exists_twice_is_the_first() -> None:
    first = datetime(2027, 10, 31, 0, 30, tzinfo=UTC)
    assert policy_deadline(local("2027-11-01T02:30"), BERLIN, DAY) == first


def test_no_window_is_the_start_itself_also_when_that_wall_time_exists_twice() -> None:
    second = datetime(2027, 10, 31, 1, 30, tzinfo=UTC)
    assert policy_deadline(second, BERLIN, 0) == second


@dataclass
class Made:
    """A booking as far as its deadline goes."""

    start_time: datetime
    time_zone: str = BERLIN
    cancellation_window_minutes: int = 720
    free_decline_time: datetime | None = None


def test_who_was_promoted_late_has_longer() -> None:
    start = local("2027-06-15T10:00")
    deadline = start - timedelta(hours=12)
    assert free_cancel_until(Made(start)) == deadline
    assert free_cancel_until(Made(start, free_decline_time=start - timedelta(hours=1))) == start - timedelta(hours=1)
    assert free_cancel_until(Made(start, free_decline_time=deadline - timedelta(hours=1))) == deadline


@given(
    start=st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2035, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # Hypothesis wants naive bounds
    zone=st.timezone_keys(allow_prefix=False),
    days=st.integers(0, 14),
)
def test_days_anywhere_are_days_up_to_a_change_of_the_clocks(start: datetime, zone: str, days: int) -> None:
    deadline = policy_deadline(start, zone, days * DAY)
    assert abs(start - deadline - timedelta(days=days)) <= timedelta(days=1)  # Samoa once left out a whole day
    assert deadline <= start
