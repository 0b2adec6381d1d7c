"""What scheduling tells the mesh of its sessions: the whole state after each change."""

from collections.abc import Sequence

from sqlalchemy import update

from powerhouse.scheduling.v1.events_pb2 import ClassSessionChanged, ClassSessionState
from services.chassis.db.unit_of_work import UnitOfWork
from services.scheduling import timetable
from services.scheduling.models import Catalogued, ClassSession
from services.scheduling.timetable import Entry, Plan

AGGREGATE = "class_session"


async def publish(tx: UnitOfWork, entry: Entry, change: ClassSessionChanged.Change.ValueType) -> None:
    """Tells the session's state as of its present version."""
    await tx.publish(
        ClassSessionChanged(change=change, class_session=state(entry)),
        aggregate=AGGREGATE,
        aggregate_id=entry.session.id,
        version=entry.session.version,
    )


async def publish_all(tx: UnitOfWork, changed: Sequence[tuple[Entry, ClassSessionChanged.Change.ValueType]]) -> None:
    """The same for many in one round trip."""
    await tx.publish_all(
        [
            (
                ClassSessionChanged(change=change, class_session=state(entry)),
                entry.session.id,
                entry.session.version,
            )
            for entry, change in changed
        ],
        aggregate=AGGREGATE,
    )


async def republish_users(tx: UnitOfWork, row: Catalogued) -> None:
    """Something shown of the row has changed: a new version and state of every session that uses it and is not over."""
    await tx.session.flush()
    changed = await tx.session.scalars(
        update(ClassSession)
        .where(timetable.still_to_come(tx), timetable.uses(row))
        .values(version=ClassSession.version + 1, update_time=tx.now())
        .returning(ClassSession.id)
        .execution_options(synchronize_session=False)
    )
    entries = await timetable.list_some(tx, changed.all())
    await publish_all(tx, [(entry, ClassSessionChanged.DETAILS_CHANGED) for entry in entries])


def state(entry: Entry) -> ClassSessionState:
    """All that a projection needs."""
    session = entry.session
    message = plan_state(entry.plan)
    message.class_session_id = str(session.id)
    message.version, message.time_version = session.version, session.time_version
    message.start_time.FromDatetime(session.start_at)
    message.end_time.FromDatetime(session.end_at)
    message.capacity, message.cancelled = session.capacity, session.cancelled
    message.update_time.FromDatetime(session.update_time)
    return message


def plan_state(plan: Plan) -> ClassSessionState:
    """What all sessions that are made of the same have in common."""
    return ClassSessionState(
        class_type_id=str(plan.class_type.id),
        class_type_display_name=plan.class_type.display_name,
        room_id=str(plan.room.id),
        room_display_name=plan.room.display_name,
        location_id=str(plan.location.id),
        location_display_name=plan.location.display_name,
        instructor_id=str(plan.instructor.id),
        instructor_display_name=plan.instructor.display_name,
        instructor_account_id=str(plan.instructor.account_id or ""),
        time_zone=plan.location.time_zone,
        spots=plan.room.spots,
        currency_code=plan.currency_code,
    )
