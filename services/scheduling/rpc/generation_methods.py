"""Generation and its runs at the wire."""

from typing import Any
from uuid import UUID

from powerhouse.scheduling.v1 import generation_service_pb2 as pb
from powerhouse.scheduling.v1.class_schedule_pb2 import ClassSchedule as ClassScheduleMessage
from powerhouse.scheduling.v1.generation_pb2 import Clash, GeneratedDate, UnservedSchedule
from powerhouse.scheduling.v1.generation_pb2 import GenerationRun as GenerationRunMessage
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import parse_child, parse_name
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import to_timestamp
from services.scheduling import generation, generation_runs
from services.scheduling.clashes import describe
from services.scheduling.models import ClassSchedule, Closure, GenerationRun, resource_name, schedule_name, session_name
from services.scheduling.rpc.methods import Methods, child_id


class GenerationMethods(Methods):
    async def GenerateClassSessions(
        self, request: pb.GenerateClassSessionsRequest, context: Any
    ) -> GenerationRunMessage:
        parse_name(request.parent, "studios/*", "parent")
        schedule_id = _schedule_id(request.class_schedule)

        async def change(tx: UnitOfWork) -> GenerationRunMessage:
            return encode_run(await generation.run(tx, generation.ON_DEMAND, schedule_id))

        return await self._database.write(change)

    async def PreviewGeneration(self, request: pb.PreviewGenerationRequest, context: Any) -> GenerationRunMessage:
        parse_name(request.parent, "studios/*", "parent")
        schedule_id = _schedule_id(request.class_schedule)
        async with self._database.read() as tx:
            return encode_run(await generation.preview(tx, schedule_id))

    async def GetGenerationRun(self, request: pb.GetGenerationRunRequest, context: Any) -> GenerationRunMessage:
        run_id = parse_child(request.name, f"studios/*/{generation_runs.COLLECTION}/*", "name", current_call().tenant)
        async with self._database.read() as tx:
            return encode_run(await generation_runs.get(tx, run_id))

    async def ListGenerationRuns(
        self, request: pb.ListGenerationRunsRequest, context: Any
    ) -> pb.ListGenerationRunsResponse:
        parse_name(request.parent, "studios/*", "parent")
        page = self._pager.page(f"generationRuns {request.parent}", request.page_size, request.page_token)
        async with self._database.read() as tx:
            runs = await generation_runs.list_page(tx, page)
        shown, next_page_token = page.cut(runs, lambda run: (run.id,))
        return pb.ListGenerationRunsResponse(
            generation_runs=[encode_run(run) for run in shown], next_page_token=next_page_token
        )


def encode_run(run: GenerationRun) -> GenerationRunMessage:
    """A stored run, or a preview, which has no name."""
    tenant = run.tenant_id
    return GenerationRunMessage(
        name=resource_name(tenant, generation_runs.COLLECTION, run.id) if run.id else "",
        cause=GenerationRunMessage.Cause.Value(run.cause),
        class_schedule=schedule_name(tenant, run.schedule_id) if run.schedule_id else "",
        horizon_weeks=run.horizon_weeks,
        schedule_count=run.schedule_count,
        created_count=run.created_count,
        existing_count=run.existing_count,
        conflict_count=run.conflict_count,
        skipped_count=run.skipped_count,
        attention_count=run.attention_count,
        dates=[_encode_date(tenant, each) for each in run.dates],
        unserved=[
            UnservedSchedule(
                class_schedule=schedule_name(tenant, UUID(each["schedule"])),
                class_schedule_display_name=each["display_name"],
                attention=ClassScheduleMessage.Attention.Value(each["attention"]),
                message=generation_runs.attention_message(each["attention"]),
            )
            for each in run.unserved
        ],
        duration_ms=run.duration_ms,
        create_time=to_timestamp(run.create_time),
    )


def encode_clash(tenant: UUID, clash: dict[str, str]) -> Clash:
    """One as it is kept in a row."""
    session, closure = clash.get("class_session"), clash.get("closure")
    return Clash(
        kind=Clash.Kind.Value(clash["kind"]),
        class_session=session_name(tenant, UUID(session)) if session else "",
        closure=resource_name(tenant, Closure.COLLECTION, UUID(closure)) if closure else "",
    )


def _encode_date(tenant: UUID, date: dict[str, Any]) -> GeneratedDate:
    return GeneratedDate(
        class_schedule=schedule_name(tenant, UUID(date["schedule"])),
        class_schedule_display_name=date["display_name"],
        local_start=date["local_start"],
        time_zone=date["time_zone"],
        outcome=GeneratedDate.Outcome.Value(date["outcome"]),
        clashes=[encode_clash(tenant, clash) for clash in date["clashes"]],
        message=describe(clash["kind"] for clash in date["clashes"]),
    )


def _schedule_id(name: str) -> UUID | None:
    return child_id(name, ClassSchedule, "class_schedule") if name else None
