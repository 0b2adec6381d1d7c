"""Conflicts: dates that generation left out, and what the owner decides about them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Select, and_, select, tuple_

from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import DomainError, FailedPrecondition, InvalidArgument, NotFound, check_etag
from services.chassis.ids import new_id
from services.scheduling import catalogue, class_sessions, obstacles, studios
from services.scheduling.generation_targets import Target
from services.scheduling.local_time import to_instant
from services.scheduling.models import (
    ClassSchedule,
    ClassSession,
    Closure,
    Location,
    Room,
    ScheduleConflict,
    SkippedDate,
    resource_name,
)
from services.scheduling.planning import Candidate
from services.scheduling.recurrence import instant_of
from services.scheduling.timetable import Plan

COLLECTION = "scheduleConflicts"


@dataclass(frozen=True, slots=True)
class Case:
    """A conflict with its schedule and where its wall time counts."""

    conflict: ScheduleConflict
    schedule: ClassSchedule
    location: Location


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Skip the date; or plan it, with what is given in place of the schedule's, over soft clashes by a reason."""

    instructor_id: UUID | None = None
    room_id: UUID | None = None
    local_start: str = ""
    skip: bool = False
    force_reason: str = ""

    def check(self) -> None:
        """Raises InvalidArgument NOTHING_TO_RESOLVE."""
        plans = any((self.instructor_id, self.room_id, self.local_start, self.force_reason))
        if plans == self.skip:
            raise InvalidArgument(
                "resolution",
                "give another instructor, room or time, or why to force it; or skip, alone",
                reason="NOTHING_TO_RESOLVE",
            )


async def get(tx: UnitOfWork, conflict_id: UUID) -> Case:
    """Raises NotFound."""
    row = (await tx.session.execute(_cases(tx).where(ScheduleConflict.id == conflict_id))).one_or_none()
    if row is None:
        raise NotFound(resource_name(tx.tenant, COLLECTION, conflict_id))
    return Case(*row)


async def list_page(tx: UnitOfWork, page: Page, *, state: str, schedule_id: UUID | None) -> list[Case]:
    """Those of dates to come in that state, by start."""
    conflict = ScheduleConflict
    query = _cases(tx).where(conflict.state == state, conflict.start_at > tx.now())
    if schedule_id is not None:
        query = query.where(conflict.schedule_id == schedule_id)
    if page.after:
        query = query.where(tuple_(conflict.start_at, conflict.id) > tuple_(*page.after))
    rows = await tx.session.execute(query.order_by(conflict.start_at, conflict.id).limit(page.limit))
    return [Case(*row) for row in rows]


async def resolve(tx: UnitOfWork, conflict_id: UUID, etag: str, decision: Decision) -> Case:
    """Plans the session as an exception of its series, or leaves its date out for good.

    Raises NotFound, Aborted ETAG_MISMATCH, AlreadyExists SESSION_OVERLAP, FailedPrecondition CONFLICT_RESOLVED,
    SESSION_IN_PAST, ARCHIVED, CLASS_TYPE_NOT_TAUGHT, and without a reason to force it STILL_CLOSED, STILL_UNAVAILABLE,
    CAPACITY_ABOVE_ROOM; InvalidArgument NOTHING_TO_RESOLVE and for the wall time.
    """
    decision.check()
    await studios.lock(tx)
    case = await get(tx, conflict_id)
    conflict = case.conflict
    check_etag(etag, conflict.etag)
    if conflict.state == "RESOLVED":
        raise FailedPrecondition(
            "it is resolved already", reason="CONFLICT_RESOLVED", metadata={"schedule_conflict": conflict.name}
        )
    catalogue.require_active(case.schedule)
    if decision.skip:
        class_sessions.check_ahead(tx, conflict.start_at)
        tx.session.add(
            SkippedDate(tenant_id=tx.tenant, original_date=conflict.original_date, schedule_id=conflict.schedule_id)
        )
        conflict.resolution = "SKIPPED_BY_HAND"
    else:
        conflict.class_session_id = await _plan(tx, case, decision)
        conflict.resolution, conflict.force_reason = "PLANNED", decision.force_reason
    tx.note_change(conflict.name, conflict.state, conflict.resolution)
    conflict.state = "RESOLVED"
    conflict.touch(tx.now())
    await tx.session.flush()
    return case


async def resolve_all(
    tx: UnitOfWork, conflict_ids: Sequence[UUID], decision: Decision
) -> list[tuple[UUID, Case | DomainError]]:
    """Decides each the same way and on its own: what came of it, or why not.

    Raises InvalidArgument NOTHING_TO_RESOLVE, and NotFound for a conflict, a room or an instructor that is not there.
    """
    decision.check()
    outcomes: list[tuple[UUID, Case | DomainError]] = []
    for conflict_id in conflict_ids:
        try:
            async with tx.session.begin_nested():
                outcomes.append((conflict_id, await resolve(tx, conflict_id, "", decision)))
        except NotFound:
            raise
        except DomainError as error:
            outcomes.append((conflict_id, error))
    return outcomes


async def _plan(tx: UnitOfWork, case: Case, decision: Decision) -> UUID:
    """The id of the new session."""
    schedule, conflict = case.schedule, case.conflict
    plan = await class_sessions.load_plan(
        tx,
        schedule.class_type_id,
        decision.room_id or schedule.room_id,
        decision.instructor_id or schedule.instructor_id,
    )
    class_sessions.check_plan(plan)
    zone = plan.location.time_zone
    if decision.local_start:
        start = to_instant(decision.local_start, zone, "resolution.local_start")
    else:
        start = instant_of(datetime.combine(conflict.original_date, schedule.local_time), ZoneInfo(zone))
    class_sessions.check_ahead(tx, start)
    end = start + timedelta(minutes=schedule.duration_minutes)
    target = replace(Target.of(schedule, plan), room_id=plan.room.id, instructor_id=plan.instructor.id)
    candidate = Candidate(target, new_id(), conflict.original_date, start, end)
    await obstacles.find(tx, [candidate])
    _refuse(tx, candidate, plan, forced=bool(decision.force_reason))
    session = ClassSession(
        tenant_id=tx.tenant,
        id=candidate.id,
        class_type_id=plan.class_type.id,
        room_id=plan.room.id,
        instructor_id=plan.instructor.id,
        start_at=start,
        end_at=end,
        capacity=schedule.capacity,
        schedule_id=schedule.id,
        original_date=conflict.original_date,
        series_exception=True,
    )
    await class_sessions.add(tx, session, plan)
    return session.id


def _refuse(tx: UnitOfWork, candidate: Candidate, plan: Plan, *, forced: bool) -> None:
    """Raises for the worst of its clashes: an overlap whatever the force, the others without it."""
    for clash in candidate.clashes:
        if clash.kind in obstacles.OVERLAPS:
            what = "room" if clash.kind == "ROOM_TAKEN" else "instructor"
            raise class_sessions.overlap(tx, what, clash.class_session)
    if forced:
        return
    for clash in candidate.clashes:
        if clash.closure is not None:
            name = resource_name(tx.tenant, Closure.COLLECTION, clash.closure)
            raise FailedPrecondition("it is closed then", reason="STILL_CLOSED", metadata={"closure": name})
        if clash.kind == "INSTRUCTOR_UNAVAILABLE":
            raise FailedPrecondition(
                "the instructor is not available then",
                reason="STILL_UNAVAILABLE",
                metadata={"instructor": plan.instructor.name},
            )
    class_sessions.check_fits(candidate.target.capacity, plan.room)


def _cases(tx: UnitOfWork) -> Select[ScheduleConflict, ClassSchedule, Location]:
    schedule = ClassSchedule
    return (
        select(ScheduleConflict, schedule, Location)
        .join(schedule, and_(schedule.tenant_id == tx.tenant, schedule.id == ScheduleConflict.schedule_id))
        .join(Room, and_(Room.tenant_id == tx.tenant, Room.id == schedule.room_id))
        .join(Location, and_(Location.tenant_id == tx.tenant, Location.id == Room.location_id))
        .where(ScheduleConflict.tenant_id == tx.tenant)
    )
