"""What generation decides: which dates the schedules have within the horizon, and what stands in the way of each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import InvalidArgument
from services.chassis.ids import new_id
from services.scheduling import generation_inputs, recurrence
from services.scheduling.clashes import Clash, Closed, Hours, Occupied
from services.scheduling.generation_inputs import Target
from services.scheduling.models import ClassSchedule, Studio
from services.scheduling.recurrence import instant_of, wall_of
from services.scheduling.timetable import Plan


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


async def decide(tx: UnitOfWork, studio: Studio, targets: Sequence[Target]) -> Outcome:
    """What would come of the targets now. Reads everything and writes nothing."""
    # Every zone is within a day of UTC.
    first = tx.now().date() - timedelta(days=1)
    last = first + timedelta(weeks=studio.generation_weeks, days=2)
    outcome = Outcome(targets, [], 0, [], first, last)
    known = await generation_inputs.keys(tx, first, last)
    for target in targets:
        if reason := _unserved(target.plan) or _add(outcome, target, known, tx.now(), studio.generation_weeks):
            outcome.unserved.append((target, reason))
    if outcome.candidates:
        # Ids in the order of schedules and dates, candidates in that of time: who comes first gets the place.
        ids = sorted(new_id() for _ in outcome.candidates)
        for candidate, session_id in zip(outcome.candidates, ids, strict=True):
            candidate.id = session_id
        outcome.candidates.sort(key=lambda candidate: (candidate.start, candidate.id))
        await _find_clashes(tx, outcome)
    return outcome


def _unserved(plan: Plan) -> str:
    """Why nothing can be made of it any more; empty when it can."""
    parts = (
        (plan.room, "ROOM_DELETED"),
        (plan.location, "LOCATION_DELETED"),
        (plan.instructor, "INSTRUCTOR_DELETED"),
        (plan.class_type, "CLASS_TYPE_DELETED"),
    )
    for part, reason in parts:
        if part.archive_time is not None:
            return reason
    taught = plan.instructor.class_type_ids
    return "CLASS_TYPE_NOT_TAUGHT" if taught and plan.class_type.id not in taught else ""


def _add(outcome: Outcome, target: Target, known: generation_inputs.Keys, now: datetime, weeks: int) -> str:
    """Adds the dates that the schedule has within the horizon: from the wall time of now to the same one `weeks` later.

    The end is open. Answers why it cannot; one schedule that nobody can read must not stop the others.
    """
    schedule = target.schedule
    try:
        zone = ZoneInfo(target.plan.location.time_zone)
        found = list(_dates(schedule, zone, now, weeks))
    except (InvalidArgument, ZoneInfoNotFoundError):
        return "RULE_UNREADABLE"
    length = timedelta(minutes=schedule.duration_minutes)
    for day, start in found:
        if (schedule.id, day) in known:
            outcome.existing += 1
        else:
            outcome.candidates.append(Candidate(target, schedule.id, day, start, start + length))
    return ""


def _dates(schedule: ClassSchedule, zone: ZoneInfo, now: datetime, weeks: int) -> Iterator[tuple[date, datetime]]:
    rule = recurrence.parse(schedule.rrule, schedule.start_date, schedule.end_date, "rrule")
    begin = wall_of(now, zone)
    end = begin + timedelta(weeks=weeks)
    for day in rule.dates(begin.date(), end.date() + timedelta(days=1)):
        wall = datetime.combine(day, schedule.local_time)
        # The second check is for an hour that happens twice.
        if begin <= wall < end and (start := instant_of(wall, zone)) > now:
            yield day, start


async def _find_clashes(tx: UnitOfWork, outcome: Outcome) -> None:
    candidates = outcome.candidates
    # A day longer on both sides than any wall time of them.
    first, last = outcome.first - timedelta(days=1), outcome.last + timedelta(days=1)
    taken = await generation_inputs.occupied(tx, candidates[0].start, max(each.end for each in candidates))
    closures = await generation_inputs.closures(tx, first, last)
    instructors = {target.schedule.instructor_id for target in outcome.targets}
    hours = await generation_inputs.hours(tx, list(instructors), first, last)
    for candidate in candidates:
        schedule, plan = candidate.target.schedule, candidate.target.plan
        span = (candidate.start, candidate.end)
        found = list(clashes_of(plan, schedule.capacity, span, taken, closures, hours.get(schedule.instructor_id)))
        # Where the studio is closed, nothing else has to be decided.
        candidate.clashes = [clash for clash in found if clash.kind == "CLOSURE"] or found
        # What is not planned is in nobody's way.
        if not candidate.clashes:
            for who in (schedule.room_id, schedule.instructor_id):
                taken.add(who, *span, candidate.id)


def clashes_of(
    plan: Plan,
    capacity: int,
    span: tuple[datetime, datetime],
    taken: Occupied,
    closures: Sequence[Closed],
    hours: Hours | None,
) -> Iterator[Clash]:
    """All that is in the way of a session made of `plan`, from and to the two instants; at most one closure."""
    if closures or hours:
        zone = ZoneInfo(plan.location.time_zone)
        begin, end = wall_of(span[0], zone), wall_of(span[1], zone)
        closed = (each for each in closures if each.touches(plan.location.id, begin, end))
        if closure := next(closed, None):
            yield Clash("CLOSURE", closure=closure.id)
    if other := taken.by(plan.room.id, *span):
        yield Clash("ROOM_TAKEN", class_session=other)
    if other := taken.by(plan.instructor.id, *span):
        yield Clash("INSTRUCTOR_TAKEN", class_session=other)
    if hours and not hours.cover(begin, end):
        yield Clash("INSTRUCTOR_UNAVAILABLE")
    if capacity > plan.room.capacity:
        yield Clash("CAPACITY_ABOVE_ROOM")
