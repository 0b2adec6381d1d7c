"""Class schedules at the wire."""

from collections.abc import Callable
from datetime import time
from typing import Any
from uuid import UUID

from powerhouse.scheduling.v1 import class_schedule_service_pb2 as pb
from powerhouse.scheduling.v1.class_schedule_pb2 import ClassSchedule as ClassScheduleMessage
from powerhouse.scheduling.v1.generation_pb2 import GenerationRun as GenerationRunMessage
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import parse_name
from services.chassis.rpc.codec import masked_fields, to_timestamp
from services.scheduling import class_schedules, generation, series_edits
from services.scheduling.class_schedules import Located, NewSchedule
from services.scheduling.generation_runs import attention_message
from services.scheduling.models import ClassSchedule, ClassType, Instructor, Room, resource_name, schedule_name
from services.scheduling.recurrence import parse_date
from services.scheduling.rpc.generation_methods import encode_run
from services.scheduling.rpc.methods import Methods, child_id


class ClassScheduleMethods(Methods):
    async def CreateClassSchedule(self, request: pb.CreateClassScheduleRequest, context: Any) -> ClassScheduleMessage:
        new = decode_new_schedule(request.class_schedule)

        async def change(tx: UnitOfWork) -> ClassScheduleMessage:
            return encode_schedule(await class_schedules.create(tx, new))

        return await self._database.write(change)

    async def PreviewClassSchedule(self, request: pb.PreviewClassScheduleRequest, context: Any) -> GenerationRunMessage:
        parse_name(request.parent, "studios/*", "parent")
        new = decode_new_schedule(request.class_schedule)
        async with self._database.read() as tx:
            return encode_run(await generation.preview_new(tx, *await class_schedules.make(tx, new)))

    async def GetClassSchedule(self, request: pb.GetClassScheduleRequest, context: Any) -> ClassScheduleMessage:
        schedule_id = child_id(request.name, ClassSchedule, "name")
        async with self._database.read() as tx:
            return encode_schedule(await class_schedules.get(tx, schedule_id))

    async def ListClassSchedules(
        self, request: pb.ListClassSchedulesRequest, context: Any
    ) -> pb.ListClassSchedulesResponse:
        parse_name(request.parent, "studios/*", "parent")
        query = f"classSchedules {request.parent} {request.show_archived} {request.needs_attention}"
        page = self._pager.page(query, request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows = await class_schedules.list_page(
                tx, page, show_archived=request.show_archived, needs_attention=request.needs_attention
            )
        shown, next_page_token = page.cut(rows, lambda row: (row.schedule.display_name, row.schedule.id))
        return pb.ListClassSchedulesResponse(
            class_schedules=[encode_schedule(row) for row in shown], next_page_token=next_page_token
        )

    async def UpdateClassSchedule(self, request: pb.UpdateClassScheduleRequest, context: Any) -> ClassScheduleMessage:
        given = request.class_schedule
        schedule_id = child_id(given.name, ClassSchedule, "class_schedule.name")
        fields = masked_fields(request.update_mask, given, "class_schedule", class_schedules.MUTABLE)
        changes = dict(_DECODE[field](given) for field in fields)

        async def change(tx: UnitOfWork) -> ClassScheduleMessage:
            return encode_schedule(await series_edits.edit(tx, schedule_id, given.etag, None, changes))

        return await self._database.write(change)

    async def DeleteClassSchedule(self, request: pb.DeleteClassScheduleRequest, context: Any) -> ClassScheduleMessage:
        schedule_id = child_id(request.name, ClassSchedule, "name")

        async def change(tx: UnitOfWork) -> ClassScheduleMessage:
            return encode_schedule(await class_schedules.archive(tx, schedule_id, request.etag))

        return await self._database.write(change)

    async def UndeleteClassSchedule(
        self, request: pb.UndeleteClassScheduleRequest, context: Any
    ) -> ClassScheduleMessage:
        schedule_id = child_id(request.name, ClassSchedule, "name")

        async def change(tx: UnitOfWork) -> ClassScheduleMessage:
            return encode_schedule(await class_schedules.restore(tx, schedule_id))

        return await self._database.write(change)


def decode_new_schedule(message: ClassScheduleMessage) -> NewSchedule:
    return NewSchedule(**dict(decode(message) for decode in _DECODE.values()))


# Field of the message -> its column and value.
_DECODE: dict[str, Callable[[ClassScheduleMessage], tuple[str, Any]]] = {
    "display_name": lambda given: ("display_name", given.display_name),
    "class_type": lambda given: ("class_type_id", child_id(given.class_type, ClassType, "class_schedule.class_type")),
    "room": lambda given: ("room_id", child_id(given.room, Room, "class_schedule.room")),
    "instructor": lambda given: ("instructor_id", child_id(given.instructor, Instructor, "class_schedule.instructor")),
    "rrule": lambda given: ("rrule", given.rrule),
    "start_date": lambda given: ("start_date", parse_date(given.start_date, "class_schedule.start_date")),
    "end_date": lambda given: (
        "end_date",
        parse_date(given.end_date, "class_schedule.end_date") if given.end_date else None,
    ),
    "local_time": lambda given: ("local_time", time.fromisoformat(given.local_time)),
    "duration_minutes": lambda given: ("duration_minutes", given.duration_minutes),
    "capacity": lambda given: ("capacity", given.capacity),
}


def encode_schedule(located: Located) -> ClassScheduleMessage:
    schedule, location = located.schedule, located.location

    def named(kind: type[Any], resource_id: UUID) -> str:
        return resource_name(schedule.tenant_id, kind.COLLECTION, resource_id)

    return ClassScheduleMessage(
        name=schedule.name,
        display_name=schedule.display_name,
        class_type=named(ClassType, schedule.class_type_id),
        room=named(Room, schedule.room_id),
        instructor=named(Instructor, schedule.instructor_id),
        rrule=schedule.rrule,
        start_date=schedule.start_date.isoformat(),
        end_date=schedule.end_date.isoformat() if schedule.end_date else "",
        local_time=schedule.local_time.isoformat("minutes"),
        duration_minutes=schedule.duration_minutes,
        capacity=schedule.capacity,
        location=location.name,
        time_zone=location.time_zone,
        series=schedule_name(schedule.tenant_id, schedule.series_id),
        attention=ClassScheduleMessage.Attention.Value(schedule.attention or "ATTENTION_UNSPECIFIED"),
        attention_message=attention_message(schedule.attention),
        etag=schedule.etag,
        create_time=to_timestamp(schedule.create_time),
        update_time=to_timestamp(schedule.update_time),
        archive_time=to_timestamp(schedule.archive_time),
    )
