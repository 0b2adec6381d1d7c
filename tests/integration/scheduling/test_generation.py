"""Generation: the seed's scenarios, and that nothing is planned twice, lost or brought back."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta

import asyncpg
import pytest
from grpc import StatusCode
from recurring_house import RecurringHouse, berlin, counts
from test_timetable_guards import counted
from timetable_house import refused

from powerhouse.policy.v1.policy_pb2 import Role
from powerhouse.scheduling.v1 import generation_service_pb2 as generation_pb
from powerhouse.scheduling.v1 import scheduling_service_pb2 as pb
from powerhouse.scheduling.v1.class_schedule_pb2 import ClassSchedule
from powerhouse.scheduling.v1.generation_pb2 import Clash, GeneratedDate, GenerationRun

SUNDAY = berlin("2027-01-03T06:00")


@pytest.fixture(autouse=True)
def sunday_morning(recurring: RecurringHouse) -> None:
    recurring.house.running.mesh.clock.instant = SUNDAY


async def test_three_days_a_week_for_four_weeks_are_twelve_sessions(recurring: RecurringHouse) -> None:
    schedule = await recurring.create()
    run = await recurring.generate()
    assert counts(run) == (12, 0, 0, 0, 0)
    assert (run.schedule_count, run.horizon_weeks, run.cause) == (1, 4, GenerationRun.ON_DEMAND)
    sessions = await recurring.sessions()
    assert len(sessions) == 12
    assert [session.local_start[:10] for session in sessions[:4]] == [
        "2027-01-04",
        "2027-01-06",
        "2027-01-08",
        "2027-01-11",
    ]
    for session in sessions:
        assert session.local_start.endswith("T10:00")
        assert session.original_date == session.local_start[:10]
        assert session.auto_generated
        assert not session.series_exception
        assert session.class_schedule == schedule.name
        assert (session.room, session.instructor, session.class_type) == (
            schedule.room,
            schedule.instructor,
            schedule.class_type,
        )
        assert session.capacity == 8
        assert session.end_time.ToDatetime() - session.start_time.ToDatetime() == timedelta(minutes=50)


@pytest.mark.parametrize("now", ["2027-01-03T06:00", "2027-01-04T09:59", "2027-01-04T10:00", "2027-01-06T23:59"])
async def test_the_horizon_is_half_open_wherever_it_begins(recurring: RecurringHouse, now: str) -> None:
    recurring.house.running.mesh.clock.instant = berlin(now)
    await recurring.create()
    run = await recurring.generate()
    # At the very minute it begins a class is history, and the one four weeks later is beyond the end.
    assert run.created_count == (11 if now.endswith("10:00") else 12)
    assert all(now < start for start in await recurring.starts())


async def test_the_horizon_is_the_studios(recurring: RecurringHouse) -> None:
    studio = recurring.house.studio
    for weeks, sessions in ((8, 24), (1, 3)):
        request = pb.UpdateStudioRequest(studio=studio, request_id=str(weeks))
        request.studio.generation_weeks = weeks
        request.studio.etag = ""
        request.update_mask.paths.append("generation_weeks")
        assert (await recurring.house.stub.UpdateStudio(request)).generation_weeks == weeks
        run = await recurring.preview_new()
        assert (run.horizon_weeks, run.created_count) == (weeks, sessions)
    for wrong in (0, 9):
        async with refused(StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"):
            request.studio.generation_weeks = wrong
            request.request_id = f"wrong {wrong}"
            await recurring.house.stub.UpdateStudio(request)


async def test_a_clash_on_one_date_leaves_the_others(recurring: RecurringHouse) -> None:
    other_room = await recurring.house.add_room()
    busy = await recurring.house.plan("2027-01-15T10:30", room=other_room.name)
    schedule = await recurring.create()
    run = await recurring.generate()
    assert counts(run) == (11, 0, 1, 0, 0)
    [left_out] = run.dates
    assert (left_out.outcome, left_out.local_start) == (GeneratedDate.CONFLICT, "2027-01-15T10:00")
    assert (left_out.class_schedule, left_out.class_schedule_display_name) == (schedule.name, schedule.display_name)
    assert left_out.message == "Instructor is taken"
    assert list(left_out.clashes) == [Clash(kind=Clash.INSTRUCTOR_TAKEN, class_session=busy.name)]
    assert "2027-01-15T10:00" not in await recurring.starts()
    [conflict] = await recurring.conflicts()
    assert (str(conflict["original_date"]), conflict["state"]) == ("2027-01-15", "OPEN")
    [summary] = await recurring.summaries()
    assert (summary.created_count, summary.conflict_count) == (11, 1)
    assert [(each.local_start, each.message) for each in summary.conflicts] == [
        ("2027-01-15T10:00", "Instructor is taken")
    ]


async def test_ends_are_open(recurring: RecurringHouse) -> None:
    await recurring.house.plan("2027-01-04T10:50")
    await recurring.house.plan("2027-01-06T09:10")
    await recurring.create()
    assert counts(await recurring.generate()) == (12, 0, 0, 0, 0)


async def test_a_closure_is_skipped_and_nobody_is_bothered(recurring: RecurringHouse) -> None:
    await recurring.close("2027-01-06", "2027-01-08")
    await recurring.create()
    run = await recurring.generate()
    assert counts(run) == (10, 0, 0, 2, 0)
    assert {(each.outcome, each.message) for each in run.dates} == {(GeneratedDate.SKIPPED, "Skipped: Studio closure")}
    assert [conflict["state"] for conflict in await recurring.conflicts()] == ["SKIPPED", "SKIPPED"]
    [summary] = await recurring.summaries()
    assert (summary.skipped_count, summary.conflict_count, list(summary.conflicts)) == (2, 0, [])


async def test_a_closure_of_another_location_closes_nothing_here(recurring: RecurringHouse) -> None:
    elsewhere = await recurring.house.add_location(display_name="Wedding")
    await recurring.close("2027-01-04", "2027-01-31", elsewhere.name)
    await recurring.create()
    assert counts(await recurring.preview()) == (12, 0, 0, 0, 0)
    await recurring.close("2027-01-04", "2027-01-31", recurring.house.location.name)
    assert counts(await recurring.preview()) == (0, 0, 0, 12, 0)


async def test_a_deleted_room_stops_its_schedule_alone(recurring: RecurringHouse) -> None:
    doomed = await recurring.house.add_room(display_name="Doomed")
    broken = await recurring.create(room=doomed.name, local_time="15:00")
    await recurring.create()
    await recurring.house.stub.DeleteRoom(pb.DeleteRoomRequest(name=doomed.name, request_id="1"))
    run = await recurring.generate()
    assert counts(run) == (12, 0, 0, 0, 1)
    message = "Cannot generate classes - Room deleted. Update schedule."
    assert [(each.class_schedule, each.message) for each in run.unserved] == [(broken.name, message)]
    [summary] = await recurring.summaries()
    assert [each.message for each in summary.unserved] == [message]
    marked = await recurring.get(broken)
    assert (marked.attention, marked.attention_message) == (ClassSchedule.ROOM_DELETED, message)
    assert marked.etag != broken.etag
    # A new room is all it needs.
    mended = await recurring.update(broken, room=(await recurring.house.add_room()).name)
    assert (mended.attention, mended.attention_message) == (ClassSchedule.ATTENTION_UNSPECIFIED, "")
    assert counts(await recurring.generate()) == (12, 12, 0, 0, 0)


async def test_what_else_a_schedule_may_have_lost(recurring: RecurringHouse) -> None:
    house = recurring.house
    other = await house.add_class_type(display_name="Mat")
    instructor, kind = await house.add_instructor(), await house.add_class_type()
    gone = await recurring.create(instructor=instructor.name, local_time="08:00")
    old = await recurring.create(class_type=kind.name, local_time="12:00")
    narrow = await recurring.create(local_time="14:00")
    unread = await recurring.create(local_time="16:00")
    await house.stub.DeleteInstructor(pb.DeleteInstructorRequest(name=instructor.name, request_id="1"))
    await house.stub.DeleteClassType(pb.DeleteClassTypeRequest(name=kind.name, request_id="2"))
    change = pb.UpdateInstructorRequest(instructor=house.instructor, request_id="3")
    change.instructor.class_types.append(other.name)
    await house.stub.UpdateInstructor(change)
    await house.running.sql(
        "UPDATE class_schedules SET rrule = 'FREQ=MOON' WHERE tenant_id = $1 AND local_time = '16:00'", house.tenant
    )
    await house.running.sql("UPDATE instructors SET class_type_ids = '{}' WHERE tenant_id = $1", house.tenant)
    assert (await recurring.generate(unread)).unserved[0].attention == ClassSchedule.RULE_UNREADABLE
    await house.running.sql(
        "UPDATE instructors SET class_type_ids = ARRAY[(SELECT id FROM class_types WHERE tenant_id = $1"
        " AND display_name = 'Mat')] WHERE tenant_id = $1",
        house.tenant,
    )
    run = await recurring.generate()
    assert {each.class_schedule: each.attention for each in run.unserved} == {
        gone.name: ClassSchedule.INSTRUCTOR_DELETED,
        old.name: ClassSchedule.CLASS_TYPE_DELETED,
        narrow.name: ClassSchedule.CLASS_TYPE_NOT_TAUGHT,
        unread.name: ClassSchedule.CLASS_TYPE_NOT_TAUGHT,
    }
    assert run.created_count == 0


async def test_availability_and_the_rooms_size_are_conflicts(recurring: RecurringHouse) -> None:
    house = recurring.house
    await recurring.create()
    await house.running.sql(
        "INSERT INTO availabilities (tenant_id, id, windows, version) SELECT tenant_id, id,"
        """ '[{"weekday": 1, "start_minute": 540, "end_minute": 660}, {"weekday": 5, "start_minute": 600,"""
        """ "end_minute": 649}]', 1 FROM instructors WHERE tenant_id = $1""",
        house.tenant,
    )
    run = await recurring.preview()
    assert counts(run) == (4, 0, 8, 0, 0)
    assert {each.message for each in run.dates} == {"", "Instructor is not available"}
    smaller = pb.UpdateRoomRequest(room=house.room, request_id="1")
    smaller.room.capacity = 7
    await house.stub.UpdateRoom(smaller)
    run = await recurring.preview()
    assert counts(run) == (0, 0, 12, 0, 0)
    assert {each.message for each in run.dates} == {
        "Room is too small",
        "Instructor is not available; Room is too small",
    }


async def test_dates_on_which_an_instructor_is_away_or_comes_in_addition(recurring: RecurringHouse) -> None:
    house = recurring.house
    await recurring.create()
    exception = (
        "INSERT INTO availability_exceptions (tenant_id, id, instructor_id, kind, start_date, end_date, start_minute,"
        " end_minute, version) SELECT tenant_id, gen_random_uuid(), id, $2, $3, $4, $5, $6, 1 FROM instructors"
        " WHERE tenant_id = $1"
    )

    async def different(kind: str, first: str, last: str, start: int, end: int) -> None:
        days = (date.fromisoformat(first), date.fromisoformat(last))
        await house.running.sql(exception, house.tenant, kind, *days, start, end)

    await different("AWAY", "2027-01-06", "2027-01-08", 0, 1440)
    # Until the class begins, and from its end on.
    await different("AWAY", "2027-01-11", "2027-01-11", 0, 600)
    await different("AWAY", "2027-01-11", "2027-01-11", 650, 1440)
    await different("AWAY", "2027-01-13", "2027-01-13", 649, 700)
    run = await recurring.preview()
    assert counts(run) == (9, 0, 3, 0, 0)
    away = [each.local_start[:10] for each in run.dates if each.outcome == GeneratedDate.CONFLICT]
    assert away == ["2027-01-06", "2027-01-08", "2027-01-13"]
    await house.running.sql(
        "INSERT INTO availabilities (tenant_id, id, windows, version) SELECT tenant_id, id,"
        """ '[{"weekday": 1, "start_minute": 0, "end_minute": 1440}]', 1 FROM instructors WHERE tenant_id = $1""",
        house.tenant,
    )
    await different("EXTRA", "2027-01-15", "2027-01-15", 540, 660)
    assert [each.local_start[:10] for each in (await recurring.preview()).dates if not each.message] == [
        "2027-01-04",
        "2027-01-11",
        "2027-01-15",
        "2027-01-18",
        "2027-01-25",
    ]


async def test_who_clashes_only_with_a_rejected_date_is_planned(recurring: RecurringHouse) -> None:
    """10:00 clashes with 09:30, which clashes with 09:00: the one in the middle goes."""
    once = {"rrule": "FREQ=WEEKLY;BYDAY=TU", "start_date": "2027-01-05", "end_date": "2027-01-05"}
    await recurring.create(local_time="09:30", **once)
    await recurring.create(local_time="10:00", **once)
    await recurring.house.plan("2027-01-05T09:00")
    run = await recurring.generate()
    assert counts(run) == (1, 0, 1, 0, 0)
    assert await recurring.starts() == ["2027-01-05T09:00", "2027-01-05T10:00"]


async def test_again_it_adds_nothing(recurring: RecurringHouse) -> None:
    await recurring.house.plan("2027-01-15T10:30")
    await recurring.close("2027-01-06", "2027-01-06")
    await recurring.create()
    first = await recurring.generate()
    assert counts(first) == (10, 0, 1, 1, 0)
    sessions, conflicts, told = await recurring.sessions(), await recurring.conflicts(), await recurring.told()
    for _ in range(3):
        assert counts(await recurring.generate()) == (0, 10, 1, 1, 0)
    assert (await recurring.sessions(), await recurring.conflicts(), await recurring.told()) == (
        sessions,
        conflicts,
        told,
    )


@pytest.fixture
async def slow_planning(recurring: RecurringHouse) -> AsyncIterator[None]:
    """Between looking and writing lies time enough for everybody else."""
    sql = recurring.house.running.sql
    await sql("""
        CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END'
    """)
    await sql("CREATE TRIGGER dawdle BEFORE INSERT ON class_sessions FOR EACH STATEMENT EXECUTE FUNCTION dawdle()")
    yield
    await sql("DROP FUNCTION dawdle CASCADE")


@pytest.mark.usefixtures("slow_planning")
async def test_three_at_once_plan_each_date_once(recurring: RecurringHouse) -> None:
    await recurring.create()
    await recurring.create(local_time="12:00")
    runs = await asyncio.gather(*(recurring.generate() for _ in range(3)))
    assert sorted(counts(run) for run in runs) == [(0, 24, 0, 0, 0), (0, 24, 0, 0, 0), (24, 0, 0, 0, 0)]
    assert len(await recurring.sessions()) == 24
    assert sum(len(event.class_sessions) for event in await recurring.told()) == 24


async def test_what_was_moved_or_cancelled_by_hand_stays_so(recurring: RecurringHouse) -> None:
    await recurring.create()
    await recurring.generate()
    moved, cancelled, *_ = await recurring.sessions()
    moved = await recurring.house.move(moved, local_start="2027-01-05T18:00")
    cancelled = await recurring.house.cancel(cancelled)
    assert moved.series_exception
    assert cancelled.series_exception
    assert moved.original_date == "2027-01-04"
    assert counts(await recurring.generate()) == (0, 12, 0, 0, 0)
    starts = await recurring.starts()
    assert len(starts) == 12
    assert "2027-01-04T10:00" not in starts


async def test_a_date_skipped_by_hand_does_not_come_back(recurring: RecurringHouse) -> None:
    schedule = await recurring.create()
    await recurring.house.running.sql(
        "INSERT INTO skipped_dates (tenant_id, original_date, schedule_id) VALUES ($1, '2027-01-06', $2)",
        recurring.house.tenant,
        schedule.name.rpartition("/")[2],
    )
    assert counts(await recurring.generate()) == (11, 1, 0, 0, 0)


async def test_what_is_in_the_way_no_more_clears_the_conflict(recurring: RecurringHouse) -> None:
    busy = await recurring.house.plan("2027-01-15T10:30")
    await recurring.create()
    await recurring.generate()
    await recurring.house.cancel(busy)
    assert counts(await recurring.generate()) == (1, 11, 0, 0, 0)
    [conflict] = await recurring.conflicts()
    assert (conflict["state"], conflict["resolution"], conflict["version"]) == ("RESOLVED", "CLEARED", 2)
    assert str(conflict["class_session_id"]) in {session.name[-36:] for session in await recurring.sessions()}


async def test_time_goes_on_and_each_week_adds_its_own(recurring: RecurringHouse) -> None:
    await recurring.create(rrule="FREQ=WEEKLY;BYDAY=SU", start_date="2027-01-03", local_time="05:00")
    # Four in 28 days, not five, though the days begin and end with a Sunday.
    assert counts(await recurring.generate()) == (4, 0, 0, 0, 0)
    for _ in range(10):
        recurring.house.running.mesh.clock.move(timedelta(weeks=1))
        run = await recurring.generate()
        assert counts(run) == (1, 3, 0, 0, 0)


async def test_ten_stays_ten_when_clocks_change(recurring: RecurringHouse) -> None:
    recurring.house.running.mesh.clock.instant = berlin("2027-03-14T06:00")
    await recurring.create(rrule="FREQ=WEEKLY;BYDAY=SA,SU,MO")
    await recurring.create(rrule="FREQ=WEEKLY;BYDAY=SU", local_time="02:30", end_date="2027-04-04")
    await recurring.generate()
    sessions = await recurring.sessions()
    ten = [session for session in sessions if session.local_start.endswith("T10:00")]
    assert len(ten) == 12
    assert {session.start_time.ToDatetime().hour for session in ten} == {8, 9}
    # 02:30 does not exist on 28 March: half an hour after the clocks have changed.
    night = [session.local_start for session in sessions if session not in ten]
    assert night == ["2027-03-21T02:30", "2027-03-28T03:30", "2027-04-04T02:30"]


async def test_one_schedule_can_be_generated_alone(recurring: RecurringHouse) -> None:
    one, other = await recurring.create(), await recurring.create(local_time="12:00")
    run = await recurring.generate(one)
    assert (run.class_schedule, run.created_count, run.schedule_count) == (one.name, 12, 1)
    await recurring.delete(other)
    async with refused(StatusCode.FAILED_PRECONDITION, "ARCHIVED"):
        await recurring.generate(other)
    assert counts(await recurring.generate()) == (0, 12, 0, 0, 0)
    other.name = other.name[:-1] + ("0" if other.name[-1] != "0" else "1")
    async with refused(StatusCode.NOT_FOUND, "NOT_FOUND"):
        await recurring.preview(other)


async def test_a_dry_run_says_the_same_and_writes_nothing(recurring: RecurringHouse) -> None:
    await recurring.house.plan("2027-01-15T10:30")
    await recurring.create()
    preview = await recurring.preview()
    assert (preview.name, preview.cause) == ("", GenerationRun.PREVIEW)
    assert [each.outcome for each in preview.dates].count(GeneratedDate.CREATED) == 11
    assert len(await recurring.starts()) == 1
    assert (await recurring.runs(), await recurring.conflicts(), await recurring.summaries()) == ([], [], [])
    assert counts(await recurring.generate()) == counts(preview)
    # A schedule that is still a draft.
    draft = await recurring.preview_new()
    assert counts(draft) == (0, 0, 12, 0, 0)
    assert {each.message for each in draft.dates} == {"Room is taken; Instructor is taken"}


async def test_runs_are_kept_newest_first(recurring: RecurringHouse) -> None:
    await recurring.create()
    made = [await recurring.generate() for _ in range(3)]
    listed = await recurring.runs()
    assert listed == made[::-1]
    request = generation_pb.GetGenerationRunRequest(name=made[1].name)
    assert await recurring.stub.GetGenerationRun(request) == made[1]
    page = await recurring.stub.ListGenerationRuns(
        generation_pb.ListGenerationRunsRequest(parent=recurring.house.name, page_size=2)
    )
    rest = await recurring.stub.ListGenerationRuns(
        generation_pb.ListGenerationRunsRequest(
            parent=recurring.house.name, page_size=2, page_token=page.next_page_token
        )
    )
    assert [*page.generation_runs, *rest.generation_runs] == listed
    missing = made[0].name[:-1] + ("0" if made[0].name[-1] != "0" else "1")
    async with refused(StatusCode.NOT_FOUND, "NOT_FOUND"):
        await recurring.stub.GetGenerationRun(generation_pb.GetGenerationRunRequest(name=missing))


async def test_the_database_knows_one_session_of_a_date(recurring: RecurringHouse) -> None:
    """With the app code bypassed: at another time and in another room it is still the same date."""
    await recurring.create()
    await recurring.generate()
    copy = (
        "INSERT INTO class_sessions (tenant_id, id, class_type_id, room_id, instructor_id, start_at, end_at,"
        " time_version, capacity, cancelled, cancel_reason, version, schedule_id, original_date, auto_generated)"
        " SELECT tenant_id, gen_random_uuid(), class_type_id, room_id, instructor_id, start_at + interval '5 hours',"
        " end_at + interval '5 hours', 1, capacity, {cancelled}, '', 1, {schedule}, original_date, {generated}"
        " FROM class_sessions WHERE tenant_id = $1 LIMIT 1"
    )
    house = recurring.house
    for cancelled in ("true", "false"):
        with pytest.raises(asyncpg.UniqueViolationError, match="uq_class_sessions_original_date"):
            await house.running.sql(
                copy.format(cancelled=cancelled, schedule="schedule_id", generated="true"), house.tenant
            )
    with pytest.raises(asyncpg.CheckViolationError, match="ck_class_sessions_series"):
        await house.running.sql(copy.format(cancelled="false", schedule="NULL", generated="false"), house.tenant)


async def test_statements_of_a_run(recurring: RecurringHouse) -> None:
    """As many for one schedule as for twenty."""
    await recurring.create()
    with counted(recurring.house.running) as first:
        await recurring.generate()
    for number in range(10):
        await recurring.create(local_time=f"{number + 11}:00")
    with counted(recurring.house.running) as many:
        assert counts(await recurring.generate()) == (120, 12, 0, 0, 0)
    with counted(recurring.house.running) as again:
        await recurring.generate()
    # The studio is set, the key claimed and filled, the call audited: 4. The studio is locked, all of it and then the
    # sessions in the way are read; sessions, what they are made of, their events, conflicts, the run and its event are
    # written: 9. Again, there is nothing to compare and no session.
    assert [len(each) for each in (first, many, again)] == [13, 13, 9]


async def test_who_may(recurring: RecurringHouse) -> None:
    request = generation_pb.GenerateClassSessionsRequest(parent=recurring.house.name, request_id="1")
    for role in (Role.ROLE_FRONT_DESK, Role.ROLE_INSTRUCTOR):
        async with refused(StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED"):
            await recurring.as_roles(role).GenerateClassSessions(request)
