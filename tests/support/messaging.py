"""A sample service's database, its events and its processes, for tests of relay, inbox, feed and jobs."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest
from kombu.entity import Queue

from embedded.certificates import Certificates
from powerhouse.events.v1 import event_feed_pb2, event_feed_pb2_grpc
from powerhouse.scheduling.v1.events_pb2 import ClassSessionChanged
from services.chassis.auth.tokens import TokenVerifier
from services.chassis.clock import SystemClock
from services.chassis.db.database import Database
from services.chassis.ids import new_id
from services.chassis.messaging import topology
from services.chassis.messaging.envelope import COLUMNS, Envelope
from services.chassis.messaging.feed import EventFeedServicer
from services.chassis.messaging.publisher import Publisher
from services.chassis.rpc.server import GrpcServer, Servicer
from services.chassis.rpc.stubs import Tls
from tests.support import sample_service

ROOT = Path(__file__).parents[2]
_SCHEMA = ROOT / "services" / "chassis" / "db" / "sql" / "chassis_v1.sql"
_ROLE, _PASSWORD = "sample_app", "sample"


@dataclass
class Sample:
    """The sample service's database, open as its app role."""

    admin_url: str
    url: str
    database: Database

    async def sql(self, statement: str, *args: Any) -> list[asyncpg.Record]:
        """Runs SQL as the administrator."""
        connection = await asyncpg.connect(self.admin_url)
        try:
            return list(await connection.fetch(statement, *args))
        finally:
            await connection.close()

    async def count(self, table: str, condition: str = "true") -> int:
        return int((await self.sql(f"SELECT count(*) FROM {table} WHERE {condition}"))[0][0])

    async def publish(self, tenant: UUID, session: UUID, version: int, capacity: int = 10) -> None:
        """Commits one class session change to the outbox."""
        await self.publish_all([(tenant, session, version, capacity)])

    async def publish_all(self, changes: Sequence[tuple[UUID, UUID, int, int]]) -> None:
        """Commits class session changes (tenant, session, version, capacity) in one transaction."""
        async with self.database.transaction() as tx:
            for tenant, session, version, capacity in changes:
                change = ClassSessionChanged(change=ClassSessionChanged.CAPACITY_CHANGED)
                change.class_session.class_session_id = str(session)
                change.class_session.version = version
                change.class_session.capacity = capacity
                await tx.of(tenant).publish(change, aggregate="class_session", aggregate_id=session, version=version)

    async def outbox(self) -> list[Envelope]:
        """Every event ever committed, in order."""
        return [Envelope.of_row(row) for row in await self.sql(f"SELECT {COLUMNS} FROM outbox ORDER BY create_time")]

    async def digest(self) -> tuple[Any, ...]:
        """The state that events have led to: equal digests mean equal states."""
        projection = await self.sql("SELECT tenant_id, id, version, capacity FROM projection ORDER BY 1, 2")
        facts = await self.sql("SELECT event_id FROM facts ORDER BY 1")
        jobs = await self.sql("SELECT kind, dedup_key FROM jobs WHERE kind = 'count' ORDER BY 1, 2")
        return tuple(map(tuple, projection)), tuple(map(tuple, facts)), tuple(map(tuple, jobs))

    async def enqueue(self, *arguments: dict[str, Any]) -> list[UUID]:
        """Commits a job with each of the given arguments; returns their ids in that order."""
        keys = [str(new_id()) for _ in arguments]
        async with self.database.transaction() as tx:
            for key, args in zip(keys, arguments, strict=True):
                await tx.enqueue("count", key, args=args)
        rows = await self.sql(
            "SELECT id FROM jobs WHERE dedup_key = ANY($1) ORDER BY array_position($1, dedup_key)", keys
        )
        return [row["id"] for row in rows]


@asynccontextmanager
async def sample_database(postgres_url: str) -> AsyncIterator[Sample]:
    """A fresh database with the chassis' tables and the sample's, opened as a role that row level security binds."""
    name = f"sample_{new_id().hex}"
    admin = await asyncpg.connect(postgres_url)
    try:
        if not await admin.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", _ROLE):
            await admin.execute(f"CREATE ROLE {_ROLE} LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD '{_PASSWORD}'")
        await admin.execute(f"CREATE DATABASE {name}")
    finally:
        await admin.close()
    admin_url = f"{postgres_url}/{name}"
    parts = urlsplit(postgres_url)
    sample = Sample(
        admin_url=admin_url,
        url=f"postgresql://{_ROLE}:{_PASSWORD}@{parts.hostname}:{parts.port}/{name}",
        database=Database(f"postgresql://{_ROLE}:{_PASSWORD}@{parts.hostname}:{parts.port}/{name}", SystemClock()),
    )
    connection = await asyncpg.connect(admin_url)
    try:
        await connection.execute(_SCHEMA.read_text() + sample_service.TABLES)
        await connection.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {_ROLE}")
        for table in sample_service.GUARDED:
            await connection.execute(
                f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY;"
                f" CREATE POLICY tenant ON {table} USING (tenant_id = ANY (current_setting('app.tenants')::uuid[]))"
            )
    finally:
        await connection.close()
    try:
        yield sample
    finally:
        await sample.database.close()


@pytest.fixture
async def sample(postgres_url: str) -> AsyncIterator[Sample]:
    """The database of a sample service, new for each test."""
    async with sample_database(postgres_url) as made:
        yield made


@dataclass(frozen=True)
class BrokerView:
    """A broker that belongs to one test at a time, seen from outside."""

    url: str

    @contextmanager
    def publisher(self) -> Iterator[Publisher]:
        app = topology.make_app(self.url, sample_service.NAME, sample_service.consumers)
        publisher = Publisher(app, self.url)
        try:
            yield publisher
        finally:
            publisher.close()

    def declare(self) -> None:
        """Exchanges, queues and bindings of the sample service, without a message in them."""
        self.wipe()
        topology.declare(self.url, sample_service.NAME, sample_service.consumers)

    def wipe(self) -> None:
        """Forgets every message, queue and binding."""
        app = topology.make_app(self.url, sample_service.NAME, sample_service.consumers)
        with app.connection_for_write(heartbeat=0) as connection:
            channel = connection.default_channel
            if not topology.is_amqp(self.url):
                channel.client.flushall()
                return
            for name in (topology.events_queue(sample_service.NAME), topology.jobs_queue(sample_service.NAME)):
                channel.queue_delete(name)
            channel.exchange_delete(topology.EVENTS.name)

    def take(self, queue: str) -> list[list[Any]]:
        """Takes all messages out of a queue: the argument of each, in order."""
        app = topology.make_app(self.url, sample_service.NAME, sample_service.consumers)
        taken = []
        with app.connection_for_write(heartbeat=0) as connection:
            bound = Queue(queue).bind(connection.default_channel)
            while message := bound.get(no_ack=True):
                taken.append(message.payload[0][0])
        return taken


@pytest.fixture
def broker(broker_url: str) -> BrokerView:
    """Valkey, empty but for the sample service's queues."""
    view = BrokerView(broker_url)
    view.declare()
    return view


@pytest.fixture
def any_broker(any_broker_url: str) -> BrokerView:
    """Each broker in turn, empty but for the sample service's queues."""
    view = BrokerView(any_broker_url)
    view.declare()
    return view


@dataclass
class Process:
    """A running `work` process of the sample service."""

    popen: subprocess.Popen[bytes]
    log_file: Path

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    async def ended(self, within: float = 45) -> int:
        """The exit code, once it has ended by itself."""
        await eventually(lambda: _value(self.popen.poll() is not None), within, self.log)
        return int(self.popen.returncode)

    async def stop(self, within: float = 20) -> int:
        self.popen.send_signal(signal.SIGTERM)
        return await self.ended(within)


@dataclass
class Workers:
    """Starts `work` processes on a sample's database and ends those that are left."""

    sample: Sample
    broker_url: str
    certificates: Certificates
    folder: Path
    feed_target: str
    started: list[Process]

    def start(self, crashpoint: str = "", **environment: str) -> Process:
        log_file = self.folder / f"work-{len(self.started)}.log"
        environ = {
            **os.environ,
            "POWERHOUSE_SCHEDULING_DATABASE_URL": self.sample.url,
            "POWERHOUSE_BROKER_URL": self.broker_url,
            "POWERHOUSE_TLS_DIR": str(self.certificates.tls(sample_service.NAME)),
            "POWERHOUSE_TOKEN_JWKS_FILE": str(self.certificates.jwks),
            "POWERHOUSE_SECRET": "s" * 32,
            "POWERHOUSE_SCHEDULING_TARGET": self.feed_target,
            "POWERHOUSE_CRASHPOINT": crashpoint,
            **environment,
        }
        with open(log_file, "wb") as output:
            popen = subprocess.Popen(
                [sys.executable, "-m", "tests.support.sample_service"],
                cwd=ROOT,
                env=environ,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        process = Process(popen, log_file)
        self.started.append(process)
        return process

    def end(self) -> None:
        for process in self.started:
            if process.popen.poll() is None:
                process.popen.kill()
                process.popen.wait()


@pytest.fixture
async def feed_target(sample: Sample, certificates: Certificates) -> AsyncIterator[str]:
    """Address of the sample's event feed, served over mTLS."""
    name = sample_service.NAME
    servicer = Servicer(
        event_feed_pb2.DESCRIPTOR.services_by_name["EventFeed"],
        event_feed_pb2_grpc.add_EventFeedServicer_to_server,
        EventFeedServicer(sample.database),
    )
    server = GrpcServer([servicer], TokenVerifier(certificates.jwks, name), with_reflection=False)
    port = server.listen("127.0.0.1", 0, Tls(certificates.tls(name)), mutual=True)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.drain(1, 0)


@pytest.fixture
async def start_workers(
    sample: Sample, certificates: Certificates, feed_target: str, tmp_path: Path
) -> AsyncIterator[Callable[[str], Workers]]:
    """Gives `Workers` for a broker's address; every process is ended after the test."""
    made: list[Workers] = []

    def make(broker_url: str) -> Workers:
        made.append(Workers(sample, broker_url, certificates, tmp_path, feed_target, []))
        return made[-1]

    try:
        yield make
    finally:
        for workers in made:
            workers.end()


async def eventually(
    look: Callable[[], Awaitable[Any]], within: float = 45, explain: Callable[[], str] = lambda: ""
) -> None:
    """Waits until `look` sees something true. Fails with `explain()` when it does not within so many seconds."""
    deadline = monotonic() + within
    while not await look():
        assert monotonic() < deadline, f"not within {within} s\n{explain()[-6000:]}"
        await asyncio.sleep(0.05)


async def _value(value: Any) -> Any:
    return value


def shuffled(events: Sequence[Envelope], seed: int) -> list[Envelope]:
    """Each event one to three times, in any order; the same for the same seed."""
    dice = random.Random(seed)
    doubled = [event for event in events for _ in range(dice.randint(1, 3))]
    dice.shuffle(doubled)
    return doubled
