"""The cancellation rule: until when giving a place back costs nothing."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

_DAY = 24 * 60


def free_cancel_until(start: datetime, time_zone: str, window_minutes: int) -> datetime:
    """The last instant at which cancelling is free: the window before the start, in UTC.

    Whole days mean the same wall time at the location that many days before, also across a change of the clocks (a
    wall time that does not exist moves forward, one that exists twice is the first); any other window is absolute.
    """
    zone = ZoneInfo(time_zone)
    if window_minutes and window_minutes % _DAY == 0:
        wall = start.astimezone(zone).replace(tzinfo=None, fold=0) - timedelta(minutes=window_minutes)
        return wall.replace(tzinfo=zone).astimezone(ZoneInfo("UTC"))
    return start - timedelta(minutes=window_minutes)


def is_early(now: datetime, start: datetime, time_zone: str, window_minutes: int) -> bool:
    """Whether cancelling now returns the credit. Exactly at the deadline it still does."""
    return now <= free_cancel_until(start, time_zone, window_minutes)
