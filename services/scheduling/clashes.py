"""What stands in the way of a session: other sessions, the instructor's availability, closures. Pure."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

_DAY = 24 * 60
_WORDS = {
    "ROOM_TAKEN": "Room is taken",
    "INSTRUCTOR_TAKEN": "Instructor is taken",
    "INSTRUCTOR_UNAVAILABLE": "Instructor is not available",
    "CAPACITY_ABOVE_ROOM": "Room is too small",
    "CLOSURE": "Skipped: Studio closure",
}


@dataclass(frozen=True, slots=True)
class Clash:
    """One thing in the way, by a name of the contract's Clash.Kind, and which session or closure it is."""

    kind: str
    class_session: UUID | None = None
    closure: UUID | None = None

    def as_json(self) -> dict[str, Any]:
        """As it is kept in a row."""
        named = {"class_session": self.class_session, "closure": self.closure}
        return {"kind": self.kind, **{name: str(value) for name, value in named.items() if value}}


def describe(kinds: Iterable[str]) -> str:
    """In words for the owner."""
    return "; ".join(_WORDS[kind] for kind in kinds)


class Occupied:
    """When each room and each instructor is taken. Of one of them no two intervals overlap."""

    def __init__(self) -> None:
        self._starts: dict[UUID, list[datetime]] = defaultdict(list)
        self._taken: dict[UUID, list[tuple[datetime, UUID]]] = defaultdict(list)

    def by(self, who: UUID, start: datetime, end: datetime) -> UUID | None:
        """A session in [start, end), for which the room or instructor `who` is taken."""
        # Of those that begin before the end the last one ends last.
        place = bisect_left(self._starts[who], end) - 1
        if place < 0:
            return None
        ends, session_id = self._taken[who][place]
        return session_id if ends > start else None

    def add(self, who: UUID, start: datetime, end: datetime, session_id: UUID) -> None:
        """Takes an interval that is free."""
        place = bisect_left(self._starts[who], start)
        self._starts[who].insert(place, start)
        self._taken[who].insert(place, (end, session_id))


@dataclass(slots=True)
class Hours:
    """When an instructor can teach, in wall time: weekly windows (without any, always) and dates that are different."""

    # By weekday, 0 for Monday: from and to in minutes of the day.
    windows: Mapping[int, Sequence[tuple[int, int]]] = field(default_factory=dict)
    # First day, last day, from and to in minutes of each.
    away: list[tuple[date, date, int, int]] = field(default_factory=list)
    extra: list[tuple[date, date, int, int]] = field(default_factory=list)

    def cover(self, start: datetime, end: datetime) -> bool:
        """Whether all of [start, end) lies in them."""
        day = datetime.combine(start.date(), datetime.min.time())
        while day < end:
            begins = max(0, int((start - day).total_seconds() // 60))
            ends = min(_DAY, -int((day - end).total_seconds() // 60))
            if not self._cover(day.date(), begins, ends):
                return False
            day += timedelta(days=1)
        return True

    def _cover(self, day: date, begins: int, ends: int) -> bool:
        if any(first <= day <= last and a < ends and b > begins for first, last, a, b in self.away):
            return False
        if not self.windows:
            return True
        extra = [(a, b) for first, last, a, b in self.extra if first <= day <= last]
        reached = begins
        for a, b in sorted([*self.windows.get(day.weekday(), ()), *extra]):
            if a <= reached < b:
                reached = b
        return reached >= ends


@dataclass(frozen=True, slots=True)
class Closed:
    """A closure: of one location, or of all when there is none. `last` is the last day."""

    id: UUID
    location_id: UUID | None
    first: date
    last: date

    def touches(self, location_id: UUID, start: datetime, end: datetime) -> bool:
        """Whether [start, end) in the location's wall time has a part in it."""
        # The end is open: a class until midnight does not reach into the next day.
        return (
            self.location_id in (None, location_id)
            and start.date() <= self.last
            and (end - timedelta(microseconds=1)).date() >= self.first
        )
