"""`python -m bench reminders`: 50,000 reminders that are due among a million deliveries, sent to an endpoint of 50 ms.

Everything is on: a dispatcher finds and announces them, the broker carries the hints, workers claim them, booking is
asked whom to write to and whether, each call is noted before and after. Compared with a program that only sends.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx

from bench import plan, report
from bench.stack import TRACES_SAMPLED, Stack, started
from bench.usage import cpu_seconds
from embedded.broker import Broker
from embedded.children import ROOT, Child, answers
from embedded.processes import Unusable, free_port, wait_until
from services.chassis.clock import SystemClock
from services.chassis.db.database import Database
from services.chassis.db.urls import database_name, service_url
from services.chassis.jobs.dispatcher import Dispatcher
from services.chassis.jobs.timing import Timing
from services.chassis.messaging import topology
from services.chassis.messaging.publisher import Message
from services.notify.consumers import consumers
from services.notify.jobs import outbound

GOALS = {"reminders_send": ">= 0.2", "reminders_claim": "-"}
WORKERS = 2
# Deliveries that are not due, and what falls due each second in the steady load.
RACERS = 4
STEADY = 50

_REMINDERS = """
INSERT INTO deliveries (tenant_id, id, kind, subject_id, channel, offset_minutes, time_version, client_id, booking_id,
    due_time, due_at, useful_until, create_time, traceparent)
SELECT $1, gen_random_uuid(), 'reminder', b, 'email', 1440, 1, c, b, now() + interval '9 days',
    now() + interval '9 days', now() + interval '30 days', now(),
    '00-' || translate(b::text, '-', '') || '-00f067aa0ba902b7-' || CASE WHEN random() < $4 THEN '01' ELSE '00' END
FROM unnest($2::uuid[], $3::uuid[]) AS r (b, c)
"""
_OTHERS = """
INSERT INTO deliveries (tenant_id, id, kind, subject_id, channel, offset_minutes, time_version, client_id, booking_id,
    due_time, due_at, create_time)
SELECT $1, gen_random_uuid(), 'reminder', gen_random_uuid(), 'sms', 120, 1, gen_random_uuid(), gen_random_uuid(), due,
    due, now()
FROM (SELECT now() + interval '10 days' + random() * interval '20 days' AS due FROM generate_series(1, $2)) AS d
"""
_FALL_DUE = "UPDATE deliveries SET due_at = clock_timestamp(), due_time = clock_timestamp() WHERE channel = 'email'"
_FALL_DUE_ONE_BY_ONE = (
    "UPDATE deliveries d SET due_at = o.due, due_time = o.due FROM (SELECT id, clock_timestamp() + interval '2 seconds'"
    " + (row_number() OVER (ORDER BY id) - 1) * interval '1 second' / $2 AS due FROM deliveries WHERE channel = 'email'"
    " ORDER BY id LIMIT $1) AS o WHERE d.id = o.id"
)
_RESET = (
    "UPDATE deliveries SET state = 'pending', attempts = 0, runs = 0, accept_time = NULL, provider_message_id = '',"
    " story = '[]', first_attempt_time = NULL, announced_at = NULL, retry_at = NULL, reason = '',"
    " lease_token = NULL, lease_until = NULL, due_at = now() + interval '9 days' WHERE channel = 'email'"
)
_STATES = (
    "SELECT state, reason, count(*) AS n, max(attempts) AS attempts FROM deliveries"
    " WHERE channel = 'email' GROUP BY state, reason"
)
# Along two indexes, so that looking costs what is measured nothing.
_SOME_LEFT = (
    "SELECT EXISTS (SELECT FROM deliveries WHERE announced_at IS NOT NULL) OR EXISTS (SELECT FROM deliveries"
    " WHERE state IN ('pending', 'sending', 'unknown') AND announced_at IS NULL AND due_at <= clock_timestamp())"
)
_LATENESS = (
    "SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM accept_time - due_at))"
    " FROM deliveries WHERE state = 'accepted' AND channel = 'email'"
)


@dataclass(frozen=True)
class Post:
    """Everything up, and a million deliveries."""

    stack: Stack
    endpoint: int
    process_ids: dict[str, int]
    due: int

    @property
    def admin_url(self) -> str:
        return f"{self.stack.run.database_url}/{database_name('notify')}"

    @property
    def app_url(self) -> str:
        return service_url("notify", "app", {"POWERHOUSE_DATABASE_URL": self.stack.run.database_url})


def measure(var: Path, stack: Stack, rounds: int, due: int, total: int) -> tuple[list[report.Figure], str]:
    """The figures, and what is worth telling beside them. Raises Unusable when anything is sent twice or not at all."""
    with _running(var, stack, due, total) as post:
        sends, costs = [], []
        for number in range(rounds + 1):
            bare = _bare(post)
            before = cpu_seconds(post.process_ids)
            ours = asyncio.run(_send_all(post))
            after = cpu_seconds(post.process_ids)
            each = {name: 1e6 * (after[name] - before[name]) / due for name in after}
            print(
                f"{'warm-up' if number == 0 else f'round {number}'}: bare client {due / bare:.0f}/s,"
                f" reminders {due / ours:.0f}/s; us of CPU each: "
                + ", ".join(f"{name} {us:.0f}" for name, us in each.items()),
                flush=True,
            )
            sends.append(bare / ours)
            costs.append(sum(each.values()))
        p50, p99 = asyncio.run(_steadily(post))
        steady = f"steady {STEADY}/s: lateness p50 {p50:.2f} s, p99 {p99:.2f} s (goal <= 5 s)"
    with _running(var, stack, due, total, workers=0) as post:
        claims, claim_cpu = [], []
        for _ in range(max(1, rounds)):
            one, four, cpu = asyncio.run(_race(post))
            claims.append(one / four)
            claim_cpu.append(cpu)
    first = 1 if rounds else 0
    return [
        report.figure("reminders_send", "bare asyncio client", sends[first:], costs[first:]),
        report.figure("reminders_claim", "one dispatcher", claims, claim_cpu),
    ], steady


@contextmanager
def _running(var: Path, stack: Stack, due: int, total: int, workers: int = WORKERS) -> Iterator[Post]:
    """Adds the broker, the endpoint and workers to booking's stack, and the deliveries to notify's database."""
    with ExitStack() as more:
        broker = more.enter_context(Broker(var).running())
        endpoint = free_port()
        process = more.enter_context(started("endpoint", ["bench.endpoint", str(endpoint)], var))
        wait_until(lambda: answers(endpoint), process, var / "log" / "endpoint.log", 20)
        run = replace(stack.run, broker_url=broker.url)
        topology.declare(broker.url, "notify", consumers)
        post = Post(stack, endpoint, {}, due)
        asyncio.run(_fill(post, total))
        ids = {"postgres": stack.process_ids["postgres"], "booking.serve": stack.process_ids["booking.serve"]}
        for number in range(workers):
            child = next(child for child in run.programs() if child.name == "notify.work")
            name = f"notify.work.{number}"
            process = more.enter_context(started(name, ["services.notify", "work"], var, _of_worker(child, endpoint)))
            ids[name] = process.pid
        if workers:
            log = var / "log" / "notify.work.0.log"
            wait_until(lambda: "working" in log.read_text(), process, log, 60)
        yield Post(stack, endpoint, ids, due)


def _of_worker(child: Child, endpoint: int) -> dict[str, str]:
    return {
        **child.environment,
        "RESEND_API_URL": f"http://127.0.0.1:{endpoint}",
        "POWERHOUSE_MAIL_RATE": "100000",
        "POWERHOUSE_METRICS_PORT": "0",
    }


async def _fill(post: Post, total: int) -> None:
    booking = await asyncpg.connect(post.stack.url("admin"))
    try:
        if not await booking.fetchval("SELECT count(*) FROM bookings WHERE id::text LIKE '%-8005-%'"):
            per_client = max(1, post.due // (plan.STUDIOS * plan.CLIENTS))
            await booking.execute("SELECT set_config('bench.per_client', $1, false)", str(per_client))
            await booking.execute((Path(__file__).parent / "reminders.sql").read_text(encoding="utf-8"))
        rows = await booking.fetch(
            "SELECT tenant_id, array_agg(id) AS bookings, array_agg(client_id) AS clients FROM ("
            " SELECT * FROM bookings WHERE id::text LIKE '%-8005-%' ORDER BY id LIMIT $1) b GROUP BY 1",
            post.due,
        )
    finally:
        await booking.close()
    notify = await asyncpg.connect(post.admin_url)
    try:
        await notify.execute("TRUNCATE deliveries")
        for row in rows:
            await notify.execute(_REMINDERS, row["tenant_id"], row["bookings"], row["clients"], TRACES_SAMPLED)
            await notify.execute(_OTHERS, row["tenant_id"], (total - post.due) // len(rows))
        if await notify.fetchval("SELECT count(*) FROM deliveries WHERE channel = 'email'") != post.due:
            raise Unusable("there are not as many reminders as were to be")
        await notify.execute((Path(__file__).parent / "reminders_wishes.sql").read_text(encoding="utf-8"))
        await notify.execute("VACUUM ANALYZE deliveries")
    finally:
        await notify.close()


def _bare(post: Post) -> float:
    command = [sys.executable, "-m", "bench.bare_client", str(post.endpoint), str(post.due)]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=180)
    if made.returncode:
        raise Unusable(f"the bare client failed:\n{made.stderr}")
    return float(made.stdout)


async def _send_all(post: Post) -> float:
    """All fall due at once; seconds until the last one is noted."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{post.endpoint}") as endpoint:
        await endpoint.post("/forget")
        admin = await asyncpg.connect(post.admin_url)
        try:
            await _reset(admin)
            await admin.execute(_FALL_DUE)
            started_at = perf_counter()
            await _until_sent(admin, post.due)
            took = perf_counter() - started_at
        finally:
            await admin.close()
        told = (await endpoint.get("/accepted")).json()
    if told != {"calls": post.due, "keys": post.due}:
        raise Unusable(f"{post.due} were to be sent once, but the endpoint counted {told}")
    return took


async def _until_sent(admin: "asyncpg.Connection[Any]", count: int) -> None:
    deadline = perf_counter() + 300
    while await admin.fetchval(_SOME_LEFT):
        if perf_counter() > deadline:
            raise Unusable(f"not all were sent in five minutes: {await admin.fetch(_STATES)}")
        await asyncio.sleep(0.2)
    states = await admin.fetch(_STATES)
    if [(row["state"], row["n"], row["attempts"]) for row in states if row["attempts"]] != [("accepted", count, 1)]:
        raise Unusable(f"not all were sent at the first attempt: {states}")


async def _reset(admin: "asyncpg.Connection[Any]") -> None:
    """As before the first round, which no code of ours may do."""
    await admin.execute("ALTER TABLE deliveries DISABLE TRIGGER delivery_state")
    await admin.execute(_RESET)
    await admin.execute("ALTER TABLE deliveries ENABLE TRIGGER delivery_state")
    await admin.execute("VACUUM ANALYZE deliveries")


async def _steadily(post: Post) -> Sequence[float]:
    """Lateness when so many fall due each second, median and 99th percentile."""
    count = min(post.due, 30 * STEADY)
    admin = await asyncpg.connect(post.admin_url)
    try:
        await _reset(admin)
        await admin.execute(_FALL_DUE_ONE_BY_ONE, count, STEADY)
        await asyncio.sleep(count / STEADY + 3)
        await _until_sent(admin, count)
        return list(await admin.fetchval(_LATENESS))
    finally:
        await admin.close()


async def _race(post: Post) -> tuple[float, float, float]:
    """Seconds in which one dispatcher announces all that is due, and four at once, and the CPU of the latter."""
    took = []
    cpu = 0.0
    for count in (1, RACERS):
        admin = await asyncpg.connect(post.admin_url)
        try:
            await _reset(admin)
            await admin.execute(_FALL_DUE)
        finally:
            await admin.close()
        databases = [Database(post.app_url, SystemClock()) for _ in range(count)]
        heard = _Heard(databases[0])
        before, started_at = sum(cpu_seconds(post.process_ids).values()), perf_counter()
        await asyncio.gather(*(_announce(database, heard, post.due) for database in databases))
        took.append(perf_counter() - started_at)
        cpu = 1e6 * (sum(cpu_seconds(post.process_ids).values()) - before) / post.due
        if len(heard.ids) != post.due or len({*heard.ids}) != post.due:
            raise Unusable(f"{post.due} were due, {len(heard.ids)} announced, {len({*heard.ids})} different ones")
        for database in databases:
            await database.close()
    print(f"claim: one dispatcher {post.due / took[0]:.0f}/s, four {post.due / took[1]:.0f}/s, no deadlock, no double")
    return took[0], took[1], cpu


class _Heard:
    """Takes the hints instead of a broker, and claims what they name as a worker does."""

    def __init__(self, database: Database) -> None:
        self.ids: list[str] = []
        self._database = database

    async def send(self, messages: Sequence[Message]) -> None:
        for message in messages:
            ids = [UUID(id) for id in message.body]
            now, kinds = self._database.clock.now(), list(outbound.kinds)
            rows = await self._database.queue(outbound.queue.claim, now, ids, kinds, uuid4(), 600.0)
            self.ids += [str(row["id"]) for row in rows]


async def _announce(database: Database, heard: Any, due: int) -> None:
    """Until all is announced and claimed. A deadlock would raise."""
    dispatcher = Dispatcher("notify", database, SystemClock(), heard, outbound, Timing())
    while len(heard.ids) < due:
        await dispatcher.announce()
