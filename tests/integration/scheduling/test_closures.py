"""Closures: what they cancel, what they keep generation from, and that nothing comes back by opening again."""

from typing import Any

import pytest
from booked_house import book
from edits_house import STUBS, EditsHouse
from grpc import StatusCode
from recurring_house import berlin, counts
from timetable_house import key, open_house, refused

from powerhouse.policy.v1.policy_pb2 import Role
from powerhouse.scheduling.v1 import closure_service_pb2 as pb
from powerhouse.scheduling.v1 import scheduling_service_pb2
from powerhouse.scheduling.v1.class_session_pb2 import ClassSession
from powerhouse.scheduling.v1.closure_service_pb2 import Closure
from powerhouse.scheduling.v1.events_pb2 import ClassSessionChanged
from services.chassis.ids import new_id
from services.scheduling import closures
from tests.support.services import Mesh, Running

INVALID, FAILED = StatusCode.INVALID_ARGUMENT, StatusCode.FAILED_PRECONDITION


@pytest.fixture(autouse=True)
def sunday_morning(edits: EditsHouse) -> None:
    edits.house.running.mesh.clock.instant = berlin("2027-01-03T06:00")


async def planned(edits: EditsHouse) -> list[str]:
    return [each.local_start for each in await edits.sessions() if each.state == ClassSession.SCHEDULED]


async def list_closures(edits: EditsHouse, **fields: Any) -> list[Closure]:
    answer = await edits.decide.ListClosures(pb.ListClosuresRequest(parent=edits.house.name, **fields))
    return list(answer.closures)


async def test_generation_skips_the_days(edits: EditsHouse) -> None:
    closure = await edits.close_days("2027-01-06", "2027-01-08")
    assert (closure.display_name, closure.start_date, closure.end_date) == ("Christmas", "2027-01-06", "2027-01-08")
    assert (closure.location, closure.etag) == ("", "1")
    await edits.create()
    assert counts(await edits.generate()) == (10, 0, 0, 2, 0)
    # Open again, the days are planned like any other.
    opened = await edits.open_days(closure)
    assert opened.HasField("archive_time")
    assert counts(await edits.generate()) == (2, 10, 0, 0, 0)
    async with refused(FAILED, "ARCHIVED", resource=closure.name):
        await edits.open_days(closure)


async def test_over_planned_sessions_it_waits_until_told_to_cancel_them(edits: EditsHouse) -> None:
    schedule = await edits.create()
    await edits.generate()
    single = await edits.house.plan("2027-01-07T20:00")
    evening_before = await edits.house.plan("2027-01-05T20:00")
    first = next(each for each in await edits.sessions() if each.local_start == "2027-01-06T10:00")
    async with refused(FAILED, "CLASS_SESSIONS_IN_THE_WAY", class_session=first.name, class_session_count="3"):
        await edits.close_days("2027-01-06", "2027-01-08")
    assert await list_closures(edits) == []
    told = len(await edits.house.changes())
    closure = await edits.close_days("2027-01-06", "2027-01-08", cancel=True)
    cancelled = [each for each in await edits.sessions() if each.state == ClassSession.CANCELLED]
    assert [each.local_start for each in cancelled] == ["2027-01-06T10:00", "2027-01-07T20:00", "2027-01-08T10:00"]
    assert {each.cancel_reason for each in cancelled} == {"Closed: Christmas"}
    assert {each.etag for each in cancelled} == {"2"}
    assert (await edits.house.get(evening_before.name)).state == ClassSession.SCHEDULED
    events = (await edits.house.changes())[told:]
    assert [event.change for event in events] == 3 * [ClassSessionChanged.CANCELLED]
    assert {event.class_session.class_session_id for event in events} == {each.name[-36:] for each in cancelled}
    assert all(event.class_session.cancelled and event.class_session.version == 2 for event in events)
    # Neither opening the days nor generation brings one back.
    await edits.open_days(closure)
    assert counts(await edits.generate(schedule)) == (0, 12, 0, 0, 0)
    assert (await edits.house.get(single.name)).state == ClassSession.CANCELLED


async def test_a_repeat_with_the_same_key_closes_once(edits: EditsHouse) -> None:
    await edits.house.plan("2027-01-06T10:00")
    closure = Closure(display_name="Holiday", start_date="2027-01-06", end_date="2027-01-06")
    request = pb.CreateClosureRequest(
        parent=edits.house.name, closure=closure, cancel_class_sessions=True, request_id=key()
    )
    made = await edits.decide.CreateClosure(request)
    assert await edits.decide.CreateClosure(request) == made
    assert await list_closures(edits) == [made]
    assert len(await edits.house.changes()) == 2


async def test_one_location_and_its_own_days(edits: EditsHouse) -> None:
    new_york = await edits.house.add_location(display_name="New York", time_zone="America/New_York")
    there = await edits.house.add_room(location=new_york.name)
    ben = await edits.house.add_instructor()
    # The sixth in New York, when it is the seventh in Berlin already.
    far = await edits.house.plan("2027-01-06T20:00", room=there.name, instructor=ben.name)
    here = await edits.house.plan("2027-01-06T10:00")
    assert (await edits.preview_closure("2027-01-07", "2027-01-07")).cancelled_session_count == 0
    async with refused(FAILED, "CLASS_SESSIONS_IN_THE_WAY", class_session=far.name, class_session_count="1"):
        await edits.close_days("2027-01-06", "2027-01-06", location=new_york.name)
    await edits.close_days("2027-01-06", "2027-01-06", location=new_york.name, cancel=True)
    assert (await edits.house.get(far.name)).state == ClassSession.CANCELLED
    assert (await edits.house.get(here.name)).state == ClassSession.SCHEDULED


async def test_a_night_class_belongs_to_both_of_its_days(edits: EditsHouse) -> None:
    night = await edits.house.plan("2027-01-05T23:30")
    until_midnight = await edits.house.plan("2027-01-08T23:10")
    async with refused(FAILED, "CLASS_SESSIONS_IN_THE_WAY", class_session=night.name):
        await edits.close_days("2027-01-06", "2027-01-06")
    await edits.close_days("2027-01-09", "2027-01-09")
    assert (await edits.house.get(until_midnight.name)).state == ClassSession.SCHEDULED


async def test_what_has_begun_is_history(edits: EditsHouse) -> None:
    running = await edits.house.plan("2027-01-04T10:00")
    edits.house.running.mesh.clock.instant = berlin("2027-01-04T10:30")
    await edits.close_days("2027-01-04", "2027-01-04")
    assert (await edits.house.get(running.name)).etag == "1"


async def test_changing_the_days_looks_at_the_new_ones_only(edits: EditsHouse) -> None:
    closure = await edits.close_days("2027-01-06", "2027-01-06")
    special = await edits.house.plan("2027-01-06T18:00")
    later = await edits.house.plan("2027-01-08T18:00")
    renamed = await edits.change_closure(closure, "display_name", display_name="Epiphany", etag="1")
    assert (renamed.display_name, renamed.etag) == ("Epiphany", "2")
    assert await edits.change_closure(closure, "display_name", display_name="Epiphany") == renamed
    async with refused(StatusCode.ABORTED, "ETAG_MISMATCH", etag="2"):
        await edits.change_closure(closure, "end_date", end_date="2027-01-07", etag="1")
    longer = await edits.change_closure(closure, "end_date", end_date="2027-01-07")
    async with refused(FAILED, "CLASS_SESSIONS_IN_THE_WAY", class_session=later.name, class_session_count="1"):
        await edits.change_closure(closure, "end_date", end_date="2027-01-08")
    async with refused(INVALID, "END_BEFORE_START", "closure.end_date"):
        await edits.change_closure(closure, "start_date", start_date="2027-01-08")
    async with refused(INVALID, "FIELD_NOT_MUTABLE"):
        await edits.change_closure(closure, "location", location=edits.house.location.name)
    assert await edits.decide.GetClosure(pb.GetClosureRequest(name=closure.name)) == longer
    await edits.change_closure(closure, "end_date", end_date="2027-01-08", cancel=True)
    assert (await edits.house.get(later.name)).state == ClassSession.CANCELLED
    assert (await edits.house.get(special.name)).state == ClassSession.SCHEDULED
    await edits.open_days(closure)
    async with refused(FAILED, "ARCHIVED"):
        await edits.change_closure(closure, "end_date", end_date="2027-01-09")


@pytest.mark.parametrize(
    ("wrong", "code", "reason"),
    [
        ({"last": "2027-01-05"}, INVALID, "END_BEFORE_START"),
        ({"last": "2028-01-07"}, INVALID, "RANGE_TOO_LONG"),
        ({"first": "2027-02-30"}, INVALID, "MALFORMED_DATE"),
        ({"first": "0001-01-01"}, INVALID, "MALFORMED_DATE"),
        ({"last": "9999-12-31"}, INVALID, "MALFORMED_DATE"),
        ({"last": "tomorrow"}, INVALID, "INVALID_FIELD"),
        ({"location": "Mitte"}, INVALID, "MALFORMED_NAME"),
    ],
)
async def test_bad_closures_are_refused(
    edits: EditsHouse, wrong: dict[str, str], code: StatusCode, reason: str
) -> None:
    sound = {"first": "2027-01-06", "last": "2027-01-08"}
    for call in (edits.close_days(**{**sound, **wrong}), edits.preview_closure(**{**sound, **wrong})):
        async with refused(code, reason):
            await call
    assert await list_closures(edits, show_past=True, show_archived=True) == []


async def test_locations_that_are_refused(edits: EditsHouse) -> None:
    other, gone = await open_house(edits.house.running), await edits.house.add_location(display_name="Gone")
    async with refused(INVALID, "FOREIGN_RESOURCE", "closure.location"):
        await edits.close_days("2027-01-06", "2027-01-06", location=other.location.name)
    unknown = f"{edits.house.name}/locations/{new_id()}"
    async with refused(StatusCode.NOT_FOUND, "NOT_FOUND", resource=unknown):
        await edits.close_days("2027-01-06", "2027-01-06", location=unknown)
    await edits.house.stub.DeleteLocation(
        scheduling_service_pb2.DeleteLocationRequest(name=gone.name, request_id=key())
    )
    async with refused(FAILED, "ARCHIVED", resource=gone.name):
        await edits.close_days("2027-01-06", "2027-01-06", location=gone.name)
    async with refused(INVALID, "INVALID_FIELD", "closure.display_name"):
        await edits.close_days("2027-01-06", "2027-01-06", name="")


async def test_listing_what_is_not_over(edits: EditsHouse) -> None:
    later = await edits.close_days("2027-02-01", "2027-02-02", name="Works")
    sooner = await edits.close_days("2027-01-06", "2027-01-06")
    opened = await edits.open_days(await edits.close_days("2027-01-20", "2027-01-20", name="Mistake"))
    assert await list_closures(edits) == [sooner, later]
    assert await list_closures(edits, show_archived=True) == [sooner, opened, later]
    first = await edits.decide.ListClosures(pb.ListClosuresRequest(parent=edits.house.name, page_size=1))
    assert await list_closures(edits, page_size=1, page_token=first.next_page_token) == [later]
    edits.house.running.mesh.clock.instant = berlin("2027-01-08T12:00")
    assert await list_closures(edits) == [later]
    assert await list_closures(edits, show_past=True) == [sooner, later]
    client = edits.house.running.as_account(STUBS, roles={edits.house.tenant: [Role.ROLE_CLIENT]})
    answer = await client.ListClosures(pb.ListClosuresRequest(parent=edits.house.name))
    assert list(answer.closures) == [later]
    async with refused(StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED"):
        await client.DeleteClosure(pb.DeleteClosureRequest(name=later.name, request_id=key()))


async def test_the_preview_counts_sessions_and_bookings_and_does_nothing(edits: EditsHouse, booking: Running) -> None:
    await edits.create()
    await edits.generate()
    wednesday, friday = (await edits.sessions())[1:3]
    await book(edits.house, booking, wednesday, 3)
    await book(edits.house, booking, friday, 1)
    told = len(await edits.house.changes())
    preview = await edits.preview_closure("2027-01-06", "2027-01-11")
    assert (preview.cancelled_session_count, preview.affected_booking_count) == (3, 4)
    shown = preview.cancelled_sessions
    assert [(each.local_start, each.bookings) for each in shown] == [
        ("2027-01-06T10:00", 3),
        ("2027-01-08T10:00", 1),
        ("2027-01-11T10:00", 0),
    ]
    assert (shown[0].class_session, shown[0].time_zone) == (wednesday.name, "Europe/Berlin")
    assert shown[0].class_type_display_name == edits.house.class_type.display_name
    assert len(await planned(edits)) == 12
    assert (len(await edits.house.changes()), await list_closures(edits)) == (told, [])


async def test_without_booking_the_preview_says_so(edits: EditsHouse, mesh: Mesh) -> None:
    await edits.house.plan("2027-01-06T10:00")
    mesh.targets["booking"] = "127.0.0.1:1"
    async with refused(StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE"):
        await edits.preview_closure("2027-01-06", "2027-01-06")
    # Where no session is concerned, nobody has to be asked.
    assert (await edits.preview_closure("2027-01-07", "2027-01-07")).cancelled_session_count == 0


async def test_more_sessions_than_one_transaction_bears(edits: EditsHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closures, "MOST", 2)
    for hour in (10, 12, 14):
        await edits.house.plan(f"2027-01-06T{hour}:00")
    for call in (
        edits.close_days("2027-01-06", "2027-01-06", cancel=True),
        edits.preview_closure("2027-01-06", "2027-01-06"),
    ):
        async with refused(FAILED, "TOO_MANY_CLASS_SESSIONS", limit="2"):
            await call
    assert len(await planned(edits)) == 3
