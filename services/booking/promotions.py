"""Whom a free place goes to, and until when: the rules of the waitlist, without I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from services.booking.cancellation import policy_deadline

_UTC = ZoneInfo("UTC")
# Who has a place at that time already cannot use another one, and leaves the line.
LEAVES = {"ALREADY_BOOKED", "OVERLAPPING_BOOKING"}


class Line(Protocol):
    """A session and the policy in force, as far as its line depends on them. Windows are minutes."""

    @property
    def start_time(self) -> datetime: ...
    @property
    def time_zone(self) -> str: ...
    @property
    def waitlist_mode(self) -> str: ...
    @property
    def waitlist_cutoff_minutes(self) -> int: ...
    @property
    def waitlist_offer_minutes(self) -> int: ...
    @property
    def quiet_start_minute(self) -> int: ...
    @property
    def quiet_end_minute(self) -> int: ...
    @property
    def cancellation_window_minutes(self) -> int: ...
    @property
    def late_promotion_decline_minutes(self) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An entry in line with what decides about it."""

    entry: UUID
    client: UUID
    hold: UUID
    # A place is held for it already.
    offered: bool
    displaced: bool
    # What it says now.
    passed_over: str
    # What the client's bookings say: a code of LEAVES.
    conflict: str | None
    # What the studio's caps and its waiver say.
    terms: str | None
    archived: bool
    # Another class at the same time is on offer to the client.
    offered_elsewhere: bool
    # Whether the package that the credit is from pays for this class.
    usable: bool

    def hindrance(self) -> str:
        """Why a place cannot go to it, UPPER_SNAKE; empty when it can.

        Whose place was taken away had paid for this class already, whatever became of the package since.
        """
        if self.conflict:
            return self.conflict
        if self.archived:
            return "CLIENT_ARCHIVED"
        if not self.usable and not self.displaced:
            return "PACKAGE_NOT_USABLE"
        if self.offered_elsewhere:
            return "OFFERED_ELSEWHERE"
        return self.terms or ""

    def can_have_place(self) -> bool:
        return not self.offered and not self.hindrance()


@dataclass(frozen=True)
class Decision:
    """What becomes of an entry when places are given out."""

    candidate: Candidate
    # From 1, among those in line.
    position: int
    # Where a place goes to it, what was said to `decide`; else its hindrance.
    outcome: str


def decide(candidates: Sequence[Candidate], places: int, given: str) -> list[Decision]:
    """Gives `places` to the first who can have one, in the order of the line; says of everybody before them why not.

    Who leaves the line is found wherever they stand, and an offer to them is free again.
    """
    places += sum(candidate.offered for candidate in candidates if candidate.conflict)
    decisions = []
    for position, candidate in enumerate(candidates, start=1):
        hindrance = candidate.hindrance()
        if hindrance in LEAVES:
            decisions.append(Decision(candidate, position, hindrance))
        elif places > 0 and not candidate.offered:
            places -= not hindrance
            decisions.append(Decision(candidate, position, hindrance or given))
    return decisions


def close_time(line: Line) -> datetime:
    """From then on nobody is promoted: the cut-off, or the start of quiet hours that last until it.

    So nobody goes to bed waiting for a place that cannot come any more, and it is open to whoever books first.
    """
    cutoff = policy_deadline(line.start_time, line.time_zone, line.waitlist_cutoff_minutes)
    quiet = _quiet_hours(line, cutoff - timedelta(microseconds=1))
    return quiet[0] if quiet else cutoff


def quiet_until(line: Line, now: datetime) -> datetime | None:
    """The end of the quiet hours in which `now` is; None outside them."""
    quiet = _quiet_hours(line, now)
    return quiet[1] if quiet else None


def offer_expire_time(line: Line, now: datetime) -> datetime:
    """Until when a place offered now is held."""
    return min(now + timedelta(minutes=line.waitlist_offer_minutes), close_time(line))


def free_decline_time(line: Line, now: datetime) -> datetime | None:
    """Until when who is promoted now may give the place back for nothing; None when the policy's deadline is later."""
    decline = min(line.start_time, now + timedelta(minutes=line.late_promotion_decline_minutes))
    deadline = policy_deadline(line.start_time, line.time_zone, line.cancellation_window_minutes)
    return decline if decline > deadline else None


def _quiet_hours(line: Line, at: datetime) -> tuple[datetime, datetime] | None:
    """The quiet hours [start, end) that hold an instant; they may have begun the day before at the location."""
    start, end = line.quiet_start_minute, line.quiet_end_minute
    if start == end:
        return None
    zone = ZoneInfo(line.time_zone)
    today = at.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        span = _wall(day, start, zone), _wall(day + timedelta(days=end < start), end, zone)
        if span[0] <= at < span[1]:
            return span
    return None


def _wall(day: date, minute: int, zone: ZoneInfo) -> datetime:
    """A wall time as an instant: one that does not exist moves forward, one that exists twice is the first."""
    return datetime.combine(day, time(minute // 60, minute % 60), tzinfo=zone).astimezone(_UTC)
