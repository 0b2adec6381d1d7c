"""What an edit of a schedule means for its planned sessions: each follows the schedule as it is now.

Exceptions and cancelled sessions stay as they are, whatever the schedule says.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from powerhouse.scheduling.v1.events_pb2 import ClassSessionChanged
from services.chassis.db.unit_of_work import UnitOfWork
from services.scheduling import class_sessions, obstacles, recurrence, session_events, timetable
from services.scheduling.clashes import Clash
from services.scheduling.generation_targets import Target
from services.scheduling.models import ClassSchedule, ClassSession, ScheduleConflict, SkippedDate
from services.scheduling.planning import Candidate
from services.scheduling.recurrence import instant_of
from services.scheduling.timetable import Entry, Plan

REASON = "Not on the schedule any more"


@dataclass(frozen=True, slots=True)
class Replanning:
    """What becomes of the sessions of a schedule that have not begun."""

    schedule: ClassSchedule
    plan: Plan
    # Each with what it is to be.
    changed: list[tuple[Entry, Candidate]]
    # Those whose date the schedule does not have any more.
    cancelled: list[Entry]
    # How many sessions and dates stay as somebody left them.
    kept: int


async def decide(tx: UnitOfWork, schedule: ClassSchedule, plan: Plan) -> Replanning:
    """Compares planned sessions with the schedule, which may have been changed. Writes nothing."""
    entries = await timetable.list_of_schedule(tx, schedule.id)
    kept = sum(entry.session.series_exception for entry in entries) + await _count_skipped(tx, schedule)
    found = Replanning(schedule, plan, [], [], kept)
    following = [entry for entry in entries if not (entry.session.cancelled or entry.session.series_exception)]
    starts = _starts(schedule, plan, [entry.session.original_date for entry in following])
    target, length = Target.of(schedule, plan), timedelta(minutes=schedule.duration_minutes)
    for entry in following:
        session, day = entry.session, entry.session.original_date
        assert day is not None
        if (start := starts.get(day)) is None:
            found.cancelled.append(entry)
            continue
        if start <= tx.now():
            # At its new time today it would have begun: it keeps the old one.
            start = session.start_at
        candidate = Candidate(target, session.id, day, start, start + length)
        if _differs(session, schedule, candidate):
            found.changed.append((entry, candidate))
    await _find_clashes(tx, found)
    return found


async def _find_clashes(tx: UnitOfWork, found: Replanning) -> None:
    leaving = {entry.session.id for entry in (*found.cancelled, *(entry for entry, _ in found.changed))}
    wanted = sorted((candidate for _, candidate in found.changed), key=lambda candidate: candidate.start)
    await obstacles.find(tx, wanted, leaving)
    for one, other in pairwise(wanted):
        if other.start < one.end:
            other.clashes.append(Clash("ROOM_TAKEN", class_session=one.id))


async def carry_out(tx: UnitOfWork, replanning: Replanning) -> None:
    """Writes all of it and tells each change once. Raises AlreadyExists SESSION_OVERLAP, and then does nothing."""
    for _, candidate in replanning.changed:
        for clash in candidate.clashes:
            if clash.kind in obstacles.OVERLAPS:
                what = "room" if clash.kind == "ROOM_TAKEN" else "instructor"
                raise class_sessions.overlap(tx, what, clash.class_session)
    # All step aside first: one may take the place that another leaves.
    for entry in (*replanning.cancelled, *(entry for entry, _ in replanning.changed)):
        entry.session.cancelled = True
    for entry in replanning.cancelled:
        entry.session.cancel_reason = REASON
        entry.session.touch(tx.now())
    await tx.session.flush()
    told = [(entry, ClassSessionChanged.CANCELLED) for entry in replanning.cancelled]
    for entry, candidate in replanning.changed:
        change = _assign(entry.session, replanning.schedule, candidate)
        entry.session.cancelled = False
        entry.session.touch(tx.now())
        told.append((Entry(entry.session, replanning.plan), change))
    await tx.session.flush()
    await session_events.publish_all(tx, told)
    await _follow(tx, replanning.schedule, replanning.plan)
    for field, number in (("changed", len(replanning.changed)), ("cancelled", len(replanning.cancelled))):
        if number:
            tx.note_change(f"{field}_class_sessions", 0, number)


def _starts(schedule: ClassSchedule, plan: Plan, days: Collection[date | None]) -> dict[date | None, datetime]:
    """When the schedule's sessions of these days begin; of those that it has."""
    wanted = {day for day in days if day is not None}
    if schedule.archive_time is not None or not wanted:
        return {}
    rule = recurrence.read(schedule.rrule, schedule.start_date, schedule.end_date, "rrule")
    zone = ZoneInfo(plan.location.time_zone)
    return {
        day: instant_of(datetime.combine(day, schedule.local_time), zone)
        for day in rule.dates(min(wanted), max(wanted) + timedelta(days=1))
    }


def _differs(session: ClassSession, schedule: ClassSchedule, candidate: Candidate) -> bool:
    return (
        (session.start_at, session.end_at) != (candidate.start, candidate.end)
        or (session.room_id, session.instructor_id) != (schedule.room_id, schedule.instructor_id)
        or (session.class_type_id, session.capacity) != (schedule.class_type_id, schedule.capacity)
    )


def _assign(
    session: ClassSession, schedule: ClassSchedule, candidate: Candidate
) -> ClassSessionChanged.Change.ValueType:
    """Makes the session what it is to be. Answers the change that says most of it."""
    if (session.start_at, session.end_at, session.room_id) != (candidate.start, candidate.end, schedule.room_id):
        change = ClassSessionChanged.MOVED
    elif session.instructor_id != schedule.instructor_id:
        change = ClassSessionChanged.SUBSTITUTED
    elif session.class_type_id != schedule.class_type_id:
        change = ClassSessionChanged.DETAILS_CHANGED
    else:
        change = ClassSessionChanged.CAPACITY_CHANGED
    if session.start_at != candidate.start:
        session.time_version += 1
    session.start_at, session.end_at = candidate.start, candidate.end
    session.room_id, session.instructor_id = schedule.room_id, schedule.instructor_id
    session.class_type_id, session.capacity = schedule.class_type_id, schedule.capacity
    return change


async def _count_skipped(tx: UnitOfWork, schedule: ClassSchedule) -> int:
    skipped = SkippedDate
    query = select(func.count()).where(
        skipped.tenant_id == tx.tenant,
        skipped.schedule_id == schedule.id,
        skipped.original_date >= tx.now().date(),
    )
    return await tx.session.scalar(query) or 0


async def _follow(tx: UnitOfWork, schedule: ClassSchedule, plan: Plan) -> None:
    """Dates in the inbox move with the schedule; those that it does not have any more are cleared."""
    conflict = ScheduleConflict
    query = select(conflict).where(
        conflict.tenant_id == tx.tenant,
        conflict.schedule_id == schedule.id,
        conflict.state != "RESOLVED",
        conflict.start_at > tx.now(),
    )
    waiting = (await tx.session.scalars(query)).all()
    starts, length = _starts(schedule, plan, [each.original_date for each in waiting]), schedule.duration_minutes
    for each in waiting:
        start = starts.get(each.original_date)
        if start is None:
            each.state, each.resolution = "RESOLVED", "CLEARED"
        elif (start, start + timedelta(minutes=length)) != (each.start_at, each.end_at):
            each.start_at, each.end_at = start, start + timedelta(minutes=length)
        else:
            continue
        each.touch(tx.now())
    await tx.session.flush()
