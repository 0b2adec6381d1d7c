"""Calendars as text (RFC 5545): events, and the zones that their times are told in. No I/O."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, Timezone, TimezoneDaylight, TimezoneStandard
from icalendar.enums import STATUS
from icalendar.prop import vDuration, vText

PRODID = "-//Powerhouse//Booking//EN"
# How often calendars are asked to come back.
REFRESH = timedelta(hours=1)

_DAY = timedelta(days=1)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What a calendar shows of one class."""

    # The same for the same class as long as the feed lives.
    uid: str
    # Grows with every change.
    sequence: int
    modified: datetime
    start: datetime
    end: datetime
    # IANA zone of the location.
    time_zone: str
    status: STATUS
    summary: str
    location: str
    # Lines of the description.
    details: Sequence[str]


def render(name: str, entries: Sequence[Entry], link: str) -> bytes:
    """A calendar called `name`, every entry with the studio's `link`. Equal entries make equal bytes."""
    calendar = Calendar()
    calendar.add("prodid", PRODID)
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", vText(_line(name)))
    calendar.add("refresh-interval", REFRESH, parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", vDuration(REFRESH))
    if not entries:
        # A calendar must hold something.
        calendar.add_component(time_zone("UTC", _EPOCH, _EPOCH))
    for key in sorted({entry.time_zone for entry in entries}):
        times = [at for entry in entries if entry.time_zone == key for at in (entry.start, entry.end)]
        calendar.add_component(time_zone(key, min(times), max(times)))
    for entry in entries:
        calendar.add_component(_event(entry, link))
    text: bytes = calendar.to_ical()
    return text


def time_zone(key: str, start: datetime, end: datetime) -> Timezone:
    """The offsets of an IANA zone that are in force from `start` to `end`.

    An observance begins at the wall time that the clocks show before they change (RFC 5545, 3.6.5).
    """
    zone = Timezone()
    zone.add("tzid", key)
    for onset, before in _onsets(ZoneInfo(key), start, end):
        after = onset.utcoffset() or timedelta()
        kind = TimezoneDaylight if (onset.dst() or timedelta()) > timedelta() else TimezoneStandard
        observance = kind()
        observance.add("dtstart", onset.astimezone(UTC).replace(tzinfo=None) + before)
        observance.add("tzoffsetfrom", before)
        observance.add("tzoffsetto", after)
        observance.add("tzname", onset.tzname())
        zone.add_component(observance)
    return zone


def _onsets(zone: ZoneInfo, start: datetime, end: datetime) -> Iterable[tuple[datetime, timedelta]]:
    """Where the range begins and each change of the offset inside it, in the zone, with the offset before."""
    at = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - _DAY
    offset = _offset(zone, at)
    yield at.astimezone(zone), offset
    while at <= end:
        following = at + _DAY
        if _offset(zone, following) != offset:
            low, high = at, following
            while high - low > timedelta(seconds=1):
                middle = (low + (high - low) / 2).replace(microsecond=0)
                low, high = (middle, high) if _offset(zone, middle) == offset else (low, middle)
            yield high.astimezone(zone), offset
            offset = _offset(zone, following)
        at = following


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()


def _event(entry: Entry, link: str) -> Event:
    event = Event()
    event.add("uid", entry.uid)
    event.add("sequence", entry.sequence)
    # With a method, the stamp may be the time of rendering; of the change it lets an unchanged calendar be the same.
    event.add("dtstamp", entry.modified)
    event.add("last-modified", entry.modified)
    _add_moment(event, "dtstart", entry.start, entry.time_zone)
    _add_moment(event, "dtend", entry.end, entry.time_zone)
    event.add("summary", _line(entry.summary))
    event.add("location", _line(entry.location))
    event.add("description", "\n".join([*map(_line, entry.details), link]))
    event.add("url", link)
    event.add("status", entry.status)
    return event


def _line(text: str) -> str:
    """Names may hold what would end a line of the calendar, or what no calendar may hold."""
    return _CONTROL.sub(" ", text)


def _add_moment(event: Event, name: str, at: datetime, zone: str) -> None:
    """At the wall time of the zone. One that happens twice would mean the first: the second is told in UTC."""
    wall = at.astimezone(ZoneInfo(zone))
    if wall.fold:
        event.add(name, at.astimezone(UTC))
    else:
        event.add(name, wall.replace(tzinfo=None), parameters={"TZID": zone})
