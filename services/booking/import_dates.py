"""Dates and times as files spell them. No I/O.

Clear by themselves: `2026-04-03`, `2026/04/03`, `3.4.2026` (day first) and `3 Apr 2026`. `3/4/2026` and `3-4-2026` need
the order of day and month, given or found out by a date of the file that is possible in one order only. Two-digit years
are refused. Times: `18:30`, `18.30`, `18:30:00`, `6:30 PM`, `18:30 Uhr`.
"""

import re
from collections.abc import Iterable
from datetime import date, time

DAY_FIRST, MONTH_FIRST, UNKNOWN = "DAY_FIRST", "MONTH_FIRST", "DATE_ORDER_UNSPECIFIED"

_YEAR_FIRST = re.compile(r"^(\d{4})([-/.])(\d{1,2})\2(\d{1,2})$")
_YEAR_LAST = re.compile(r"^(\d{1,2})([-/.])(\d{1,2})\2(\d{4})$")
_IN_WORDS = re.compile(r"^(\d{1,2})\.? ([^\W\d]{3})[^\W\d]*\.? (\d{4})$")
_TIME = re.compile(r"^(\d{1,2})[:.](\d{2})(?:[:.]\d{2})?(?: ?([AaPp])\.?[Mm]\.?)?(?: ?Uhr)?$")
_MONTHS = {
    name: number
    for number, names in enumerate(
        ("jan", "feb", "mar mär", "apr", "may mai", "jun", "jul", "aug", "sep", "oct okt", "nov", "dec dez"), start=1
    )
    for name in names.split()
}


class DateError(ValueError):
    """Not a date that can be read; `args[0]` is DATE_INVALID or DATE_AMBIGUOUS."""


def parse_date(text: str, order: str) -> date:
    """The date. A time behind it is ignored. Raises DateError."""
    text = re.split(r"[T ](?=\d{1,2}[:.]\d{2})", text.strip())[0].rstrip(",")
    if match := _YEAR_FIRST.match(text):
        return _date(int(match[1]), int(match[3]), int(match[4]))
    if match := _IN_WORDS.match(text):
        return _date(int(match[3]), _MONTHS.get(match[2].lower(), 0), int(match[1]))
    match = _YEAR_LAST.match(text)
    if match is None:
        raise DateError("DATE_INVALID")
    first, second, year = int(match[1]), int(match[3]), int(match[4])
    if match[2] == ".":
        order = DAY_FIRST
    if order == UNKNOWN and first != second:
        if max(first, second) <= 12:
            raise DateError("DATE_AMBIGUOUS")
        order = DAY_FIRST if first > 12 else MONTH_FIRST
    return _date(year, first, second) if order == MONTH_FIRST else _date(year, second, first)


def parse_time(text: str) -> time:
    """The time of day. Raises DateError."""
    match = _TIME.match(text.strip())
    if match is None:
        raise DateError("DATE_INVALID")
    hour, half = int(match[1]), (match[3] or "").lower()
    if half and not 1 <= hour <= 12:
        raise DateError("DATE_INVALID")
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    try:
        return time(hour, int(match[2]))
    except ValueError:
        raise DateError("DATE_INVALID") from None


def order_of(texts: Iterable[str]) -> str:
    """The order of day and month that these dates have in common, as far as they tell."""
    found = set()
    for text in texts:
        match = _YEAR_LAST.match(re.split(r"[T ]", text.strip())[0])
        if match and match[2] != ".":
            first, second = int(match[1]), int(match[3])
            if first > 12 >= second:
                found.add(DAY_FIRST)
            if second > 12 >= first:
                found.add(MONTH_FIRST)
    return found.pop() if len(found) == 1 else UNKNOWN


def _date(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise DateError("DATE_INVALID") from None
