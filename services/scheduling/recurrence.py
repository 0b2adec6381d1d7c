"""Rules of recurring classes: which dates they have, and the instant that a wall time means on each. Pure.

A part of RFC 5545: weekly, every n weeks, on some weekdays, from a first day on, perhaps until a last one. The wall
time is the same all year. On a day whose clocks skip it the class begins later by as much as they skip (02:30 becomes
03:30); where it happens twice it means the first.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from dateutil.rrule import WEEKLY, rrule

from services.chassis.errors import InvalidArgument

_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
# Of RFC 5545, and not of our part of it.
_OTHER_FREQUENCIES = {"SECONDLY", "MINUTELY", "HOURLY", "DAILY", "MONTHLY", "YEARLY"}
_OTHER_PARTS = {
    *("COUNT", "BYSECOND", "BYMINUTE", "BYHOUR", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYMONTH", "BYSETPOS"),
    *("RSCALE", "SKIP"),
}
_LONGEST_INTERVAL = 52
_YEARS = range(1970, 2999)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule with its days. `until` is the last one; weekdays count from 0 for Monday, `week_start` among them."""

    start: date
    until: date | None
    interval: int
    weekdays: tuple[int, ...]
    week_start: int

    @property
    def text(self) -> str:
        """The rule in the one form in which it is kept. First and last day stand beside it."""
        interval = f"INTERVAL={self.interval};" if self.interval != 1 else ""
        week_start = f";WKST={_WEEKDAYS[self.week_start]}" if self.week_start else ""
        return f"FREQ=WEEKLY;{interval}BYDAY={','.join(_WEEKDAYS[day] for day in self.weekdays)}{week_start}"

    def has(self, day: date) -> bool:
        """Whether it is one of its dates."""
        return bool(self.dates(day, day + timedelta(days=1)))

    def dates(self, first: date, end: date) -> list[date]:
        """Its dates in [first, end), in order."""
        first = max(first, self.start)
        last = min(end - timedelta(days=1), self.until or date.max)
        if first > last:
            return []
        # Begins whole intervals later, so that an old rule takes no longer than a new one.
        step = timedelta(weeks=self.interval)
        start = first if self.interval == 1 else self.start + (first - self.start) // step * step
        return [day for day in _expand(start, last, self.interval, self.weekdays, self.week_start) if day >= first]


# Of a thousand studios most have the same few rules.
@lru_cache(maxsize=4096)
def _expand(start: date, last: date, interval: int, weekdays: tuple[int, ...], week_start: int) -> tuple[date, ...]:
    found = rrule(
        WEEKLY,
        dtstart=datetime.combine(start, time()),
        until=datetime.combine(last, time()),
        interval=interval,
        wkst=week_start,
        byweekday=weekdays,
    )
    return tuple(day.date() for day in found)


def parse(text: str, start: date, until: date | None, field: str) -> Rule:
    """The rule that `text` means from `start` on. `until` is the last day, as is UNTIL in the text.

    Raises InvalidArgument MALFORMED_RRULE, RRULE_NOT_SUPPORTED, END_BEFORE_START and RULE_NEVER_MATCHES for `field`.
    """
    rule = read(text, start, until, field)
    # Each weekday has had its turn within two intervals.
    if not rule.dates(start, start + timedelta(weeks=2 * rule.interval)):
        raise InvalidArgument(field, "has no date between its first and its last day", reason="RULE_NEVER_MATCHES")
    return rule


def read(text: str, start: date, until: date | None, field: str) -> Rule:
    """As `parse`, for a rule of which it is known that it has a date."""
    parts = _parts(text, field)
    _check_supported(parts, field)
    if last := parts.get("UNTIL"):
        written = _until(last, field)
        if until not in (None, written):
            raise _malformed(field, "says another last day than end_date")
        until = written
    if until is not None and until < start:
        raise InvalidArgument(field, "ends before it starts", reason="END_BEFORE_START")
    weekdays = _weekdays(parts["BYDAY"], field) if "BYDAY" in parts else (start.weekday(),)
    (week_start,) = _weekdays(parts.get("WKST", "MO"), field)[:1]
    return Rule(start, until, _interval(parts.get("INTERVAL", "1"), field), weekdays, week_start)


def parse_date(text: str, field: str) -> date:
    """`2026-11-23`. Raises InvalidArgument MALFORMED_DATE for `field`."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if day.year not in _YEARS or day.isoformat() != text:
        raise InvalidArgument(
            field, f"must be a day such as 2026-11-23 in the years {_YEARS[0]} to {_YEARS[-1]}", reason="MALFORMED_DATE"
        )
    return day


def instant_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """The instant, in UTC, of a wall time: later by the gap where clocks skip it, the first where it happens twice."""
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def wall_of(instant: datetime, zone: ZoneInfo) -> datetime:
    """The wall time of an instant, without its zone."""
    return instant.astimezone(zone).replace(tzinfo=None)


def _parts(text: str, field: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in text.upper().split(";"):
        name, equals, value = part.partition("=")
        if not (name and equals and value) or name in parts:
            raise _malformed(field, "must look like FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE,FR")
        parts[name] = value
    return parts


def _check_supported(parts: dict[str, str], field: str) -> None:
    if others := parts.keys() & _OTHER_PARTS:
        raise _unsupported(field, f"may not have {min(others)}")
    if unknown := parts.keys() - {"FREQ", "INTERVAL", "BYDAY", "WKST", "UNTIL"}:
        raise _malformed(field, f"has a part {min(unknown)[:20]} that no rule knows")
    if parts.get("FREQ") in _OTHER_FREQUENCIES:
        raise _unsupported(field, "must be WEEKLY")
    if parts.get("FREQ") != "WEEKLY":
        raise _malformed(field, "must begin with FREQ=WEEKLY")


def _interval(value: str, field: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", value) or not int(value):
        raise _malformed(field, "has an INTERVAL that is no number of weeks")
    if int(value) > _LONGEST_INTERVAL:
        raise _unsupported(field, f"may skip no more than {_LONGEST_INTERVAL} weeks")
    return int(value)


def _weekdays(value: str, field: str) -> tuple[int, ...]:
    days = value.split(",")
    if any(re.fullmatch(r"[+-]?[0-9]{1,2}(MO|TU|WE|TH|FR|SA|SU)", day) for day in days):
        raise _unsupported(field, "may not count weekdays")
    if not set(days) <= set(_WEEKDAYS):
        raise _malformed(field, "has a weekday that is none of MO, TU, WE, TH, FR, SA, SU")
    return tuple(sorted({_WEEKDAYS.index(day) for day in days}))


def _until(value: str, field: str) -> date:
    if re.fullmatch(r"[0-9]{8}T[0-9]{6}Z?", value):
        raise _unsupported(field, "must have an UNTIL that is a day such as 20270331")
    try:
        return parse_date(f"{value[:4]}-{value[4:6]}-{value[6:]}", field)
    except InvalidArgument:
        raise _malformed(field, "has an UNTIL that is no day such as 20270331") from None


def _malformed(field: str, message: str) -> InvalidArgument:
    return InvalidArgument(field, message, reason="MALFORMED_RRULE")


def _unsupported(field: str, message: str) -> InvalidArgument:
    return InvalidArgument(field, message, reason="RRULE_NOT_SUPPORTED")
