"""Rules against the words of RFC 5545, and wall times of every zone on the days when its clocks change."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.chassis.errors import InvalidArgument
from services.scheduling.recurrence import Rule, instant_of, parse, parse_date, wall_of

ZONES = sorted(available_timezones() - {"localtime", "posixrules", "Factory"})
FIRST, YEARS = date(2024, 1, 1), 10

dates = st.dates(FIRST, FIRST + timedelta(days=365 * YEARS))
rules = st.builds(
    Rule,
    start=dates,
    until=st.none(),
    interval=st.integers(1, 6),
    weekdays=st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
    week_start=st.integers(0, 6),
)


def _week(day: date, week_start: int) -> int:
    """Number of the week that a day lies in, when weeks begin on that day."""
    return (day.toordinal() - 1 - week_start) // 7


def _belongs(rule: Rule, day: date) -> bool:
    """What the RFC says of a day, without counting anything."""
    weeks = _week(day, rule.week_start) - _week(rule.start, rule.week_start)
    return day >= rule.start and day.weekday() in rule.weekdays and weeks % rule.interval == 0


@settings(max_examples=300, deadline=None)
@given(rules, st.integers(-30, 3000), st.integers(0, 100))
def test_dates_are_those_of_the_rfc(rule: Rule, ahead: int, length: int) -> None:
    first = rule.start + timedelta(days=ahead)
    days = [first + timedelta(days=n) for n in range(length)]
    assert rule.dates(first, first + timedelta(days=length)) == [day for day in days if _belongs(rule, day)]


@settings(max_examples=100, deadline=None)
@given(rules, st.integers(0, 700), st.lists(st.integers(1, 60), max_size=6))
def test_windows_side_by_side_leave_no_gap_and_double_nothing(rule: Rule, ahead: int, windows: list[int]) -> None:
    first = end = rule.start + timedelta(days=ahead)
    found = []
    for window in windows:
        found += rule.dates(end, end + timedelta(days=window))
        end += timedelta(days=window)
    assert found == rule.dates(first, end)


@settings(max_examples=100, deadline=None)
@given(rules, st.integers(0, 60))
def test_the_last_day_is_one_of_its_days(rule: Rule, length: int) -> None:
    until = rule.start + timedelta(days=length)
    short = Rule(rule.start, until, rule.interval, rule.weekdays, rule.week_start)
    assert short.dates(rule.start, date(2040, 1, 1)) == rule.dates(rule.start, until + timedelta(days=1))


@settings(max_examples=300, deadline=None)
@given(rules)
def test_its_text_means_the_same_rule(rule: Rule) -> None:
    assert parse(rule.text, rule.start, None, "rrule") == rule


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()


@cache
def _changes(name: str) -> list[datetime]:
    """The instants, to the minute, at which a zone's clocks change in ten years."""
    zone = ZoneInfo(name)
    days = [datetime.combine(FIRST, time(), UTC) + timedelta(days=n) for n in range(0, 365 * YEARS, 5)]
    found = []
    for before, after in pairwise(days):
        while _offset(before, zone) != _offset(after, zone) and after - before > timedelta(minutes=1):
            middle = before + (after - before) // 120 * 60
            before, after = (before, middle) if _offset(middle, zone) != _offset(before, zone) else (middle, after)
        if _offset(before, zone) != _offset(after, zone):
            found.append(after)
    return found


@pytest.mark.parametrize("first", range(0, len(ZONES), 75))
def test_a_wall_time_stays_the_same_on_every_day_that_clocks_change(first: int) -> None:
    """All zones, all changes: shown as it is, later by the gap where there is none, the first of two."""
    for name in ZONES[first : first + 75]:
        zone = ZoneInfo(name)
        for change in _changes(name):
            before = _offset(change - timedelta(minutes=2), zone)
            skipped = _offset(change, zone) - before
            # The wall time at which clocks jump, as the old offset has it.
            jump = (change + before).replace(tzinfo=None)
            for minutes in (-90, -60, -31, -30, -1, 0, 1, 29, 30, 59, 60, 61, 120, 240):
                wall = jump + timedelta(minutes=minutes)
                instant = instant_of(wall, zone)
                gap = jump <= wall < jump + skipped
                assert wall_of(instant, zone) == (wall + skipped if gap else wall), (name, wall)
                earlier = instant - abs(skipped)
                assert gap or wall_of(earlier, zone) != wall, (name, wall)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(ZONES), dates, st.times(), st.integers(1, 3))
def test_a_series_keeps_its_wall_time(name: str, start: date, at: time, interval: int) -> None:
    """Half a year of it: in order, no day twice, and always the same time unless clocks skip it."""
    zone, at = ZoneInfo(name), at.replace(second=0, microsecond=0)
    rule = Rule(start, None, interval, (0, 2, 6), 0)
    instants = [instant_of(datetime.combine(day, at), zone) for day in rule.dates(start, start + timedelta(days=183))]
    assert instants == sorted(set(instants))
    shown = [wall_of(instant, zone) for instant in instants]
    assert len({wall.date() for wall in shown}) == len(shown)
    other = [wall for wall in shown if wall.time() != at]
    assert len(other) <= 1


@pytest.mark.parametrize(
    ("name", "wall", "shown", "instant"),
    [
        ("Europe/Berlin", "2027-03-28T02:30", "2027-03-28T03:30", "2027-03-28T01:30+00:00"),
        ("Europe/Berlin", "2027-10-31T02:30", "2027-10-31T02:30", "2027-10-31T00:30+00:00"),
        # Half an hour only.
        ("Australia/Lord_Howe", "2027-10-03T02:15", "2027-10-03T02:45", "2027-10-02T15:45+00:00"),
    ],
)
def test_examples(name: str, wall: str, shown: str, instant: str) -> None:
    found = instant_of(datetime.fromisoformat(wall), ZoneInfo(name))
    assert found == datetime.fromisoformat(instant)
    assert wall_of(found, ZoneInfo(name)) == datetime.fromisoformat(shown)


MONDAY = date(2027, 1, 4)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("FREQ=WEEKLY", "FREQ=WEEKLY;BYDAY=MO"),
        ("freq=weekly;byday=fr,mo,we,mo", "FREQ=WEEKLY;BYDAY=MO,WE,FR"),
        ("BYDAY=TU;INTERVAL=2;FREQ=WEEKLY;WKST=SU", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU;WKST=SU"),
        ("FREQ=WEEKLY;INTERVAL=1;WKST=MO;BYDAY=SU", "FREQ=WEEKLY;BYDAY=SU"),
    ],
)
def test_rules_are_kept_in_one_form(text: str, kept: str) -> None:
    assert parse(text, MONDAY, None, "rrule").text == kept


def test_until_is_the_last_day() -> None:
    rule = parse("FREQ=WEEKLY;UNTIL=20270118", MONDAY, None, "rrule")
    assert rule.until == date(2027, 1, 18)
    assert rule == parse("FREQ=WEEKLY;UNTIL=20270118", MONDAY, date(2027, 1, 18), "rrule")
    assert [day.day for day in rule.dates(MONDAY, date(2028, 1, 1))] == [4, 11, 18]


@pytest.mark.parametrize(
    ("text", "until", "reason"),
    [
        ("", None, "MALFORMED_RRULE"),
        ("weekly", None, "MALFORMED_RRULE"),
        ("FREQ=", None, "MALFORMED_RRULE"),
        ("FREQ=WEEKLY;", None, "MALFORMED_RRULE"),
        ("FREQ=WEEKLY;FREQ=WEEKLY", None, "MALFORMED_RRULE"),
        ("RRULE:FREQ=WEEKLY", None, "MALFORMED_RRULE"),
        ("INTERVAL=2;BYDAY=MO", None, "MALFORMED_RRULE"),
        ("FREQ=FORTNIGHTLY", None, "MALFORMED_RRULE"),
        ("FREQ=WEEKLY;COLOUR=RED", None, "MALFORMED_RRULE"),
        ("FREQ=WEEKLY;BYDAY=XX", None, "MALFORMED_RRULE"),
        ("FREQ=WEEKLY;BYDAY=MO,", None, "MALFORMED_RRULE"),
        ("FREQ=WEEKLY;WKST=8", None, "MALFORMED_RRULE"),
        ("FREQ=WEEKLY;INTERVAL=0", None, "MALFORMED_RRULE"),
        ("FREQ=WEEKLY;INTERVAL=-1", None, "MALFORMED_RRULE"),
        ("FREQ=WEEKLY;INTERVAL=1.5", None, "MALFORMED_RRULE"),
        ("FREQ=WEEKLY;INTERVAL=٢", None, "MALFORMED_RRULE"),
        ("FREQ=WEEKLY;UNTIL=20270230", None, "MALFORMED_RRULE"),
        ("FREQ=WEEKLY;UNTIL=20270118", date(2027, 1, 19), "MALFORMED_RRULE"),
        ("FREQ=DAILY", None, "RRULE_NOT_SUPPORTED"),
        ("FREQ=MONTHLY;BYDAY=1MO", None, "RRULE_NOT_SUPPORTED"),
        ("FREQ=WEEKLY;BYDAY=-1FR", None, "RRULE_NOT_SUPPORTED"),
        ("FREQ=WEEKLY;COUNT=10", None, "RRULE_NOT_SUPPORTED"),
        ("FREQ=WEEKLY;BYHOUR=10", None, "RRULE_NOT_SUPPORTED"),
        ("FREQ=WEEKLY;INTERVAL=53", None, "RRULE_NOT_SUPPORTED"),
        ("FREQ=WEEKLY;UNTIL=20270118T100000Z", None, "RRULE_NOT_SUPPORTED"),
        ("FREQ=WEEKLY;UNTIL=20270103", None, "END_BEFORE_START"),
        ("FREQ=WEEKLY", date(2026, 12, 31), "END_BEFORE_START"),
        ("FREQ=WEEKLY;BYDAY=TU", MONDAY, "RULE_NEVER_MATCHES"),
        ("FREQ=WEEKLY;BYDAY=SU", date(2027, 1, 9), "RULE_NEVER_MATCHES"),
    ],
)
def test_refusals(text: str, until: date | None, reason: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        parse(text, MONDAY, until, "class_schedule.rrule")
    assert refusal.value.reason == reason
    assert refusal.value.violations[0][0] == "class_schedule.rrule"


PIECES = [
    "FREQ",
    "INTERVAL",
    "BYDAY",
    "WKST",
    "UNTIL",
    "COUNT",
    "=",
    ";",
    ",",
    "MO",
    "-1",
    "2",
    "WEEKLY",
    "20270101",
    "é",
]
pieces = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.text(max_size=40), pieces))
def test_any_text_is_a_rule_or_a_refusal(text: str) -> None:
    try:
        rule = parse(text, MONDAY, None, "rrule")
    except InvalidArgument:
        return
    assert rule.dates(MONDAY, MONDAY + timedelta(weeks=110))


@pytest.mark.parametrize("text", ["", "2027-02-30", "20270104", "2027-1-4", "2027-W01-1", "1969-12-31", "9999-01-01"])
def test_what_is_no_day(text: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        parse_date(text, "start_date")
    assert refusal.value.reason == "MALFORMED_DATE"


def test_an_old_rule_takes_no_longer() -> None:
    """Counted from where it is asked about: dateutil never sees the eight hundred years before."""
    rule = Rule(date(1970, 1, 5), None, 2, (0,), 0)
    assert rule.dates(date(2790, 1, 1), date(2790, 2, 1)) == [
        day
        for day in (date(2790, 1, 1) + timedelta(days=n) for n in range(31))
        if day.weekday() == 0 and (day - rule.start).days % 14 == 0
    ]
