"""Writing what generation has decided: a statement for each kind of row, however many there are."""

import json
from itertools import groupby
from typing import Any

from sqlalchemy import text, update

from powerhouse.scheduling.v1.events_pb2 import ClassSessionsScheduled
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import new_id
from services.scheduling import generation_targets, session_events
from services.scheduling.models import ClassSchedule, Studio
from services.scheduling.planning import Candidate, Outcome

_INSERT_SESSIONS = text("""
    INSERT INTO class_sessions (
        tenant_id, id, class_type_id, room_id, instructor_id, start_at, end_at, time_version, capacity, cancelled,
        cancel_reason, schedule_id, original_date, auto_generated, version, create_time, update_time
    )
    SELECT s.tenant_id, n.id, s.class_type_id, s.room_id, s.instructor_id, n.start_at, n.end_at, 1, s.capacity, false,
        '', s.id, n.original_date, true, 1, :now, :now
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:schedules AS uuid[]), CAST(:dates AS date[]), CAST(:starts AS timestamptz[]),
        CAST(:ends AS timestamptz[])
    ) AS n (id, schedule_id, original_date, start_at, end_at)
    JOIN class_schedules s ON s.tenant_id = :tenant AND s.id = n.schedule_id""")
# Keeps what was found and clears what was not found again, of the schedules and dates looked at. A date that clashes as
# before keeps its row and etag; one that was cleared and clashes again is open again.
_SETTLE_CONFLICTS = text("""
    WITH found AS (
        SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS n (
            id uuid, schedule_id uuid, original_date date, start_at timestamptz, end_at timestamptz, clashes jsonb,
            state text
        )
    ), kept AS (
        INSERT INTO schedule_conflicts AS c (
            tenant_id, id, schedule_id, original_date, start_at, end_at, clashes, state, resolution, force_reason,
            version, create_time, update_time
        )
        SELECT :tenant, id, schedule_id, original_date, start_at, end_at, clashes, state, '', '', 1, :now, :now
        FROM found
        ON CONFLICT (tenant_id, original_date, schedule_id) DO UPDATE SET
            start_at = excluded.start_at, end_at = excluded.end_at, clashes = excluded.clashes, state = excluded.state,
            resolution = '', version = c.version + 1, update_time = excluded.update_time
        WHERE (c.start_at, c.end_at, c.clashes, c.state)
            IS DISTINCT FROM (excluded.start_at, excluded.end_at, excluded.clashes, excluded.state)
    )
    UPDATE schedule_conflicts c SET
        state = 'RESOLVED', resolution = 'CLEARED', version = c.version + 1, update_time = :now,
        class_session_id = (
            SELECT s.id FROM class_sessions s
            WHERE s.tenant_id = :tenant AND s.original_date = c.original_date AND s.schedule_id = c.schedule_id
        )
    WHERE c.tenant_id = :tenant AND c.state <> 'RESOLVED' AND c.start_at > :now
        AND c.original_date BETWEEN :first AND :last AND c.schedule_id = ANY (CAST(:served AS uuid[]))
        AND (c.schedule_id, c.original_date) NOT IN (SELECT schedule_id, original_date FROM found)""")


async def write(tx: UnitOfWork, studio: Studio, outcome: Outcome) -> None:
    """Inserts sessions with their events, keeps and clears conflicts, marks schedules. Under the studio's lock."""
    planned = sorted((each for each in outcome.candidates if not each.clashes), key=lambda candidate: candidate.id.int)
    if planned:
        await _insert_sessions(tx, planned)
        await _publish(tx, studio, planned)
    await _settle_conflicts(tx, outcome)
    await _mark(tx, outcome)


async def _insert_sessions(tx: UnitOfWork, planned: list[Candidate]) -> None:
    await tx.session.execute(
        _INSERT_SESSIONS,
        {
            "tenant": tx.tenant,
            "now": tx.now(),
            "ids": [each.id for each in planned],
            "schedules": [each.target.id for each in planned],
            "dates": [each.original_date for each in planned],
            "starts": [each.start for each in planned],
            "ends": [each.end for each in planned],
        },
    )


async def _publish(tx: UnitOfWork, studio: Studio, planned: list[Candidate]) -> None:
    """One event for the new sessions of each schedule, known by the first of them."""
    plans = await generation_targets.plans(tx, studio, {each.target.id for each in planned})
    events = []
    for _, group in groupby(planned, key=lambda candidate: candidate.target.id):
        sessions = list(group)
        target = sessions[0].target
        common = session_events.plan_state(plans[target.id])
        common.version = common.time_version = 1
        common.capacity = target.capacity
        common.update_time.FromDatetime(tx.now())
        event = ClassSessionsScheduled(common=common, duration_minutes=target.duration_minutes)
        for each in sessions:
            event.class_sessions.add(class_session_id=str(each.id)).start_time.FromDatetime(each.start)
        events.append((event, sessions[0].id, 1))
    await tx.publish_all(events, aggregate=session_events.AGGREGATE)


def _conflict(candidate: Candidate) -> dict[str, Any]:
    return {
        "id": str(new_id()),
        "schedule_id": str(candidate.target.id),
        "original_date": candidate.original_date.isoformat(),
        "start_at": candidate.start.isoformat(),
        "end_at": candidate.end.isoformat(),
        "clashes": [clash.as_json() for clash in candidate.clashes],
        "state": "SKIPPED" if candidate.closed else "OPEN",
    }


async def _settle_conflicts(tx: UnitOfWork, outcome: Outcome) -> None:
    unserved = {target.id for target, _ in outcome.unserved}
    await tx.session.execute(
        _SETTLE_CONFLICTS,
        {
            "tenant": tx.tenant,
            "now": tx.now(),
            "first": outcome.first,
            "last": outcome.last,
            "served": [target.id for target in outcome.targets if target.id not in unserved],
            "rows": json.dumps([_conflict(each) for each in outcome.candidates if each.clashes]),
        },
    )


async def _mark(tx: UnitOfWork, outcome: Outcome) -> None:
    """Says at each schedule what keeps it from being generated, and takes back what was said before."""
    reasons = {target.id: reason for target, reason in outcome.unserved}
    for target in outcome.targets:
        if target.attention != (reason := reasons.get(target.id, "")):
            await tx.session.execute(
                update(ClassSchedule)
                .where(ClassSchedule.tenant_id == tx.tenant, ClassSchedule.id == target.id)
                .values(attention=reason, version=ClassSchedule.version + 1, update_time=tx.now())
            )
