"""A change of a session that is only tried: what it would do and whom it would concern, with booking on the mesh."""

from typing import Any

from booked_house import book
from grpc import StatusCode
from timetable_house import House, refused

from powerhouse.policy.v1.policy_pb2 import Role
from powerhouse.scheduling.v1 import scheduling_service_pb2 as pb
from powerhouse.scheduling.v1.class_session_pb2 import ClassSession
from tests.support.services import Mesh, Running

Move = pb.PreviewClassSessionChangeRequest.Move
Affected = pb.PreviewClassSessionChangeResponse.AffectedBooking


async def preview(house: House, session: ClassSession, stub: Any = None, **fields: Any) -> list[tuple[str, str, str]]:
    answer = await (stub or house.stub).PreviewClassSessionChange(
        pb.PreviewClassSessionChangeRequest(name=session.name, **fields)
    )
    return [(each.booking, each.client, Affected.Effect.Name(each.effect)) for each in answer.affected_bookings]


async def contents(house: House) -> list[Any]:
    """All that scheduling has of the studio and has told of it."""
    query = "SELECT (SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {} t WHERE tenant_id = $1) AS digest"
    tables = ("class_sessions", "outbox", "audit_entries", "idempotency")
    return [(await house.running.sql(query.format(table), house.tenant))[0]["digest"] for table in tables]


async def test_who_would_be_concerned_and_nothing_happens(house: House, booking: Running) -> None:
    session = await house.plan("2027-01-05T10:00")
    made = await book(house, booking, session, 3)
    small = await house.add_room(capacity=8, spots=[f"Spot {number}" for number in range(8)])
    before = await contents(house)
    assert await preview(house, session, cancel=True) == [(*each, "CANCELLED") for each in made]
    assert await preview(house, session, capacity=2) == [(*made[2], "OVER_CAPACITY")]
    assert await preview(house, session, capacity=3) == []
    later = [(*each, "MOVED") for each in made]
    assert await preview(house, session, move=Move(local_start="2027-01-05T12:00")) == later
    assert await preview(house, session, move=Move(room=small.name)) == later
    assert await contents(house) == before
    assert await house.get(session.name) == session


async def test_it_refuses_what_the_change_would(house: House, booking: Running) -> None:
    session, other = await house.plan("2027-01-05T10:00"), await house.plan("2027-01-05T14:00")
    async with refused(StatusCode.ALREADY_EXISTS, "SESSION_OVERLAP", class_session=other.name):
        await preview(house, session, move=Move(local_start="2027-01-05T14:30"))
    async with refused(StatusCode.INVALID_ARGUMENT, "NOTHING_TO_MOVE"):
        await preview(house, session, move=Move())
    async with refused(StatusCode.FAILED_PRECONDITION, "CAPACITY_ABOVE_ROOM"):
        await preview(house, session, capacity=9)
    async with refused(StatusCode.ABORTED, "ETAG_MISMATCH"):
        await preview(house, session, cancel=True, etag="7")
    for fields in ({}, {"cancel": False}, {"capacity": 0}):
        async with refused(StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"):
            await preview(house, session, **fields)
    await house.cancel(other)
    async with refused(StatusCode.FAILED_PRECONDITION, "SESSION_CANCELLED"):
        await preview(house, other, cancel=True)


async def test_staff_may_ask_and_nobody_else(house: House, booking: Running) -> None:
    session = await house.plan()
    assert await preview(house, session, house.as_role(Role.ROLE_FRONT_DESK), cancel=True) == []
    for role in (Role.ROLE_INSTRUCTOR, Role.ROLE_CLIENT):
        async with refused(StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED"):
            await preview(house, session, house.as_role(role), cancel=True)


async def test_without_booking_it_says_so_and_holds_nothing(house: House, mesh: Mesh) -> None:
    session = await house.plan()
    mesh.targets["booking"] = "127.0.0.1:1"
    async with refused(StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE"):
        await preview(house, session, cancel=True)
    assert (await house.change_capacity(session, 4)).capacity == 4
