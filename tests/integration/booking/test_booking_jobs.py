"""What booking does by itself: loading its projection, checking what must hold."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from powerhouse.booking.v1 import booking_service_pb2 as booking_pb
from powerhouse.policy.v1.policy_pb2 import Role
from powerhouse.scheduling.v1 import scheduling_service_pb2 as pb
from powerhouse.scheduling.v1.events_pb2 import ClassSessionChanged
from powerhouse.scheduling.v1.scheduling_service_pb2_grpc import SchedulingServiceStub
from powerhouse.scheduling.v1.studio_pb2 import ClassType, Instructor, Location, Room, Studio
from services.booking import snapshots
from services.booking.invariants import INVARIANTS
from services.booking.jobs import (
    check_invariants,
    load_class_sessions,
    snapshot_class_sessions_if_empty,
)
from services.chassis.ids import new_id
from services.chassis.jobs.registry import Done, Job
from services.chassis.telemetry import VIOLATIONS
from services.scheduling.service import SERVICE as SCHEDULING
from tests.integration.booking.house import House, key, last_id
from tests.support.services import Running

# A credit set aside, and a wait of the year before under it for each session.
WAIT = (
    "WITH h AS (INSERT INTO credit_holds (tenant_id, id, client_id, client_package_id, create_time)"
    " SELECT tenant_id, gen_random_uuid(), client_id, id, now() FROM client_packages WHERE tenant_id = $1 RETURNING *),"
    " s AS (SELECT * FROM class_sessions WHERE tenant_id = $1{more}),"
    " e AS (INSERT INTO waitlist_entries (tenant_id, id, class_session_id, client_id, credit_hold_id, state, join_time,"
    " passed_over, version, create_time, update_time)"
    " SELECT h.tenant_id, gen_random_uuid(), s.id, h.client_id, h.id, 'WAITING', '2026-01-01', '{passed_over}', 1,"
    " '2026-01-01', '2026-01-01' FROM h, s RETURNING *) "
)
# The same class a day later.
ANOTHER = (
    " UNION ALL SELECT (jsonb_populate_record(s, jsonb_build_object('id', gen_random_uuid(), 'start_time',"
    " s.start_time + interval '1 day', 'end_time', s.end_time + interval '1 day', 'booked_count', 0))).*"
    " FROM class_sessions s WHERE tenant_id = $1"
)
BREAKING = {
    "holds": WAIT.format(more="", passed_over="X") + "SELECT FROM e",
    "settled_lines": WAIT.format(more="", passed_over="") + "SELECT FROM e",
    "shared_holds": WAIT.format(more=ANOTHER, passed_over="X") + "INSERT INTO class_sessions SELECT s.* FROM s"
    " WHERE booked_count = 0",
    "fair_lines": WAIT.format(more="", passed_over="X")
    + ", promoted AS (INSERT INTO waitlist_entries (tenant_id, id, class_session_id, client_id, credit_hold_id, state,"
    " join_time, booking_id, version) SELECT tenant_id, gen_random_uuid(), class_session_id, client_id, credit_hold_id,"
    " 'PROMOTED', now(), gen_random_uuid(), 1 FROM e RETURNING *)"
    " INSERT INTO waitlist_decisions (tenant_id, class_session_id, waitlist_entry_id, place_in_line, outcome,"
    " create_time) SELECT tenant_id, class_session_id, id, 2, 'PROMOTED', now() FROM promoted",
    "seats": "UPDATE class_sessions SET booked_count = 0 WHERE tenant_id = $1",
    "balances": "UPDATE client_packages SET credits_left = credits_left + 1 WHERE tenant_id = $1",
    "ledger": "UPDATE client_packages SET credits_left = credits_left + 1 WHERE tenant_id = $1",
    "redemptions": "UPDATE bookings SET state = 'CANCELLED_EARLY', credit_returned = true, cancel_time = now()"
    " WHERE tenant_id = $1",
    "one_active_booking": "INSERT INTO bookings (tenant_id, id, class_session_id, client_id, client_package_id, state,"
    " policy_version, credit_returned, session_cancelled, version, start_time, end_time) SELECT tenant_id,"
    " gen_random_uuid(), class_session_id, client_id, client_package_id, state, 1, false, false, 1, start_time,"
    " end_time FROM bookings WHERE tenant_id = $1",
}


async def metric(house: House, name: str) -> float:
    """What the tick counts in all studios together."""
    await check_invariants(house.running.resources, house.now)
    (sample,) = [sample for found in VIOLATIONS.collect() for sample in found.samples if sample.labels["name"] == name]
    return float(sample.value)


@pytest.mark.parametrize("name", INVARIANTS)
async def test_what_is_broken_is_counted(house: House, name: str) -> None:
    await house.book(await house.plan(), await house.add_client(credits=2))
    assert await house.violations() == {}
    before = await metric(house, name)
    index = "uq_bookings_active_client"
    (definition,) = await house.running.sql("SELECT pg_get_indexdef($1::regclass) AS sql", index)
    await house.running.sql(f"DROP INDEX {index}")
    try:
        await house.running.sql(BREAKING[name], house.tenant)
        assert (await house.violations())[name] == 1
        assert await metric(house, name) == before + 1
    finally:
        await house.running.sql(
            "DELETE FROM bookings WHERE tenant_id = $1 AND NOT EXISTS (SELECT FROM transfers"
            " WHERE booking_id = bookings.id)",
            house.tenant,
        )
        await house.running.sql(definition["sql"])


@pytest.fixture(scope="session")
async def scheduling(booking: Running) -> AsyncIterator[Running]:
    """The real service, on the same mesh."""
    async with booking.mesh.running(SCHEDULING) as running:
        yield running


@pytest.fixture
async def timetable(scheduling: Running, house: House) -> House:
    """A studio in scheduling with three sessions, one of them cancelled; the house becomes that studio."""
    owner = new_id()
    first = scheduling.as_account(SchedulingServiceStub, owner)
    studio = Studio(display_name="Mitte", time_zone="Europe/Berlin", currency_code="EUR")
    studio = await first.CreateStudio(pb.CreateStudioRequest(studio=studio, request_id=key()))
    house.tenant = last_id(studio.name)
    stub: Any = scheduling.as_account(SchedulingServiceStub, owner, {house.tenant: [Role.ROLE_OWNER]})
    parent: dict[str, Any] = {"parent": studio.name}
    location = await stub.CreateLocation(
        pb.CreateLocationRequest(
            **parent, location=Location(display_name="Mitte", time_zone="Europe/Berlin"), request_id=key()
        )
    )
    room = Room(display_name="Room", location=location.name, capacity=2, spots=["A", "B"])
    room = await stub.CreateRoom(pb.CreateRoomRequest(**parent, room=room, request_id=key()))
    class_type = ClassType(display_name="Flow", duration_minutes=50)
    class_type = await stub.CreateClassType(
        pb.CreateClassTypeRequest(**parent, class_type=class_type, request_id=key())
    )
    instructor = await stub.CreateInstructor(
        pb.CreateInstructorRequest(**parent, instructor=Instructor(display_name="Ines"), request_id=key())
    )
    for hour in ("10", "12", "14"):
        session = pb.NewClassSession(
            class_type=class_type.name,
            room=room.name,
            instructor=instructor.name,
            local_start=f"2027-01-06T{hour}:00",
            capacity=2,
        )
        planned = await stub.CreateClassSession(
            pb.CreateClassSessionRequest(**parent, class_session=session, request_id=key())
        )
    await stub.CancelClassSession(
        pb.CancelClassSessionRequest(name=planned.name, reason="storm", etag=planned.etag, request_id=key())
    )
    return house


async def test_the_snapshot_leads_to_the_same_state_as_the_events(timetable: House, scheduling: Running) -> None:
    resources = timetable.running.resources
    assert await snapshots.load(resources) >= 3
    loaded = await timetable.digest()
    assert await snapshots.load(resources) == 0
    await timetable.running.sql("DELETE FROM class_sessions WHERE tenant_id = $1", timetable.tenant)
    events = await scheduling.events(ClassSessionChanged, timetable.tenant)
    await timetable.tell(*(event.class_session for event in reversed(events)))
    assert await timetable.digest() == loaded


async def test_a_projection_that_is_not_empty_any_more_is_loaded_too(timetable: House, scheduling: Running) -> None:
    resources = timetable.running.resources
    await snapshots.load(resources)
    before = await timetable.digest()
    await timetable.running.sql("TRUNCATE class_sessions")
    event = (await scheduling.events(ClassSessionChanged, timetable.tenant))[0]
    await timetable.tell(event.class_session)
    await snapshot_class_sessions_if_empty(resources, timetable.now)
    assert await timetable.digest() != before
    job = Job(new_id(), None, "load_class_sessions", "0004", {}, timetable.now, 1, new_id(), None)
    assert await load_class_sessions(resources, job) == Done()
    assert await timetable.digest() == before


async def test_a_truncated_projection_is_loaded_again(timetable: House) -> None:
    resources = timetable.running.resources
    await snapshots.load(resources)
    before = await timetable.digest()
    assert not await snapshots.is_empty(resources)
    await timetable.running.sql("TRUNCATE class_sessions")
    await snapshot_class_sessions_if_empty(resources, timetable.now)
    assert await timetable.digest() == before
    assert not await snapshots.is_empty(resources)
    stub = timetable.as_role(Role.ROLE_MANAGER)
    listed = await stub.ListBookableSessions(booking_pb.ListBookableSessionsRequest(parent=timetable.name))
    assert [session.local_start for session in listed.bookable_sessions] == [
        "2027-01-06T10:00",
        "2027-01-06T12:00",
        "2027-01-06T14:00",
    ]
