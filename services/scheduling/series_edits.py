"""Edits of a series: all of it, or this and following. "This one" is a change of the session, in `class_sessions`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import update

from powerhouse.scheduling.v1.events_pb2 import ClassSessionState
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, InvalidArgument
from services.scheduling import (
    catalogue,
    class_schedules,
    class_sessions,
    planning,
    recurrence,
    replanning,
    session_events,
    studios,
)
from services.scheduling.class_schedules import Located, NewSchedule
from services.scheduling.models import ClassSchedule, ClassSession, ScheduleConflict, SkippedDate
from services.scheduling.planning import Candidate
from services.scheduling.timetable import Plan

_COPIED = (
    *("display_name", "class_type_id", "room_id", "instructor_id", "rrule", "end_date", "local_time"),
    *("duration_minutes", "capacity"),
)
_A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Preview:
    """What an edit would do."""

    changed: int
    cancelled: int
    kept: int
    new_dates: int
    # Changed sessions, as they would be, that something is in the way of.
    conflicts: list[Candidate]
    # All that it would change or cancel, as cancelled ones: whoever holds a place in them is affected.
    affected: list[ClassSessionState]


async def edit(
    tx: UnitOfWork, schedule_id: UUID, etag: str, from_date: date | None, changes: Mapping[str, Any]
) -> Located:
    """Sets columns of the schedule, from a date on if there is one, and has its planned sessions follow.

    Answers the schedule that they belong to from then on. Raises as `class_schedules.update_one`, AlreadyExists
    SESSION_OVERLAP, and with a date FailedPrecondition DATE_NOT_IN_SERIES, SESSION_IN_PAST, TOO_MANY_CLASS_SCHEDULES.
    """
    schedule, plan = await _rewrite(tx, schedule_id, etag, from_date, changes)
    await replanning.carry_out(tx, await replanning.decide(tx, schedule, plan))
    return Located(schedule, plan.location)


async def preview(
    tx: UnitOfWork, schedule_id: UUID, etag: str, from_date: date | None, changes: Mapping[str, Any]
) -> Preview:
    """What `edit` would do, by changing the schedule and taking it back. Ends the transaction.

    Raises as `edit`, but for SESSION_OVERLAP.
    """
    schedule, plan = await _rewrite(tx, schedule_id, etag, from_date, changes)
    found = await replanning.decide(tx, schedule, plan)
    outcome = await planning.decide(tx, await studios.get(tx), schedule_id=schedule.id)
    affected = [session_events.state(entry) for entry, _ in found.changed]
    affected += [session_events.state(entry) for entry in found.cancelled]
    for state in affected:
        state.cancelled = True
    made = Preview(
        changed=len(found.changed),
        cancelled=len(found.cancelled),
        kept=found.kept,
        new_dates=len(outcome.candidates),
        conflicts=[candidate for _, candidate in found.changed if candidate.clashes],
        affected=affected,
    )
    await tx.session.rollback()
    return made


async def _rewrite(
    tx: UnitOfWork, schedule_id: UUID, etag: str, from_date: date | None, changes: Mapping[str, Any]
) -> tuple[ClassSchedule, Plan]:
    """Writes schedules, not sessions yet. Answers the one that the edit is about, with what its sessions are to be."""
    schedule = await catalogue.open_for_change(tx, ClassSchedule, schedule_id, etag)
    if from_date is None:
        return await _rewrite_all(tx, schedule, changes)
    first = await _check_date(tx, schedule, from_date)
    if all(getattr(schedule, field) == value for field, value in changes.items()):
        return schedule, await _plan(tx, schedule)
    end = changes.get("end_date")
    if end is not None and end < from_date:
        if end < from_date - _A_DAY:
            raise InvalidArgument("edit.end_date", "is before the day before from_date", reason="END_BEFORE_START")
        return await _end(tx, schedule, None if first else end)
    return await (_rewrite_all(tx, schedule, changes) if first else _split(tx, schedule, from_date, changes))


async def _rewrite_all(
    tx: UnitOfWork, schedule: ClassSchedule, changes: Mapping[str, Any]
) -> tuple[ClassSchedule, Plan]:
    await class_schedules.update_one(tx, schedule.id, "", dict(changes))
    return schedule, await _plan(tx, schedule)


async def _end(tx: UnitOfWork, schedule: ClassSchedule, last: date | None) -> tuple[ClassSchedule, Plan]:
    """Ends the schedule with a day, or altogether."""
    tx.note_change("end_date", schedule.end_date, last)
    if last is None:
        schedule.archive_time = tx.now()
    else:
        schedule.end_date = last
    schedule.touch(tx.now())
    await tx.session.flush()
    return schedule, await _plan(tx, schedule)


async def _split(
    tx: UnitOfWork, schedule: ClassSchedule, from_date: date, changes: Mapping[str, Any]
) -> tuple[ClassSchedule, Plan]:
    """A new schedule of the series takes over what the old one has from the date on."""
    await class_schedules.check_room_for_one_more(tx)
    copied = {field: getattr(schedule, field) for field in _COPIED}
    successor, plan = await class_schedules.make(tx, NewSchedule(**{**copied, **changes, "start_date": from_date}))
    successor.series_id = schedule.series_id
    tx.session.add(successor)
    schedule.end_date = from_date - _A_DAY
    schedule.touch(tx.now())
    await tx.session.flush()
    for kind in (ClassSession, SkippedDate, ScheduleConflict):
        await tx.session.execute(
            update(kind)
            .where(kind.tenant_id == tx.tenant, kind.schedule_id == schedule.id, kind.original_date >= from_date)
            .values(schedule_id=successor.id)
            .execution_options(synchronize_session=False)
        )
    tx.note_change("continued_from", schedule.id, successor.id)
    return successor, plan


async def _check_date(tx: UnitOfWork, schedule: ClassSchedule, from_date: date) -> bool:
    """Whether it is the first date of the schedule. Raises FailedPrecondition DATE_NOT_IN_SERIES, SESSION_IN_PAST."""
    rule = recurrence.read(schedule.rrule, schedule.start_date, schedule.end_date, "rrule")
    if not rule.has(from_date):
        raise FailedPrecondition(
            "the schedule does not have that date",
            reason="DATE_NOT_IN_SERIES",
            metadata={"class_schedule": schedule.name, "from_date": from_date.isoformat()},
        )
    zone = ZoneInfo((await _plan(tx, schedule)).location.time_zone)
    class_sessions.check_ahead(tx, recurrence.instant_of(datetime.combine(from_date, schedule.local_time), zone))
    return not rule.dates(schedule.start_date, from_date)


async def _plan(tx: UnitOfWork, schedule: ClassSchedule) -> Plan:
    return await class_sessions.load_plan(tx, schedule.class_type_id, schedule.room_id, schedule.instructor_id)
