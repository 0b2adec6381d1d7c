"""Rooms at the wire."""

from typing import Any

from powerhouse.scheduling.v1 import scheduling_service_pb2 as pb
from powerhouse.scheduling.v1.studio_pb2 import Room as RoomMessage
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.rpc.codec import masked_fields, to_timestamp
from services.scheduling import rooms
from services.scheduling.models import Location, Room, resource_name
from services.scheduling.rpc.methods import Methods, child_id


class RoomMethods(Methods):
    async def CreateRoom(self, request: pb.CreateRoomRequest, context: Any) -> RoomMessage:
        location_id = child_id(request.room.location, Location, "room.location")

        async def change(tx: UnitOfWork) -> RoomMessage:
            room = await rooms.create(
                tx,
                display_name=request.room.display_name,
                location_id=location_id,
                capacity=request.room.capacity,
                spots=request.room.spots,
            )
            return encode_room(room)

        return await self._database.write(change)

    async def GetRoom(self, request: pb.GetRoomRequest, context: Any) -> RoomMessage:
        return await self._get(Room, encode_room, request.name)

    async def ListRooms(self, request: pb.ListRoomsRequest, context: Any) -> pb.ListRoomsResponse:
        shown, next_page_token = await self._list(Room, encode_room, request)
        return pb.ListRoomsResponse(rooms=shown, next_page_token=next_page_token)

    async def UpdateRoom(self, request: pb.UpdateRoomRequest, context: Any) -> RoomMessage:
        room_id = child_id(request.room.name, Room, "room.name")
        fields = masked_fields(request.update_mask, request.room, "room", rooms.MUTABLE)
        given = {
            "display_name": request.room.display_name,
            "capacity": request.room.capacity,
            "spots": list(request.room.spots),
        }

        async def change(tx: UnitOfWork) -> RoomMessage:
            changes = {field: given[field] for field in fields}
            return encode_room(await rooms.update(tx, room_id, request.room.etag, changes))

        return await self._database.write(change)

    async def DeleteRoom(self, request: pb.DeleteRoomRequest, context: Any) -> RoomMessage:
        return await self._archive(Room, encode_room, request.name, request.etag)

    async def UndeleteRoom(self, request: pb.UndeleteRoomRequest, context: Any) -> RoomMessage:
        return await self._restore(Room, encode_room, request.name)


def encode_room(room: Room) -> RoomMessage:
    return RoomMessage(
        name=room.name,
        display_name=room.display_name,
        location=resource_name(room.tenant_id, Location.COLLECTION, room.location_id),
        capacity=room.capacity,
        spots=room.spots,
        etag=room.etag,
        create_time=to_timestamp(room.create_time),
        update_time=to_timestamp(room.update_time),
        archive_time=to_timestamp(room.archive_time),
    )
