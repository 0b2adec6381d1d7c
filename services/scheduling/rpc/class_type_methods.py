"""Class types at the wire."""

from typing import Any

from powerhouse.scheduling.v1 import scheduling_service_pb2 as pb
from powerhouse.scheduling.v1.studio_pb2 import ClassType as ClassTypeMessage
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.rpc.codec import masked_fields, to_timestamp
from services.scheduling import class_types
from services.scheduling.models import ClassType
from services.scheduling.rpc.methods import Methods, child_id


class ClassTypeMethods(Methods):
    async def CreateClassType(self, request: pb.CreateClassTypeRequest, context: Any) -> ClassTypeMessage:
        async def change(tx: UnitOfWork) -> ClassTypeMessage:
            class_type = await class_types.create(
                tx,
                display_name=request.class_type.display_name,
                description=request.class_type.description,
                duration_minutes=request.class_type.duration_minutes,
            )
            return encode_class_type(class_type)

        return await self._database.write(change)

    async def GetClassType(self, request: pb.GetClassTypeRequest, context: Any) -> ClassTypeMessage:
        return await self._get(ClassType, encode_class_type, request.name)

    async def ListClassTypes(self, request: pb.ListClassTypesRequest, context: Any) -> pb.ListClassTypesResponse:
        shown, next_page_token = await self._list(ClassType, encode_class_type, request)
        return pb.ListClassTypesResponse(class_types=shown, next_page_token=next_page_token)

    async def UpdateClassType(self, request: pb.UpdateClassTypeRequest, context: Any) -> ClassTypeMessage:
        class_type_id = child_id(request.class_type.name, ClassType, "class_type.name")
        fields = masked_fields(request.update_mask, request.class_type, "class_type", class_types.MUTABLE)
        changes = {field: getattr(request.class_type, field) for field in fields}

        async def change(tx: UnitOfWork) -> ClassTypeMessage:
            return encode_class_type(await class_types.update(tx, class_type_id, request.class_type.etag, changes))

        return await self._database.write(change)

    async def DeleteClassType(self, request: pb.DeleteClassTypeRequest, context: Any) -> ClassTypeMessage:
        return await self._archive(ClassType, encode_class_type, request.name, request.etag)

    async def UndeleteClassType(self, request: pb.UndeleteClassTypeRequest, context: Any) -> ClassTypeMessage:
        return await self._restore(ClassType, encode_class_type, request.name)


def encode_class_type(class_type: ClassType) -> ClassTypeMessage:
    return ClassTypeMessage(
        name=class_type.name,
        display_name=class_type.display_name,
        description=class_type.description,
        duration_minutes=class_type.duration_minutes,
        etag=class_type.etag,
        create_time=to_timestamp(class_type.create_time),
        update_time=to_timestamp(class_type.update_time),
        archive_time=to_timestamp(class_type.archive_time),
    )
