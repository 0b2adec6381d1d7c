"""Quiet hours over all zones and clock changes."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notify.quiet_hours import QuietHours, is_quiet, send_time

BERLIN = "Europe/Berlin"
NIGHT = QuietHours(time(22), time(8))
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
ZONES = sorted(available_timezones() - {"localtime", "Factory", "posixrules"})


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(BERLIN)).astimezone(UTC)


@pytest.mark.parametrize(
    ("due", "useful_until", "earliest", "leaves"),
    [
        # By day at once.
        ("2026-11-24T10:00", "2026-11-24T12:00", "2026-11-24T09:00", "2026-11-24T10:00"),
        # The seed's scenario: due in the blackout, delayed until its end.
        ("2026-11-24T23:00", "2026-11-25T23:00", "2026-11-24T23:00", "2026-11-25T08:00"),
        # A 2-hour text for a 7:00 class leaves before the night.
        ("2026-11-24T05:00", "2026-11-24T07:00", "2026-11-23T12:00", "2026-11-23T21:45"),
        # Booked shortly before the night: at once.
        ("2026-11-24T05:00", "2026-11-24T07:00", "2026-11-23T21:50", "2026-11-23T21:50"),
        # Booked in the night: dropped.
        ("2026-11-24T05:00", "2026-11-24T07:00", "2026-11-23T22:00", None),
        # The night ends when the class begins: of no use any more.
        ("2026-11-24T06:00", "2026-11-24T08:00", "2026-11-24T06:00", None),
        # Late, but of use.
        ("2026-11-24T10:00", "2026-11-24T12:00", "2026-11-24T11:59", "2026-11-24T11:59"),
        # Too late.
        ("2026-11-24T10:00", "2026-11-24T12:00", "2026-11-24T12:00", None),
        # The first second is quiet, the last one is not.
        ("2026-11-24T22:00", "2026-11-25T22:00", "2026-11-24T22:00", "2026-11-25T08:00"),
        ("2026-11-25T08:00", "2026-11-25T22:00", "2026-11-25T08:00", "2026-11-25T08:00"),
    ],
)
def test_a_message_waits_leaves_before_or_never(due: str, useful_until: str, earliest: str, leaves: str | None) -> None:
    answer = send_time(berlin(due), berlin(useful_until), NIGHT, BERLIN, earliest=berlin(earliest))
    assert answer == (berlin(leaves) if leaves else None)


def test_without_quiet_hours_it_leaves_when_due() -> None:
    due = berlin("2026-11-24T23:00")
    assert send_time(due, due + timedelta(hours=1), None, BERLIN, earliest=due) == due


@pytest.mark.parametrize(
    ("zone", "instant", "end"),
    [
        # Clocks skip 02:30: the quiet lasts till 03:30.
        (BERLIN, "2026-03-29T00:45+00:00", "2026-03-29T01:30+00:00"),
        # 02:30 happens twice: the quiet lasts till the second one.
        (BERLIN, "2026-10-25T00:45+00:00", "2026-10-25T01:30+00:00"),
    ],
)
def test_an_end_that_the_clocks_skip_or_repeat_is_the_later_one(zone: str, instant: str, end: str) -> None:
    due = datetime.fromisoformat(instant)
    quiet = QuietHours(time(1), time(2, 30))
    assert send_time(due, due + timedelta(days=1), quiet, zone) == datetime.fromisoformat(end)


minutes = st.integers(0, 24 * 60 - 1).map(lambda minute: time(minute // 60, minute % 60))
hours = st.tuples(minutes, minutes).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: QuietHours(*pair))


@settings(max_examples=1_000, deadline=None)
@given(
    due=st.integers(0, 15 * 365 * 24 * 60).map(lambda minute: EPOCH + timedelta(minutes=minute)),
    useful=st.integers(1, 48 * 60).map(lambda minute: timedelta(minutes=minute)),
    ahead=st.integers(-12 * 60, 48 * 60).map(lambda minute: timedelta(minutes=minute)),
    quiet=hours,
    zone=st.sampled_from(ZONES),
)
def test_never_in_quiet_hours_never_past_its_use_and_only_dropped_for_want_of_a_moment(
    due: datetime, useful: timedelta, ahead: timedelta, quiet: QuietHours, zone: str
) -> None:
    until, now = due + useful, due - ahead
    leaves = send_time(due, until, quiet, zone, earliest=now)
    if leaves is None:
        # Nothing from when it was due until its use was over.
        moment = max(due, now)
        while moment < until:
            assert is_quiet(moment, quiet, zone)
            moment += timedelta(minutes=30)
        return
    wall = leaves.astimezone(ZoneInfo(zone)).time()
    inside = quiet.start <= wall < quiet.end if quiet.start < quiet.end else not quiet.end <= wall < quiet.start
    assert not inside
    assert now <= leaves < until
    # A worker that looks again when its moment has come lets it go.
    assert send_time(leaves, until, quiet, zone, earliest=leaves) == leaves
    if leaves < due:
        assert is_quiet(due, quiet, zone)
