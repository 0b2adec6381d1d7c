"""Instructors at the wire."""

from typing import Any
from uuid import UUID

from powerhouse.scheduling.v1 import scheduling_service_pb2 as pb
from powerhouse.scheduling.v1.studio_pb2 import Instructor as InstructorMessage
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import parse_name
from services.chassis.rpc.codec import masked_fields, to_timestamp
from services.scheduling import instructors
from services.scheduling.models import ClassType, Instructor, resource_name
from services.scheduling.rpc.methods import Methods, child_id


class InstructorMethods(Methods):
    async def CreateInstructor(self, request: pb.CreateInstructorRequest, context: Any) -> InstructorMessage:
        account_id, class_type_ids = _account_id(request.instructor), _class_type_ids(request.instructor)

        async def change(tx: UnitOfWork) -> InstructorMessage:
            instructor = await instructors.create(
                tx,
                display_name=request.instructor.display_name,
                account_id=account_id,
                class_type_ids=class_type_ids,
            )
            return encode_instructor(instructor)

        return await self._database.write(change)

    async def GetInstructor(self, request: pb.GetInstructorRequest, context: Any) -> InstructorMessage:
        return await self._get(Instructor, encode_instructor, request.name)

    async def ListInstructors(self, request: pb.ListInstructorsRequest, context: Any) -> pb.ListInstructorsResponse:
        shown, next_page_token = await self._list(Instructor, encode_instructor, request)
        return pb.ListInstructorsResponse(instructors=shown, next_page_token=next_page_token)

    async def UpdateInstructor(self, request: pb.UpdateInstructorRequest, context: Any) -> InstructorMessage:
        instructor_id = child_id(request.instructor.name, Instructor, "instructor.name")
        fields = masked_fields(request.update_mask, request.instructor, "instructor", instructors.MUTABLE)
        given = {
            "display_name": ("display_name", request.instructor.display_name),
            "account": ("account_id", _account_id(request.instructor)),
            "class_types": ("class_type_ids", _class_type_ids(request.instructor)),
        }

        async def change(tx: UnitOfWork) -> InstructorMessage:
            changes = dict(given[field] for field in fields)
            return encode_instructor(await instructors.update(tx, instructor_id, request.instructor.etag, changes))

        return await self._database.write(change)

    async def DeleteInstructor(self, request: pb.DeleteInstructorRequest, context: Any) -> InstructorMessage:
        return await self._archive(Instructor, encode_instructor, request.name, request.etag)

    async def UndeleteInstructor(self, request: pb.UndeleteInstructorRequest, context: Any) -> InstructorMessage:
        return await self._restore(Instructor, encode_instructor, request.name)


def encode_instructor(instructor: Instructor) -> InstructorMessage:
    return InstructorMessage(
        name=instructor.name,
        display_name=instructor.display_name,
        account=f"accounts/{instructor.account_id}" if instructor.account_id else "",
        class_types=[
            resource_name(instructor.tenant_id, ClassType.COLLECTION, class_type_id)
            for class_type_id in instructor.class_type_ids
        ],
        etag=instructor.etag,
        create_time=to_timestamp(instructor.create_time),
        update_time=to_timestamp(instructor.update_time),
        archive_time=to_timestamp(instructor.archive_time),
    )


def _account_id(message: InstructorMessage) -> UUID | None:
    return parse_name(message.account, "accounts/*", "instructor.account")[0] if message.account else None


def _class_type_ids(message: InstructorMessage) -> list[UUID]:
    return [child_id(name, ClassType, f"instructor.class_types[{n}]") for n, name in enumerate(message.class_types)]
