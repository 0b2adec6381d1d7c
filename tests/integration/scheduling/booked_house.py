"""Bookings of a house's sessions, made at a booking service that heard of them."""

from typing import Any

from timetable_house import House, key

from powerhouse.booking.v1 import booking_service_pb2, client_service_pb2, credit_service_pb2
from powerhouse.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.booking.v1.client_service_pb2_grpc import ClientServiceStub
from powerhouse.booking.v1.credit_service_pb2_grpc import CreditServiceStub
from powerhouse.policy.v1.policy_pb2 import Role
from powerhouse.scheduling.v1.class_session_pb2 import ClassSession
from services.booking.service import SERVICE as BOOKING
from services.chassis.messaging import inbox
from services.chassis.messaging.envelope import COLUMNS, Envelope
from tests.support.services import Running, together


async def hear(house: House, booking: Running) -> None:
    """Booking applies what scheduling has told of the studio."""
    rows = await house.running.sql(f"SELECT {COLUMNS} FROM outbox WHERE tenant_id = $1 ORDER BY version", house.tenant)
    await inbox.apply(booking.resources.database, BOOKING.consumers, [Envelope.of_row(row) for row in rows])


async def book(house: House, booking: Running, session: ClassSession, number: int) -> list[tuple[str, str]]:
    """Names of new bookings and their clients, in order of booking."""
    await hear(house, booking)
    stub: Any = booking.as_account(
        together(BookingServiceStub, ClientServiceStub, CreditServiceStub), roles={house.tenant: [Role.ROLE_FRONT_DESK]}
    )
    made = []
    for _ in range(number):
        client = await stub.CreateClient(
            client_service_pb2.CreateClientRequest(
                parent=house.name, client=Client(display_name="Clara"), request_id=key()
            )
        )
        pack = credit_service_pb2.NewClientPackage(client=client.name, display_name="Pack", credits=1, reason="test")
        await stub.GrantClientPackage(
            credit_service_pb2.GrantClientPackageRequest(parent=house.name, client_package=pack, request_id=key())
        )
        wanted = booking_service_pb2.NewBooking(class_session=session.name, client=client.name)
        one = await stub.CreateBooking(
            booking_service_pb2.CreateBookingRequest(parent=house.name, booking=wanted, request_id=key())
        )
        made.append((one.name, client.name))
    return made
