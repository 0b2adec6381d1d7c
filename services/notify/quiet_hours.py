"""Quiet hours: the part of each day in which a person wants no message. Pure.

They are wall times of the person's zone, from the start to before the end. On a day on which the clocks change, a start
or an end that happens twice or never is read so that the quiet is the longer one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

# How long before quiet hours a message leaves that cannot wait for their end: time enough to be sent a little late.
BEFOREHAND = timedelta(minutes=15)


@dataclass(frozen=True)
class QuietHours:
    """Wall times, to the minute; `end` may be on the next day. They differ."""

    start: time
    end: time


def send_time(
    due: datetime, useful_until: datetime, quiet: QuietHours | None, zone: str, *, earliest: datetime | None = None
) -> datetime | None:
    """When a message that is due then may leave: at once, after the quiet hours, or before they begin; None for never.

    It leaves before `useful_until` and not before `earliest`, which is now and without which the past is open too. What
    would be of no use any more after the quiet hours leaves shortly before they begin, if that is still ahead.
    """
    moment = max(due, earliest) if earliest else due
    if moment >= useful_until:
        return None
    begin = None
    while quiet and (night := _night(moment, quiet, zone)):
        begin, moment = begin or night[0], night[1]
    if moment < useful_until:
        return moment
    return _before(begin, earliest, quiet, zone) if begin and quiet else None


def is_quiet(instant: datetime, quiet: QuietHours | None, zone: str) -> bool:
    """Whether the instant lies in the quiet hours."""
    return quiet is not None and _night(instant, quiet, zone) is not None


def _before(begin: datetime, earliest: datetime | None, quiet: QuietHours, zone: str) -> datetime | None:
    """The last good moment before quiet hours that begin then; None when it is over."""
    moment = begin - BEFOREHAND
    if earliest:
        moment = max(moment, earliest)
    # The night before may end later than that.
    while moment < begin and (night := _night(moment, quiet, zone)):
        moment = night[1]
    return moment if moment < begin else None


def _night(instant: datetime, quiet: QuietHours, zone: str) -> tuple[datetime, datetime] | None:
    """Begin and end, in UTC, of the quiet hours around the instant."""
    today = instant.astimezone(ZoneInfo(zone)).date()
    for days in (-2, -1, 0, 1):
        begin = min(_readings(today + timedelta(days), quiet.start, zone))
        end = max(_readings(today + timedelta(days + (quiet.end <= quiet.start)), quiet.end, zone))
        if begin <= instant < end:
            return begin, end
    return None


def _readings(day: date, wall: time, zone: str) -> Iterator[datetime]:
    """The instants that a wall time of a day may mean: the same one twice, but where the clocks change."""
    for fold in (0, 1):
        yield datetime.combine(day, wall, ZoneInfo(zone)).replace(fold=fold).astimezone(UTC)
