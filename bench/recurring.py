"""`python -m bench recurring`: generation of recurring classes against an unchecked INSERT ... SELECT of the same rows.

1,000 studios of 20 schedules for four weeks: 240,000 dates, of which 2.5 % clash with a single session. Each round
generates everything from nothing, runs again over what is there, and inserts the same sessions and outbox rows from a
staged copy into tables that lack only the guard against overlaps (EXCLUDE USING gist), in one transaction. What the
guard costs is seen by the same insert into a table that has it. Writes `var/bench/recurring.json`.
"""

import asyncio
import logging
import os
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import structlog
import uvloop

from bench.plan import bench_id
from bench.report import Figure, figure, figures_table, write
from bench.usage import cpu_seconds
from embedded.children import ROOT
from embedded.postgres import Postgres
from embedded.processes import Unusable
from services.chassis.db.database import Database
from services.chassis.db.urls import database_name, service_url
from services.chassis.ids import new_id
from services.scheduling import generation

GOALS = {"recurring_generate": ">= 0.07", "recurring_rerun": ">= 1"}
SCHEDULES = 20
DATES, CLASHES = SCHEDULES * 12, 6
# Studios at once, as one `work` process has it.
AT_ONCE = 4
# A Sunday, 06:00 in Berlin.
NOW = datetime(2027, 1, 3, 5, tzinfo=UTC)

_RESET = """
TRUNCATE class_sessions, schedule_conflicts, generation_runs, outbox;
INSERT INTO class_sessions (
    tenant_id, id, class_type_id, room_id, instructor_id, start_at, end_at, time_version, capacity, cancelled,
    cancel_reason, version
)
SELECT studio_id, gen_random_uuid(), bench_id(4, 0), bench_id(3, schedule % 4), bench_id(5, 10), start_at,
    start_at + interval '50 minutes', 1, 10, false, '', 1
FROM studio_ids, generate_series(0, 5) n
CROSS JOIN LATERAL (SELECT (n * 3 + right(studio_id::text, 6)::integer) % 20) s (schedule)
CROSS JOIN LATERAL (SELECT (date '2027-01-04' + n / 3 * 7 + n % 3 * 2 + make_time(7 + schedule / 4 * 2, 30, 0))
    AT TIME ZONE 'Europe/Berlin') t (start_at);
ANALYZE;
"""
_STAGE = """
CREATE TABLE unchecked.sessions AS SELECT * FROM class_sessions WHERE auto_generated;
CREATE TABLE unchecked.events AS SELECT * FROM outbox;
ANALYZE;
"""
_COUNTS = """
SELECT (SELECT count(*) FROM class_sessions WHERE auto_generated) AS sessions,
    (SELECT count(*) FROM schedule_conflicts WHERE state = 'OPEN') AS conflicts,
    (SELECT sum(jsonb_array_length(payload->'classSessions')) FROM outbox) AS told
"""


class _Held:
    """A clock that stands still."""

    def now(self) -> datetime:
        return NOW


@dataclass(frozen=True)
class Round:
    """Seconds, and CPU seconds of PostgreSQL and of this process for the first two."""

    generate: float
    generate_cpu: tuple[float, float]
    rerun: float
    rerun_cpu: tuple[float, float]
    unchecked: float
    # The same insert into a table with the guard, and into one without keys to other tables either.
    guarded: float
    bare: float


def run(var: Path, studios: int, rounds: int) -> list[Figure]:
    """Measures on a fresh database below `var` and prints. Raises Unusable when anything does not add up."""
    with _hushed(), Postgres(var).running() as postgres:
        uvloop.run(_drop(postgres.url))
        _migrate(postgres.url)
        measured = uvloop.run(_measure(postgres.url, postgres.process.pid, studios, rounds))
    ratios = {
        "recurring_generate": [each.unchecked / each.generate for each in measured],
        "recurring_rerun": [each.unchecked / each.rerun for each in measured],
    }
    dates = studios * DATES
    cpu = {
        "recurring_generate": [sum(each.generate_cpu) * 1e6 / dates for each in measured],
        "recurring_rerun": [sum(each.rerun_cpu) * 1e6 / dates for each in measured],
    }
    figures = [figure(name, "unchecked_insert", found, cpu[name]) for name, found in ratios.items()]
    write(var / "recurring.json", figures)
    print("", *figures_table(figures, GOALS), sep="\n")
    return figures


def _migrate(admin_url: str) -> None:
    environment = {**os.environ, "POWERHOUSE_DATABASE_URL": admin_url, "POWERHOUSE_BROKER_URL": "memory://"}
    command = [sys.executable, "-m", "services.scheduling", "migrate"]
    made = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if made.returncode:
        raise Unusable(f"The database could not be migrated:\n{made.stdout}{made.stderr}")


@contextmanager
def _hushed() -> Iterator[None]:
    """Without the line of each run: on a terminal it costs more than the run."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        yield
    finally:
        structlog.configure(**before)


async def _drop(admin_url: str) -> None:
    admin = await asyncpg.connect(admin_url)
    await admin.execute(f"DROP DATABASE IF EXISTS {database_name('scheduling')} WITH (FORCE)")
    await admin.close()


async def _measure(admin_url: str, postgres: int, studios: int, rounds: int) -> list[Round]:
    admin = await asyncpg.connect(f"{admin_url}/{database_name('scheduling')}")
    database = Database(service_url("scheduling", "app", {"POWERHOUSE_DATABASE_URL": admin_url}), _Held())
    ids = [UUID(bench_id(1, studio)) for studio in range(studios)]
    measured: list[Round] = []
    try:
        await admin.execute("SELECT set_config('bench.studios', $1, false)", str(studios))
        await admin.execute("SELECT set_config('bench.schedules', $1, false)", str(SCHEDULES))
        await admin.execute((Path(__file__).parent / "recurring.sql").read_text(encoding="utf-8"))
        for number in range(rounds):
            await admin.execute(_RESET)
            generate, generate_cpu = await _measured(postgres, database, ids)
            await _check(admin, studios)
            if not number:
                await admin.execute(_STAGE)
            await admin.execute("ANALYZE")
            rerun, rerun_cpu = await _measured(postgres, database, ids)
            await _check(admin, studios)
            unchecked = await _insert(admin, "unchecked.class_sessions")
            guarded = await _insert(admin, "unchecked.guarded")
            bare = await _insert(admin, "unchecked.bare")
            measured.append(Round(generate, generate_cpu, rerun, rerun_cpu, unchecked, guarded, bare))
            _print(number, measured[-1], studios)
    finally:
        await database.close()
        await admin.close()
    return measured


async def _measured(postgres: int, database: Database, ids: list[UUID]) -> tuple[float, tuple[float, float]]:
    """Seconds, and CPU seconds of PostgreSQL and of this process."""
    cpu, own = cpu_seconds({"postgres": postgres})["postgres"], time.process_time()
    seconds = await _timed(lambda: _generate(database, ids))
    return seconds, (cpu_seconds({"postgres": postgres})["postgres"] - cpu, time.process_time() - own)


async def _generate(database: Database, ids: list[UUID]) -> None:
    waiting = iter(ids)

    async def work() -> None:
        for studio_id in waiting:
            async with database.transaction(studio_id) as tx:
                await generation.run(tx, generation.WEEKLY, run_id=new_id())

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


async def _check(admin: "asyncpg.Connection[asyncpg.Record]", studios: int) -> None:
    """Every date is planned, or kept as a conflict, and told once."""
    found = await admin.fetchrow(_COUNTS)
    planned = studios * (DATES - CLASHES)
    if found is None or tuple(found) != (planned, studios * CLASHES, planned):
        raise Unusable(f"{found} where {planned} sessions and {studios * CLASHES} conflicts were expected")


async def _insert(admin: "asyncpg.Connection[asyncpg.Record]", table: str) -> float:
    """The seconds that the staged rows take, in one transaction."""
    await admin.execute(f"TRUNCATE {table}, unchecked.outbox")

    async def insert() -> None:
        async with admin.transaction():
            await admin.execute(f"INSERT INTO {table} SELECT * FROM unchecked.sessions")  # noqa: S608 - ours
            await admin.execute("INSERT INTO unchecked.outbox SELECT * FROM unchecked.events")

    return await _timed(insert)


async def _timed(work: Callable[[], Awaitable[None]]) -> float:
    started = time.monotonic()
    await work()
    return time.monotonic() - started


def _print(number: int, each: Round, studios: int) -> None:
    dates = studios * DATES
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    generated, again = _seconds(each.generate, each.generate_cpu), _seconds(each.rerun, each.rerun_cpu)
    print(
        f"round {number + 1}: {dates / each.generate:.0f} dates/s generated ({generated}), again ({again}),"
        f" unchecked {each.unchecked:.1f} s (with gist {each.guarded:.1f} s, without foreign keys {each.bare:.1f} s);"
        f" at most {memory} MiB",
        flush=True,
    )


def _seconds(seconds: float, cpu: tuple[float, float]) -> str:
    return f"{seconds:.1f} s; CPU of PostgreSQL {cpu[0]:.1f} s, ours {cpu[1]:.1f} s"
