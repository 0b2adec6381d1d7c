"""What the mesh is told: one event per change, with the whole state, and a snapshot that equals the table."""

from datetime import UTC
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode
from timetable_house import House, key, last_id, open_house, refused

from powerhouse.scheduling.v1 import scheduling_service_pb2 as pb
from powerhouse.scheduling.v1.class_session_pb2 import ClassSession
from powerhouse.scheduling.v1.events_pb2 import ClassSessionChanged, ClassSessionState
from powerhouse.scheduling.v1.scheduling_service_pb2_grpc import SchedulingServiceStub
from powerhouse.scheduling.v1.studio_pb2 import ClassType, Instructor, Location, Room
from services.chassis.ids import new_id
from tests.support.services import Running


async def test_each_change_is_told_with_its_version(house: House) -> None:
    sub, other_room = await house.add_instructor(), await house.add_room()
    session = await house.plan()
    await house.move(session, local_start="2027-01-06T10:00")
    await house.move(session, room=other_room.name)
    await house.substitute(session, sub.name)
    await house.change_capacity(session, 5)
    await house.cancel(session, reason="Flood")
    last = await house.uncancel(session)

    told = await house.changes()
    C = ClassSessionChanged
    assert [event.change for event in told] == [
        C.SCHEDULED, C.MOVED, C.MOVED, C.SUBSTITUTED, C.CAPACITY_CHANGED, C.CANCELLED, C.UNCANCELLED,
    ]  # fmt: skip
    assert [event.class_session.version for event in told] == [1, 2, 3, 4, 5, 6, 7]
    assert [event.class_session.time_version for event in told] == [1, 2, 2, 2, 2, 2, 2]
    assert [event.class_session.cancelled for event in told] == [False] * 5 + [True, False]
    assert last.etag == "7"
    rows = await house.running.sql(
        "SELECT aggregate, aggregate_id, version FROM outbox WHERE tenant_id = $1 AND aggregate = 'class_session'"
        " ORDER BY create_time",
        house.tenant,
    )
    assert [tuple(row) for row in rows] == [("class_session", last_id(session.name), n) for n in range(1, 8)]


async def test_the_state_is_whole(house: House) -> None:
    account = new_id()
    spots = ["Reformer 1", "Reformer 2"]
    room = await house.add_room(display_name="Studio 2", capacity=2, spots=spots)
    instructor = await house.add_instructor(display_name="Jo", account=f"accounts/{account}")
    session = await house.plan(room=room.name, instructor=instructor.name)
    [event] = await house.changes()
    assert event.class_session == ClassSessionState(
        class_session_id=str(last_id(session.name)),
        version=1,
        time_version=1,
        class_type_id=str(last_id(house.class_type.name)),
        class_type_display_name="Reformer Flow",
        room_id=str(last_id(room.name)),
        room_display_name="Studio 2",
        location_id=str(last_id(house.location.name)),
        location_display_name="Mitte",
        instructor_id=str(last_id(instructor.name)),
        instructor_display_name="Jo",
        instructor_account_id=str(account),
        start_time=session.start_time,
        end_time=session.end_time,
        time_zone="Europe/Berlin",
        capacity=2,
        spots=spots,
        cancelled=False,
        currency_code="EUR",
        update_time=session.update_time,
    )


async def test_refusals_and_repeats_tell_nothing(house: House) -> None:
    session = await house.plan()
    async with refused(StatusCode.ALREADY_EXISTS, "SESSION_OVERLAP"):
        await house.plan()
    request = pb.CancelClassSessionRequest(name=session.name, request_id=key())
    assert await house.stub.CancelClassSession(request) == await house.stub.CancelClassSession(request)
    assert len(await house.changes()) == 2


async def test_what_a_session_shows_is_told_again_when_it_changes(house: House) -> None:
    past = await house.plan("2027-01-05T10:00")
    shown = [await house.plan(f"2027-01-0{day}T10:00") for day in (7, 8)]
    await house.cancel(shown[1])
    unrelated = await house.plan(
        "2027-01-07T10:00",
        room=(await house.add_room(location=(await house.add_location()).name)).name,
        class_type=(await house.add_class_type()).name,
        instructor=(await house.add_instructor()).name,
    )
    house.running.mesh.clock.instant = past.end_time.ToDatetime(tzinfo=UTC)
    before = len(await house.changes())
    account = str(new_id())

    async def told(change: Any) -> list[ClassSessionState]:
        """What the change made known: the two that are not over, cancelled or not."""
        nonlocal before
        await change
        events = (await house.changes())[before:]
        before += len(events)
        if events:
            assert {event.change for event in events} == {ClassSessionChanged.DETAILS_CHANGED}
            names = [event.class_session.class_session_id for event in events]
            assert sorted(names) == sorted(str(last_id(session.name)) for session in shown)
        return [event.class_session for event in events]

    def update(field: str, **fields: Any) -> Any:
        one = {"location": Location, "room": Room, "class_type": ClassType, "instructor": Instructor}[field]
        request: Any = getattr(pb, f"Update{one.__name__}Request")
        return getattr(house.stub, f"Update{one.__name__}")(
            request(
                **{field: one(name=getattr(house, field).name, **fields)},
                update_mask=FieldMask(paths=list(fields)),
                request_id=key(),
            )
        )

    spots = [f"Mat {n}" for n in range(8)]
    assert {s.location_display_name for s in await told(update("location", display_name="Nord"))} == {"Nord"}
    assert {s.room_display_name for s in await told(update("room", display_name="Hall"))} == {"Hall"}
    assert [list(s.spots) for s in await told(update("room", spots=spots))] == [spots, spots]
    assert {s.class_type_display_name for s in await told(update("class_type", display_name="Flow"))} == {"Flow"}
    assert {s.instructor_display_name for s in await told(update("instructor", display_name="Ina"))} == {"Ina"}
    last = await told(update("instructor", account=f"accounts/{account}"))
    assert {s.instructor_account_id for s in last} == {account}
    assert sorted(s.version for s in last) == [7, 8]
    assert {s.time_version for s in last} == {1}
    # Not shown by sessions, or no change at all.
    assert not await told(update("location", address="Torstr. 1"))
    assert not await told(update("class_type", duration_minutes=45))
    assert not await told(update("room", display_name="Hall"))
    assert [(await house.get(session.name)).etag for session in (past, unrelated)] == ["1", "1"]
    assert (await house.get(shown[0].name)).etag == "7"


async def test_a_snapshot_equals_the_tables_of_all_studios(scheduling: Running, house: House) -> None:
    other = await open_house(scheduling)
    empty = await open_house(scheduling)
    planned = [await house.plan("2027-01-05T10:00"), await house.plan("2027-01-06T10:00"), await other.plan()]
    await house.cancel(planned[0])
    latest: dict[str, ClassSessionState] = {}
    for event in [*await house.changes(), *await other.changes()]:
        latest[event.class_session.class_session_id] = event.class_session

    booking = scheduling.as_service(SchedulingServiceStub, "booking")
    items = [
        item async for page in booking.SnapshotClassSessions(pb.SnapshotClassSessionsRequest()) for item in page.items
    ]
    ours = {str(studio.tenant) for studio in (house, other, empty)}
    assert {
        item.class_session.class_session_id: item.class_session for item in items if item.studio_id in ours
    } == latest
    assert {item.studio_id for item in items} & ours == {str(house.tenant), str(other.tenant)}
    rows = await scheduling.sql("SELECT tenant_id, id, version FROM class_sessions")
    assert sorted((i.studio_id, i.class_session.class_session_id, i.class_session.version) for i in items) == sorted(
        (str(row["tenant_id"]), str(row["id"]), row["version"]) for row in rows
    )


async def test_a_snapshot_comes_in_pages(scheduling: Running, house: House) -> None:
    session: ClassSession = await house.plan()
    await scheduling.sql(
        "INSERT INTO class_sessions SELECT tenant_id, gen_random_uuid(), class_type_id, room_id, instructor_id,"
        " start_at + n * interval '1 hour', end_at + n * interval '1 hour', 1, 8, false, '', 1"
        " FROM class_sessions, generate_series(1, 420) n WHERE id = $1",
        last_id(session.name),
    )
    booking = scheduling.as_service(SchedulingServiceStub, "booking")
    pages = [page async for page in booking.SnapshotClassSessions(pb.SnapshotClassSessionsRequest())]
    ours = [[i for i in page.items if i.studio_id == str(house.tenant)] for page in pages]
    assert [len(page) for page in ours if page] == [200, 200, 21]
    assert len({item.class_session.class_session_id for page in ours for item in page}) == 421


async def test_only_booking_may_take_a_snapshot(scheduling: Running, house: House) -> None:
    for stub in (scheduling.as_service(SchedulingServiceStub, "notify"), scheduling.anonymous(SchedulingServiceStub)):
        async with refused(StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED"):
            async for _ in stub.SnapshotClassSessions(pb.SnapshotClassSessionsRequest()):
                pass
