"""Calendars as text: zones right to the second, over every change of the clocks, and values that read back."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar
from icalendar.enums import STATUS

from services.booking.ics import Entry, render, time_zone

LINK = "https://studio.example/?studio=1"
BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def entry(start: datetime, zone: str = BERLIN, **fields: Any) -> Entry:
    plan: dict[str, Any] = {
        "uid": "1@bookings.powerhouse.studio",
        "sequence": 2,
        "modified": datetime(2027, 1, 4, 8, tzinfo=UTC),
        "start": start,
        "end": start + timedelta(minutes=50),
        "time_zone": zone,
        "status": STATUS.CONFIRMED,
        "summary": "Reformer Flow",
        "location": "Room 1, Mitte",
        "details": ["Instructor: Ines"],
    }
    return Entry(**{**plan, **fields})


def offsets(zone: Any) -> list[tuple[datetime, timedelta]]:
    """Of a VTIMEZONE, as RFC 5545 reads it: each onset in UTC, told in the offset before it, and the offset after."""
    return sorted(
        (
            part["dtstart"].dt.replace(tzinfo=UTC) - part["tzoffsetfrom"].td,
            part["tzoffsetto"].td,
        )
        for part in zone.subcomponents
    )


def instant(value: Any, calendar: Any) -> datetime:
    """The instant of a DTSTART or DTEND, by the calendar's own VTIMEZONE and nothing else."""
    if value.dt.tzinfo is not None and "TZID" not in value.params:
        return value.dt.astimezone(UTC)
    (zone,) = [part for part in calendar.walk("VTIMEZONE") if part["tzid"] == value.params["TZID"]]
    wall = value.dt.replace(tzinfo=UTC)
    known = offsets(zone)
    # A wall time that happens twice is the first: the earliest instant at which the clocks show it.
    fitting = [
        wall - offset
        for number, (onset, offset) in enumerate(known)
        if onset <= wall - offset and (number + 1 == len(known) or wall - offset < known[number + 1][0])
    ]
    return min(fitting)


def event_times(text: bytes) -> tuple[datetime, datetime]:
    calendar = Calendar.from_ical(text)
    (event,) = calendar.walk("VEVENT")
    return instant(event["dtstart"], calendar), instant(event["dtend"], calendar)


@pytest.mark.parametrize(
    ("zone", "changes"),
    [
        (BERLIN, [datetime(2027, 3, 28, 1, tzinfo=UTC), datetime(2027, 10, 31, 1, tzinfo=UTC)]),
        (NEW_YORK, [datetime(2027, 3, 14, 7, tzinfo=UTC), datetime(2027, 11, 7, 6, tzinfo=UTC)]),
    ],
)
def test_around_both_changes_of_the_clocks_every_quarter_of_an_hour_is_right(
    zone: str, changes: list[datetime]
) -> None:
    for change in changes:
        for quarter in range(-16, 17):
            start = change + timedelta(minutes=15 * quarter)
            assert event_times(render("Clara", [entry(start, zone)], LINK)) == (start, start + timedelta(minutes=50))


@given(
    st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"})),
    st.integers(0, 2200),
    st.integers(1, 400),
)
def test_a_zone_has_the_offsets_of_its_rules(key: str, first: int, days: int) -> None:
    begin, zone = datetime(2024, 1, 1, 12, tzinfo=UTC) + timedelta(days=first), ZoneInfo(key)
    known = offsets(time_zone(key, begin, begin + timedelta(days=days)))
    for hour in range(0, days * 24 + 1, 5):
        at = begin + timedelta(hours=hour)
        assert [offset for onset, offset in known if onset <= at][-1] == at.astimezone(zone).utcoffset()
    for onset, offset in known[1:]:
        assert onset.astimezone(zone).utcoffset() == offset
        assert (onset - timedelta(seconds=1)).astimezone(zone).utcoffset() != offset


def test_each_zone_is_there_once_and_only_those_used() -> None:
    start = datetime(2027, 1, 5, 9, tzinfo=UTC)
    text = render("Clara", [entry(start), entry(start, NEW_YORK), entry(start + timedelta(days=90))], LINK)
    zones = [str(zone["tzid"]) for zone in Calendar.from_ical(text).walk("VTIMEZONE")]
    assert zones == [NEW_YORK, BERLIN]


def test_what_it_says() -> None:
    odd = "Flow; with, commas\\ and a very long name " + "ä" * 80
    modified = datetime(2027, 1, 4, 8, tzinfo=UTC)
    text = render("Clara", [entry(datetime(2027, 1, 5, 9, tzinfo=UTC), summary=odd, status=STATUS.CANCELLED)], LINK)
    assert all(len(line) <= 75 for line in text.split(b"\r\n"))
    calendar = Calendar.from_ical(text)
    assert (calendar["method"], calendar["version"], calendar["x-wr-calname"]) == ("PUBLISH", "2.0", "Clara")
    assert calendar["prodid"] == "-//Powerhouse//Booking//EN"
    assert b"REFRESH-INTERVAL;VALUE=DURATION:PT1H\r\n" in text
    assert b"X-PUBLISHED-TTL:PT1H\r\n" in text
    (event,) = calendar.walk("VEVENT")
    assert (event["summary"], event["status"], event["sequence"]) == (odd, "CANCELLED", 2)
    assert event["description"] == f"Instructor: Ines\n{LINK}"
    assert event["url"] == LINK
    assert {event[name].dt for name in ("dtstamp", "last-modified")} == {modified}
    assert b"DTSTART;TZID=Europe/Berlin:20270105T100000\r\n" in text


def test_a_line_break_in_a_name_adds_no_line_to_the_calendar() -> None:
    for end in ("\r\n", "\n", "\r", "\x0b", "\x85", "\u2028"):
        evil = f"A, B{end}X-EVIL:1"
        one = entry(datetime(2027, 1, 5, 9, tzinfo=UTC), summary=evil, location=evil, details=[evil])
        text = render(evil, [one], LINK)
        assert not [line for line in text.decode().splitlines() if line.startswith("X-EVIL")]
        calendar = Calendar.from_ical(text)
        (event,) = calendar.walk("VEVENT")
        assert {event["summary"], event["location"]} == {"A, B X-EVIL:1"}
        assert event["description"] == f"A, B X-EVIL:1\n{LINK}"
        assert b"X-WR-CALNAME:A\\, B X-EVIL:1\r\n" in text


def test_without_a_class_it_is_a_calendar_all_the_same() -> None:
    calendar = Calendar.from_ical(render("Clara", [], LINK))
    assert calendar.walk("VEVENT") == []
    assert [zone["tzid"] for zone in calendar.walk("VTIMEZONE")] == ["UTC"]


def test_equal_entries_make_equal_bytes() -> None:
    one = entry(datetime(2027, 1, 5, 9, tzinfo=UTC))
    assert render("Clara", [one], LINK) == render("Clara", [one], LINK)
