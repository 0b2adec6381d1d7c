"""Wall time at a location and the instant it means. Pure."""

import re
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from services.chassis.errors import InvalidArgument

_FORM = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?")
_OFFSET = re.compile(r"(Z|[+-][0-9]{2}:?[0-9]{2})$", re.IGNORECASE)
# Years in which every zone has its rules and no arithmetic overflows.
_YEARS = range(1970, 3000)
# A closure or an absence lasts less.
_LONGEST = timedelta(days=366)
# Files of a machine's zone folder that name no place.
_NO_ZONES = {"localtime", "posixrules", "Factory"}


def check_zone(name: str, field: str) -> None:
    """Raises InvalidArgument for `field` when `name` is no IANA zone."""
    if name not in _zones():
        raise InvalidArgument(field, "is not an IANA time zone such as Europe/Zurich", reason="UNKNOWN_TIME_ZONE")


def check_days(field: str, start_date: date, end_date: date) -> None:
    """Raises InvalidArgument END_BEFORE_START and RANGE_TOO_LONG for `field`."""
    if end_date < start_date:
        raise InvalidArgument(field, "is before the first day", reason="END_BEFORE_START")
    if end_date - start_date >= _LONGEST:
        raise InvalidArgument(field, f"is {_LONGEST.days} days after the first day, or more", reason="RANGE_TOO_LONG")


def to_instant(wall: str, zone: str, field: str) -> datetime:
    """The instant, in UTC, of the wall time `2026-11-23T10:00` (seconds allowed) in the IANA zone `zone`.

    A wall time that a clock change makes happen twice means the first one. Raises InvalidArgument for `field` when
    malformed, when it carries an offset, and (IMPOSSIBLE_LOCAL_TIME) when a clock change skips it.
    """
    if not _FORM.fullmatch(wall):
        if _FORM.match(wall) and _OFFSET.search(wall):
            raise InvalidArgument(
                field, "is wall time at the location and takes no offset", reason="OFFSET_NOT_ALLOWED"
            )
        raise InvalidArgument(field, "must look like 2026-11-23T10:00", reason="MALFORMED_LOCAL_TIME")
    try:
        naive = datetime.fromisoformat(wall)
    except ValueError:
        raise InvalidArgument(field, "is not a date and time of the calendar", reason="MALFORMED_LOCAL_TIME") from None
    if naive.year not in _YEARS:
        raise InvalidArgument(
            field, f"must lie in the years {_YEARS.start} to {_YEARS.stop - 1}", reason="MALFORMED_LOCAL_TIME"
        )
    instant = naive.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    if _wall(instant, zone) != naive:
        raise InvalidArgument(field, f"does not exist in {zone}: clocks skip it", reason="IMPOSSIBLE_LOCAL_TIME")
    return instant


def to_wall(instant: datetime, zone: str) -> str:
    """The wall time of an instant in the IANA zone `zone`: `2026-11-23T10:00`, with seconds where there are some."""
    wall = _wall(instant, zone)
    return wall.isoformat(timespec="seconds" if wall.second else "minutes")


def _wall(instant: datetime, zone: str) -> datetime:
    return instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones() - _NO_ZONES)
