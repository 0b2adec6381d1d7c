"""What is measured: PostgreSQL, identity, booking and the gateway, started and told what `make run` tells them."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import asyncpg

from bench import plan
from embedded.certificates import Certificates
from embedded.children import ROOT, Child, answers
from embedded.postgres import Postgres
from embedded.processes import Unusable, end, free_port, log_file, spawn, wait_until
from embedded.programs import SERVICES, Ports, Run
from powerhouse.policy.v1.policy_pb2 import Role
from services.booking import invariants
from services.chassis.clock import SystemClock
from services.chassis.db.database import Database
from services.chassis.db.urls import database_name, service_url
from services.identity import api_keys

# As programs.Run calls them, with the module that each runs.
MEASURED = {
    "identity.serve": ["services.identity", "serve"],
    "booking.serve": ["services.booking", "serve"],
    "gateway": ["gateway"],
}
TRACES_SAMPLED = 0.1
READY = 60.0


@dataclass(frozen=True)
class Stack:
    """Everything up and the data loaded."""

    run: Run
    # Of the servers that are measured: postgres, and the keys of MEASURED.
    process_ids: dict[str, int]
    # One for each studio, of its front desk.
    api_keys: list[str]

    def url(self, kind: str) -> str:
        """Booking's database, as the administrator or as booking's `app` role."""
        return _url(self.run, "booking", kind)

    def target(self, service: str) -> str:
        """The address of a service's mesh port."""
        return f"127.0.0.1:{self.run.ports[f'{service}.grpc']}"

    def settle(self) -> None:
        """Does at once what autovacuum does for the plans of new tables within a minute."""
        asyncio.run(_fetch(self.url("admin"), "VACUUM ANALYZE"))

    def count(self, table: str) -> int:
        """How many rows a table of booking's database has."""
        rows = asyncio.run(_fetch(self.url("admin"), f"SELECT count(*) FROM {table}"))  # noqa: S608  # ours
        return int(rows[0][0])

    def violations(self) -> dict[str, int]:
        """How many rows break booking's invariants, by invariant."""
        return asyncio.run(_violations(self.url("app")))


@contextmanager
def running(var: Path) -> Iterator[Stack]:
    """Starts everything on fresh databases below `var`; stops it at the end of the block. Raises Unusable."""
    certificates = Certificates(var / "certificates")
    certificates.make()
    with ExitStack() as stack:
        postgres = stack.enter_context(Postgres(var).running())
        collector = free_port()
        stack.enter_context(started("sink", ["bench.sink", str(collector)], var))
        environ = {
            **os.environ,
            "POWERHOUSE_OTLP_ENDPOINT": f"http://127.0.0.1:{collector}",
            "POWERHOUSE_TRACE_SAMPLE_RATIO": str(TRACES_SAMPLED),
            # Counted, but never reached: here few keys stand for many people.
            "POWERHOUSE_RATE_LIMIT": "100000",
            "POWERHOUSE_PUBLIC_RATE_LIMIT": "100000",
        }
        # Nobody opens the broker: the relay is part of `work`, which does not run here.
        run = Run(var, free_port(), postgres.url, "memory://", Ports({}), certificates, environ)
        asyncio.run(_drop_databases(postgres.url))
        _migrate(run)
        keys = asyncio.run(_fill(run))
        process_ids = {"postgres": postgres.process.pid}
        for child in run.programs():
            if child.name in MEASURED:
                process = stack.enter_context(started(child.name, MEASURED[child.name], var, child.environment))
                _wait_until_ready(child, process, var)
                process_ids[child.name] = process.pid
        yield Stack(run, process_ids, keys)


@contextmanager
def started(
    name: str, module: list[str], var: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A program of ours without its supervisor, which would read every line and so take part in the measurement."""
    with open(log_file(var, name), "wb") as output:
        process = spawn([sys.executable, "-m", *module], ROOT, output, environment=environment)
    try:
        yield process
    finally:
        end(process, signal.SIGTERM, 10)


def _wait_until_ready(child: Child, process: subprocess.Popen[bytes], var: Path) -> None:
    probe = child.probe
    if probe is not None:
        wait_until(lambda: answers(probe), process, var / "log" / f"{child.name}.log", READY)


def _migrate(run: Run) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "embedded.migrate"],
        cwd=ROOT,
        env={**os.environ, "POWERHOUSE_DATABASE_URL": run.database_url},
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise Unusable(f"The databases could not be migrated:\n{made.stdout}{made.stderr}")


async def _drop_databases(admin_url: str) -> None:
    connection = await asyncpg.connect(admin_url)
    try:
        for service in SERVICES:
            await connection.execute(f"DROP DATABASE IF EXISTS {database_name(service)} WITH (FORCE)")
    finally:
        await connection.close()


async def _fill(run: Run) -> list[str]:
    """Loads what is booked, and the tables of the reference beside it. Returns an API key of each studio."""
    connection = await asyncpg.connect(_url(run, "booking", "admin"))
    try:
        settings = {
            "studios": plan.STUDIOS,
            "sessions": plan.SESSIONS,
            "clients": plan.CLIENTS,
            "rush": plan.RUSH,
            "rush_studio": plan.STUDIOS,
            "rush_first": plan.RUSH_FIRST,
        }
        for name, value in settings.items():
            await connection.execute("SELECT set_config($1, $2, false)", f"bench.{name}", str(value))
        for script in ("data.sql", "reference.sql", "rush.sql"):
            await connection.execute((Path(__file__).parent / script).read_text(encoding="utf-8"))
    finally:
        await connection.close()
    database = Database(_url(run, "identity", "app"), SystemClock())
    try:
        return [await _make_key(database, studio) for studio in plan.studios()]
    finally:
        await database.close()


async def _make_key(database: Database, studio: UUID) -> str:
    async with database.transaction(studio) as tx:
        _, key = await api_keys.create(tx, "bench", Role.ROLE_FRONT_DESK)
        return key


async def _violations(url: str) -> dict[str, int]:
    database, found = Database(url, SystemClock()), dict[str, int]()
    try:
        for studio in plan.studios():
            async with database.transaction(studio) as tx:
                for name, count in (await invariants.violations(tx)).items():
                    found[name] = found.get(name, 0) + count
        return found
    finally:
        await database.close()


async def _fetch(url: str, statement: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(statement))
    finally:
        await connection.close()


def _url(run: Run, service: str, kind: str) -> str:
    if kind == "admin":
        return f"{run.database_url}/{database_name(service)}"
    return service_url(service, kind, {"POWERHOUSE_DATABASE_URL": run.database_url})
