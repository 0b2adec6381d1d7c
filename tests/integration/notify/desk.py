"""The front desk of a studio whose messages notify sends."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from google.protobuf.json_format import MessageToJson

from powerhouse.booking.v1 import (
    booking_pb2,
    booking_service_pb2,
    client_pb2,
    client_service_pb2,
    credit_service_pb2,
    waitlist_service_pb2,
)
from powerhouse.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from powerhouse.booking.v1.client_service_pb2_grpc import ClientServiceStub
from powerhouse.booking.v1.credit_service_pb2_grpc import CreditServiceStub
from powerhouse.booking.v1.waitlist_service_pb2_grpc import WaitlistServiceStub
from powerhouse.policy.v1.policy_pb2 import Role
from powerhouse.scheduling.v1.events_pb2 import ClassSessionChanged, ClassSessionState
from services.booking.service import SERVICE as BOOKING
from services.chassis.ids import new_id
from services.chassis.messaging import inbox
from services.chassis.messaging.envelope import COLUMNS, Envelope
from services.chassis.rpc.codec import to_timestamp
from services.notify import senders
from tests.integration.notify.house import Post
from tests.support.services import Running, together

ZONE = ZoneInfo("Europe/Berlin")


@dataclass
class Desk:
    """The front desk of a studio with one class: in three days at ten, Berlin time."""

    booking: Running
    post: Post
    start: datetime
    class_session: UUID
    # What scheduling says of the class beside its start; a test changes some of it.
    facts: dict[str, Any] = field(default_factory=dict)
    room: str = "Blue Room"

    def __post_init__(self) -> None:
        ids = {f"{name}_id": str(new_id()) for name in ("class_type", "room", "location", "instructor")}
        self.facts = {**ids, "instructor_display_name": "Jana Vogt", "capacity": 4, "spots": ["R1", "R2", "R3", "R4"]}

    @property
    def stub(self) -> Any:
        all_of_it = together(BookingServiceStub, ClientServiceStub, CreditServiceStub, WaitlistServiceStub)
        return self.booking.as_account(all_of_it, roles={self.post.studio: [Role.ROLE_FRONT_DESK]})

    @property
    def phone(self) -> str:
        """A number that only this studio's clients have."""
        return f"+49151{self.post.studio.int % 10**8:08}"

    @property
    def number(self) -> str:
        """The one that the studio sends from."""
        return f"+49152{self.post.studio.int % 10**8:08}"

    @property
    def session_name(self) -> str:
        return f"{self.post.name}/classSessions/{self.class_session}"

    async def book(
        self, email: str, name: str = "Ann Adler", phone: str = "", account: UUID | None = None
    ) -> booking_pb2.Booking:
        """A new client with a credit, in the class."""
        client = await self.new_client(email, name, phone, account)
        return await self.stub.CreateBooking(
            booking_service_pb2.CreateBookingRequest(
                parent=self.post.name,
                booking=booking_service_pb2.NewBooking(class_session=self.session_name, client=client),
                request_id=uuid4().hex,
            )
        )

    async def wait(self, email: str) -> UUID:
        """A new client with a credit, in the line for the class; the entry."""
        client = await self.new_client(email, "Bea Brandt", "")
        entry = waitlist_service_pb2.NewWaitlistEntry(class_session=self.session_name, client=client)
        joined = await self.stub.JoinWaitlist(
            waitlist_service_pb2.JoinWaitlistRequest(
                parent=self.post.name, waitlist_entry=entry, request_id=uuid4().hex
            )
        )
        return UUID(joined.name.rpartition("/")[2])

    async def cancel(self, booking: booking_pb2.Booking) -> None:
        await self.stub.CancelBooking(
            booking_service_pb2.CancelBookingRequest(name=booking.name, request_id=uuid4().hex)
        )

    async def new_client(self, email: str, name: str, phone: str, account: UUID | None = None) -> str:
        """A client with one credit; its name."""
        acts = f"accounts/{account}" if account else ""
        client = await self.stub.CreateClient(
            client_service_pb2.CreateClientRequest(
                parent=self.post.name,
                client=client_pb2.Client(display_name=name, email=email, phone=phone, account=acts),
                request_id=uuid4().hex,
            )
        )
        pack = credit_service_pb2.NewClientPackage(client=client.name, display_name="1", credits=1, reason="test")
        await self.stub.GrantClientPackage(
            credit_service_pb2.GrantClientPackageRequest(
                parent=self.post.name, client_package=pack, request_id=uuid4().hex
            )
        )
        return str(client.name)

    async def open(self) -> None:
        """The class is planned, and notify knows the studio's name and the number it sends from."""
        await self.announce(1)
        async with self.post.notify.resources.database.transaction(self.post.studio) as tx:
            await senders.put_studio(tx, version=1, display_name="Kiez Pilates", time_zone=ZONE.key)
            await senders.update(tx, {"sms_number": self.number}, etag="")

    async def carry_all(self) -> None:
        """Brings every event of booking to notify, as the broker would."""
        rows = await self.booking.sql(
            f"SELECT {COLUMNS} FROM outbox WHERE tenant_id = $1 ORDER BY create_time", self.post.studio
        )
        await self.post.apply([Envelope.of_row(row) for row in rows])

    async def reminders(self, booking: booking_pb2.Booking) -> list[Any]:
        """The reminders of a booking: the earliest due first, a mail before a text."""
        return await self.post.notify.sql(
            "SELECT * FROM deliveries WHERE kind = 'reminder' AND subject_id = $1"
            " ORDER BY time_version, due_time, channel",
            id_of(booking),
        )

    async def move(self, version: int, start: datetime, time_version: int) -> None:
        """Scheduling moves the class."""
        self.start = start
        await self.announce(version, time_version=time_version)

    async def announce(self, version: int, *, time_version: int = 1, cancelled: bool = False) -> None:
        """Scheduling tells booking about the class."""
        state = ClassSessionState(
            class_session_id=str(self.class_session),
            version=version,
            time_version=time_version,
            class_type_display_name="Reformer <Flow>",
            room_display_name=self.room,
            location_display_name="Kreuzberg",
            start_time=to_timestamp(self.start),
            end_time=to_timestamp(self.start + timedelta(minutes=50)),
            time_zone=ZONE.key,
            currency_code="EUR",
            cancelled=cancelled,
            **self.facts,
        )
        change = ClassSessionChanged.CANCELLED if state.cancelled else ClassSessionChanged.SCHEDULED
        envelope = Envelope.of_row(
            {
                "event_id": new_id(),
                "tenant_id": self.post.studio,
                "type": ClassSessionChanged.DESCRIPTOR.full_name,
                "aggregate": "class_session",
                "aggregate_id": self.class_session,
                "version": version,
                "create_time": self.booking.mesh.clock.now(),
                "traceparent": None,
                "payload": MessageToJson(ClassSessionChanged(change=change, class_session=state)),
            }
        )
        await inbox.apply(self.booking.resources.database, BOOKING.consumers, [envelope])


def id_of(booking: booking_pb2.Booking) -> UUID:
    return UUID(booking.name.rpartition("/")[2])
