"""Availability: told by owners and by instructors for themselves, and read by generation."""

from typing import Any

import pytest
from edits_house import STUBS, EditsHouse
from grpc import StatusCode
from recurring_house import berlin, counts
from timetable_house import key, open_house, refused

from powerhouse.policy.v1.policy_pb2 import Role
from powerhouse.scheduling.v1 import availability_service_pb2 as pb
from powerhouse.scheduling.v1 import scheduling_service_pb2
from powerhouse.scheduling.v1.availability_service_pb2 import AvailabilityException
from powerhouse.scheduling.v1.generation_pb2 import Clash
from services.chassis.auth.principal import Principal
from services.chassis.ids import new_id

INVALID, FAILED = StatusCode.INVALID_ARGUMENT, StatusCode.FAILED_PRECONDITION


@pytest.fixture(autouse=True)
def sunday_morning(edits: EditsHouse) -> None:
    edits.house.running.mesh.clock.instant = berlin("2027-01-03T06:00")


async def get(edits: EditsHouse, instructor: str, stub: Any = None) -> pb.Availability:
    name = instructor.replace("/instructors/", "/availabilities/")
    return await (stub or edits.decide).GetAvailability(pb.GetAvailabilityRequest(name=name))


async def exceptions(edits: EditsHouse, stub: Any = None, **fields: Any) -> list[AvailabilityException]:
    answer = await (stub or edits.decide).ListAvailabilityExceptions(
        pb.ListAvailabilityExceptionsRequest(parent=edits.house.name, **fields)
    )
    return list(answer.availability_exceptions)


async def test_without_any_windows_every_time_is_fine(edits: EditsHouse) -> None:
    ana = edits.house.instructor.name
    none = await get(edits, ana)
    assert (none.instructor, list(none.windows), none.etag) == (ana, [], "0")
    assert not none.HasField("update_time")
    await edits.create()
    assert counts(await edits.preview()) == (12, 0, 0, 0, 0)


async def test_windows_are_replaced_and_kept_in_order(edits: EditsHouse) -> None:
    ana = edits.house.instructor.name
    told = await edits.can_teach(ana, (5, "22:00", "24:00"), (1, "13:00", "17:30"), (1, "09:00", "13:00"))
    assert [(each.weekday, each.start_time_of_day, each.end_time_of_day) for each in told.windows] == [
        (1, "09:00", "13:00"),
        (1, "13:00", "17:30"),
        (5, "22:00", "24:00"),
    ]
    assert told.etag == "1"
    assert await get(edits, ana) == told
    # The same again keeps the etag; another set replaces all of it.
    assert await edits.can_teach(ana, (1, "09:00", "13:00"), (1, "13:00", "17:30"), (5, "22:00", "24:00")) == told
    async with refused(StatusCode.ABORTED, "ETAG_MISMATCH", etag="1"):
        await edits.can_teach(ana, (2, "09:00", "13:00"), etag="0")
    other = await edits.can_teach(ana, (2, "09:00", "13:00"), etag="1")
    assert (len(other.windows), other.etag) == (1, "2")
    assert list((await edits.can_teach(ana)).windows) == []


@pytest.mark.parametrize(
    ("windows", "reason"),
    [
        ([(1, "09:00", "09:00")], "WINDOW_EMPTY"),
        ([(1, "17:00", "09:00")], "WINDOW_EMPTY"),
        ([(1, "09:00", "12:00"), (1, "11:59", "13:00")], "WINDOWS_OVERLAP"),
        ([(0, "09:00", "12:00")], "INVALID_FIELD"),
        ([(8, "09:00", "12:00")], "INVALID_FIELD"),
        ([(1, "9:00", "12:00")], "INVALID_FIELD"),
        ([(1, "09:00", "24:01")], "INVALID_FIELD"),
        ([(1 + n % 7, "09:00", "12:00") for n in range(51)], "INVALID_FIELD"),
    ],
)
async def test_windows_that_are_refused(edits: EditsHouse, windows: Any, reason: str) -> None:
    async with refused(INVALID, reason):
        await edits.can_teach(edits.house.instructor.name, *windows)
    assert (await get(edits, edits.house.instructor.name)).etag == "0"


async def test_an_update_that_names_nothing_changes_nothing(edits: EditsHouse) -> None:
    told = await edits.can_teach(edits.house.instructor.name, (1, "09:00", "12:00"))
    bare = pb.UpdateAvailabilityRequest(availability=pb.Availability(name=told.name), request_id=key())
    assert await edits.decide.UpdateAvailability(bare) == told
    bare.update_mask.paths.append("instructor")
    bare.request_id = key()
    async with refused(INVALID, "FIELD_NOT_MUTABLE"):
        await edits.decide.UpdateAvailability(bare)


async def test_generation_plans_nobody_outside_of_their_windows(edits: EditsHouse) -> None:
    await edits.can_teach(edits.house.instructor.name, (1, "09:00", "12:00"), (3, "10:00", "10:49"))
    await edits.create()
    run = await edits.generate()
    # Mondays only: a minute is missing on Wednesdays, and Fridays have no window.
    assert counts(run) == (4, 0, 8, 0, 0)
    assert {clash.kind for each in run.dates for clash in each.clashes} == {Clash.INSTRUCTOR_UNAVAILABLE}
    assert {each.message for each in run.dates} == {"Instructor is not available"}


async def test_dates_that_are_different(edits: EditsHouse) -> None:
    ana = edits.house.instructor.name
    await edits.can_teach(ana, (1, "09:00", "12:00"))
    await edits.different(ana, "AWAY", "2027-01-11", "2027-01-18")
    await edits.different(ana, "AWAY", "2027-01-25", "2027-01-25", start_time_of_day="11:00")
    await edits.different(ana, "EXTRA", "2027-01-05", "2027-01-07", start_time_of_day="10:00", end_time_of_day="11:00")
    await edits.create()
    assert (await edits.generate()).created_count == 3
    assert await edits.starts() == ["2027-01-04T10:00", "2027-01-06T10:00", "2027-01-25T10:00"]


async def test_wall_time_is_that_of_the_class(edits: EditsHouse) -> None:
    new_york = await edits.house.add_location(time_zone="America/New_York")
    room = await edits.house.add_room(location=new_york.name)
    await edits.can_teach(edits.house.instructor.name, (1, "09:00", "12:00"))
    await edits.create(rrule="FREQ=WEEKLY;BYDAY=MO", room=room.name)
    assert (await edits.generate()).created_count == 4


async def test_exceptions_are_listed_until_they_are_over(edits: EditsHouse) -> None:
    ana, ben = edits.house.instructor.name, (await edits.house.add_instructor()).name
    later = await edits.different(ana, "AWAY", "2027-02-01", "2027-02-03")
    sooner = await edits.different(ben, "EXTRA", "2027-01-05", "2027-01-05", start_time_of_day="09:00")
    assert (sooner.start_time_of_day, sooner.end_time_of_day) == ("09:00", "24:00")
    assert (later.start_time_of_day, later.end_time_of_day) == ("", "")
    assert await exceptions(edits) == [sooner, later]
    assert await exceptions(edits, instructor=ana) == [later]
    first = await edits.decide.ListAvailabilityExceptions(
        pb.ListAvailabilityExceptionsRequest(parent=edits.house.name, page_size=1)
    )
    assert await exceptions(edits, page_size=1, page_token=first.next_page_token) == [later]
    edits.house.running.mesh.clock.instant = berlin("2027-01-08T00:00")
    assert await exceptions(edits) == [later]
    delete = pb.DeleteAvailabilityExceptionRequest(name=later.name, etag="2", request_id=key())
    async with refused(StatusCode.ABORTED, "ETAG_MISMATCH"):
        await edits.decide.DeleteAvailabilityException(delete)
    delete.etag = "1"
    assert await edits.decide.DeleteAvailabilityException(delete) == later
    assert await exceptions(edits) == []
    delete.request_id = key()
    async with refused(StatusCode.NOT_FOUND, "NOT_FOUND", resource=later.name):
        await edits.decide.DeleteAvailabilityException(delete)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"last": "2027-02-28"}, "END_BEFORE_START"),
        ({"last": "2028-03-02"}, "RANGE_TOO_LONG"),
        ({"first": "2027-02-29"}, "MALFORMED_DATE"),
        ({"first": "1 March"}, "INVALID_FIELD"),
        ({"start_time_of_day": "10:00", "end_time_of_day": "10:00"}, "WINDOW_EMPTY"),
        ({"end_time_of_day": "00:00"}, "WINDOW_EMPTY"),
        ({"kind": "KIND_UNSPECIFIED"}, "INVALID_FIELD"),
        ({"instructor": "Ana"}, "MALFORMED_NAME"),
    ],
)
async def test_exceptions_that_are_refused(edits: EditsHouse, wrong: dict[str, str], reason: str) -> None:
    sound = {"instructor": edits.house.instructor.name, "kind": "AWAY", "first": "2027-03-01", "last": "2027-03-01"}
    async with refused(INVALID, reason):
        await edits.different(**{**sound, **wrong})
    assert await exceptions(edits) == []


async def test_instructors_tell_their_own_and_no_one_elses(edits: EditsHouse) -> None:
    account = new_id()
    own = (await edits.house.add_instructor(account=f"accounts/{account}")).name
    foreign = edits.house.instructor.name
    theirs = await edits.different(foreign, "AWAY", "2027-02-01", "2027-02-03")
    owners, edits.decide = (
        edits.decide,
        edits.house.running.as_account(STUBS, account, {edits.house.tenant: [Role.ROLE_INSTRUCTOR]}),
    )
    assert (await edits.can_teach(own, (1, "09:00", "12:00"))).etag == "1"
    mine = await edits.different(own, "AWAY", "2027-02-01", "2027-02-03")
    assert await exceptions(edits) == [mine]
    assert await exceptions(edits, instructor=foreign) == []
    for call in (
        get(edits, foreign),
        edits.can_teach(foreign, (1, "09:00", "12:00")),
        edits.different(foreign, "EXTRA", "2027-02-01", "2027-02-03"),
        edits.decide.DeleteAvailabilityException(
            pb.DeleteAvailabilityExceptionRequest(name=theirs.name, request_id=key())
        ),
    ):
        async with refused(StatusCode.NOT_FOUND, "NOT_FOUND"):
            await call
    assert await exceptions(edits, owners) == [theirs, mine]
    key_of_a_program = Principal(api_key_id=new_id(), roles={edits.house.tenant: frozenset({Role.ROLE_INSTRUCTOR})})
    async with refused(StatusCode.PERMISSION_DENIED, "ACCOUNT_REQUIRED"):
        await get(edits, own, edits.house.running.as_principal(STUBS, key_of_a_program))
    async with refused(StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED"):
        await get(edits, own, edits.house.running.as_account(STUBS))


async def test_unknown_archived_and_foreign_instructors(edits: EditsHouse) -> None:
    other = await open_house(edits.house.running)
    unknown = f"{edits.house.name}/instructors/{new_id()}"
    for call in (get(edits, unknown), edits.can_teach(unknown), edits.different(unknown, "AWAY", *2 * ["2027-02-01"])):
        async with refused(StatusCode.NOT_FOUND, "NOT_FOUND"):
            await call
    async with refused(INVALID, "FOREIGN_RESOURCE", "availability_exception.instructor"):
        await edits.different(other.instructor.name, "AWAY", "2027-02-01", "2027-02-01")
    gone = edits.house.instructor.name
    await edits.house.stub.DeleteInstructor(scheduling_service_pb2.DeleteInstructorRequest(name=gone, request_id=key()))
    for call in (edits.can_teach(gone), edits.different(gone, "AWAY", "2027-02-01", "2027-02-01")):
        async with refused(FAILED, "ARCHIVED", resource=gone):
            await call
