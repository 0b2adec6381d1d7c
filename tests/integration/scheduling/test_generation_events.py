"""What the mesh is told of generated sessions, and that booking can sell them."""

import random
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from recurring_house import RecurringHouse, berlin
from timetable_house import key

from powerhouse.booking.v1 import booking_service_pb2, client_service_pb2, credit_service_pb2
from powerhouse.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.booking.v1.client_service_pb2_grpc import ClientServiceStub
from powerhouse.booking.v1.credit_service_pb2_grpc import CreditServiceStub
from powerhouse.policy.v1.policy_pb2 import Role
from powerhouse.scheduling.v1.events_pb2 import ClassSessionsScheduled
from services.booking import class_sessions, snapshots
from services.booking.service import SERVICE as BOOKING
from services.chassis.messaging import inbox
from services.chassis.messaging.envelope import COLUMNS, Envelope
from tests.support.services import Mesh, Running, together


@pytest.fixture
async def booking(mesh: Mesh, recurring: RecurringHouse) -> AsyncIterator[Running]:
    mesh.clock.instant = berlin("2027-01-03T06:00")
    async with mesh.running(BOOKING) as running:
        yield running


async def carry(recurring: RecurringHouse, booking: Running, seed: int = 0) -> int:
    """Brings every event twice and in any order; how many were new."""
    house = recurring.house
    rows = await house.running.sql(f"SELECT {COLUMNS} FROM outbox WHERE tenant_id = $1", house.tenant)
    envelopes = [Envelope.of_row(row) for row in rows] * 2
    random.Random(seed).shuffle(envelopes)
    new = 0
    for start in range(0, len(envelopes), 3):
        new += await inbox.apply(booking.resources.database, BOOKING.consumers, envelopes[start : start + 3])
    return new


async def book(recurring: RecurringHouse, booking: Running, session: str) -> None:
    """One client with one credit books."""
    stub: Any = booking.as_account(
        together(BookingServiceStub, ClientServiceStub, CreditServiceStub),
        roles={recurring.house.tenant: [Role.ROLE_FRONT_DESK]},
    )
    studio = {"parent": recurring.house.name, "request_id": key()}
    client = await stub.CreateClient(
        client_service_pb2.CreateClientRequest(client=Client(display_name="Clara"), **studio)
    )
    pack = credit_service_pb2.NewClientPackage(client=client.name, display_name="Pack", credits=1, reason="test")
    await stub.GrantClientPackage(credit_service_pb2.GrantClientPackageRequest(client_package=pack, **studio))
    wanted = booking_service_pb2.NewBooking(
        class_session=f"{recurring.house.name}/classSessions/{session}", client=client.name
    )
    await stub.CreateBooking(booking_service_pb2.CreateBookingRequest(booking=wanted, **studio))


async def digest(recurring: RecurringHouse, booking: Running) -> str:
    async with booking.resources.database.transaction(recurring.house.tenant) as tx:
        return await class_sessions.digest(tx)


@pytest.mark.parametrize("seed", range(3))
async def test_booking_has_what_a_snapshot_says_in_any_order(
    recurring: RecurringHouse, booking: Running, seed: int
) -> None:
    house = recurring.house
    house.room = await house.add_room(capacity=3, spots=["1", "2", "3"])
    await recurring.create()
    await recurring.create(room=house.room.name, local_time="12:00")
    await recurring.generate()
    first, second, *_ = await recurring.sessions()
    await house.cancel(first)
    await house.move(second, local_start="2027-01-05T18:00")
    await carry(recurring, booking, seed)
    told = await digest(recurring, booking)
    await booking.sql("DELETE FROM class_sessions WHERE tenant_id = $1", house.tenant)
    assert await snapshots.load(booking.resources) >= 24
    assert told == await digest(recurring, booking)
    dead = await booking.sql(
        "SELECT count(*) FROM dead_letters WHERE type = $1", ClassSessionsScheduled.DESCRIPTOR.full_name
    )
    assert dead[0][0] == 0


async def test_a_projection_that_was_emptied_finds_its_bookings_again(
    recurring: RecurringHouse, booking: Running
) -> None:
    """The message comes once more, to sessions that are gone while their bookings are not."""
    house = recurring.house
    await recurring.create()
    await recurring.generate()
    await carry(recurring, booking)
    session = (await recurring.sessions())[0].name[-36:]
    await book(recurring, booking, session)
    before = await digest(recurring, booking)
    await booking.sql("DELETE FROM class_sessions WHERE tenant_id = $1", house.tenant)
    await booking.sql("DELETE FROM inbox WHERE type = $1", ClassSessionsScheduled.DESCRIPTOR.full_name)
    await carry(recurring, booking)
    assert await digest(recurring, booking) == before
    [row] = await booking.sql("SELECT booked_count FROM class_sessions WHERE id = $1", UUID(session))
    assert row["booked_count"] == 1


async def test_one_message_for_each_schedule(recurring: RecurringHouse) -> None:
    recurring.house.running.mesh.clock.instant = berlin("2027-01-03T06:00")
    await recurring.create()
    await recurring.create(local_time="12:00")
    await recurring.generate()
    told = await recurring.told()
    assert [len(event.class_sessions) for event in told] == [12, 12]
    sessions = {session.name[-36:]: session for session in await recurring.sessions()}
    for event in told:
        assert (event.common.version, event.common.time_version, event.common.capacity) == (1, 1, 8)
        assert event.common.instructor_display_name == "Ines"
        ids = [each.class_session_id for each in event.class_sessions]
        assert ids == sorted(ids)
        for each in event.class_sessions:
            session = sessions.pop(each.class_session_id)
            assert each.start_time == session.start_time
            assert session.end_time.seconds - session.start_time.seconds == event.duration_minutes * 60
    assert not sessions
    rows = await recurring.house.running.sql(
        "SELECT aggregate, aggregate_id, payload->'classSessions'->0->>'classSessionId' AS first FROM outbox"
        " WHERE tenant_id = $1 AND type = $2",
        recurring.house.tenant,
        ClassSessionsScheduled.DESCRIPTOR.full_name,
    )
    # A batch is applied in the order of aggregates: by its first session it finds its place among single ones.
    assert all((row["aggregate"], str(row["aggregate_id"])) == ("class_session", row["first"]) for row in rows)
