"""Runs, edits, closures and decisions at the same moment: they take turns, and nothing is half of each."""

import asyncio
from typing import Any

import grpc
import pytest
from edits_house import EditsHouse
from recurring_house import berlin
from series_truth import look
from timetable_house import open_house

from powerhouse.scheduling.v1.class_session_pb2 import ClassSession
from powerhouse.scheduling.v1.conflict_service_pb2 import ScheduleConflict
from tests.support.services import Running, reason_of


@pytest.fixture(autouse=True)
def sunday_morning(scheduling: Running) -> None:
    scheduling.mesh.clock.instant = berlin("2027-01-03T06:00")


async def at_once(*calls: Any) -> list[str]:
    """How each call ended: OK or its reason."""
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    return [reason_of(each) if isinstance(each, grpc.aio.AioRpcError) else "OK" for each in outcomes]


async def test_three_runs_with_edits_between_them(scheduling: Running) -> None:
    """Each round is a studio of its own; whoever comes first, sessions are as the schedule says in the end."""
    for _ in range(6):
        edits = EditsHouse(await open_house(scheduling))
        schedule = await edits.create()
        assert await at_once(
            edits.generate(),
            edits.update(schedule, "local_time", local_time="12:00"),
            edits.generate(),
            edits.edit_following(schedule, "2027-01-13", capacity=5),
            edits.generate(schedule),
        ) == 5 * ["OK"]
        truth = await look(edits)
        assert truth.violations() == []
        assert (len(truth.sessions), truth.missing()) == (12, [])
        # Those from the 13th on are what the series was when they were taken over.
        assert {each.local_start[11:] for each in (await edits.by_date(schedule)).values()} == {"12:00"}


async def test_a_closure_while_the_days_are_planned(scheduling: Running) -> None:
    for _ in range(6):
        edits = EditsHouse(await open_house(scheduling))
        await edits.create()
        assert await at_once(
            edits.generate(), edits.close_days("2027-01-11", "2027-01-17", cancel=True), edits.generate()
        ) == 3 * ["OK"]
        closed = [each for each in await edits.sessions() if "2027-01-11" <= each.original_date <= "2027-01-17"]
        # Planned before and cancelled, or skipped: never open.
        assert {each.state for each in closed} <= {ClassSession.CANCELLED}
        assert (await look(edits)).missing() == []


async def test_one_conflict_decided_by_many_at_once(scheduling: Running) -> None:
    edits = EditsHouse(await open_house(scheduling))
    ben = (await edits.house.add_instructor()).name
    await edits.house.plan("2027-01-06T10:00", instructor=ben)
    await edits.create()
    await edits.generate()
    [conflict] = await edits.inbox()
    outcomes = await at_once(
        *(edits.resolve(conflict, local_start=f"2027-01-06T{hour:02}:00") for hour in range(12, 20)),
        edits.resolve(conflict, skip=True),
        edits.generate(),
    )
    assert sorted(outcomes) == 8 * ["CONFLICT_RESOLVED"] + 2 * ["OK"]
    truth = await look(edits)
    assert truth.violations() == []
    assert truth.missing() == []
    assert (await edits.look(conflict)).state == ScheduleConflict.RESOLVED


async def test_two_edits_from_the_same_etag(scheduling: Running) -> None:
    edits = EditsHouse(await open_house(scheduling))
    schedule = await edits.create()
    await edits.generate()
    times = [f"{hour}:00" for hour in range(12, 18)]
    outcomes = await at_once(
        *(edits.edit_following(schedule, "2027-01-13", schedule.etag, local_time=each) for each in times)
    )
    assert sorted(outcomes) == 5 * ["ETAG_MISMATCH"] + ["OK"]
    assert (await look(edits)).violations() == []
