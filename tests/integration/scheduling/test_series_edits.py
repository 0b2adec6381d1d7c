"""Edits of a series: all, this and following, this one; exceptions stay and nothing comes back."""

from typing import Any

import pytest
from booked_house import book, hear
from edits_house import EditsHouse
from grpc import StatusCode
from recurring_house import berlin, counts
from timetable_house import key, open_house, refused

from powerhouse.policy.v1.policy_pb2 import Role
from powerhouse.scheduling.v1 import class_schedule_service_pb2 as pb
from powerhouse.scheduling.v1.class_schedule_pb2 import ClassSchedule
from powerhouse.scheduling.v1.class_session_pb2 import ClassSession
from powerhouse.scheduling.v1.conflict_service_pb2 import ScheduleConflict
from powerhouse.scheduling.v1.events_pb2 import ClassSessionChanged
from powerhouse.scheduling.v1.generation_pb2 import Clash
from services.chassis.ids import new_id
from tests.support.services import Mesh, Running

INVALID, FAILED = StatusCode.INVALID_ARGUMENT, StatusCode.FAILED_PRECONDITION
OVERLAP = (StatusCode.ALREADY_EXISTS, "SESSION_OVERLAP")
CANCELLED, SCHEDULED = ClassSession.CANCELLED, ClassSession.SCHEDULED
MONDAYS = ["2027-01-04", "2027-01-11", "2027-01-18", "2027-01-25"]


@pytest.fixture(autouse=True)
def sunday_morning(edits: EditsHouse) -> None:
    edits.house.running.mesh.clock.instant = berlin("2027-01-03T06:00")


@pytest.fixture
async def schedule(edits: EditsHouse) -> ClassSchedule:
    """Twelve sessions, planned."""
    made = await edits.create()
    assert (await edits.generate()).created_count == 12
    return made


async def test_all_move_to_another_time_and_each_is_told_once(edits: EditsHouse, schedule: ClassSchedule) -> None:
    before = await edits.by_date()
    updated = await edits.update(schedule, "local_time", local_time="11:30", etag=schedule.etag)
    assert (updated.local_time, updated.name) == ("11:30", schedule.name)
    after = await edits.by_date()
    assert after.keys() == before.keys()
    assert {day: session.name for day, session in after.items()} == {day: each.name for day, each in before.items()}
    for day, session in after.items():
        assert session.local_start == f"{day}T11:30"
        assert (session.etag, session.auto_generated, session.series_exception) == ("2", True, False)
    events = await edits.house.changes()
    assert [event.change for event in events] == 12 * [ClassSessionChanged.MOVED]
    assert {event.class_session.time_version for event in events} == {2}
    assert {event.class_session.class_session_id for event in events} == {each.name[-36:] for each in after.values()}
    # The same again is no change.
    await edits.update(schedule, "local_time", local_time="11:30")
    assert len(await edits.house.changes()) == 12
    assert counts(await edits.generate()) == (0, 12, 0, 0, 0)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("room", "MOVED"),
        ("instructor", "SUBSTITUTED"),
        ("class_type", "DETAILS_CHANGED"),
        ("capacity", "CAPACITY_CHANGED"),
        ("duration_minutes", "MOVED"),
        ("display_name", None),
    ],
)
async def test_whatever_changes_is_followed(
    edits: EditsHouse, schedule: ClassSchedule, field: str, change: str | None
) -> None:
    value: Any = {
        "room": (await edits.house.add_room()).name,
        "instructor": (await edits.house.add_instructor()).name,
        "class_type": (await edits.house.add_class_type(display_name="Mat")).name,
        "capacity": 5,
        "duration_minutes": 70,
        "display_name": "Another name",
    }[field]
    await edits.update(schedule, field, **{field: value})
    events = await edits.house.changes()
    assert [ClassSessionChanged.Change.Name(event.change) for event in events] == (12 * [change] if change else [])
    assert {event.class_session.time_version for event in events} <= {1}
    for session in await edits.sessions():
        if field == "duration_minutes":
            assert session.end_time.seconds - session.start_time.seconds == 70 * 60
        elif change:
            assert getattr(session, field) == value


async def test_many_changes_at_once_are_one_event_each(edits: EditsHouse, schedule: ClassSchedule) -> None:
    room, ben = (await edits.house.add_room(capacity=4)).name, (await edits.house.add_instructor()).name
    changes: Any = {"room": room, "instructor": ben, "local_time": "07:00", "capacity": 4}
    await edits.update(schedule, ",".join(changes), **changes)
    events = await edits.house.changes()
    assert [event.change for event in events] == 12 * [ClassSessionChanged.MOVED]
    for event in events:
        state = event.class_session
        assert (state.version, state.capacity, state.room_id, state.instructor_id) == (2, 4, room[-36:], ben[-36:])


@pytest.mark.usefixtures("booking")
async def test_this_one_is_an_exception_from_then_on(edits: EditsHouse, schedule: ClassSchedule) -> None:
    days = await edits.by_date()
    ben = (await edits.house.add_instructor()).name
    moved = await edits.house.move(days["2027-01-04"], local_start="2027-01-05T18:00")
    substituted = await edits.house.substitute(days["2027-01-06"], ben)
    smaller = await edits.house.change_capacity(days["2027-01-08"], 3)
    cancelled = await edits.house.cancel(days["2027-01-11"])
    back = await edits.house.uncancel(await edits.house.cancel(days["2027-01-13"]))
    exceptions = [moved, substituted, smaller, cancelled, back]
    assert all(each.series_exception for each in exceptions)
    preview = await edits.preview_edit(schedule, local_time="15:00")
    assert (preview.changed_sessions, preview.cancelled_sessions, preview.kept_exceptions) == (7, 0, 5)
    await edits.update(schedule, "local_time", local_time="15:00")
    successor = await edits.edit_following(schedule, "2027-01-06", local_time="16:00")
    await edits.update(successor, "rrule", rrule="FREQ=WEEKLY;BYDAY=FR")
    await edits.generate()
    for each in exceptions:
        now = await edits.house.get(each.name)
        assert (now.local_start, now.instructor, now.capacity, now.state, now.etag, now.original_date) == (
            each.local_start,
            each.instructor,
            each.capacity,
            each.state,
            each.etag,
            each.original_date,
        )
    assert len(await edits.sessions()) == 12


@pytest.mark.usefixtures("booking")
async def test_a_rule_without_some_days_cancels_them_for_good(edits: EditsHouse, schedule: ClassSchedule) -> None:
    preview = await edits.preview_edit(schedule, rrule="FREQ=WEEKLY;BYDAY=MO,TU")
    assert (preview.changed_sessions, preview.cancelled_sessions, preview.new_dates) == (0, 8, 4)
    await edits.update(schedule, "rrule", rrule="FREQ=WEEKLY;BYDAY=MO,TU")
    days = await edits.by_date()
    assert [day for day, each in days.items() if each.state == SCHEDULED] == MONDAYS
    gone = [each for each in days.values() if each.state == CANCELLED]
    assert {(each.cancel_reason, each.etag, each.series_exception) for each in gone} == {
        ("Not on the schedule any more", "2", False)
    }
    assert {event.change for event in await edits.house.changes()} == {ClassSessionChanged.CANCELLED}
    assert (await edits.generate()).created_count == 4
    # Back to the days of before: what was cancelled stays so.
    await edits.update(schedule, "rrule,local_time", rrule="FREQ=WEEKLY;BYDAY=MO,WE,FR", local_time="12:00")
    assert (await edits.generate()).created_count == 0
    assert [day for day, each in (await edits.by_date()).items() if each.state == SCHEDULED] == MONDAYS


async def test_first_and_last_day(edits: EditsHouse, schedule: ClassSchedule) -> None:
    await edits.update(schedule, "start_date,end_date", start_date="2027-01-11", end_date="2027-01-15")
    planned = [day for day, each in (await edits.by_date()).items() if each.state == SCHEDULED]
    assert planned == ["2027-01-11", "2027-01-13", "2027-01-15"]


@pytest.mark.usefixtures("booking")
async def test_something_in_the_way_changes_nothing_and_the_preview_lists_it_all(
    edits: EditsHouse, schedule: ClassSchedule
) -> None:
    ben = (await edits.house.add_instructor()).name
    busy = [await edits.house.plan(f"{day}T14:30", instructor=ben) for day in MONDAYS[1:3]]
    before, told = await edits.by_date(), len(await edits.house.changes())
    preview = await edits.preview_edit(schedule, local_time="15:00")
    assert preview.changed_sessions == 12
    assert [(each.local_start, each.class_session) for each in preview.conflicts] == [
        (f"{day}T15:00", before[day].name) for day in MONDAYS[1:3]
    ]
    assert [list(each.clashes) for each in preview.conflicts] == [
        [Clash(kind=Clash.ROOM_TAKEN, class_session=each.name)] for each in busy
    ]
    assert {(each.class_schedule, each.message) for each in preview.conflicts} == {(schedule.name, "Room is taken")}
    for call in (
        edits.update(schedule, "local_time", local_time="15:00"),
        edits.edit_following(schedule, MONDAYS[0], local_time="15:00"),
        edits.edit_following(schedule, MONDAYS[1], local_time="15:00"),
    ):
        async with refused(*OVERLAP, conflict="room", class_session=busy[0].name):
            await call
    assert await edits.by_date() == before
    assert await edits.get(schedule) == schedule
    assert len(await edits.house.changes()) == told


async def test_an_exception_of_its_own_may_be_in_the_way(edits: EditsHouse, schedule: ClassSchedule) -> None:
    days = await edits.by_date()
    moved = await edits.house.move(days["2027-01-04"], local_start="2027-01-06T15:00")
    async with refused(*OVERLAP, class_session=moved.name):
        await edits.update(schedule, "local_time", local_time="15:00")


@pytest.mark.usefixtures("booking")
async def test_who_cannot_teach_then_is_told_and_not_refused(edits: EditsHouse, schedule: ClassSchedule) -> None:
    await edits.can_teach(edits.house.instructor.name, (1, "09:00", "12:00"), (3, "00:00", "24:00"))
    await edits.close_days("2027-01-11", "2027-01-11", cancel=True)
    preview = await edits.preview_edit(schedule, local_time="15:00")
    assert len(preview.conflicts) == 7
    assert {each.message for each in preview.conflicts} == {"Instructor is not available"}
    await edits.update(schedule, "local_time", local_time="15:00")
    assert (await edits.by_date())["2027-01-04"].local_start == "2027-01-04T15:00"


async def test_one_may_take_the_place_that_another_leaves(edits: EditsHouse) -> None:
    nights = await edits.create(
        rrule="FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU", local_time="20:00", duration_minutes=480
    )
    await edits.generate()
    # Each into the last hours of the one before it; then into the first ones of the one after it.
    for time in ("01:00", "20:00"):
        await edits.update(nights, "local_time", local_time=time)
        days = await edits.by_date()
        assert len(days) == 27
        assert all(each.local_start == f"{day}T{time}" for day, each in days.items())


@pytest.mark.parametrize("changes", [{"local_time": "01:00"}, {"local_time": "01:00", "capacity": 4}])
async def test_today_stays_where_it_is_and_may_be_in_the_way(edits: EditsHouse, changes: dict[str, Any]) -> None:
    nights = await edits.create(
        rrule="FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU", local_time="20:00", duration_minutes=480
    )
    await edits.generate()
    edits.house.running.mesh.clock.instant = berlin("2027-01-04T12:00")
    before = await edits.by_date()
    async with refused(*OVERLAP, conflict="room", class_session=before["2027-01-04"].name):
        await edits.update(nights, ",".join(changes), **changes)
    assert await edits.by_date() == before


async def test_what_has_begun_is_history_and_today_does_not_go_back(edits: EditsHouse, schedule: ClassSchedule) -> None:
    edits.house.running.mesh.clock.instant = berlin("2027-01-06T09:00")
    await edits.update(schedule, "local_time", local_time="08:00")
    days = await edits.by_date()
    assert days["2027-01-06"].local_start == "2027-01-06T10:00"
    assert days["2027-01-08"].local_start == "2027-01-08T08:00"
    [monday] = await edits.house.running.sql(
        "SELECT version, start_at FROM class_sessions WHERE tenant_id = $1 AND original_date = '2027-01-04'",
        edits.house.tenant,
    )
    assert (monday["version"], monday["start_at"]) == (1, berlin("2027-01-04T10:00"))
    # Other changes of today's are made.
    await edits.update(schedule, "capacity", capacity=4)
    today = (await edits.by_date())["2027-01-06"]
    assert (today.local_start, today.capacity) == ("2027-01-06T10:00", 4)


async def test_wall_time_over_a_change_of_the_clocks(edits: EditsHouse) -> None:
    edits.house.running.mesh.clock.instant = berlin("2027-03-21T06:00")
    schedule = await edits.create(rrule="FREQ=WEEKLY;BYDAY=SU", start_date="2027-03-21")
    await edits.generate()
    await edits.update(schedule, "local_time", local_time="02:30")
    starts = {each.original_date: each.local_start for each in await edits.sessions()}
    # On the 28th clocks skip 02:30. Today's would be over.
    assert starts == {
        "2027-03-21": "2027-03-21T10:00",
        "2027-03-28": "2027-03-28T03:30",
        "2027-04-04": "2027-04-04T02:30",
        "2027-04-11": "2027-04-11T02:30",
    }


async def test_this_and_following_begins_a_new_schedule_of_the_series(
    edits: EditsHouse, schedule: ClassSchedule
) -> None:
    before = await edits.by_date()
    ben = (await edits.house.add_instructor()).name
    successor = await edits.edit_following(schedule, "2027-01-13", schedule.etag, local_time="12:00", instructor=ben)
    assert successor.name != schedule.name
    assert (successor.series, successor.start_date, successor.end_date) == (schedule.name, "2027-01-13", "")
    assert (successor.local_time, successor.instructor, successor.room) == ("12:00", ben, schedule.room)
    assert (successor.rrule, successor.capacity, successor.etag) == (schedule.rrule, schedule.capacity, "1")
    first = await edits.get(schedule)
    assert (first.end_date, first.local_time, first.series) == ("2027-01-12", "10:00", schedule.name)
    assert int(first.etag) == int(schedule.etag) + 1
    earlier, later = await edits.by_date(schedule), await edits.by_date(successor)
    assert list(earlier.values()) == [before[day] for day in list(before)[:4]]
    assert list(later) == list(before)[4:]
    assert [later[day].name for day in later] == [before[day].name for day in later]
    assert {(each.local_start[11:], each.instructor) for each in later.values()} == {("12:00", ben)}
    assert len(await edits.house.changes()) == 8
    assert counts(await edits.generate()) == (0, 12, 0, 0, 0)
    # And once more, from later on.
    third = await edits.edit_following(successor, "2027-01-22", display_name="Evening", local_time="19:00")
    assert (third.series, third.display_name) == (schedule.name, "Evening")
    assert len(await edits.by_date(third)) == 4
    assert counts(await edits.generate()) == (0, 12, 0, 0, 0)


async def test_every_other_week_stays_in_step(edits: EditsHouse) -> None:
    schedule = await edits.create(rrule="FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE")
    await edits.generate()
    successor = await edits.edit_following(schedule, "2027-01-20", local_time="12:00")
    await edits.generate()
    starts = [each.local_start for each in await edits.sessions()]
    assert starts == ["2027-01-04T10:00", "2027-01-06T10:00", "2027-01-18T10:00", "2027-01-20T12:00"]
    async with refused(FAILED, "DATE_NOT_IN_SERIES"):
        await edits.edit_following(successor, "2027-01-27", local_time="13:00")


async def test_exceptions_of_all_kinds_go_over_to_the_new_schedule(edits: EditsHouse) -> None:
    ben = (await edits.house.add_instructor()).name
    for day in ("2027-01-11", "2027-01-13", "2027-01-15"):
        await edits.house.plan(f"{day}T10:00", instructor=ben)
    schedule = await edits.create()
    await edits.generate()
    skipped, waiting, planned = await edits.inbox()
    await edits.resolve(skipped, skip=True)
    planned = await edits.resolve(planned, local_start="2027-01-16T08:00")
    cancelled = await edits.house.cancel((await edits.by_date())["2027-01-18"])
    successor = await edits.edit_following(schedule, "2027-01-11", local_time="20:00")
    assert {each.class_schedule for each in (await edits.by_date(successor)).values()} == {successor.name}
    assert (await edits.house.get(planned.class_session)).local_start == "2027-01-16T08:00"
    assert (await edits.house.get(cancelled.name)).state == CANCELLED
    [moved_along] = await edits.inbox()
    assert (moved_along.name, moved_along.class_schedule) == (waiting.name, successor.name)
    assert moved_along.local_start == "2027-01-13T20:00"
    # Nothing is in the way at 20:00, so that one is planned; the skipped date stays out.
    run = await edits.generate()
    assert counts(run) == (1, 11, 0, 0, 0)
    assert (await edits.look(waiting)).resolution == ScheduleConflict.CLEARED
    assert "2027-01-11" not in await edits.by_date()


async def test_dates_that_the_rule_has_no_more_leave_the_inbox(edits: EditsHouse) -> None:
    ben = (await edits.house.add_instructor()).name
    await edits.house.plan("2027-01-13T10:00", instructor=ben)
    schedule = await edits.create()
    await edits.generate()
    [conflict] = await edits.inbox()
    await edits.update(schedule, "rrule", rrule="FREQ=WEEKLY;BYDAY=MO")
    assert await edits.inbox() == []
    assert (await edits.look(conflict)).resolution == ScheduleConflict.CLEARED


async def test_from_its_first_date_it_is_the_whole_schedule(edits: EditsHouse, schedule: ClassSchedule) -> None:
    edited = await edits.edit_following(schedule, "2027-01-04", local_time="12:00")
    assert (edited.name, edited.local_time, edited.start_date) == (schedule.name, "12:00", "2027-01-04")
    assert {each.local_start[11:] for each in await edits.sessions()} == {"12:00"}
    # What changes nothing leaves the series whole.
    assert await edits.edit_following(edited, "2027-01-13", local_time="12:00") == edited


@pytest.mark.usefixtures("booking")
async def test_ending_a_series(edits: EditsHouse, schedule: ClassSchedule) -> None:
    kept = await edits.house.change_capacity((await edits.by_date())["2027-01-20"], 5)
    preview = await edits.preview_edit(schedule, "2027-01-18", end_date="2027-01-17")
    assert (preview.cancelled_sessions, preview.kept_exceptions, preview.new_dates) == (5, 1, 0)
    ended = await edits.edit_following(schedule, "2027-01-18", end_date="2027-01-17")
    assert (ended.name, ended.end_date) == (schedule.name, "2027-01-17")
    planned = [each for each in await edits.sessions() if each.state == SCHEDULED]
    assert [each.original_date for each in planned[:6]] == list(await edits.by_date())[:6]
    assert [each.name for each in planned[6:]] == [kept.name]
    assert (await edits.generate()).created_count == 0


async def test_ending_it_before_its_first_date_archives_it(edits: EditsHouse, schedule: ClassSchedule) -> None:
    ended = await edits.edit_following(schedule, "2027-01-04", end_date="2027-01-03")
    assert ended.HasField("archive_time")
    assert {each.state for each in await edits.sessions()} == {CANCELLED}
    async with refused(FAILED, "ARCHIVED", resource=schedule.name):
        await edits.edit_following(schedule, "2027-01-04", local_time="12:00")


async def test_an_end_and_a_change_in_one(edits: EditsHouse, schedule: ClassSchedule) -> None:
    successor = await edits.edit_following(schedule, "2027-01-11", end_date="2027-01-15", local_time="12:00")
    assert (successor.start_date, successor.end_date) == ("2027-01-11", "2027-01-15")
    states = [each.state for each in (await edits.by_date(successor)).values()]
    assert states == 3 * [SCHEDULED] + 6 * [CANCELLED]


@pytest.mark.parametrize(
    ("from_date", "edit", "code", "reason"),
    [
        ("2027-01-13", {}, INVALID, "NOTHING_TO_EDIT"),
        ("2027-01-12", {"capacity": 3}, FAILED, "DATE_NOT_IN_SERIES"),
        ("2026-12-28", {"capacity": 3}, FAILED, "DATE_NOT_IN_SERIES"),
        ("2027-02-30", {"capacity": 3}, INVALID, "MALFORMED_DATE"),
        ("13 January", {"capacity": 3}, INVALID, "INVALID_FIELD"),
        ("2027-01-13", {"end_date": "2027-01-11"}, INVALID, "END_BEFORE_START"),
        ("2027-01-13", {"end_date": "2027-02-30"}, INVALID, "MALFORMED_DATE"),
        ("2027-01-13", {"capacity": 9}, FAILED, "CAPACITY_ABOVE_ROOM"),
        ("2027-01-13", {"capacity": 0}, INVALID, "INVALID_FIELD"),
        ("2027-01-13", {"duration_minutes": 481}, INVALID, "INVALID_FIELD"),
        ("2027-01-13", {"local_time": "25:00"}, INVALID, "INVALID_FIELD"),
        ("2027-01-13", {"rrule": "weekly"}, INVALID, "MALFORMED_RRULE"),
        ("2027-01-13", {"rrule": "FREQ=DAILY"}, INVALID, "RRULE_NOT_SUPPORTED"),
        ("2027-01-13", {"rrule": "FREQ=WEEKLY;BYDAY=MO", "end_date": "2027-01-14"}, INVALID, "RULE_NEVER_MATCHES"),
        ("2027-01-13", {"room": "room"}, INVALID, "MALFORMED_NAME"),
    ],
)
async def test_edits_that_are_refused(  # four facts of a case and two fixtures
    edits: EditsHouse, schedule: ClassSchedule, from_date: str, edit: dict[str, Any], code: StatusCode, reason: str
) -> None:
    before = await edits.by_date()
    for call in (
        edits.edit_following(schedule, from_date, **edit),
        edits.preview_edit(schedule, from_date, **edit),
    ):
        async with refused(code, reason):
            await call
    assert (await edits.by_date(), await edits.get(schedule)) == (before, schedule)


async def test_past_stale_unknown_foreign_and_not_taught(edits: EditsHouse, schedule: ClassSchedule) -> None:
    other = await open_house(edits.house.running)
    mat = (await edits.house.add_class_type(display_name="Mat")).name
    eva = (await edits.house.add_instructor(class_types=[mat])).name
    for edit in (edits.edit_following, edits.preview_edit):
        async with refused(StatusCode.ABORTED, "ETAG_MISMATCH", etag=schedule.etag):
            await edit(schedule, "2027-01-13", "7", capacity=3)
        async with refused(FAILED, "CLASS_TYPE_NOT_TAUGHT", instructor=eva):
            await edit(schedule, "2027-01-13", instructor=eva)
        async with refused(INVALID, "FOREIGN_RESOURCE", "edit.room"):
            await edit(schedule, "2027-01-13", room=other.room.name)
        unknown = ClassSchedule(name=f"{edits.house.name}/classSchedules/{new_id()}")
        async with refused(StatusCode.NOT_FOUND, "NOT_FOUND", resource=unknown.name):
            await edit(unknown, "2027-01-13", capacity=3)
    edits.house.running.mesh.clock.instant = berlin("2027-01-13T10:00")
    async with refused(FAILED, "SESSION_IN_PAST"):
        await edits.edit_following(schedule, "2027-01-13", capacity=3)
    for stub in (edits.as_roles(Role.ROLE_FRONT_DESK), edits.as_roles(Role.ROLE_INSTRUCTOR)):
        edits.stub = stub
        async with refused(StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED"):
            await edits.edit_following(schedule, "2027-01-15", capacity=3)


async def test_a_repeat_with_the_same_key_edits_once(edits: EditsHouse, schedule: ClassSchedule) -> None:
    request = pb.EditFollowingClassSessionsRequest(
        name=schedule.name, from_date="2027-01-13", edit=pb.SeriesEdit(local_time="12:00"), request_id=key()
    )
    successor = await edits.stub.EditFollowingClassSessions(request)
    assert await edits.stub.EditFollowingClassSessions(request) == successor
    assert len(await edits.house.changes()) == 8


async def test_the_preview_counts_bookings_and_does_nothing(
    edits: EditsHouse, schedule: ClassSchedule, booking: Running
) -> None:
    monday, wednesday = (await edits.sessions())[:2]
    await book(edits.house, booking, monday, 2)
    await book(edits.house, booking, wednesday, 3)
    before = await edits.by_date()
    ben = (await edits.house.add_instructor()).name
    for from_date, edit, bookings in (
        ("", {"local_time": "12:00"}, 5),
        ("", {"instructor": ben}, 5),
        ("2027-01-06", {"local_time": "12:00"}, 3),
        ("2027-01-06", {"end_date": "2027-01-05"}, 3),
        ("", {"rrule": "FREQ=WEEKLY;BYDAY=MO"}, 3),
        ("", {"display_name": "Another"}, 0),
    ):
        preview = await edits.preview_edit(schedule, from_date, **edit)
        assert preview.affected_bookings == bookings, edit
    assert (await edits.by_date(), await edits.get(schedule)) == (before, schedule)
    assert await edits.house.changes() == []
    # Done, booking hears of each once.
    await edits.update(schedule, "local_time", local_time="12:00")
    await hear(edits.house, booking)
    rows = await booking.sql(
        "SELECT start_time, time_version FROM class_sessions WHERE tenant_id = $1 ORDER BY start_time",
        edits.house.tenant,
    )
    assert rows[0]["start_time"] == berlin("2027-01-04T12:00")
    assert {row["time_version"] for row in rows} == {2}


async def test_without_booking_the_preview_says_so_and_holds_nothing(
    edits: EditsHouse, schedule: ClassSchedule, mesh: Mesh
) -> None:
    mesh.targets["booking"] = "127.0.0.1:1"
    async with refused(StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE"):
        await edits.preview_edit(schedule, local_time="12:00")
    assert (await edits.update(schedule, "local_time", local_time="12:00")).local_time == "12:00"
