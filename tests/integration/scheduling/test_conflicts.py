"""The conflict inbox: what is in it, every way out of it, and that generation keeps what was decided."""

from typing import Any

import pytest
from edits_house import STUBS, EditsHouse
from grpc import StatusCode
from recurring_house import berlin, counts
from timetable_house import key, open_house, refused

from powerhouse.policy.v1.policy_pb2 import Role
from powerhouse.scheduling.v1 import conflict_service_pb2 as pb
from powerhouse.scheduling.v1 import scheduling_service_pb2
from powerhouse.scheduling.v1.class_session_pb2 import ClassSession
from powerhouse.scheduling.v1.conflict_service_pb2 import ScheduleConflict
from powerhouse.scheduling.v1.events_pb2 import ClassSessionChanged
from powerhouse.scheduling.v1.generation_pb2 import Clash
from services.chassis.ids import new_id

INVALID, FAILED = StatusCode.INVALID_ARGUMENT, StatusCode.FAILED_PRECONDITION
OVERLAP = (StatusCode.ALREADY_EXISTS, "SESSION_OVERLAP")


@pytest.fixture(autouse=True)
def sunday_morning(edits: EditsHouse) -> None:
    edits.house.running.mesh.clock.instant = berlin("2027-01-03T06:00")


async def taken_room(edits: EditsHouse, *days: str) -> list[ScheduleConflict]:
    """The conflicts of a schedule whose room is somebody else's on some of its days."""
    ben = (await edits.house.add_instructor(display_name="Ben")).name
    for day in days:
        await edits.house.plan(f"{day}T10:30", instructor=ben)
    await edits.create()
    await edits.generate()
    return await edits.inbox()


async def session_of(edits: EditsHouse, conflict: ScheduleConflict) -> ClassSession:
    """The session that was planned for it: an exception of its series."""
    session = await edits.house.get(conflict.class_session)
    assert session.class_schedule == conflict.class_schedule
    assert session.original_date == conflict.original_date
    assert (session.series_exception, session.auto_generated) == (True, False)
    return session


async def test_the_inbox_says_what_is_in_the_way(edits: EditsHouse) -> None:
    first, second = await taken_room(edits, "2027-01-06", "2027-01-15")
    [busy] = [each for each in await edits.sessions() if each.local_start == "2027-01-06T10:30"]
    assert list(first.clashes) == [Clash(kind=Clash.ROOM_TAKEN, class_session=busy.name)]
    assert first.message == "Room is taken"
    assert (first.original_date, first.local_start) == ("2027-01-06", "2027-01-06T10:00")
    assert (first.time_zone, first.class_schedule_display_name) == ("Europe/Berlin", "Reformer Mon/Wed/Fri 10am")
    assert first.end_time.seconds - first.start_time.seconds == 50 * 60
    assert (first.state, first.resolution) == (ScheduleConflict.OPEN, ScheduleConflict.RESOLUTION_UNSPECIFIED)
    assert await edits.look(first) == first
    page = await edits.decide.ListScheduleConflicts(
        pb.ListScheduleConflictsRequest(parent=edits.house.name, page_size=1)
    )
    assert await edits.inbox(page_size=1, page_token=page.next_page_token) == [second]
    assert await edits.inbox(class_schedule=first.class_schedule) == [first, second]
    other = await edits.create(local_time="15:00")
    assert await edits.inbox(class_schedule=other.name) == []
    # What is over has solved itself.
    edits.house.running.mesh.clock.instant = berlin("2027-01-06T10:00")
    assert await edits.inbox() == [second]


async def test_another_room(edits: EditsHouse) -> None:
    [conflict] = await taken_room(edits, "2027-01-06")
    told = len(await edits.house.changes())
    room = (await edits.house.add_room()).name
    resolved = await edits.resolve(conflict, room=room, etag=conflict.etag)
    assert (resolved.state, resolved.resolution) == (ScheduleConflict.RESOLVED, ScheduleConflict.PLANNED)
    assert int(resolved.etag) == int(conflict.etag) + 1
    session = await session_of(edits, resolved)
    assert (session.room, session.local_start) == (room, "2027-01-06T10:00")
    [event] = (await edits.house.changes())[told:]
    assert event.change == ClassSessionChanged.SCHEDULED
    assert event.class_session.class_session_id == session.name[-36:]
    # Generated again, the date is there already, whatever happens in between.
    assert counts(await edits.generate()) == (0, 12, 0, 0, 0)
    await edits.house.cancel(session)
    assert counts(await edits.generate()) == (0, 12, 0, 0, 0)
    assert await edits.inbox("RESOLVED") == [resolved]
    async with refused(FAILED, "CONFLICT_RESOLVED", schedule_conflict=conflict.name):
        await edits.resolve(conflict, skip=True)


async def test_another_instructor(edits: EditsHouse) -> None:
    mat = await edits.house.add_class_type()
    ana = edits.house.instructor.name
    await edits.house.plan("2027-01-06T10:00", room=(await edits.house.add_room()).name)
    ben = (await edits.house.add_instructor()).name
    eva = (await edits.house.add_instructor(class_types=[mat.name])).name
    await edits.create()
    await edits.generate()
    [conflict] = await edits.inbox()
    assert conflict.message == "Instructor is taken"
    async with refused(FAILED, "CLASS_TYPE_NOT_TAUGHT", instructor=eva):
        await edits.resolve(conflict, instructor=eva)
    async with refused(*OVERLAP, conflict="instructor"):
        await edits.resolve(conflict, instructor=ana)
    session = await session_of(edits, await edits.resolve(conflict, instructor=ben))
    assert session.instructor == ben


async def test_another_time(edits: EditsHouse) -> None:
    [conflict] = await taken_room(edits, "2027-01-06")
    for wall, reason in (
        ("2027-01-06", "MALFORMED_LOCAL_TIME"),
        ("2027-01-06T10:00Z", "OFFSET_NOT_ALLOWED"),
        ("2027-03-28T02:30", "IMPOSSIBLE_LOCAL_TIME"),
    ):
        async with refused(INVALID, reason, "resolution.local_start"):
            await edits.resolve(conflict, local_start=wall)
    async with refused(FAILED, "SESSION_IN_PAST"):
        await edits.resolve(conflict, local_start="2027-01-02T10:00")
    async with refused(*OVERLAP, conflict="room"):
        await edits.resolve(conflict, local_start="2027-01-06T11:00")
    session = await session_of(edits, await edits.resolve(conflict, local_start="2027-01-07T18:00"))
    assert (session.local_start, session.original_date) == ("2027-01-07T18:00", "2027-01-06")
    assert counts(await edits.generate()) == (0, 12, 0, 0, 0)


async def test_skipped_for_good(edits: EditsHouse) -> None:
    [conflict] = await taken_room(edits, "2027-01-06")
    [busy] = [each for each in await edits.sessions() if each.local_start == "2027-01-06T10:30"]
    resolved = await edits.resolve(conflict, skip=True)
    assert (resolved.resolution, resolved.class_session) == (ScheduleConflict.SKIPPED_BY_HAND, "")
    # Even when nothing is in the way any more.
    await edits.house.cancel(busy)
    assert counts(await edits.generate()) == (0, 12, 0, 0, 0)
    assert await edits.look(conflict) == resolved


async def test_force_goes_over_availability_closures_and_size_and_nothing_else(edits: EditsHouse) -> None:
    ana = edits.house.instructor.name
    await edits.different(ana, "AWAY", "2027-01-06", "2027-01-06")
    closure = await edits.close_days("2027-01-08", "2027-01-08")
    small = (await edits.house.add_room(capacity=2)).name
    await edits.create()
    await edits.generate()
    [away] = await edits.inbox()
    [closed] = await edits.inbox("SKIPPED")
    assert closed.message == "Skipped: Studio closure"
    async with refused(FAILED, "STILL_UNAVAILABLE", instructor=ana):
        await edits.resolve(away, room=(await edits.house.add_room()).name)
    async with refused(FAILED, "STILL_CLOSED", closure=closure.name):
        await edits.resolve(closed, local_start="2027-01-08T18:00")
    async with refused(FAILED, "CAPACITY_ABOVE_ROOM", room=small):
        await edits.resolve(away, room=small, local_start="2027-01-07T10:00")
    # An overlap stays one.
    busy = await edits.house.plan("2027-01-06T10:00", instructor=(await edits.house.add_instructor()).name)
    async with refused(*OVERLAP, conflict="room", class_session=busy.name):
        await edits.resolve(away, force_reason="Ana agreed on the phone")
    forced = await edits.resolve(away, room=small, force_reason="Ana agreed on the phone")
    assert forced.force_reason == "Ana agreed on the phone"
    assert (await session_of(edits, forced)).capacity == 8
    opened = await session_of(edits, await edits.resolve(closed, force_reason="Open day"))
    assert opened.local_start == "2027-01-08T10:00"
    assert counts(await edits.generate()) == (0, 12, 0, 0, 0)


async def test_what_has_gone_clears_itself(edits: EditsHouse) -> None:
    [conflict] = await taken_room(edits, "2027-01-06")
    [busy] = [each for each in await edits.sessions() if each.local_start == "2027-01-06T10:30"]
    await edits.house.cancel(busy)
    await edits.generate()
    cleared = await edits.look(conflict)
    assert (cleared.state, cleared.resolution) == (ScheduleConflict.RESOLVED, ScheduleConflict.CLEARED)
    assert not (await edits.house.get(cleared.class_session)).series_exception


async def test_several_at_once_each_on_its_own(edits: EditsHouse) -> None:
    conflicts = await taken_room(edits, "2027-01-06", "2027-01-08", "2027-01-11")
    room = (await edits.house.add_room()).name
    ben = (await edits.house.add_instructor()).name
    await edits.house.plan("2027-01-08T10:00", room=room, instructor=ben)
    unknown = ScheduleConflict(name=f"{edits.house.name}/scheduleConflicts/{new_id()}")
    async with refused(StatusCode.NOT_FOUND, "NOT_FOUND", resource=unknown.name):
        await edits.resolve_all([*conflicts, unknown], room=room)
    assert await edits.inbox() == conflicts
    outcomes = await edits.resolve_all(conflicts, room=room)
    assert outcomes == [
        ("RESOLVED", ""),
        ("STATE_UNSPECIFIED", "SESSION_OVERLAP"),
        ("RESOLVED", ""),
    ]
    assert [each.local_start for each in await edits.inbox()] == ["2027-01-08T10:00"]
    assert [outcome for _, outcome in await edits.resolve_all(conflicts, skip=True)] == [
        "CONFLICT_RESOLVED",
        "",
        "CONFLICT_RESOLVED",
    ]
    assert counts(await edits.generate()) == (0, 12, 0, 0, 0)
    [entry] = await edits.house.running.sql(
        "SELECT changes::text FROM audit_entries WHERE tenant_id = $1 AND changes::text LIKE '%SKIPPED_BY_HAND%'",
        edits.house.tenant,
    )
    assert conflicts[1].name in entry["changes"]
    assert conflicts[0].name not in entry["changes"]


async def test_a_repeat_with_the_same_key_decides_once(edits: EditsHouse) -> None:
    [conflict] = await taken_room(edits, "2027-01-06")
    request = pb.ResolveScheduleConflictRequest(
        name=conflict.name, resolution=pb.Resolution(local_start="2027-01-06T20:00"), request_id=key()
    )
    resolved = await edits.decide.ResolveScheduleConflict(request)
    assert await edits.decide.ResolveScheduleConflict(request) == resolved
    assert len([each for each in await edits.sessions() if each.original_date == "2027-01-06"]) == 1


@pytest.mark.parametrize(
    ("resolution", "reason"),
    [
        ({}, "NOTHING_TO_RESOLVE"),
        ({"skip": True, "force_reason": "both"}, "NOTHING_TO_RESOLVE"),
        ({"skip": True, "local_start": "2027-01-07T18:00"}, "NOTHING_TO_RESOLVE"),
        ({"room": "room"}, "MALFORMED_NAME"),
        ({"instructor": "Ben"}, "MALFORMED_NAME"),
        ({"force_reason": "x" * 301}, "INVALID_FIELD"),
    ],
)
async def test_decisions_that_decide_nothing(edits: EditsHouse, resolution: Any, reason: str) -> None:
    [conflict] = await taken_room(edits, "2027-01-06")
    for call in (edits.resolve(conflict, **resolution), edits.resolve_all([conflict], **resolution)):
        async with refused(INVALID, reason):
            await call
    assert await edits.inbox() == [conflict]


async def test_bad_lists(edits: EditsHouse) -> None:
    conflicts = [ScheduleConflict(name=f"{edits.house.name}/scheduleConflicts/{new_id()}") for _ in range(101)]
    for wrong in ([], conflicts, 2 * conflicts[:1]):
        async with refused(INVALID, "INVALID_FIELD"):
            await edits.resolve_all(wrong, skip=True)
    async with refused(INVALID, "INVALID_FIELD", "state"):
        await edits.decide.ListScheduleConflicts(pb.ListScheduleConflictsRequest(parent=edits.house.name, state=7))  # type: ignore[arg-type]
    async with refused(INVALID, "MALFORMED_NAME", "class_schedule"):
        await edits.inbox(class_schedule=edits.house.room.name)


async def test_stale_unknown_foreign_and_archived(edits: EditsHouse) -> None:
    [conflict] = await taken_room(edits, "2027-01-06")
    other = EditsHouse(await open_house(edits.house.running))
    async with refused(StatusCode.ABORTED, "ETAG_MISMATCH", etag=conflict.etag):
        await edits.resolve(conflict, skip=True, etag="7")
    unknown = ScheduleConflict(name=f"{edits.house.name}/scheduleConflicts/{new_id()}")
    for call in (edits.look(unknown), edits.resolve(unknown, skip=True)):
        async with refused(StatusCode.NOT_FOUND, "NOT_FOUND", resource=unknown.name):
            await call
    async with refused(INVALID, "FOREIGN_RESOURCE", "resolution.room"):
        await edits.resolve(conflict, room=other.house.room.name)
    async with refused(INVALID, "FOREIGN_RESOURCE", "schedule_conflicts[0]"):
        await other.resolve_all([conflict], skip=True)
    gone = await edits.house.add_room()
    await edits.house.stub.DeleteRoom(scheduling_service_pb2.DeleteRoomRequest(name=gone.name, request_id=key()))
    async with refused(FAILED, "ARCHIVED", resource=gone.name):
        await edits.resolve(conflict, room=gone.name)
    edits.house.running.mesh.clock.instant = berlin("2027-01-06T10:00")
    async with refused(FAILED, "SESSION_IN_PAST"):
        await edits.resolve(conflict, skip=True)


async def test_the_desk_reads_and_does_not_decide(edits: EditsHouse) -> None:
    conflicts = await taken_room(edits, "2027-01-06")
    edits.decide = edits.house.running.as_account(STUBS, roles={edits.house.tenant: [Role.ROLE_FRONT_DESK]})
    assert await edits.inbox() == conflicts
    for call in (edits.resolve(conflicts[0], skip=True), edits.resolve_all(conflicts, skip=True)):
        async with refused(StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED"):
            await call
