"""Booking confirmations: what booking says at the moment of sending is what counts."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from google.protobuf.json_format import MessageToJson

from powerhouse.booking.v1 import booking_pb2, booking_service_pb2
from powerhouse.booking.v1.events_pb2 import BookingChanged
from powerhouse.notify.v1.notify_service_pb2 import Delivery
from services.chassis.ids import new_id
from services.chassis.messaging.envelope import COLUMNS, Envelope
from tests.integration.notify.desk import ZONE, Desk, id_of
from tests.integration.notify.house import new_email


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
