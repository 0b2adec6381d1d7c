"""Class schedules: their rules, their refusals, and who may."""

from typing import Any

import pytest
from grpc import StatusCode
from recurring_house import RecurringHouse, berlin, counts
from timetable_house import open_house, refused

from powerhouse.policy.v1.policy_pb2 import Role
from powerhouse.scheduling.v1 import class_schedule_service_pb2 as pb
from powerhouse.scheduling.v1 import scheduling_service_pb2
from services.scheduling import class_schedules
from tests.support.services import Running

BAD = StatusCode.INVALID_ARGUMENT
NOT_NOW = StatusCode.FAILED_PRECONDITION


@pytest.fixture(autouse=True)
def sunday_morning(recurring: RecurringHouse) -> None:
    recurring.house.running.mesh.clock.instant = berlin("2027-01-03T06:00")


async def test_a_schedule_as_it_was_made(recurring: RecurringHouse) -> None:
    made = await recurring.create(rrule="freq=weekly;byday=FR,MO;until=20270331")
    assert await recurring.get(made) == made
    assert (made.rrule, made.start_date, made.end_date) == ("FREQ=WEEKLY;BYDAY=MO,FR", "2027-01-04", "2027-03-31")
    # The class type's length, the room's size, the location's zone.
    assert (made.duration_minutes, made.capacity, made.time_zone) == (50, 8, "Europe/Berlin")
    assert (made.location, made.series, made.local_time) == (recurring.house.location.name, made.name, "10:00")
    assert (made.attention_message, made.etag) == ("", "1")
    own = await recurring.create(duration_minutes=75, capacity=6, local_time="23:30")
    assert (own.duration_minutes, own.capacity) == (75, 6)


@pytest.mark.parametrize(
    ("fields", "code", "reason", "field"),
    [
        ({"rrule": "every monday"}, BAD, "MALFORMED_RRULE", "class_schedule.rrule"),
        ({"rrule": "FREQ=DAILY"}, BAD, "RRULE_NOT_SUPPORTED", "class_schedule.rrule"),
        ({"rrule": "FREQ=WEEKLY;COUNT=12"}, BAD, "RRULE_NOT_SUPPORTED", "class_schedule.rrule"),
        ({"end_date": "2027-01-03"}, BAD, "END_BEFORE_START", "class_schedule.rrule"),
        (
            {"rrule": "FREQ=WEEKLY;BYDAY=TU", "end_date": "2027-01-04"},
            BAD,
            "RULE_NEVER_MATCHES",
            "class_schedule.rrule",
        ),
        ({"start_date": "2027-02-30"}, BAD, "MALFORMED_DATE", "class_schedule.start_date"),
        ({"end_date": "2027-13-01"}, BAD, "MALFORMED_DATE", "class_schedule.end_date"),
        ({"local_time": "24:00"}, BAD, "INVALID_FIELD", "class_schedule.local_time"),
        ({"local_time": "10:00Z"}, BAD, "INVALID_FIELD", "class_schedule.local_time"),
        ({"display_name": ""}, BAD, "INVALID_FIELD", "class_schedule.display_name"),
        ({"duration_minutes": 481}, BAD, "INVALID_FIELD", "class_schedule.duration_minutes"),
        ({"capacity": 9}, NOT_NOW, "CAPACITY_ABOVE_ROOM", None),
        ({"room": "rooms/1"}, BAD, "MALFORMED_NAME", "class_schedule.room"),
    ],
)
async def test_bad_input(
    recurring: RecurringHouse, fields: dict[str, Any], code: StatusCode, reason: str, field: str | None
) -> None:
    async with refused(code, reason, field):
        await recurring.create(**fields)
    async with refused(code, reason, field):
        await recurring.preview_new(**fields)


async def test_what_it_names_must_be_there_and_fit(recurring: RecurringHouse, scheduling: Running) -> None:
    house, stranger = recurring.house, await open_house(scheduling)
    mat = await house.add_class_type(display_name="Mat")
    narrow = await house.add_instructor(class_types=[mat.name])
    async with refused(NOT_NOW, "CLASS_TYPE_NOT_TAUGHT", instructor=narrow.name):
        await recurring.create(instructor=narrow.name)
    async with refused(BAD, "FOREIGN_RESOURCE", "class_schedule.room"):
        await recurring.create(room=stranger.room.name)
    async with refused(StatusCode.NOT_FOUND, "NOT_FOUND"):
        await recurring.create(class_type=f"{house.name}/classTypes/{stranger.class_type.name[-36:]}")
    gone = await house.add_room()
    await house.stub.DeleteRoom(scheduling_service_pb2.DeleteRoomRequest(name=gone.name, request_id="1"))
    async with refused(NOT_NOW, "ARCHIVED", resource=gone.name):
        await recurring.create(room=gone.name)


async def test_updating(recurring: RecurringHouse) -> None:
    made = await recurring.create()
    later = await recurring.update(made, local_time="11:30", rrule="FREQ=WEEKLY;BYDAY=SA", etag=made.etag)
    assert (later.local_time, later.rrule, later.etag) == ("11:30", "FREQ=WEEKLY;BYDAY=SA", "2")
    assert later.display_name == made.display_name
    ended = await recurring.update(made, "end_date", end_date="2027-01-31")
    assert ended.end_date == "2027-01-31"
    assert (await recurring.update(made, "end_date")).end_date == ""
    # Nothing new: nothing happens.
    assert (await recurring.update(made, local_time="11:30")).etag == "4"
    async with refused(StatusCode.ABORTED, "ETAG_MISMATCH"):
        await recurring.update(made, local_time="12:00", etag=made.etag)
    async with refused(NOT_NOW, "CAPACITY_ABOVE_ROOM"):
        await recurring.update(made, capacity=20)
    async with refused(BAD, "RULE_NEVER_MATCHES"):
        await recurring.update(made, end_date="2027-01-06")
    async with refused(BAD, "END_BEFORE_START"):
        await recurring.update(made, start_date="2027-05-01", end_date="2027-04-01")
    async with refused(BAD, "FIELD_NOT_MUTABLE"):
        await recurring.update(made, "series", series="x")
    assert await recurring.get(made) == await recurring.update(made, "display_name", display_name=made.display_name)


async def test_deleting_and_bringing_back(recurring: RecurringHouse) -> None:
    made = await recurring.create()
    await recurring.house.plan("2027-01-06T10:00")
    await recurring.generate()
    gone = await recurring.delete(made, etag=made.etag)
    assert gone.HasField("archive_time")
    # What is planned stays, and nothing waits for a decision any more.
    assert len(await recurring.starts()) == 12
    assert [each["resolution"] for each in await recurring.conflicts()] == ["CLEARED"]
    recurring.house.running.mesh.clock.instant = berlin("2027-01-10T06:00")
    assert counts(await recurring.generate()) == (0, 0, 0, 0, 0)
    for refusing in (recurring.delete(made), recurring.update(made, local_time="12:00")):
        async with refused(NOT_NOW, "ARCHIVED"):
            await refusing
    assert not (await recurring.undelete(made)).HasField("archive_time")
    async with refused(NOT_NOW, "NOT_ARCHIVED"):
        await recurring.undelete(made)
    assert counts(await recurring.generate()) == (3, 9, 0, 0, 0)


async def test_listing(recurring: RecurringHouse) -> None:
    made = [await recurring.create(display_name=name, local_time=at) for name, at in (("B", "08:00"), ("A", "12:00"))]
    gone = await recurring.create(display_name="C", local_time="16:00")
    await recurring.delete(gone)
    await recurring.house.running.sql(
        "UPDATE class_schedules SET attention = 'ROOM_DELETED' WHERE tenant_id = $1 AND display_name = 'B'",
        recurring.house.tenant,
    )

    async def names(**fields: Any) -> list[str]:
        request = pb.ListClassSchedulesRequest(parent=recurring.house.name, **fields)
        return [each.display_name for each in (await recurring.stub.ListClassSchedules(request)).class_schedules]

    assert await names() == ["A", "B"]
    assert await names(show_archived=True) == ["A", "B", "C"]
    assert await names(needs_attention=True) == ["B"]
    page = await recurring.stub.ListClassSchedules(
        pb.ListClassSchedulesRequest(parent=recurring.house.name, page_size=1)
    )
    assert [each.name for each in page.class_schedules] == [made[1].name]
    assert await names(page_token=page.next_page_token) == ["B"]


async def test_a_studio_has_only_so_many(recurring: RecurringHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_schedules, "MOST", 2)
    first = await recurring.create()
    await recurring.create(local_time="12:00")
    async with refused(NOT_NOW, "TOO_MANY_CLASS_SCHEDULES", limit="2"):
        await recurring.create(local_time="14:00")
    await recurring.delete(first)
    await recurring.create(local_time="14:00")
    async with refused(NOT_NOW, "TOO_MANY_CLASS_SCHEDULES"):
        await recurring.undelete(first)


async def test_staff_read_and_owners_write(recurring: RecurringHouse) -> None:
    made = await recurring.create()
    for role in (Role.ROLE_FRONT_DESK, Role.ROLE_INSTRUCTOR):
        stub = recurring.as_roles(role)
        assert await stub.GetClassSchedule(pb.GetClassScheduleRequest(name=made.name)) == made
        async with refused(StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED"):
            await stub.DeleteClassSchedule(pb.DeleteClassScheduleRequest(name=made.name, request_id="1"))
    async with refused(StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED"):
        await recurring.as_roles(Role.ROLE_CLIENT).GetClassSchedule(pb.GetClassScheduleRequest(name=made.name))
