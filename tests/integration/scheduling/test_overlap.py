"""Two sessions never share a room or an instructor: the database says so, whoever asks."""

import asyncio
from collections import Counter
from typing import Any

import asyncpg
import grpc
import pytest
from grpc import StatusCode
from timetable_house import House, last_id, refused

from powerhouse.scheduling.v1.class_session_pb2 import ClassSession
from services.chassis.db.urls import service_url
from services.chassis.ids import new_id
from tests.support.services import reason_of

OVERLAP = (StatusCode.ALREADY_EXISTS, "SESSION_OVERLAP")


@pytest.mark.parametrize(
    "local_start", ["2027-01-05T10:00", "2027-01-05T09:11", "2027-01-05T10:49", "2027-01-05T10:20"]
)
async def test_room_and_instructor_are_named_with_the_other_session(house: House, local_start: str) -> None:
    first = await house.plan("2027-01-05T10:00")
    room, instructor = await house.add_room(), await house.add_instructor()
    async with refused(*OVERLAP, conflict="room", class_session=first.name):
        await house.plan(local_start, instructor=instructor.name)
    async with refused(*OVERLAP, conflict="instructor", class_session=first.name):
        await house.plan(local_start, room=room.name)
    await house.plan(local_start, room=room.name, instructor=instructor.name)


async def test_one_may_begin_when_the_other_ends(house: House) -> None:
    for start in ("2027-01-05T10:00", "2027-01-05T10:50", "2027-01-05T09:10"):
        await house.plan(start)


async def test_every_change_that_could_overlap_is_refused(house: House) -> None:
    first = await house.plan("2027-01-05T10:00")
    room, instructor = await house.add_room(), await house.add_instructor()
    beside = await house.plan("2027-01-05T10:30", room=room.name, instructor=instructor.name)
    later = await house.plan("2027-01-05T12:00")
    async with refused(*OVERLAP, conflict="room", class_session=first.name):
        await house.move(beside, room=house.room.name)
    async with refused(*OVERLAP, conflict="instructor", class_session=first.name):
        await house.substitute(beside, house.instructor.name)
    async with refused(*OVERLAP, class_session=first.name):
        await house.move(later, local_start="2027-01-05T10:10")
    await house.cancel(first)
    replacement = await house.plan("2027-01-05T10:00", instructor=(await house.add_instructor()).name)
    async with refused(*OVERLAP, conflict="room", class_session=replacement.name):
        await house.uncancel(first)
    assert (await house.get(beside.name)).etag == "1"
    assert len(await house.changes()) == 5


async def test_a_session_may_overlap_itself_of_before(house: House) -> None:
    session = await house.plan("2027-01-05T10:00")
    assert (await house.move(session, local_start="2027-01-05T10:20")).local_start == "2027-01-05T10:20"


async def test_twenty_at_once_for_one_room_and_time(house: House) -> None:
    instructors = await asyncio.gather(*(house.add_instructor() for _ in range(20)))
    outcomes = await asyncio.gather(
        *(house.plan(instructor=instructor.name) for instructor in instructors), return_exceptions=True
    )
    assert _tally(outcomes) == {"planned": 1, "SESSION_OVERLAP": 19}
    assert len(await house.changes()) == 1


async def test_twenty_at_once_for_one_instructor(house: House) -> None:
    rooms = await asyncio.gather(*(house.add_room() for _ in range(20)))
    outcomes = await asyncio.gather(*(house.plan(room=room.name) for room in rooms), return_exceptions=True)
    assert _tally(outcomes) == {"planned": 1, "SESSION_OVERLAP": 19}


@pytest.mark.parametrize("shared", ["room", "instructor"])
async def test_twenty_at_once_with_the_app_code_bypassed(house: House, shared: str) -> None:
    rooms = await asyncio.gather(*(house.add_room() for _ in range(20)))
    instructors = await asyncio.gather(*(house.add_instructor() for _ in range(20)))
    outcomes = await asyncio.gather(
        *(
            _insert(
                house,
                rooms[0 if shared == "room" else n].name,
                instructors[0 if shared == "instructor" else n].name,
            )
            for n in range(20)
        ),
        return_exceptions=True,
    )
    won = [outcome for outcome in outcomes if outcome is None]
    # Without the studio's lock, inserts that wait for each other may also end in a deadlock: refused all the same.
    refusals = (asyncpg.ExclusionViolationError, asyncpg.DeadlockDetectedError)
    assert len(won) == 1
    assert all(isinstance(outcome, refusals) for outcome in outcomes if outcome is not None), outcomes
    [row] = await house.running.sql("SELECT count(*) FROM class_sessions WHERE tenant_id = $1", house.tenant)
    assert row["count"] == 1


async def _insert(house: House, room: str, instructor: str) -> None:
    connection = await asyncpg.connect(
        service_url("scheduling", "app", {"POWERHOUSE_DATABASE_URL": house.running.mesh.admin_url})
    )
    try:
        async with connection.transaction():
            await connection.execute("SELECT set_config('app.tenants', $1, true)", f"{{{house.tenant}}}")
            await connection.execute(
                "INSERT INTO class_sessions (tenant_id, id, class_type_id, room_id, instructor_id, start_at, end_at,"
                " time_version, capacity, cancelled, cancel_reason, version) VALUES ($1, $2, $3, $4, $5,"
                " '2027-01-05 09:00+00', '2027-01-05 10:00+00', 1, 8, false, '', 1)",
                house.tenant,
                new_id(),
                last_id(house.class_type.name),
                last_id(room),
                last_id(instructor),
            )
    finally:
        await connection.close()


def _tally(outcomes: list[Any]) -> dict[str, int]:
    return Counter(
        "planned"
        if isinstance(outcome, ClassSession)
        else reason_of(outcome)
        if isinstance(outcome, grpc.aio.AioRpcError)
        else repr(outcome)
        for outcome in outcomes
    )
