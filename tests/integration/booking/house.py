"""A studio of booking: sessions as scheduling tells them, clients with credits, and short ways to book."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from grpc import StatusCode

from powerhouse.booking.v1 import booking_service_pb2 as pb
from powerhouse.booking.v1 import client_service_pb2, credit_service_pb2
from powerhouse.booking.v1.attendance_service_pb2_grpc import AttendanceServiceStub
from powerhouse.booking.v1.booking_pb2 import Booking
from powerhouse.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from powerhouse.booking.v1.calendar_service_pb2_grpc import CalendarServiceStub
from powerhouse.booking.v1.client_note_service_pb2_grpc import ClientNoteServiceStub
from powerhouse.booking.v1.client_package_pb2 import ClientPackage
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.booking.v1.client_service_pb2_grpc import ClientServiceStub
from powerhouse.booking.v1.credit_service_pb2_grpc import CreditServiceStub
from powerhouse.booking.v1.drop_in_service_pb2_grpc import DropInServiceStub
from powerhouse.booking.v1.erasure_service_pb2_grpc import ErasureServiceStub
from powerhouse.booking.v1.export_service_pb2_grpc import ExportServiceStub
from powerhouse.booking.v1.fee_service_pb2_grpc import FeeServiceStub
from powerhouse.booking.v1.import_service_pb2_grpc import ImportServiceStub
from powerhouse.booking.v1.sale_service_pb2_grpc import SaleServiceStub
from powerhouse.booking.v1.series_service_pb2_grpc import SeriesServiceStub
from powerhouse.booking.v1.waitlist_service_pb2_grpc import WaitlistServiceStub
from powerhouse.booking.v1.waiver_service_pb2_grpc import WaiverServiceStub
from powerhouse.policy.v1.policy_pb2 import Role
from powerhouse.scheduling.v1.events_pb2 import ClassSessionChanged, ClassSessionState
from services.booking import class_sessions, invariants
from services.booking.service import SERVICE
from services.chassis.clock import real_now
from services.chassis.ids import new_id
from services.chassis.messaging import inbox
from services.chassis.messaging.envelope import Envelope
from services.chassis.rpc.codec import to_timestamp
from tests.support.services import Running, reason_of, together

# All that booking serves.
BookingStub = together(
    AttendanceServiceStub,
    BookingServiceStub,
    CalendarServiceStub,
    ClientNoteServiceStub,
    ClientServiceStub,
    CreditServiceStub,
    DropInServiceStub,
    ErasureServiceStub,
    ExportServiceStub,
    FeeServiceStub,
    ImportServiceStub,
    SaleServiceStub,
    SeriesServiceStub,
    WaitlistServiceStub,
    WaiverServiceStub,
)

# Ids of scheduling that sessions have unless a test says otherwise.
CLASS_TYPE, ROOM, LOCATION, INSTRUCTOR = (new_id() for _ in range(4))


def key() -> str:
    """An idempotency key that nobody used."""
    return str(new_id())


def last_id(name: str) -> UUID:
    return UUID(name.rpartition("/")[2])


def envelope(event: Message, tenant: UUID, aggregate_id: UUID, version: int) -> Envelope:
    """An event as the broker brings it."""
    return Envelope(
        event_id=str(new_id()),
        tenant=str(tenant),
        type=event.DESCRIPTOR.full_name,
        aggregate="class_session",
        aggregate_id=str(aggregate_id),
        version=version,
        create_time=real_now().isoformat(),
        traceparent="",
        payload=MessageToDict(event),
    )


async def refused(call: Any, code: StatusCode, reason: str) -> None:
    """The call is refused in exactly this way."""
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await call
    assert (refusal.value.code(), reason_of(refusal.value)) == (code, reason)


async def outcome(call: Any) -> str:
    """`BOOKED`, or why not: the reason, or the code of an error that has none."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return reason_of(error) or error.code().name
    return "BOOKED"


@dataclass
class House:
    """One studio; `staff` calls as its front desk."""

    running: Running
    tenant: UUID
    staff: Any

    @property
    def name(self) -> str:
        return f"studios/{self.tenant}"

    @property
    def now(self) -> datetime:
        return self.running.mesh.clock.now()

    def as_role(self, role: "Role.ValueType", account: UUID | None = None) -> Any:
        return self.running.as_account(BookingStub, account, {self.tenant: [role]})

    def as_account(self, account: UUID) -> Any:
        """A signed-in person without a role."""
        return self.running.as_account(BookingStub, account)

    def move(self, **by: int) -> None:
        self.running.mesh.clock.move(timedelta(**by))

    def state(self, session: UUID | None = None, **fields: Any) -> ClassSessionState:
        """A session in two days, of eight places and no spots, unless `fields` say otherwise."""
        start = fields.pop("start", self.now + timedelta(days=2))
        plan: dict[str, Any] = {
            "class_session_id": str(session or new_id()),
            "version": 1,
            "class_type_display_name": "Reformer Flow",
            "room_display_name": "Room 1",
            "location_display_name": "Mitte",
            "instructor_display_name": "Ines",
            "start_time": to_timestamp(start),
            "end_time": to_timestamp(start + timedelta(minutes=50)),
            "time_zone": "Europe/Berlin",
            "capacity": 8,
            "class_type_id": str(CLASS_TYPE),
            "room_id": str(ROOM),
            "location_id": str(LOCATION),
            "instructor_id": str(INSTRUCTOR),
            "currency_code": "EUR",
            "update_time": to_timestamp(self.now),
        }
        return ClassSessionState(**{**plan, **fields})

    async def tell(self, *states: ClassSessionState) -> int:
        """Brings events of scheduling, in this order of messages; returns how many were new."""
        envelopes = [
            envelope(ClassSessionChanged(class_session=state), self.tenant, UUID(state.class_session_id), state.version)
            for state in states
        ]
        return await inbox.apply(self.running.resources.database, SERVICE.consumers, envelopes)

    async def plan(self, **fields: Any) -> str:
        """The name of a new session."""
        state = self.state(**fields)
        await self.tell(state)
        return f"{self.name}/classSessions/{state.class_session_id}"

    async def plan_many(self, count: int, **fields: Any) -> list[str]:
        """New sessions of one hour after the other, so that one client can be in all of them."""
        start = fields.pop("start", self.now + timedelta(days=2))
        return [await self.plan(start=start + timedelta(hours=hour), **fields) for hour in range(count)]

    async def change(self, session: str, version: int, **fields: Any) -> None:
        """Scheduling changes a session; what `fields` do not name is as in `state`."""
        await self.tell(self.state(last_id(session), version=version, **fields))

    async def add_client(self, display_name: str = "Clara", credits: int = 1, **fields: Any) -> Client:
        """A client with a package of credits that never expires, unless none are wanted."""
        client: Client = await self.staff.CreateClient(
            client_service_pb2.CreateClientRequest(
                parent=self.name, client=Client(display_name=display_name, **fields), request_id=key()
            )
        )
        if credits:
            await self.grant(client, credits)
        return client

    async def grant(
        self, client: Client, credits: int = 1, valid_days: int = 0, name: str = "Pack", **terms: Any
    ) -> ClientPackage:
        wanted = credit_service_pb2.NewClientPackage(
            client=client.name, display_name=name, credits=credits, valid_days=valid_days, reason="welcome", **terms
        )
        package: ClientPackage = await self.staff.GrantClientPackage(
            credit_service_pb2.GrantClientPackageRequest(parent=self.name, client_package=wanted, request_id=key())
        )
        return package

    def book(
        self, session: str, client: Client | None = None, *, spot: str = "", request_id: str = "", stub: Any = None
    ) -> Any:
        """A call that books: by staff, or as whom `stub` calls."""
        wanted = pb.NewBooking(class_session=session, client=client.name if client else "", spot=spot)
        return (stub or self.staff).CreateBooking(
            pb.CreateBookingRequest(parent=self.name, booking=wanted, request_id=request_id or key())
        )

    def cancel(self, booking: Booking, *, etag: str = "", request_id: str = "", stub: Any = None) -> Any:
        return (stub or self.staff).CancelBooking(
            pb.CancelBookingRequest(name=booking.name, etag=etag, request_id=request_id or key())
        )

    async def get(self, booking: Booking) -> Booking:
        read: Booking = await self.staff.GetBooking(pb.GetBookingRequest(name=booking.name))
        return read

    async def credits(self, client: Client) -> int:
        read: Client = await self.staff.GetClient(client_service_pb2.GetClientRequest(name=client.name))
        return read.credits_left

    async def counters(self, session: str) -> tuple[int, int, int]:
        """Planned and effective capacity, booked places."""
        (row,) = await self.running.sql(
            "SELECT planned_capacity, effective_capacity, booked_count FROM class_sessions WHERE id = $1",
            last_id(session),
        )
        return tuple(row)

    async def digest(self) -> str:
        async with self.running.resources.database.transaction(self.tenant) as tx:
            return await class_sessions.digest(tx)

    async def violations(self) -> dict[str, int]:
        """Invariants that do not hold."""
        async with self.running.resources.database.transaction(self.tenant) as tx:
            return {name: count for name, count in (await invariants.violations(tx)).items() if count}

    async def count(self, calls: list[Any]) -> Counter[str]:
        """What came of calls made at once."""
        return Counter(await asyncio.gather(*(outcome(call) for call in calls)))
