"""ConflictService at the wire."""

from typing import Any
from uuid import UUID

from powerhouse.scheduling.v1 import conflict_service_pb2 as pb
from powerhouse.scheduling.v1.conflict_service_pb2_grpc import ConflictServiceServicer
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import DomainError
from services.chassis.ids import parse_child, parse_name
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import to_timestamp
from services.scheduling import conflicts
from services.scheduling.clashes import describe
from services.scheduling.conflicts import Case, Decision
from services.scheduling.local_time import to_wall
from services.scheduling.models import ClassSchedule, Instructor, Room, resource_name, session_name
from services.scheduling.rpc.generation_methods import encode_clash
from services.scheduling.rpc.methods import Methods, child_id


class ConflictServicer(Methods, ConflictServiceServicer):
    async def ListScheduleConflicts(
        self, request: pb.ListScheduleConflictsRequest, context: Any
    ) -> pb.ListScheduleConflictsResponse:
        parse_name(request.parent, "studios/*", "parent")
        schedule = request.class_schedule
        schedule_id = child_id(schedule, ClassSchedule, "class_schedule") if schedule else None
        state = pb.ScheduleConflict.State.Name(request.state or pb.ScheduleConflict.OPEN)
        query = f"{conflicts.COLLECTION} {request.parent} {state} {schedule}"
        page = self._pager.page(query, request.page_size, request.page_token)
        async with self._database.read() as tx:
            cases = await conflicts.list_page(tx, page, state=state, schedule_id=schedule_id)
        shown, next_page_token = page.cut(cases, lambda case: (case.conflict.start_at, case.conflict.id))
        return pb.ListScheduleConflictsResponse(
            schedule_conflicts=[encode_case(case) for case in shown], next_page_token=next_page_token
        )

    async def GetScheduleConflict(self, request: pb.GetScheduleConflictRequest, context: Any) -> pb.ScheduleConflict:
        conflict_id = _conflict_id(request.name, "name")
        async with self._database.read() as tx:
            return encode_case(await conflicts.get(tx, conflict_id))

    async def ResolveScheduleConflict(
        self, request: pb.ResolveScheduleConflictRequest, context: Any
    ) -> pb.ScheduleConflict:
        conflict_id, decision = _conflict_id(request.name, "name"), decode_decision(request.resolution)

        async def change(tx: UnitOfWork) -> pb.ScheduleConflict:
            return encode_case(await conflicts.resolve(tx, conflict_id, request.etag, decision))

        return await self._database.write(change)

    async def BatchResolveScheduleConflicts(
        self, request: pb.BatchResolveScheduleConflictsRequest, context: Any
    ) -> pb.BatchResolveScheduleConflictsResponse:
        parse_name(request.parent, "studios/*", "parent")
        names = enumerate(request.schedule_conflicts)
        conflict_ids = [_conflict_id(name, f"schedule_conflicts[{n}]") for n, name in names]
        decision = decode_decision(request.resolution)

        async def change(tx: UnitOfWork) -> pb.BatchResolveScheduleConflictsResponse:
            outcomes = await conflicts.resolve_all(tx, conflict_ids, decision)
            return pb.BatchResolveScheduleConflictsResponse(
                results=[_encode_result(tx.tenant, *outcome) for outcome in outcomes]
            )

        return await self._database.write(change)


def decode_decision(message: pb.Resolution) -> Decision:
    return Decision(
        instructor_id=child_id(message.instructor, Instructor, "resolution.instructor") if message.instructor else None,
        room_id=child_id(message.room, Room, "resolution.room") if message.room else None,
        local_start=message.local_start,
        skip=message.skip,
        force_reason=message.force_reason,
    )


def encode_case(case: Case) -> pb.ScheduleConflict:
    conflict, schedule, zone = case.conflict, case.schedule, case.location.time_zone
    tenant, session_id = conflict.tenant_id, conflict.class_session_id
    return pb.ScheduleConflict(
        name=conflict.name,
        class_schedule=schedule.name,
        class_schedule_display_name=schedule.display_name,
        original_date=conflict.original_date.isoformat(),
        local_start=to_wall(conflict.start_at, zone),
        time_zone=zone,
        start_time=to_timestamp(conflict.start_at),
        end_time=to_timestamp(conflict.end_at),
        state=pb.ScheduleConflict.State.Value(conflict.state),
        clashes=[encode_clash(tenant, clash) for clash in conflict.clashes],
        message=describe(clash["kind"] for clash in conflict.clashes),
        resolution=pb.ScheduleConflict.Resolution.Value(conflict.resolution or "RESOLUTION_UNSPECIFIED"),
        force_reason=conflict.force_reason,
        class_session=session_name(tenant, session_id) if session_id else "",
        etag=conflict.etag,
        create_time=to_timestamp(conflict.create_time),
        update_time=to_timestamp(conflict.update_time),
    )


def _encode_result(
    tenant: UUID, conflict_id: UUID, outcome: Case | DomainError
) -> pb.BatchResolveScheduleConflictsResponse.Result:
    if isinstance(outcome, Case):
        return pb.BatchResolveScheduleConflictsResponse.Result(schedule_conflict=encode_case(outcome))
    refused = pb.ScheduleConflict(name=resource_name(tenant, conflicts.COLLECTION, conflict_id))
    return pb.BatchResolveScheduleConflictsResponse.Result(
        schedule_conflict=refused, reason=outcome.reason, message=outcome.message
    )


def _conflict_id(name: str, field: str) -> UUID:
    return parse_child(name, f"studios/*/{conflicts.COLLECTION}/*", field, current_call().tenant)
