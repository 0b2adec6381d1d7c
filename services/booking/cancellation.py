"""The cancellation rule: until when giving a place back costs nothing."""

from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

_DAY = 24 * 60


class Deadlines(Protocol):
    """What a booking's deadline follows from."""

    @property
    def start_time(self) -> datetime: ...
    @property
    def time_zone(self) -> str: ...
    @property
    def cancellation_window_minutes(self) -> int: ...
    @property
    def free_decline_time(self) -> datetime | None: ...


def policy_deadline(start: datetime, time_zone: str, window_minutes: int) -> datetime:
    """The last instant at which cancelling is free by the policy: the window before the start, in UTC.

    Whole days mean the same wall time at the location that many days before, also across a change of the clocks (a
    wall time that does not exist moves forward, one that exists twice is the first); any other window is absolute.
    """
    zone = ZoneInfo(time_zone)
    if window_minutes and window_minutes % _DAY == 0:
        wall = start.astimezone(zone).replace(tzinfo=None, fold=0) - timedelta(minutes=window_minutes)
        return wall.replace(tzinfo=zone).astimezone(ZoneInfo("UTC"))
    return start - timedelta(minutes=window_minutes)


def free_cancel_until(booking: Deadlines) -> datetime:
    """The last instant at which giving a booking back is free: the policy's, or later for who was promoted late.

    Exactly then it still is.
    """
    deadline = policy_deadline(booking.start_time, booking.time_zone, booking.cancellation_window_minutes)
    return max(deadline, booking.free_decline_time or deadline)
