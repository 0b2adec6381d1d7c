"""Whom a change of a session would concern, as scheduling asks it."""

from typing import Any
from uuid import UUID

from grpc import StatusCode

from powerhouse.booking.v1 import session_change_service_pb2 as pb
from powerhouse.booking.v1.booking_pb2 import Booking
from powerhouse.booking.v1.session_change_service_pb2_grpc import SessionChangeServiceStub
from services.chassis.ids import new_id
from tests.integration.booking.house import House, last_id, refused


async def preview(house: House, session: str, caller: str = "scheduling", **fields: Any) -> list[tuple[UUID, str]]:
    """Affected bookings with their effect, were the session as `fields` say."""
    state = house.state(last_id(session), version=2, **fields)
    stub = house.running.as_service(SessionChangeServiceStub, caller)
    answer = await stub.PreviewSessionChange(pb.PreviewSessionChangeRequest(parent=house.name, class_session=state))
    effect = pb.PreviewSessionChangeResponse.Effect.Name
    return [(UUID(each.booking_id), effect(each.effect)) for each in answer.affected_bookings]


async def booked(house: House, session: str, number: int) -> list[Booking]:
    return [await house.book(session, await house.add_client()) for _ in range(number)]


def ids(bookings: list[Booking]) -> list[UUID]:
    return [last_id(booking.name) for booking in bookings]


async def test_who_is_concerned_by_which_change(house: House) -> None:
    start = house.now.replace(hour=18)
    session = await house.plan(start=start)
    bookings = await booked(house, session, 4)
    gone, *rest = bookings
    await house.cancel(gone)
    before = await house.digest()
    first, *newer = ids(rest)

    same = {"start": start}
    assert await preview(house, session, **same) == []
    assert await preview(house, session, **same, instructor_id=str(new_id())) == []
    assert await preview(house, session, **same, cancelled=True) == [(each, "CANCELLED") for each in (first, *newer)]
    assert await preview(house, session, **same, capacity=3) == []
    assert await preview(house, session, **same, capacity=1) == [(each, "OVER_CAPACITY") for each in newer]
    # Where a room has spots, a place is a spot.
    elsewhere = {"room_id": str(new_id()), "spots": ["A", "B"]}
    effects = [effect for _, effect in await preview(house, session, **same, **elsewhere)]
    assert effects == ["MOVED", "MOVED", "OVER_CAPACITY"]
    later = start.replace(hour=20)
    assert [effect for _, effect in await preview(house, session, start=later)] == ["MOVED"] * 3
    assert await house.digest() == before


async def test_a_session_whose_projection_is_not_there_is_told_by_its_bookings(house: House) -> None:
    session = await house.plan()
    bookings = await booked(house, session, 2)
    await house.running.sql("DELETE FROM class_sessions WHERE tenant_id = $1", house.tenant)
    assert await preview(house, session) == [(each, "MOVED") for each in ids(bookings)]
    assert await preview(house, f"{house.name}/classSessions/{new_id()}", cancelled=True) == []


async def test_another_studio_is_asked_in_vain(house: House) -> None:
    session = await house.plan()
    await booked(house, session, 1)
    other = House(house.running, new_id(), None)
    assert await preview(other, session, cancelled=True) == []


async def test_only_scheduling_may_ask(house: House) -> None:
    session = await house.plan()
    await refused(preview(house, session, "notify"), StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")
