"""Class sessions: scheduling one, and every later change of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode
from timetable_house import House, key, open_house, refused

from powerhouse.policy.v1.policy_pb2 import Role
from powerhouse.scheduling.v1 import scheduling_service_pb2 as pb
from powerhouse.scheduling.v1.class_session_pb2 import ClassSession
from services.chassis.ids import new_id
from tests.support.services import Running

INVALID, FAILED = StatusCode.INVALID_ARGUMENT, StatusCode.FAILED_PRECONDITION


def instant(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)


def at(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


async def test_planning_one_with_what_the_class_type_and_the_room_say(house: House) -> None:
    session = await house.plan("2027-01-05T10:00")
    assert session.name.startswith(f"{house.name}/classSessions/")
    assert (session.room, session.location) == (house.room.name, house.location.name)
    assert (session.class_type, session.instructor) == (house.class_type.name, house.instructor.name)
    assert (session.local_start, session.time_zone) == ("2027-01-05T10:00", "Europe/Berlin")
    assert instant(session.start_time) == datetime(2027, 1, 5, 9, tzinfo=UTC)
    assert instant(session.end_time) - instant(session.start_time) == timedelta(minutes=50)
    assert (session.capacity, session.state, session.etag) == (8, ClassSession.SCHEDULED, "1")
    assert await house.get(session.name) == session
    assert (
        await house.as_role(Role.ROLE_CLIENT).GetClassSession(pb.GetClassSessionRequest(name=session.name)) == session
    )


async def test_planning_one_with_its_own_length_and_capacity(house: House) -> None:
    session = await house.plan(duration_minutes=30, capacity=3)
    assert instant(session.end_time) - instant(session.start_time) == timedelta(minutes=30)
    assert session.capacity == 3


async def test_a_repeat_with_the_same_key_answers_the_same(house: House) -> None:
    request = pb.CreateClassSessionRequest(
        parent=house.name,
        class_session=pb.NewClassSession(
            class_type=house.class_type.name,
            room=house.room.name,
            instructor=house.instructor.name,
            local_start="2027-01-05T10:00",
        ),
        request_id=key(),
    )
    first = await house.stub.CreateClassSession(request)
    assert await house.stub.CreateClassSession(request) == first
    assert len(await house.changes()) == 1


@pytest.mark.parametrize(
    ("wrong", "code", "reason", "field"),
    [
        ({"local_start": "2027-01-05T10:00Z"}, INVALID, "OFFSET_NOT_ALLOWED", "class_session.local_start"),
        ({"local_start": "2027-01-05T10:00+01:00"}, INVALID, "OFFSET_NOT_ALLOWED", "class_session.local_start"),
        ({"local_start": "tomorrow"}, INVALID, "MALFORMED_LOCAL_TIME", "class_session.local_start"),
        ({"local_start": ""}, INVALID, "INVALID_FIELD", "class_session.local_start"),
        ({"local_start": "2027-03-28T02:30"}, INVALID, "IMPOSSIBLE_LOCAL_TIME", "class_session.local_start"),
        ({"local_start": "2027-01-04T09:00"}, FAILED, "SESSION_IN_PAST", None),
        ({"capacity": 9}, FAILED, "CAPACITY_ABOVE_ROOM", None),
        ({"capacity": -1}, INVALID, "INVALID_FIELD", "class_session.capacity"),
        ({"duration_minutes": 481}, INVALID, "INVALID_FIELD", "class_session.duration_minutes"),
        ({"room": "room"}, INVALID, "MALFORMED_NAME", "class_session.room"),
        ({"class_type": ""}, INVALID, "INVALID_FIELD", "class_session.class_type"),
    ],
)
async def test_a_bad_plan_is_refused_and_leaves_nothing(
    house: House, wrong: dict[str, Any], code: StatusCode, reason: str, field: str | None
) -> None:
    async with refused(code, reason, field):
        await house.plan(**wrong)
    assert not await house.running.sql("SELECT 1 FROM class_sessions WHERE tenant_id = $1", house.tenant)
    assert not await house.changes()


async def test_resources_of_another_studio_are_refused(scheduling: Running, house: House) -> None:
    other = await open_house(scheduling)
    for field in ("room", "class_type", "instructor"):
        async with refused(INVALID, "FOREIGN_RESOURCE", f"class_session.{field}"):
            await house.plan(**{field: getattr(other, field).name})
        # Its id under our name does not help.
        smuggled = getattr(other, field).name.replace(other.name, house.name)
        async with refused(StatusCode.NOT_FOUND, "NOT_FOUND", resource=smuggled):
            await house.plan(**{field: smuggled})
    session, theirs = await house.plan(), await other.plan()
    async with refused(INVALID, "FOREIGN_RESOURCE", "room"):
        await house.move(session, room=other.room.name)
    async with refused(INVALID, "FOREIGN_RESOURCE", "instructor"):
        await house.substitute(session, other.instructor.name)
    async with refused(StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED"):
        await house.cancel(theirs)
    async with refused(StatusCode.NOT_FOUND, "NOT_FOUND"):
        await house.get(theirs.name.replace(other.name, house.name))


async def test_a_fold_is_the_first_of_the_two(house: House) -> None:
    session = await house.plan("2027-10-31T02:30")
    assert instant(session.start_time) == datetime(2027, 10, 31, 0, 30, tzinfo=UTC)
    assert session.local_start == "2027-10-31T02:30"


async def test_listing_a_range_page_by_page(house: House) -> None:
    rooms = [house.room, await house.add_room(), await house.add_room()]
    starts = ["2027-01-05T10:00", "2027-01-05T10:00", "2027-01-05T10:00", "2027-01-06T10:00", "2027-01-12T10:00"]
    planned = [
        await house.plan(start, room=rooms[n % 3].name, instructor=(await house.add_instructor()).name)
        for n, start in enumerate(starts)
    ]
    week = {"start_time": at(datetime(2027, 1, 4, tzinfo=UTC)), "end_time": at(datetime(2027, 1, 11, tzinfo=UTC))}

    async def page(**fields: Any) -> pb.ListClassSessionsResponse:
        return await house.stub.ListClassSessions(pb.ListClassSessionsRequest(parent=house.name, **fields))

    first = await page(page_size=2, **week)
    second = await page(page_size=2, page_token=first.next_page_token, **week)
    assert [*first.class_sessions, *second.class_sessions] == sorted(
        planned[:4], key=lambda session: (instant(session.start_time), session.name)
    )
    assert (bool(first.next_page_token), second.next_page_token) == (True, "")
    # Half open, and by default from now for a week.
    edge = instant(planned[3].start_time)
    assert [s.name for s in (await page(start_time=at(edge))).class_sessions] == [planned[3].name, planned[4].name]
    assert len((await page(start_time=week["start_time"], end_time=at(edge))).class_sessions) == 3
    assert len((await page()).class_sessions) == 4
    # The token of a default range survives the clock.
    start = await page(page_size=1)
    house.running.mesh.clock.move(timedelta(minutes=5))
    assert len((await page(page_size=10, page_token=start.next_page_token)).class_sessions) == 3
    async with refused(INVALID, "INVALID_PAGE_TOKEN", "page_token"):
        await page(page_token=first.next_page_token)


async def test_bad_ranges(house: House) -> None:
    start = datetime(2027, 1, 4, tzinfo=UTC)

    async def page(**fields: Any) -> pb.ListClassSessionsResponse:
        return await house.stub.ListClassSessions(pb.ListClassSessionsRequest(parent=house.name, **fields))

    assert await page(start_time=at(start), end_time=at(start + timedelta(days=62))) == pb.ListClassSessionsResponse()
    async with refused(INVALID, "RANGE_TOO_LONG", "end_time"):
        await page(start_time=at(start), end_time=at(start + timedelta(days=62, seconds=1)))
    async with refused(INVALID, "INVALID_RANGE", "end_time"):
        await page(start_time=at(start), end_time=at(start))
    async with refused(INVALID, "INVALID_RANGE", "start_time"):
        await page(start_time=at(datetime(9999, 12, 31, tzinfo=UTC)))
    async with refused(INVALID, "INVALID_FIELD", "start_time"):
        await page(start_time=Timestamp(seconds=1 << 60))
    async with refused(INVALID, "MALFORMED_NAME", "parent"):
        await house.stub.ListClassSessions(pb.ListClassSessionsRequest(parent=house.room.name))


async def test_moving_in_time_and_to_another_room(house: House) -> None:
    session = await house.plan("2027-01-05T10:00", duration_minutes=40)
    later = await house.move(session, local_start="2027-07-05T10:00", etag=session.etag)
    assert instant(later.start_time) == datetime(2027, 7, 5, 8, tzinfo=UTC)
    assert instant(later.end_time) - instant(later.start_time) == timedelta(minutes=40)
    assert (later.room, later.etag) == (house.room.name, "2")
    other = await house.add_room()
    moved = await house.move(session, room=other.name)
    assert (moved.room, moved.start_time, moved.etag) == (other.name, later.start_time, "3")
    both = await house.move(session, room=house.room.name, local_start="2027-01-05T11:00")
    assert (both.room, both.local_start) == (house.room.name, "2027-01-05T11:00")
    assert await house.get(session.name) == both
    # To where it is already: nothing happens, nobody is told.
    assert await house.move(session, room=house.room.name, local_start="2027-01-05T11:00") == both
    assert len(await house.changes()) == 4


async def test_a_room_in_another_zone_keeps_the_wall_time(house: House) -> None:
    session = await house.plan("2027-01-05T10:00")
    new_york = await house.add_location(time_zone="America/New_York")
    moved = await house.move(session, room=(await house.add_room(location=new_york.name)).name)
    assert (moved.local_start, moved.time_zone) == ("2027-01-05T10:00", "America/New_York")
    assert instant(moved.start_time) == datetime(2027, 1, 5, 15, tzinfo=UTC)
    assert moved.location == new_york.name


async def test_moves_that_are_refused(house: House) -> None:
    session = await house.plan()
    small = await house.add_room(capacity=2)
    async with refused(INVALID, "NOTHING_TO_MOVE", "local_start"):
        await house.move(session)
    async with refused(INVALID, "IMPOSSIBLE_LOCAL_TIME", "local_start"):
        await house.move(session, local_start="2027-03-28T02:30")
    async with refused(INVALID, "OFFSET_NOT_ALLOWED", "local_start"):
        await house.move(session, local_start="2027-01-06T10:00Z")
    async with refused(FAILED, "SESSION_IN_PAST"):
        await house.move(session, local_start="2027-01-04T09:00")
    async with refused(FAILED, "CAPACITY_ABOVE_ROOM", room=small.name):
        await house.move(session, room=small.name)
    async with refused(StatusCode.NOT_FOUND, "NOT_FOUND"):
        await house.move(session, room=f"{house.name}/rooms/{new_id()}")
    await house.stub.DeleteRoom(pb.DeleteRoomRequest(name=small.name, request_id=key()))
    async with refused(FAILED, "ARCHIVED", resource=small.name):
        await house.move(session, room=small.name)
    assert await house.get(session.name) == session


async def test_substituting(house: House) -> None:
    session = await house.plan()
    mat = await house.add_class_type(display_name="Mat")
    teaches = await house.add_instructor(class_types=[mat.name, house.class_type.name])
    teaches_not = await house.add_instructor(class_types=[mat.name])
    substituted = await house.substitute(session, teaches.name, etag=session.etag)
    assert (substituted.instructor, substituted.etag) == (teaches.name, "2")
    assert await house.substitute(session, teaches.name) == substituted
    async with refused(FAILED, "CLASS_TYPE_NOT_TAUGHT", instructor=teaches_not.name):
        await house.substitute(session, teaches_not.name)
    async with refused(FAILED, "CLASS_TYPE_NOT_TAUGHT"):
        await house.plan("2027-01-06T10:00", instructor=teaches_not.name)
    async with refused(StatusCode.NOT_FOUND, "NOT_FOUND"):
        await house.substitute(session, f"{house.name}/instructors/{new_id()}")
    await house.stub.DeleteInstructor(pb.DeleteInstructorRequest(name=house.instructor.name, request_id=key()))
    async with refused(FAILED, "ARCHIVED", resource=house.instructor.name):
        await house.substitute(session, house.instructor.name)
    assert await house.get(session.name) == substituted


async def test_changing_the_capacity(house: House) -> None:
    session = await house.plan()
    smaller = await house.change_capacity(session, 5, etag=session.etag)
    assert (smaller.capacity, smaller.etag) == (5, "2")
    assert await house.change_capacity(session, 5) == smaller
    async with refused(FAILED, "CAPACITY_ABOVE_ROOM", room=house.room.name, room_capacity="8"):
        await house.change_capacity(session, 9)
    async with refused(INVALID, "INVALID_FIELD", "capacity"):
        await house.change_capacity(session, 0)


async def test_cancelling_and_taking_it_back(house: House) -> None:
    session = await house.plan()
    cancelled = await house.cancel(session, reason="Ines is ill", etag=session.etag)
    assert (cancelled.state, cancelled.cancel_reason) == (ClassSession.CANCELLED, "Ines is ill")
    for change in (
        house.cancel(session),
        house.move(session, local_start="2027-01-06T10:00"),
        house.substitute(session, house.instructor.name),
        house.change_capacity(session, 3),
    ):
        async with refused(FAILED, "SESSION_CANCELLED", class_session=session.name):
            await change
    back = await house.uncancel(session, etag=cancelled.etag)
    assert (back.state, back.cancel_reason, back.etag) == (ClassSession.SCHEDULED, "", "3")
    async with refused(FAILED, "SESSION_NOT_CANCELLED"):
        await house.uncancel(session)


async def test_a_started_session_is_history(house: House) -> None:
    session, cancelled = await house.plan("2027-01-05T10:00"), await house.plan("2027-01-05T12:00")
    await house.cancel(cancelled)
    house.running.mesh.clock.instant = instant(session.start_time) - timedelta(seconds=1)
    await house.change_capacity(session, 7)
    house.running.mesh.clock.instant = instant(cancelled.start_time)
    for change in (
        house.cancel(session),
        house.uncancel(cancelled),
        house.move(session, local_start="2027-01-06T10:00"),
        house.substitute(session, house.instructor.name),
        house.change_capacity(session, 3),
    ):
        async with refused(FAILED, "SESSION_STARTED"):
            await change


async def test_stale_etags_change_nothing(house: House) -> None:
    session = await house.plan()
    current = await house.change_capacity(session, 7)
    sub = await house.add_instructor()
    for change in (
        house.move(session, local_start="2027-01-06T10:00", etag=session.etag),
        house.substitute(session, sub.name, etag=session.etag),
        house.change_capacity(session, 3, etag=session.etag),
        house.cancel(session, etag=session.etag),
    ):
        async with refused(StatusCode.ABORTED, "ETAG_MISMATCH", etag=current.etag):
            await change
    assert await house.get(session.name) == current
    cancelled = await house.cancel(session)
    async with refused(StatusCode.ABORTED, "ETAG_MISMATCH", etag=cancelled.etag):
        await house.uncancel(session, etag=session.etag)


async def test_an_unknown_session(house: House) -> None:
    unknown = ClassSession(name=f"{house.name}/classSessions/{new_id()}")
    for call in (
        house.get(unknown.name),
        house.move(unknown, local_start="2027-01-06T10:00"),
        house.substitute(unknown, house.instructor.name),
        house.change_capacity(unknown, 3),
        house.cancel(unknown),
        house.uncancel(unknown),
    ):
        async with refused(StatusCode.NOT_FOUND, "NOT_FOUND", resource=unknown.name):
            await call
    async with refused(INVALID, "MALFORMED_NAME", "name"):
        await house.get(house.room.name)
