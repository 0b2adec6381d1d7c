"""Booking confirmations: what booking says at the moment of sending is what counts."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from google.protobuf.json_format import MessageToJson

from powerhouse.booking.v1 import booking_pb2, booking_service_pb2, client_pb2, client_service_pb2, credit_service_pb2
from powerhouse.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from powerhouse.booking.v1.client_service_pb2_grpc import ClientServiceStub
from powerhouse.booking.v1.credit_service_pb2_grpc import CreditServiceStub
from powerhouse.booking.v1.events_pb2 import BookingChanged
from powerhouse.notify.v1.notify_service_pb2 import Delivery
from powerhouse.policy.v1.policy_pb2 import Role
from powerhouse.scheduling.v1.events_pb2 import ClassSessionChanged, ClassSessionState
from services.booking.service import SERVICE as BOOKING
from services.chassis.ids import new_id
from services.chassis.messaging import inbox
from services.chassis.messaging.envelope import COLUMNS, Envelope
from services.chassis.rpc.codec import to_timestamp
from tests.integration.notify.house import Post, new_email
from tests.support.services import Running, together

ZONE = ZoneInfo("Europe/Berlin")


@dataclass
class Desk:
    """The front desk of a studio with one class: in three days at ten, Berlin time."""

    booking: Running
    post: Post
    start: datetime
    class_session: UUID

    @property
    def stub(self) -> Any:
        both = together(BookingServiceStub, ClientServiceStub, CreditServiceStub)
        return self.booking.as_account(both, roles={self.post.studio: [Role.ROLE_FRONT_DESK]})

    async def book(self, email: str, name: str = "Ann Adler") -> booking_pb2.Booking:
        """A new client with a credit, in the class."""
        client = await self.stub.CreateClient(
            client_service_pb2.CreateClientRequest(
                parent=self.post.name,
                client=client_pb2.Client(display_name=name, email=email),
                request_id=uuid4().hex,
            )
        )
        pack = credit_service_pb2.NewClientPackage(client=client.name, display_name="1", credits=1, reason="test")
        await self.stub.GrantClientPackage(
            credit_service_pb2.GrantClientPackageRequest(
                parent=self.post.name, client_package=pack, request_id=uuid4().hex
            )
        )
        return await self.stub.CreateBooking(
            booking_service_pb2.CreateBookingRequest(
                parent=self.post.name,
                booking=booking_service_pb2.NewBooking(
                    class_session=f"{self.post.name}/classSessions/{self.class_session}", client=client.name
                ),
                request_id=uuid4().hex,
            )
        )

    async def announce(self, version: int, **changes: object) -> None:
        """Scheduling tells booking about the class."""
        state = ClassSessionState(
            class_session_id=str(self.class_session),
            version=version,
            time_version=1,
            class_type_id=str(new_id()),
            class_type_display_name="Reformer <Flow>",
            room_id=str(new_id()),
            room_display_name="Blue Room",
            location_id=str(new_id()),
            location_display_name="Kreuzberg",
            instructor_id=str(new_id()),
            instructor_display_name="Jana Vogt",
            start_time=to_timestamp(self.start),
            end_time=to_timestamp(self.start + timedelta(minutes=50)),
            time_zone=ZONE.key,
            capacity=4,
            spots=["R1", "R2", "R3", "R4"],
            currency_code="EUR",
            **changes,
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


@pytest.fixture
async def desk(post: Post) -> AsyncIterator[Desk]:
    async with post.notify.mesh.running(BOOKING) as booking:
        today = booking.mesh.clock.now().astimezone(ZONE)
        start = (today + timedelta(days=3)).replace(hour=10, minute=0, second=0, microsecond=0)
        made = Desk(booking, post, start, new_id())
        await made.announce(1)
        yield made


def id_of(booking: booking_pb2.Booking) -> UUID:
    return UUID(booking.name.rpartition("/")[2])


async def test_a_booking_is_confirmed_once_in_the_words_of_the_place(desk: Desk) -> None:
    email = new_email()
    booking = await desk.book(email, name="Ann\u2028Adler <b>")
    delivery = await desk.post.send(desk.booking, id_of(booking))
    await desk.post.send(desk.booking, id_of(booking))
    assert (delivery["state"], delivery["attempts"]) == ("accepted", 1)
    [mail] = await desk.post.mails(email)
    assert mail["subject"].startswith("You are booked: Reformer <Flow>, ")
    for fact in ("10:00 (Europe/Berlin)", "Jana Vogt", "Blue Room, Kreuzberg", booking.spot, "free until"):
        assert fact in mail["text"]
    assert "Reformer &lt;Flow&gt;" in mail["html"]
    deadline = booking.free_cancel_until.ToDatetime(tzinfo=ZoneInfo("UTC")).astimezone(ZONE)
    assert f"{deadline:%H:%M}. After that" in mail["text"]
    listed = await desk.post.listed(booking=booking.name)
    assert [each.kind for each in listed if each.kind != Delivery.REMINDER] == [Delivery.BOOKING_CONFIRMATION]
    assert {each.booking for each in listed} == {booking.name}


async def test_a_client_without_an_address_is_skipped(desk: Desk) -> None:
    booking = await desk.book("")
    delivery = await desk.post.send(desk.booking, id_of(booking))
    assert (delivery["state"], delivery["attempts"], delivery["reason"]) == ("skipped", 0, "no e-mail address")


async def test_a_booking_cancelled_before_sending_is_skipped(desk: Desk) -> None:
    email = new_email()
    booking = await desk.book(email)
    await desk.post.carry(desk.booking, id_of(booking))
    await desk.stub.CancelBooking(booking_service_pb2.CancelBookingRequest(name=booking.name, request_id=uuid4().hex))
    delivery = await desk.post.send(desk.booking, id_of(booking))
    assert (delivery["state"], delivery["attempts"]) == ("skipped", 0)
    assert delivery["reason"] == "the booking is cancelled early"
    assert not await desk.post.mails(email)


async def test_a_cancellation_alone_plans_nothing(desk: Desk) -> None:
    booking = await desk.book(new_email())
    await desk.stub.CancelBooking(booking_service_pb2.CancelBookingRequest(name=booking.name, request_id=uuid4().hex))
    rows = await desk.booking.sql(
        f"SELECT {COLUMNS} FROM outbox WHERE aggregate_id = $1 ORDER BY version DESC LIMIT 1", id_of(booking)
    )
    await desk.post.apply([Envelope.of_row(row) for row in rows])
    assert not await desk.post.notify.sql("SELECT 1 FROM deliveries WHERE subject_id = $1", id_of(booking))


@pytest.mark.parametrize(
    "state",
    [
        booking_pb2.Booking.PENDING_PAYMENT,
        booking_pb2.Booking.EXPIRED,
        booking_pb2.Booking.ATTENDED,
        booking_pb2.Booking.NO_SHOW,
        # One of times to come.
        99,
    ],
)
async def test_no_other_state_plans_anything(desk: Desk, state: Any) -> None:
    booking_id = new_id()
    event = BookingChanged(
        booking_id=str(booking_id), client_id=str(new_id()), class_session_id=str(desk.class_session), state=state
    )
    row = {
        "event_id": new_id(),
        "tenant_id": desk.post.studio,
        "type": BookingChanged.DESCRIPTOR.full_name,
        "aggregate": "booking",
        "aggregate_id": booking_id,
        "version": 2,
        "create_time": desk.booking.mesh.clock.now(),
        "traceparent": None,
        "payload": MessageToJson(event),
    }
    await desk.post.apply([Envelope.of_row(row)])
    assert not await desk.post.notify.sql("SELECT 1 FROM deliveries WHERE subject_id = $1", booking_id)


async def test_a_cancelled_class_is_not_confirmed(desk: Desk) -> None:
    email = new_email()
    booking = await desk.book(email)
    await desk.post.carry(desk.booking, id_of(booking))
    await desk.announce(2, cancelled=True)
    await desk.post.work_off()
    delivery = await desk.post.delivery(id_of(booking))
    assert delivery["state"] == "skipped"
    assert "cancelled" in delivery["reason"]
    assert not await desk.post.mails(email)


async def test_a_class_that_has_begun_is_not_confirmed(desk: Desk) -> None:
    email = new_email()
    booking = await desk.book(email)
    await desk.post.carry(desk.booking, id_of(booking))
    desk.booking.mesh.clock.move(timedelta(days=4))
    await desk.post.work_off()
    delivery = await desk.post.delivery(id_of(booking))
    assert (delivery["state"], delivery["reason"]) == ("skipped", "it would have come too late")


async def test_nobody_knows_the_booking(desk: Desk) -> None:
    booking = await desk.book(new_email())
    [envelope] = await desk.post.carry(desk.booking, id_of(booking))
    await desk.post.work_off()
    stranger = new_id()
    payload = {**envelope.payload, "bookingId": str(stranger)}
    await desk.post.apply([replace(envelope, event_id=str(new_id()), payload=payload)])
    await desk.post.work_off()
    delivery = await desk.post.delivery(stranger)
    assert (delivery["state"], delivery["reason"]) == ("skipped", "the booking is not there any more")


async def test_a_cancellation_after_an_open_attempt_says_so(desk: Desk) -> None:
    email = new_email()
    booking = await desk.book(email)
    await desk.post.carry(desk.booking, id_of(booking))
    await desk.post.misbehave(accept_then_500=1)
    await desk.post.run_once()
    await desk.stub.CancelBooking(booking_service_pb2.CancelBookingRequest(name=booking.name, request_id=uuid4().hex))
    await desk.post.work_off()
    delivery = await desk.post.delivery(id_of(booking))
    assert delivery["state"] == "skipped"
    assert delivery["reason"].endswith("an earlier attempt may have been accepted")
    assert len(await desk.post.mails(email)) == 1
