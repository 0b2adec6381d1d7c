"""Time. Business rules read the Clock they are given; leases, tokens and back-off read real time."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """Business time."""

    def now(self) -> datetime:
        """The current instant, aware, in UTC."""
        ...


class SystemClock:
    """The machine's time."""

    def now(self) -> datetime:
        return real_now()


class OffsetClock:
    """The machine's time plus an offset in seconds, read from a file that all processes of a test run share."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def now(self) -> datetime:
        try:
            offset = float(self._path.read_text(encoding="ascii") or 0)
        except FileNotFoundError:
            offset = 0.0
        return real_now() + timedelta(seconds=offset)


def real_now() -> datetime:
    """Real time, aware, in UTC: for leases, token lifetimes, signatures, back-off and book-keeping."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds that only grow: for measuring how long something took."""
    return time.monotonic()


def make_clock(offset_file: Path | None, *, production: bool) -> Clock:
    """The business clock of this process. An offset file is refused in production."""
    if offset_file is None:
        return SystemClock()
    if production:
        raise ValueError("POWERHOUSE_CLOCK_FILE is refused in production")
    return OffsetClock(offset_file)
