"""Wall times of every zone, above all on the days when clocks change."""

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.chassis.errors import InvalidArgument
from services.scheduling.local_time import check_zone, to_instant, to_wall

ZONES = sorted(available_timezones() - {"localtime", "posixrules", "Factory"})
FIRST, YEARS = date(2024, 1, 1), 10


@cache
def _changes(zone: str) -> list[date]:
    """Days of ten years on whose eve or morrow the zone's offset differs."""
    at = [datetime(FIRST.year, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(365 * YEARS)]
    offsets = [instant.astimezone(ZoneInfo(zone)).utcoffset() for instant in at]
    return [at[n].date() for n in range(1, len(at)) if offsets[n] != offsets[n - 1]]


def _instants(wall: datetime, zone: str) -> list[datetime]:
    """Every instant at which clocks of the zone show `wall`, found by trying the offsets in force around it."""
    around = [wall.replace(tzinfo=UTC) + timedelta(hours=hours) for hours in range(-36, 37, 3)]
    offsets = {instant.astimezone(ZoneInfo(zone)).utcoffset() for instant in around}
    tried = [(wall - offset).replace(tzinfo=UTC) for offset in offsets if offset is not None]
    return sorted(at for at in tried if at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == wall)


def _agrees(wall: datetime, zone: str) -> None:
    text = wall.isoformat(timespec="minutes")
    instants = _instants(wall, zone)
    if instants:
        assert to_instant(text, zone, "local_start") == instants[0]
        assert to_wall(instants[0], zone) == text
    else:
        with pytest.raises(InvalidArgument) as refusal:
            to_instant(text, zone, "local_start")
        assert refusal.value.reason == "IMPOSSIBLE_LOCAL_TIME"
        assert refusal.value.violations[0][0] == "local_start"


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ZONES), st.data())
def test_days_when_clocks_change(zone: str, data: st.DataObject) -> None:
    assume(_changes(zone))
    day = data.draw(st.sampled_from(_changes(zone)))
    midnight = datetime.combine(day, datetime.min.time()) - timedelta(days=1)
    for minutes in data.draw(st.lists(st.integers(0, 3 * 24 * 60 - 1), min_size=8, max_size=8)):
        _agrees(midnight + timedelta(minutes=minutes), zone)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ZONES), st.integers(0, 365 * YEARS * 24 * 60))
def test_any_day(zone: str, minutes: int) -> None:
    _agrees(datetime.combine(FIRST, datetime.min.time()) + timedelta(minutes=minutes), zone)


def test_a_gap_is_refused_and_a_fold_is_the_first() -> None:
    with pytest.raises(InvalidArgument, match="does not exist in Europe/Berlin"):
        to_instant("2027-03-28T02:30", "Europe/Berlin", "local_start")
    assert to_instant("2027-10-31T02:30", "Europe/Berlin", "local_start") == datetime(2027, 10, 31, 0, 30, tzinfo=UTC)
    # Half-hour changes and a day that was left out.
    with pytest.raises(InvalidArgument):
        to_instant("2027-10-03T02:15", "Australia/Lord_Howe", "local_start")
    with pytest.raises(InvalidArgument):
        to_instant("2011-12-30T10:00", "Pacific/Apia", "local_start")


def test_seconds_are_kept() -> None:
    instant = to_instant("2027-01-04T10:00:30", "Asia/Kathmandu", "local_start")
    assert instant == datetime(2027, 1, 4, 4, 15, 30, tzinfo=UTC)
    assert to_wall(instant, "Asia/Kathmandu") == "2027-01-04T10:00:30"


@pytest.mark.parametrize("offset", ["Z", "z", "+01:00", "-0500", ":00Z", ":00+01:00"])
def test_offsets_are_refused_by_name(offset: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        to_instant(f"2027-01-04T10:00{offset}", "UTC", "class_session.local_start")
    assert refusal.value.reason == "OFFSET_NOT_ALLOWED"
    assert refusal.value.violations[0][0] == "class_session.local_start"


@pytest.mark.parametrize(
    "text",
    [
        "", "tomorrow", "2027-01-04", "10:00", "2027-01-04 10:00", "2027-02-30T10:00", "2027-01-04T24:00",
        "2027-13-01T10:00", "2027-01-04T10:00\n", "2027-01-04T10:00:60", "2027-01-04T10:00:00.5",
        "٢٠٢٧-01-04T10:00", "1969-12-31T23:59",
        "9999-12-31T23:59", "0001-01-01T00:00", "3000-01-01T00:00", "2027-W01-1T10:00",
    ],
)  # fmt: skip
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        to_instant(text, "Europe/Berlin", "local_start")
    assert refusal.value.reason == "MALFORMED_LOCAL_TIME"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30))
def test_any_text_is_an_instant_or_a_refusal(text: str) -> None:
    with suppress(InvalidArgument):
        assert to_instant(text, "Europe/Berlin", "local_start").tzinfo is UTC


@pytest.mark.parametrize("zone", ["", "Mars/Base", "europe/berlin", "localtime", "Factory", "../etc/passwd", "+01:00"])
def test_bad_zones(zone: str) -> None:
    with pytest.raises(InvalidArgument):
        check_zone(zone, "time_zone")


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Argentina/Ushuaia", "UTC", "Asia/Kolkata"])
def test_good_zones(zone: str) -> None:
    check_zone(zone, "time_zone")
