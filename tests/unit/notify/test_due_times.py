"""When reminders are due, over all zones and clock changes."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.due_times import due_time

ZONES = st.sampled_from(sorted(available_timezones() - {"localtime"}))
STARTS = st.integers(0, 15 * 365 * 1440).map(lambda n: datetime(2020, 1, 2, tzinfo=UTC) + timedelta(minutes=n))


def local(instant: datetime, zone: str) -> datetime:
    return instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@pytest.mark.parametrize(
    ("start", "offset", "due"),
    [
        # 29 March 2026: 02:00 becomes 03:00. Monday's class, reminded of on the Sunday of the change and before it.
        ("2026-03-30T10:00", 1440, "2026-03-29T10:00"),
        ("2026-03-29T10:00", 1440, "2026-03-28T10:00"),
        # The day before has no 02:30: an hour later.
        ("2026-03-30T02:30", 1440, "2026-03-29T03:30"),
        # Two hours are two hours.
        ("2026-03-29T03:30", 120, "2026-03-29T00:30"),
        # 25 October 2026: 03:00 becomes 02:00. The day before has 02:30 twice: the first.
        ("2026-10-26T02:30", 1440, "2026-10-25T02:30"),
        ("2026-10-25T04:00", 120, "2026-10-25T02:00+01:00"),
        ("2026-11-24T18:30", 2880, "2026-11-22T18:30"),
        ("2026-11-24T18:30", 90, "2026-11-24T17:00"),
    ],
)
def test_the_day_before_in_berlin(start: str, offset: int, due: str) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    wanted = datetime.fromisoformat(due)
    wanted = wanted if wanted.tzinfo else wanted.replace(tzinfo=berlin)
    found = due_time(datetime.fromisoformat(start).replace(tzinfo=berlin).astimezone(UTC), berlin.key, offset)
    assert found == wanted.astimezone(UTC)


@given(STARTS, ZONES, st.integers(1, 14))
def test_whole_days_keep_the_wall_time_unless_it_does_not_exist(start: datetime, zone: str, days: int) -> None:
    due = due_time(start, zone, days * 1440)
    wall = local(start, zone) - timedelta(days=days)
    exists = local(wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC), zone) == wall
    assert local(due, zone) == wall if exists else local(due, zone) > wall
    # Of two that show the same time, the first.
    assert due == wall.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)
    # A zone may have skipped a day, or lived one twice.
    assert timedelta(days=days - 1.1) <= start - due <= timedelta(days=days + 1.1)


@given(STARTS, ZONES, st.integers(1, 20160).filter(lambda minutes: minutes % 1440 != 0))
def test_everything_else_is_counted_back(start: datetime, zone: str, offset: int) -> None:
    assert start - due_time(start, zone, offset) == timedelta(minutes=offset)
