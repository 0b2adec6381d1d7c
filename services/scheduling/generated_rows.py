"""Writing what generation has decided: a statement for each kind of row, however many there are."""

import json
from itertools import groupby
from typing import Any

from sqlalchemy import text

from powerhouse.scheduling.v1.events_pb2 import ClassSessionsScheduled
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import new_id
from services.chassis.rpc.codec import to_timestamp
from services.scheduling import session_events
from services.scheduling.models import ClassSession
from services.scheduling.planning import Candidate, Outcome
from services.scheduling.timetable import Entry

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
# A date that clashes as before keeps its row and etag; one that was cleared and clashes again is open again.
_KEEP_CONFLICTS = text("""
    INSERT INTO schedule_conflicts AS c (
        tenant_id, id, schedule_id, original_date, start_at, end_at, clashes, state, resolution, force_reason, version,
        create_time, update_time
    )
    SELECT :tenant, n.id, n.schedule_id, n.original_date, n.start_at, n.end_at, n.clashes, n.state, '', '', 1,
        :now, :now
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS n (
        id uuid, schedule_id uuid, original_date date, start_at timestamptz, end_at timestamptz, clashes jsonb,
        state text
    )
    ON CONFLICT (tenant_id, original_date, schedule_id) DO UPDATE SET
        start_at = excluded.start_at, end_at = excluded.end_at, clashes = excluded.clashes, state = excluded.state,
        resolution = '', version = c.version + 1, update_time = excluded.update_time
    WHERE (c.start_at, c.end_at, c.clashes, c.state)
        IS DISTINCT FROM (excluded.start_at, excluded.end_at, excluded.clashes, excluded.state)""")
# Those of the schedules and dates looked at that were not found again.
_CLEAR_CONFLICTS = text("""
    UPDATE schedule_conflicts c SET
        state = 'RESOLVED', resolution = 'CLEARED', version = c.version + 1, update_time = :now,
        class_session_id = (
            SELECT s.id FROM class_sessions s
            WHERE s.tenant_id = :tenant AND s.original_date = c.original_date AND s.schedule_id = c.schedule_id
        )
    WHERE c.tenant_id = :tenant AND c.state <> 'RESOLVED' AND c.start_at > :now
        AND c.original_date BETWEEN :first AND :last AND c.schedule_id = ANY (CAST(:served AS uuid[]))
        AND NOT EXISTS (
            SELECT FROM unnest(CAST(:schedules AS uuid[]), CAST(:dates AS date[])) AS n (schedule_id, original_date)
            WHERE n.schedule_id = c.schedule_id AND n.original_date = c.original_date
        )""")


async def write(tx: UnitOfWork, outcome: Outcome) -> None:
    """Inserts sessions with their events, keeps and clears conflicts, marks schedules. Under the studio's lock."""
    planned = sorted((each for each in outcome.candidates if not each.clashes), key=lambda candidate: candidate.id)
    if planned:
        await _insert_sessions(tx, planned)
        await _publish(tx, planned)
    clashing = [each for each in outcome.candidates if each.clashes]
    if clashing:
        await tx.session.execute(
            _KEEP_CONFLICTS,
            {"tenant": tx.tenant, "now": tx.now(), "rows": json.dumps([_conflict(each) for each in clashing])},
        )
    await _clear_conflicts(tx, outcome, clashing)
    _mark(tx, outcome)
    await tx.session.flush()


async def _insert_sessions(tx: UnitOfWork, planned: list[Candidate]) -> None:
    await tx.session.execute(
        _INSERT_SESSIONS,
        {
            "tenant": tx.tenant,
            "now": tx.now(),
            "ids": [each.id for each in planned],
            "schedules": [each.target.schedule.id for each in planned],
            "dates": [each.original_date for each in planned],
            "starts": [each.start for each in planned],
            "ends": [each.end for each in planned],
        },
    )


async def _publish(tx: UnitOfWork, planned: list[Candidate]) -> None:
    """One event for the new sessions of each schedule, known by the first of them."""
    events = []
    for _, group in groupby(planned, key=lambda candidate: candidate.target.schedule.id):
        sessions = list(group)
        common = session_events.state(Entry(_session(tx, sessions[0]), sessions[0].target.plan))
        for name in ("class_session_id", "start_time", "end_time"):
            common.ClearField(name)
        event = ClassSessionsScheduled(common=common)
        for each in sessions:
            event.class_sessions.add(
                class_session_id=str(each.id), start_time=to_timestamp(each.start), end_time=to_timestamp(each.end)
            )
        events.append((event, sessions[0].id, 1))
    await tx.publish_all(events, aggregate=session_events.AGGREGATE)


def _session(tx: UnitOfWork, candidate: Candidate) -> ClassSession:
    """The row as it was inserted, for what is told of it."""
    schedule = candidate.target.schedule
    return ClassSession(
        tenant_id=tx.tenant,
        id=candidate.id,
        class_type_id=schedule.class_type_id,
        room_id=schedule.room_id,
        instructor_id=schedule.instructor_id,
        start_at=candidate.start,
        end_at=candidate.end,
        time_version=1,
        capacity=schedule.capacity,
        cancelled=False,
        version=1,
        update_time=tx.now(),
    )


def _conflict(candidate: Candidate) -> dict[str, Any]:
    return {
        "id": str(new_id()),
        "schedule_id": str(candidate.target.schedule.id),
        "original_date": candidate.original_date.isoformat(),
        "start_at": candidate.start.isoformat(),
        "end_at": candidate.end.isoformat(),
        "clashes": [clash.as_json() for clash in candidate.clashes],
        "state": "SKIPPED" if candidate.closed else "OPEN",
    }


async def _clear_conflicts(tx: UnitOfWork, outcome: Outcome, clashing: list[Candidate]) -> None:
    unserved = {target.schedule.id for target, _ in outcome.unserved}
    served = [target.schedule.id for target in outcome.targets if target.schedule.id not in unserved]
    await tx.session.execute(
        _CLEAR_CONFLICTS,
        {
            "tenant": tx.tenant,
            "now": tx.now(),
            "first": outcome.first,
            "last": outcome.last,
            "served": served,
            "schedules": [each.target.schedule.id for each in clashing],
            "dates": [each.original_date for each in clashing],
        },
    )


def _mark(tx: UnitOfWork, outcome: Outcome) -> None:
    """Says at each schedule what keeps it from being generated, and takes back what was said before."""
    reasons = {target.schedule.id: reason for target, reason in outcome.unserved}
    for target in outcome.targets:
        schedule, reason = target.schedule, reasons.get(target.schedule.id, "")
        if schedule.attention != reason:
            schedule.attention = reason
            schedule.touch(tx.now())
