"""What generation decides: which dates the schedules have within the horizon, and what stands in the way of each."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import InvalidArgument
from services.chassis.ids import new_id
from services.scheduling import generation_inputs, recurrence
from services.scheduling.clashes import Clash, Closed, Hours, Occupied
from services.scheduling.generation_inputs import Inputs
from services.scheduling.generation_targets import Target
from services.scheduling.models import Studio
from services.scheduling.recurrence import instant_of, wall_of


@dataclass(slots=True)
class Candidate:
    """A date of a schedule, and what came of it: planned while nothing clashes."""

    target: Target
    # The session's, if it is planned.
    id: UUID
    original_date: date
    start: datetime
    end: datetime
    clashes: list[Clash] = field(default_factory=list)

    @property
    def closed(self) -> bool:
        """Skipped, as wanted: nobody has to decide."""
        return any(clash.kind == "CLOSURE" for clash in self.clashes)


@dataclass(slots=True)
class Outcome:
    """What a generation comes to, before anything is written."""

    targets: Sequence[Target]
    # By start.
    candidates: list[Candidate]
    existing: int
    # Schedules that nothing can be generated for, with the reason.
    unserved: list[tuple[Target, str]]
    # All dates that were looked at lie from `first` to `last`.
    first: date
    last: date


async def decide(
    tx: UnitOfWork, studio: Studio, targets: Sequence[Target] | None = None, *, schedule_id: UUID | None = None
) -> Outcome:
    """What would come now of all schedules, of the given one, or of targets that may not be stored yet.

    Writes nothing.
    """
    # Every zone is within a day of UTC, and a class may last until the next day.
    first = tx.now().date() - timedelta(days=2)
    last = first + timedelta(weeks=studio.generation_weeks, days=5)
    inputs = await generation_inputs.read(tx, schedule_id, first, last)
    outcome = Outcome(inputs.targets if targets is None else targets, [], 0, [], first, last)
    for target in outcome.targets:
        known = inputs.known.get(target.id, set())
        if reason := target.unserved or _add(outcome, target, known, tx.now(), studio.generation_weeks):
            outcome.unserved.append((target, reason))
    if outcome.candidates:
        # Ids in the order of schedules and dates, candidates in that of time: who comes first gets the place.
        first_id = new_id().int
        for number, candidate in enumerate(outcome.candidates):
            candidate.id = UUID(int=first_id + number)
        # Stable: at the same time the older schedule.
        outcome.candidates.sort(key=lambda candidate: candidate.start)
        await _find_clashes(tx, outcome.candidates, inputs)
    return outcome


def _add(outcome: Outcome, target: Target, known: Collection[date], now: datetime, weeks: int) -> str:
    """Adds the dates that the schedule has within the horizon: from the wall time of now to the same one `weeks` later.

    The end is open. Answers why it cannot; one schedule that nobody can read must not stop the others.
    """
    try:
        zone = ZoneInfo(target.time_zone)
        rule = recurrence.read(target.rrule, target.start_date, target.end_date, "rrule")
    except (InvalidArgument, ZoneInfoNotFoundError):
        return "RULE_UNREADABLE"
    begin = wall_of(now, zone)
    end, length = begin + timedelta(weeks=weeks), timedelta(minutes=target.duration_minutes)
    for day in rule.dates(begin.date(), end.date() + timedelta(days=1)):
        wall = datetime.combine(day, target.local_time)
        if not begin <= wall < end:
            continue
        if day in known:
            outcome.existing += 1
        # For an hour that happens twice.
        elif (start := instant_of(wall, zone)) > now:
            outcome.candidates.append(Candidate(target, target.id, day, start, start + length))
    return ""


async def _find_clashes(tx: UnitOfWork, candidates: Sequence[Candidate], inputs: Inputs) -> None:
    who = {each.target.room_id for each in candidates} | {each.target.instructor_id for each in candidates}
    taken = await generation_inputs.occupied(tx, who, candidates[0].start, max(each.end for each in candidates))
    for candidate in candidates:
        target = candidate.target
        hours = inputs.hours.get(target.instructor_id)
        candidate.clashes = list(clashes_of(candidate, taken, inputs.closures, hours))
        # What is not planned is in nobody's way.
        if not candidate.clashes:
            taken.add(target.room_id, candidate.start, candidate.end, candidate.id)
            taken.add(target.instructor_id, candidate.start, candidate.end, candidate.id)


def clashes_of(
    candidate: Candidate, taken: Occupied, closures: Sequence[Closed], hours: Hours | None
) -> Iterator[Clash]:
    """What is in the way of a candidate: a closure, else all of the rest."""
    target = candidate.target
    if closures or hours:
        zone = ZoneInfo(target.time_zone)
        begin, end = wall_of(candidate.start, zone), wall_of(candidate.end, zone)
        for closure in closures:
            if closure.touches(target.location_id, begin, end):
                yield Clash("CLOSURE", closure=closure.id)
                return
    if other := taken.by(target.room_id, candidate.start, candidate.end):
        yield Clash("ROOM_TAKEN", class_session=other)
    if other := taken.by(target.instructor_id, candidate.start, candidate.end):
        yield Clash("INSTRUCTOR_TAKEN", class_session=other)
    if hours and not hours.cover(begin, end):
        yield Clash("INSTRUCTOR_UNAVAILABLE")
    if target.capacity > target.room_capacity:
        yield Clash("CAPACITY_ABOVE_ROOM")
