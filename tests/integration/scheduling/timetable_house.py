"""A studio with a room, a class type and an instructor, and short ways to plan in it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from powerhouse.policy.v1.policy_pb2 import Role
from powerhouse.scheduling.v1 import scheduling_service_pb2 as pb
from powerhouse.scheduling.v1.class_session_pb2 import ClassSession
from powerhouse.scheduling.v1.events_pb2 import ClassSessionChanged
from powerhouse.scheduling.v1.scheduling_service_pb2_grpc import SchedulingServiceStub
from powerhouse.scheduling.v1.studio_pb2 import ClassType, Instructor, Location, Room, Studio
from services.chassis.ids import new_id
from services.chassis.rpc.status import DETAILS_KEY
from tests.support.services import Running, fields_of, reason_of


def key() -> str:
    """An idempotency key that nobody used."""
    return str(uuid4())


def last_id(name: str) -> UUID:
    return UUID(name.rpartition("/")[2])


@dataclass
class House:
    """What tests of one studio need; `stub` calls as its owner."""

    running: Running
    stub: Any
    owner: UUID
    studio: Studio
    location: Location
    room: Room
    class_type: ClassType
    instructor: Instructor

    @property
    def name(self) -> str:
        return self.studio.name

    @property
    def tenant(self) -> UUID:
        return last_id(self.studio.name)

    def as_role(self, role: "Role.ValueType") -> Any:
        return self.running.as_account(SchedulingServiceStub, roles={self.tenant: [role]})

    async def add_location(self, **fields: Any) -> Location:
        location = Location(**{"display_name": "Mitte", "time_zone": "Europe/Berlin", **fields})
        return await self.stub.CreateLocation(
            pb.CreateLocationRequest(parent=self.name, location=location, request_id=key())
        )

    async def add_room(self, **fields: Any) -> Room:
        room = Room(**{"display_name": "Room", "location": self.location.name, "capacity": 8, **fields})
        return await self.stub.CreateRoom(pb.CreateRoomRequest(parent=self.name, room=room, request_id=key()))

    async def add_class_type(self, **fields: Any) -> ClassType:
        class_type = ClassType(**{"display_name": "Reformer Flow", "duration_minutes": 50, **fields})
        return await self.stub.CreateClassType(
            pb.CreateClassTypeRequest(parent=self.name, class_type=class_type, request_id=key())
        )

    async def add_instructor(self, **fields: Any) -> Instructor:
        instructor = Instructor(**{"display_name": "Ines", **fields})
        return await self.stub.CreateInstructor(
            pb.CreateInstructorRequest(parent=self.name, instructor=instructor, request_id=key())
        )

    async def plan(self, local_start: str = "2027-01-05T10:00", **fields: Any) -> ClassSession:
        """Schedules a session, by default with the house's own room, class type and instructor."""
        request = pb.CreateClassSessionRequest(parent=self.name, request_id=key())
        request.class_session.MergeFrom(
            pb.NewClassSession(
                **{
                    "class_type": self.class_type.name,
                    "room": self.room.name,
                    "instructor": self.instructor.name,
                    "local_start": local_start,
                    **fields,
                }
            )
        )
        return await self.stub.CreateClassSession(request)

    async def get(self, name: str) -> ClassSession:
        return await self.stub.GetClassSession(pb.GetClassSessionRequest(name=name))

    async def move(self, session: ClassSession, **fields: Any) -> ClassSession:
        return await self.stub.MoveClassSession(
            pb.MoveClassSessionRequest(name=session.name, request_id=key(), **fields)
        )

    async def substitute(self, session: ClassSession, instructor: str, **fields: Any) -> ClassSession:
        return await self.stub.SubstituteInstructor(
            pb.SubstituteInstructorRequest(name=session.name, instructor=instructor, request_id=key(), **fields)
        )

    async def change_capacity(self, session: ClassSession, capacity: int, **fields: Any) -> ClassSession:
        return await self.stub.ChangeCapacity(
            pb.ChangeCapacityRequest(name=session.name, capacity=capacity, request_id=key(), **fields)
        )

    async def cancel(self, session: ClassSession, **fields: Any) -> ClassSession:
        return await self.stub.CancelClassSession(
            pb.CancelClassSessionRequest(name=session.name, request_id=key(), **fields)
        )

    async def uncancel(self, session: ClassSession, **fields: Any) -> ClassSession:
        return await self.stub.UncancelClassSession(
            pb.UncancelClassSessionRequest(name=session.name, request_id=key(), **fields)
        )

    async def changes(self) -> list[ClassSessionChanged]:
        """What the mesh was told of this studio's sessions, in order."""
        return await self.running.events(ClassSessionChanged, self.tenant)


async def open_house(running: Running) -> House:
    owner = new_id()
    newcomer: Any = running.as_account(SchedulingServiceStub, owner)
    studio = await newcomer.CreateStudio(
        pb.CreateStudioRequest(
            studio=Studio(display_name="Powerhouse Mitte", time_zone="Europe/Berlin", currency_code="EUR"),
            request_id=key(),
        )
    )
    stub: Any = running.as_account(SchedulingServiceStub, owner, {last_id(studio.name): [Role.ROLE_OWNER]})
    house = House(running, stub, owner, studio, Location(), Room(), ClassType(), Instructor())
    house.location = await house.add_location()
    house.room = await house.add_room()
    house.class_type = await house.add_class_type()
    house.instructor = await house.add_instructor()
    return house


@asynccontextmanager
async def refused(code: StatusCode, reason: str, field: str | None = None, **metadata: str) -> AsyncIterator[None]:
    """The block must end in this refusal; `field` is the request field it names, `metadata` part of its facts."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield
    error = caught.value
    assert (error.code(), reason_of(error)) == (code, reason), error.details()
    if field is not None:
        assert field in fields_of(error)
    assert metadata.items() <= facts_of(error).items()


def facts_of(error: grpc.aio.AioRpcError) -> dict[str, str]:
    """The metadata of a refusal's ErrorInfo."""
    info = error_details_pb2.ErrorInfo()
    for name, value in error.trailing_metadata() or ():
        if name == DETAILS_KEY:
            for detail in status_pb2.Status.FromString(value).details:
                if detail.Unpack(info):
                    return dict(info.metadata)
    return {}


def plain(message: Any) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
