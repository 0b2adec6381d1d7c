"""Taking a place: what is taken, told and refused."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from grpc import StatusCode

from powerhouse.booking.v1 import booking_service_pb2 as pb
from powerhouse.booking.v1.booking_pb2 import Booking, BookingPolicy
from powerhouse.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.booking.v1.events_pb2 import BookingChanged, ClientPackageChanged
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.auth.principal import Principal
from services.chassis.ids import new_id
from tests.integration.booking.house import House, key, last_id, outcome, refused

PRECONDITION = StatusCode.FAILED_PRECONDITION


async def test_a_booking_takes_a_place_and_a_credit(house: House) -> None:
    session, client = await house.plan(), await house.add_client(credits=3)
    booking = await house.book(session, client)
    assert booking.state == Booking.CONFIRMED
    assert (booking.class_session, booking.client, booking.client_display_name) == (session, client.name, "Clara")
    assert (booking.class_type_display_name, booking.spot, booking.policy_version) == ("Reformer Flow", "", 1)
    assert (booking.local_start, booking.time_zone) == ("2027-01-06T09:00", "Europe/Berlin")
    assert booking.free_cancel_until.ToDatetime(UTC) == datetime(2027, 1, 5, 20, tzinfo=UTC)
    assert booking.create_time.ToDatetime(UTC) == house.now
    assert booking == await house.get(booking)
    assert await house.credits(client) == 2
    assert await house.counters(session) == (8, 8, 1)
    assert await house.violations() == {}


async def test_it_tells_the_mesh_and_leaves_an_audit_entry(house: House) -> None:
    session, client = await house.plan(time_version=3), await house.add_client(credits=2)
    booking = await house.book(session, client)
    (changed,) = await house.running.events(BookingChanged, house.tenant)
    query = "SELECT class_type_id::text FROM class_sessions WHERE id = $1"
    [(class_type,)] = await house.running.sql(query, last_id(session))
    assert changed == BookingChanged(
        booking_id=str(last_id(booking.name)),
        class_session_id=str(last_id(session)),
        client_id=str(last_id(client.name)),
        state=Booking.CONFIRMED,
        start_time=booking.start_time,
        time_version=3,
        client_package=ClientPackageChanged(
            client_package_id=str(last_id(booking.client_package)),
            client_id=str(last_id(client.name)),
            credits_left=1,
            version=3,
        ),
        time_zone=booking.time_zone,
        class_type_id=class_type,
        change_time=booking.create_time,
    )
    outbox = await house.running.sql(
        "SELECT aggregate_id, version FROM outbox WHERE tenant_id = $1 AND aggregate = 'booking'",
        house.tenant,
    )
    assert [tuple(row) for row in outbox] == [(last_id(booking.name), 1)]
    (entry,) = await house.running.sql(
        "SELECT principal, resource FROM audit_entries WHERE tenant_id = $1 AND method = 'CreateBooking'", house.tenant
    )
    assert entry["principal"].startswith("accounts/")
    assert entry["resource"] == booking.name


async def test_it_is_one_statement(house: House) -> None:
    session, client = await house.plan(), await house.add_client(credits=2)
    await house.book(session, await house.add_client())
    database: Any = house.running.resources.database
    statements: list[str] = []
    connections = [holder._con for holder in database._hot._holders if holder._con is not None]
    for connection in connections:
        connection.add_query_logger(lambda record: statements.append(record.query))
    in_sessions = database.engine.pool.checkedout
    await house.book(session, client)
    assert len(statements) == 1
    assert "book_v4" in statements[0]
    assert in_sessions() == 0


class TestRefusals:
    async def test_full(self, house: House) -> None:
        session = await house.plan(capacity=1)
        await house.book(session, await house.add_client())
        await refused(house.book(session, await house.add_client()), PRECONDITION, "SESSION_FULL")

    async def test_not_known_yet(self, house: House) -> None:
        session = f"{house.name}/classSessions/{new_id()}"
        await refused(house.book(session, await house.add_client()), PRECONDITION, "SESSION_NOT_KNOWN_YET")

    async def test_cancelled(self, house: House) -> None:
        session = await house.plan(cancelled=True)
        await refused(house.book(session, await house.add_client()), PRECONDITION, "SESSION_CANCELLED")

    async def test_started(self, house: House) -> None:
        session = await house.plan(start=house.now)
        await refused(house.book(session, await house.add_client()), PRECONDITION, "SESSION_STARTED")

    async def test_not_open(self, house: House) -> None:
        client, opens = await house.add_client(), timedelta(days=30)
        session = await house.plan(start=house.now + opens + timedelta(seconds=1))
        await refused(house.book(session, client), PRECONDITION, "BOOKING_NOT_OPEN")
        house.move(seconds=1)
        assert await outcome(house.book(session, client)) == "BOOKED"

    async def test_closed(self, house: House) -> None:
        manager, client = house.as_role(Role.ROLE_MANAGER), await house.add_client()
        policy = BookingPolicy(name=f"{house.name}/bookingPolicy", booking_closes_minutes=30)
        await manager.UpdateBookingPolicy(pb.UpdateBookingPolicyRequest(booking_policy=policy, request_id=key()))
        session = await house.plan(start=house.now + timedelta(minutes=30))
        await refused(house.book(session, client), PRECONDITION, "BOOKING_CLOSED")

    async def test_no_credit(self, house: House) -> None:
        session = await house.plan()
        await refused(house.book(session, await house.add_client(credits=0)), PRECONDITION, "NO_CREDIT")

    async def test_credit_that_expires_before_the_class(self, house: House) -> None:
        client = await house.add_client(credits=0)
        await house.grant(client, 1, valid_days=1)
        await refused(house.book(await house.plan(), client), PRECONDITION, "NO_CREDIT")
        assert await outcome(house.book(await house.plan(start=house.now + timedelta(hours=38)), client)) == "BOOKED"

    async def test_booked_already(self, house: House) -> None:
        session, client = await house.plan(capacity=1), await house.add_client()
        await house.book(session, client)
        await refused(house.book(session, client), StatusCode.ALREADY_EXISTS, "ALREADY_BOOKED")

    async def test_unknown_client(self, house: House) -> None:
        unknown = Client(name=f"{house.name}/clients/{new_id()}")
        await refused(house.book(await house.plan(), unknown), StatusCode.NOT_FOUND, "NOT_FOUND")

    async def test_names_of_another_studio(self, house: House) -> None:
        foreign = f"studios/{new_id()}/classSessions/{new_id()}"
        await refused(house.book(foreign, await house.add_client()), StatusCode.INVALID_ARGUMENT, "FOREIGN_RESOURCE")

    async def test_without_a_key(self, house: House) -> None:
        wanted = pb.NewBooking(class_session=await house.plan())
        call = house.staff.CreateBooking(pb.CreateBookingRequest(parent=house.name, booking=wanted))
        await refused(call, StatusCode.INVALID_ARGUMENT, "IDEMPOTENCY_KEY_REQUIRED")

    async def test_nothing_is_written(self, house: House) -> None:
        session, request_id = await house.plan(), key()
        client = await house.add_client(credits=0)
        await refused(house.book(session, client, request_id=request_id), PRECONDITION, "NO_CREDIT")
        assert await house.running.sql("SELECT FROM bookings WHERE tenant_id = $1", house.tenant) == []
        # A refusal is decided anew.
        await house.grant(client)
        assert await outcome(house.book(session, client, request_id=request_id)) == "BOOKED"


class TestSpots:
    async def test_the_first_free_one_of_the_layout(self, house: House) -> None:
        session = await house.plan(capacity=3, spots=["Window", "Door", "Aisle"])
        taken = [(await house.book(session, await house.add_client())).spot for _ in range(3)]
        assert taken == ["Window", "Door", "Aisle"]
        await refused(house.book(session, await house.add_client()), PRECONDITION, "SESSION_FULL")

    async def test_the_wanted_one(self, house: House) -> None:
        session, other = await house.plan(capacity=2, spots=["A", "B"]), await house.add_client()
        assert (await house.book(session, await house.add_client(), spot="B")).spot == "B"
        await refused(house.book(session, other, spot="B"), StatusCode.ALREADY_EXISTS, "SPOT_TAKEN")
        await refused(house.book(session, other, spot="C"), StatusCode.INVALID_ARGUMENT, "UNKNOWN_SPOT")

    async def test_none_in_a_room_without(self, house: House) -> None:
        call = house.book(await house.plan(), await house.add_client(), spot="A")
        await refused(call, StatusCode.INVALID_ARGUMENT, "UNKNOWN_SPOT")

    async def test_a_cancelled_booking_frees_it(self, house: House) -> None:
        session = await house.plan(capacity=1, spots=["A"])
        await house.cancel(await house.book(session, await house.add_client()))
        assert (await house.book(session, await house.add_client())).spot == "A"


class TestWhoBooks:
    async def test_a_person_for_itself(self, house: House) -> None:
        account = new_id()
        client = await house.add_client(account=f"accounts/{account}")
        booking = await house.book(await house.plan(), stub=house.as_account(account))
        assert booking.client == client.name

    async def test_a_parent_for_a_child(self, house: House) -> None:
        account = new_id()
        await house.add_client(account=f"accounts/{account}")
        child = await house.add_client("Kim", account=f"accounts/{account}")
        assert (await house.book(await house.plan(), child, stub=house.as_account(account))).client == child.name

    async def test_not_for_others_known_or_not(self, house: House) -> None:
        account, session = new_id(), await house.plan()
        await house.add_client(account=f"accounts/{account}")
        for other in (await house.add_client(), Client(name=f"{house.name}/clients/{new_id()}")):
            call = house.book(session, other, stub=house.as_account(account))
            await refused(call, StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")

    async def test_who_is_no_client_joins_first(self, house: House) -> None:
        call = house.book(await house.plan(), stub=house.as_account(new_id()))
        await refused(call, PRECONDITION, "CLIENT_REQUIRED")

    async def test_a_program_names_the_client(self, house: House) -> None:
        principal = Principal(api_key_id=new_id(), roles={house.tenant: frozenset({Role.ROLE_FRONT_DESK})})
        program = house.running.as_principal(BookingServiceStub, principal)
        session = await house.plan()
        assert await outcome(house.book(session, await house.add_client(), stub=program)) == "BOOKED"
        await refused(house.book(session, stub=program), StatusCode.PERMISSION_DENIED, "ACCOUNT_REQUIRED")

    @pytest.mark.parametrize("role", [Role.ROLE_OWNER, Role.ROLE_MANAGER])
    async def test_staff_for_anyone(self, house: House, role: "Role.ValueType") -> None:
        assert (
            await outcome(house.book(await house.plan(), await house.add_client(), stub=house.as_role(role)))
            == "BOOKED"
        )

    async def test_an_instructor_only_for_itself(self, house: House) -> None:
        call = house.book(await house.plan(), await house.add_client(), stub=house.as_role(Role.ROLE_INSTRUCTOR))
        await refused(call, StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")


class TestRepeats:
    async def test_the_same_key_answers_the_same_booking(self, house: House) -> None:
        session, client, request_id = await house.plan(capacity=1), await house.add_client(credits=2), key()
        first = await house.book(session, client, request_id=request_id)
        house.move(days=3)  # it has started, and still it was booked
        assert await house.book(session, client, request_id=request_id) == first
        assert await house.credits(client) == 1

    async def test_another_request_under_the_key(self, house: House) -> None:
        client, request_id = await house.add_client(credits=2), key()
        await house.book(await house.plan(), client, request_id=request_id)
        call = house.book(await house.plan(), client, request_id=request_id)
        await refused(call, StatusCode.INVALID_ARGUMENT, "IDEMPOTENCY_KEY_REUSED")

    async def test_the_key_of_somebody_else(self, house: House) -> None:
        session, request_id = await house.plan(), key()
        await house.book(session, await house.add_client(), request_id=request_id)
        other = house.as_role(Role.ROLE_OWNER)
        booked = await outcome(house.book(session, await house.add_client(), request_id=request_id, stub=other))
        assert booked == "BOOKED"


async def test_the_package_that_expires_first_pays(house: House) -> None:
    client = await house.add_client(credits=0)
    forever = await house.grant(client, name="never")
    late, soon = await house.grant(client, valid_days=60), await house.grant(client, valid_days=30)
    house.move(seconds=1)
    same_day = await house.grant(client, valid_days=30)
    paid = [(await house.book(session, client)).client_package for session in await house.plan_many(4)]
    assert paid == [soon.name, same_day.name, late.name, forever.name]


async def test_events_hold_nothing_personal(house: House) -> None:
    client = await house.add_client("Clara Schumann", email="clara@example.com", phone="+4930123456")
    await house.book(await house.plan(), client)
    rows = await house.running.sql("SELECT payload::text FROM outbox WHERE tenant_id = $1", house.tenant)
    told = json.dumps([row["payload"] for row in rows])
    assert "Clara" not in told
    assert "example.com" not in told
    assert "+4930" not in told
