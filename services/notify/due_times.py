"""When a reminder is due. Pure."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

DAY = 24 * 60


def due_time(start: datetime, zone: str, offset_minutes: int) -> datetime:
    """So many minutes before a class that starts then, there.

    Whole days mean the same wall time so many days before; less, or days and hours, is absolute. A wall time that does
    not exist is read as the one an hour later, one that happens twice as its first.
    """
    if offset_minutes % DAY:
        return start - timedelta(minutes=offset_minutes)
    local = start.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    wall = local - timedelta(minutes=offset_minutes)
    return wall.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)
