"""Generation by itself: Sunday 06:00 in each studio's own zone, once, whatever was missed and whoever died."""

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recurring_house import RecurringHouse, berlin, counts
from timetable_house import key

from powerhouse.scheduling.v1 import scheduling_service_pb2 as pb
from powerhouse.scheduling.v1.generation_pb2 import GenerationRun
from services.chassis.ids import new_id
from services.chassis.jobs.registry import Done, Job
from services.scheduling.generation_weeks import latest
from services.scheduling.jobs import generate_class_sessions, start_generation

ROOT = Path(__file__).parents[3]
ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Pacific/Kiritimati",
    "Pacific/Niue",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(ZONES), st.datetimes(datetime(2024, 1, 1), datetime(2034, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_the_latest_sunday_morning(name: str, now: datetime) -> None:
    zone = ZoneInfo(name)
    sunday = latest(now, zone)
    local = sunday.astimezone(zone)
    assert (local.weekday(), local.hour, local.minute) == (6, 6, 0)
    assert timedelta() <= now - sunday < timedelta(days=7, hours=2)
    # The next one has not come.
    assert latest(sunday + timedelta(days=6, hours=22), zone) == sunday
    # The quarters at which it is looked for.
    assert sunday.timestamp() % 900 == 0


async def queued(recurring: RecurringHouse) -> list[Job]:
    rows = await recurring.house.running.sql(
        "SELECT * FROM jobs WHERE tenant_id = $1 AND kind = 'generate_class_sessions' ORDER BY id",
        recurring.house.tenant,
    )
    return [
        Job(row["id"], row["tenant_id"], row["kind"], row["dedup_key"], {}, row["due_at"], 1, new_id(), None)
        for row in rows
    ]


async def tick(recurring: RecurringHouse, now: datetime) -> int:
    """The tick at that time; how many jobs there are after it."""
    running = recurring.house.running
    running.mesh.clock.instant = now
    await start_generation(running.resources, now)
    return len(await queued(recurring))


async def test_on_sunday_at_six_of_the_studio_and_once(recurring: RecurringHouse) -> None:
    recurring.house.running.mesh.clock.instant = berlin("2027-01-02T12:00")
    await recurring.create()
    assert await tick(recurring, berlin("2027-01-03T05:45")) == 0
    assert await tick(recurring, berlin("2027-01-03T06:00")) == 1
    # Several workers, and the next quarters of an hour.
    await asyncio.gather(
        *(start_generation(recurring.house.running.resources, berlin("2027-01-03T06:00")) for _ in "abc")
    )
    assert await tick(recurring, berlin("2027-01-03T06:15")) == 1
    [job] = await queued(recurring)
    for _ in range(2):
        assert await generate_class_sessions(recurring.house.running.resources, job) == Done()
    # The repeat of a job whose end was not recorded is no second run.
    [run] = await recurring.runs()
    assert (run.cause, counts(run), run.name[-36:]) == (GenerationRun.WEEKLY, (12, 0, 0, 0, 0), str(job.id))
    assert len(await recurring.summaries()) == 1
    # The jobs of a week are deleted some time; the run is known.
    await recurring.house.running.sql("DELETE FROM jobs WHERE tenant_id = $1", recurring.house.tenant)
    assert await tick(recurring, berlin("2027-01-09T23:45")) == 0
    assert await tick(recurring, berlin("2027-01-10T06:00")) == 1


async def test_what_was_missed_is_made_up_for_once(recurring: RecurringHouse) -> None:
    recurring.house.running.mesh.clock.instant = berlin("2027-01-02T12:00")
    await recurring.create()
    # Three Sundays without anybody at work.
    assert await tick(recurring, berlin("2027-01-20T14:30")) == 1
    assert await tick(recurring, berlin("2027-01-20T14:45")) == 1
    [job] = await queued(recurring)
    await generate_class_sessions(recurring.house.running.resources, job)
    assert (await recurring.starts())[0] == "2027-01-22T10:00"
    assert await tick(recurring, berlin("2027-01-24T06:00")) == 2


async def test_a_schedule_made_on_monday_waits_for_sunday(recurring: RecurringHouse) -> None:
    await recurring.create()
    assert await tick(recurring, berlin("2027-01-09T12:00")) == 0
    assert await tick(recurring, berlin("2027-01-10T06:00")) == 1


async def test_in_the_zone_of_the_studio(recurring: RecurringHouse) -> None:
    recurring.house.running.mesh.clock.instant = berlin("2027-01-02T12:00")
    await recurring.create()
    change = pb.UpdateStudioRequest(studio=recurring.house.studio, request_id=key())
    change.studio.time_zone = "America/New_York"
    await recurring.house.stub.UpdateStudio(change)
    assert await tick(recurring, datetime(2027, 1, 3, 10, 59, tzinfo=UTC)) == 0
    assert await tick(recurring, datetime(2027, 1, 3, 11, tzinfo=UTC)) == 1


_WORK = """
import asyncio
from services.chassis import config
from services.chassis.jobs.timing import Timing
from services.chassis.jobs.worker import Worker
from services.chassis.resources import open_resources
from services.scheduling.service import SERVICE
from uuid import UUID
import sys

async def work():
    resources = open_resources("scheduling", config.load(SERVICE.settings))
    await Worker(resources, SERVICE.jobs, Timing()).run([UUID(sys.argv[1])])

asyncio.run(work())
"""


def _work(recurring: RecurringHouse, job: Job, clock: Path, crashpoint: str = "") -> int:
    """A worker process of its own that runs the job; how it ended."""
    mesh = recurring.house.running.mesh
    environment = {
        **os.environ,
        "POWERHOUSE_DATABASE_URL": mesh.admin_url,
        "POWERHOUSE_BROKER_URL": "memory://",
        "POWERHOUSE_TLS_DIR": str(mesh.certificates.tls("scheduling")),
        "POWERHOUSE_TOKEN_JWKS_FILE": str(mesh.certificates.jwks),
        "POWERHOUSE_SECRET_FILE": str(mesh.certificates.secret("scheduling")),
        "POWERHOUSE_BOOKING_TARGET": "127.0.0.1:1",
        "POWERHOUSE_CLOCK_FILE": str(clock),
        "POWERHOUSE_CRASHPOINT": crashpoint,
    }
    command = [sys.executable, "-c", _WORK, str(job.id)]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60).returncode


@pytest.mark.parametrize("crashpoint", ["scheduling_mid_generation", "worker_after_handler"])
async def test_killed_in_the_middle_and_run_again_it_is_the_same(
    recurring: RecurringHouse, tmp_path: Path, crashpoint: str
) -> None:
    running = recurring.house.running
    running.mesh.clock.instant = berlin("2027-01-02T12:00")
    await recurring.house.plan("2027-01-15T10:30")
    await recurring.create()
    expected = counts(await recurring.preview())
    await tick(recurring, berlin("2027-01-03T06:00"))
    [job] = await queued(recurring)
    # The other process goes by the same clock.
    clock = tmp_path / "clock"
    clock.write_text(str((running.mesh.clock.now() - datetime.now(UTC)).total_seconds()))
    assert await asyncio.to_thread(_work, recurring, job, clock, crashpoint) == 137
    assert len(await recurring.runs()) == (crashpoint == "worker_after_handler")
    await running.sql("UPDATE jobs SET state = 'queued', lease_until = NULL, lease_token = NULL WHERE id = $1", job.id)
    assert await asyncio.to_thread(_work, recurring, job, clock) == 0
    [run] = await recurring.runs()
    assert counts(run) == expected == (11, 0, 1, 0, 0)
    assert len(await recurring.starts()) == 12
    assert len(await recurring.summaries()) == 1
    assert sum(len(event.class_sessions) for event in await recurring.told()) == 11
