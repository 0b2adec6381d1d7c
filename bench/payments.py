"""`python -m bench payments`: webhooks of the payment provider come in, and a backlog of them is applied.

`webhook_intake`: signed events through a gateway to payments, against a handler behind a second gateway that only
verifies and inserts. `webhook_drain`: 10,000 events that wait, which a worker applies, against pgbench calling our
booking function in the same round. They are all that the provider tells of 2,500 purchases to an endpoint of all types,
as its sandbox tells it: payment_intent.created, charge.succeeded, payment_intent.succeeded, charge.updated; of these
one concerns us. What it causes is left queued meanwhile. `purchases_fulfilled`: the purchases of the last round, from
the first event until booking has granted each, against the same; receipts are left, since they ask the provider.
"""

import asyncio
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import stripe

from bench import loads, plan, report, tools
from bench.loads import HERE, IN_FLIGHT, Made
from bench.stack import Stack, started
from bench.usage import cpu_seconds
from embedded.broker import Broker
from embedded.children import Child, answers
from embedded.processes import Unusable, free_port, wait_until
from services.chassis.clock import SystemClock
from services.chassis.db.database import Database
from services.chassis.db.urls import database_name, service_url
from services.chassis.messaging import topology
from services.payments import invariants
from services.payments.consumers import consumers
from services.payments.provider_events import APPLY_JOB
from services.payments.purchases import FULFIL_JOB

GOALS = {"webhook_intake": ">= 0.6", "webhook_drain": ">= 0.2", "purchases_fulfilled": "-"}
# What the provider tells of a purchase.
EVENTS_OF_EACH = 4
# Requests at a time that do not wait for each other: what latency is without a queue.
FEW_IN_FLIGHT = 4
# Webhooks that are signed for each second of a load: more than any machine takes.
READY_A_SECOND = 6000
_NONE: Mapping[str, str] = {}
# Seconds that a backlog may take.
LONGEST = 300
_LEFT = "SELECT EXISTS (SELECT FROM jobs WHERE kind = $1 AND state IN ('queued', 'running'))"
_FALL_DUE = "UPDATE jobs SET due_at = clock_timestamp() WHERE kind = $1"


@dataclass(frozen=True)
class Till:
    """Everything up: payments, the bare handler, and a gateway before each."""

    stack: Stack
    # Where the gateways listen.
    ours: int
    bare: int
    process_ids: Mapping[str, int]

    @property
    def admin_url(self) -> str:
        return f"{self.stack.run.database_url}/{database_name('payments')}"


def measure(stack: Stack, rounds: int, seconds: float, events: int) -> tuple[list[report.Figure], str]:
    """The figures, and the latency of the intake. Raises Unusable when an event is lost or not applied once."""
    with _running(stack) as till:
        intake, latency = _measure_intake(till, rounds, seconds)
        with _working(till) as working:
            purchases = max(1, events // EVENTS_OF_EACH)
            drains = _measure_drain(working, rounds, seconds, purchases)
            asyncio.run(_check(working, (rounds + 1) * purchases))
    return [intake, *drains], latency


def _measure_intake(till: Till, rounds: int, seconds: float) -> tuple[report.Figure, str]:
    """Nobody works on what comes in meanwhile. The first round warms up, as in all measurements here."""
    ratios, costs, told = list[float](), list[float](), list[tuple[Taken, Taken, Taken]]()
    for number in range(rounds + 1):
        bare = _take_in(till, till.bare, f"bare{number}", seconds)
        before = cpu_seconds(till.process_ids)
        ours = _take_in(till, till.ours, f"ours{number}", seconds)
        costs.append(_spent(till, before) / ours.bookings)
        ratios.append(ours.rate / bare.rate)
        few = _take_in(till, till.ours, f"few{number}", seconds, FEW_IN_FLIGHT)
        told.append((bare, ours, few))
        print(
            f"{_round(number)}: bare intake {bare.rate:.0f}/s, p99 {bare.p99_ms:.0f} ms; payments {ours.rate:.0f}/s,"
            f" p99 {ours.p99_ms:.0f} ms  load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        asyncio.run(_forget(till))
    bare_p99, p99, few_p99 = (median(each.p99_ms for each in of_all) for of_all in zip(*told[1:], strict=True))
    return (
        report.figure("webhook_intake", "verify and insert", ratios[1:], costs[1:]),
        f"intake: p99 {few_p99:.0f} ms with {FEW_IN_FLIGHT} in flight (goal < 100 ms), {p99:.0f} ms with {IN_FLIGHT},"
        f" of the bare handler {bare_p99:.0f} ms",
    )


def _measure_drain(till: Till, rounds: int, seconds: float, purchases: int) -> list[report.Figure]:
    ratios, costs, events = [], [], purchases * EVENTS_OF_EACH
    for number in range(rounds + 1):
        booked = loads.function(till.stack, number * plan.BLOCK, seconds).rate
        before = cpu_seconds(till.process_ids)
        took = asyncio.run(_drain(till, number * purchases, purchases))
        costs.append(_spent(till, before) / events)
        ratios.append(events / took / booked)
        print(
            f"{_round(number)}: pgbench {booked:.0f}/s, drained {events / took:.0f}/s,"
            f" {purchases / took:.0f}/s of them payments  load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        if number < rounds:
            asyncio.run(_forget(till))
    took += asyncio.run(_work_off(till, FULFIL_JOB))
    fulfilled, cost = purchases / took / booked, _spent(till, before) / purchases
    return [
        report.figure("webhook_drain", "function", ratios[1:], costs[1:]),
        report.figure("purchases_fulfilled", "function", [fulfilled], [cost]),
    ]


def _round(number: int) -> str:
    return f"round {number}" if number else "warm-up"


@dataclass(frozen=True)
class Taken(Made):
    """What a load of webhooks came to; `bookings` are events."""

    p99_ms: float


def _take_in(till: Till, port: int, account: str, seconds: float, in_flight: int = IN_FLIGHT) -> Taken:
    webhooks = till.stack.run.var / "webhooks"
    secret = till.stack.run.stripe_webhook_secret
    with open(webhooks, "w", encoding="utf-8") as lines:
        for number in range(round(READY_A_SECOND * seconds)):
            body = json.dumps(_event(f"acct_{account}", number))
            lines.write(f"{stripe.WebhookSignature.generate_signature_header(body, secret)}\t{body}\n")
    command = [tools.wrk(), "-t1", f"-c{in_flight}", f"-d{int(seconds) + 2}s", "--timeout", "10s"]
    printed = loads.output(
        [*command, "-s", str(HERE / "webhook.lua"), f"http://127.0.0.1:{port}", "--", str(seconds), str(webhooks)]
    )
    tally = json.loads(printed.splitlines()[-1])
    stored = asyncio.run(
        _fetch(till, "SELECT count(*) FROM provider_events WHERE external_account = $1", f"acct_{account}")
    )
    if tally["refused"] or tally["broken"] or not tally["answered"] == tally["issued"] == stored:
        raise Unusable(f"{stored} webhooks were stored of {tally}")
    return Taken(stored, (stored - in_flight) / seconds, tally["p99_ms"])


def _event(account: str, number: int) -> dict[str, Any]:
    """About as long as the provider's are."""
    intent = {
        "id": f"pi_{number}",
        "object": "payment_intent",
        "amount": 10_000,
        "amount_received": 10_000,
        "currency": "eur",
        "status": "succeeded",
        "latest_charge": f"ch_{number}",
        "client_secret": f"pi_{number}_secret_{number:024}",
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": True},
        "metadata": {"powerhouse_payment": plan.bench_id(5, number)},
        "payment_method_options": {"card": {"request_three_d_secure": "automatic", "mandate_options": None}},
        **{f"field_{index}_of_no_interest": None for index in range(30)},
    }
    return {
        "id": f"evt_{number}",
        "object": "event",
        "account": account,
        "api_version": "2026-10-28.endive",
        "created": int(time.time()),
        "type": "payment_intent.succeeded",
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": f"req_{number}", "idempotency_key": plan.bench_id(6, number)},
        "data": {"object": intent},
    }


@contextmanager
def _running(stack: Stack) -> Iterator[Till]:
    """Adds payments, the bare handler and their gateways to booking's stack."""
    run = stack.run
    children = {child.name: child for child in run.programs()}
    ids = {name: stack.process_ids[name] for name in ("postgres", "booking.serve")}
    with ExitStack() as more:
        ids["payments.serve"] = _start_child(more, children["payments.serve"], ["services.payments", "serve"], run.var)
        bare = free_port()
        app_url = service_url("payments", "app", {"POWERHOUSE_DATABASE_URL": run.database_url})
        arguments = [str(bare), str(run.certificates.tls("payments")), run.stripe_webhook_secret, app_url]
        process = more.enter_context(started("bare_intake", ["bench.bare_intake", *arguments], run.var))
        log = run.var / "log" / "bare_intake.log"
        wait_until(lambda: "serving" in log.read_text(), process, log, 60)
        ports = [free_port(), free_port()]
        for port, target in zip(ports, (run.ports["payments.grpc"], bare), strict=True):
            told = {
                "POWERHOUSE_PORT": str(port),
                "POWERHOUSE_PAYMENTS_TARGET": f"127.0.0.1:{target}",
                "POWERHOUSE_WEBHOOK_RATE_LIMIT": "0",
            }
            ids[f"gateway.{port}"] = _start_child(more, children["gateway"], ["gateway"], run.var, told)
        yield Till(stack, ports[0], ports[1], ids)


@contextmanager
def _working(till: Till) -> Iterator[Till]:
    """Adds a worker, and the broker that it needs."""
    run = till.stack.run
    with ExitStack() as more:
        broker = more.enter_context(Broker(run.var).running())
        topology.declare(broker.url, "payments", consumers)
        child = next(each for each in run.programs() if each.name == "payments.work")
        told = {"POWERHOUSE_BROKER_URL": broker.url}
        pid = _start_child(more, child, ["services.payments", "work"], run.var, told)
        yield replace(till, process_ids={**till.process_ids, "payments.work": pid})


def _start_child(more: ExitStack, child: Child, module: list[str], var: Path, told: Mapping[str, str] = _NONE) -> int:
    """Its process id, once it answers."""
    probe = free_port()
    name = f"{child.name}.{probe}"
    environment = {**child.environment, "POWERHOUSE_METRICS_PORT": str(probe), **told}
    process = more.enter_context(started(name, module, var, environment))
    wait_until(lambda: answers(probe), process, var / "log" / f"{name}.log", 60)
    return process.pid


def _spent(till: Till, before: Mapping[str, float]) -> float:
    """Microseconds of CPU since."""
    after = cpu_seconds(till.process_ids)
    return 1e6 * sum(after[name] - before[name] for name in after)


async def _fetch(till: Till, statement: str, *args: Any) -> Any:
    admin = await asyncpg.connect(till.admin_url)
    try:
        return await admin.fetchval(statement, *args)
    finally:
        await admin.close()


async def _forget(till: Till) -> None:
    """What came in is not to be worked on while something else is measured."""
    admin = await asyncpg.connect(till.admin_url)
    try:
        await admin.execute("DELETE FROM jobs; TRUNCATE provider_events")
        await admin.execute("VACUUM ANALYZE jobs")
    finally:
        await admin.close()


async def _drain(till: Till, first: int, purchases: int) -> float:
    """Seconds until a backlog is applied. Raises Unusable unless each purchase was paid by one event."""
    admin = await asyncpg.connect(till.admin_url)
    try:
        settings = {"purchases": purchases, "first": first, "studios": plan.STUDIOS, "clients": plan.CLIENTS}
        for name, value in settings.items():
            await admin.execute("SELECT set_config($1, $2, false)", f"bench.{name}", str(value))
        await admin.execute((HERE / "payments.sql").read_text(encoding="utf-8"))
        await admin.execute("VACUUM ANALYZE")
        took = await _work_off(till, APPLY_JOB)
        done = await admin.fetchval("SELECT count(*) FROM jobs WHERE kind = $1 AND state = 'done'", APPLY_JOB)
    finally:
        await admin.close()
    if done != purchases:
        raise Unusable(f"{done} of {purchases} payments were applied")
    return took


async def _work_off(till: Till, kind: str) -> float:
    """Seconds until all jobs of a kind are done, which fall due now."""
    admin = await asyncpg.connect(till.admin_url)
    try:
        began = time.perf_counter()
        await admin.execute(_FALL_DUE, kind)
        while await admin.fetchval(_LEFT, kind):
            if time.perf_counter() - began > LONGEST:
                raise Unusable(f"a backlog of {kind} was not worked off in {LONGEST} s")
            await asyncio.sleep(0.1)
        return time.perf_counter() - began
    finally:
        await admin.close()


async def _check(till: Till, purchases: int) -> None:
    paid = await _fetch(till, "SELECT count(*) FROM purchases WHERE state IN ('PAID', 'FULFILLED')")
    moved = await _fetch(till, "SELECT sum(amount_minor) FROM transfers WHERE cause = 'sold'")
    if (paid, moved) != (purchases, purchases * 10_000):
        raise Unusable(f"{purchases} purchases were to be paid once, {paid} are, with {moved} in the ledger")
    database, found = (
        Database(
            service_url("payments", "app", {"POWERHOUSE_DATABASE_URL": till.stack.run.database_url}), SystemClock()
        ),
        dict[str, int](),
    )
    try:
        for studio in plan.studios():
            async with database.transaction(studio) as tx:
                found |= {name: rows for name, rows in (await invariants.violations(tx)).items() if rows}
    finally:
        await database.close()
    if found:
        raise Unusable(f"invariants are broken: {found}")
    print(f"{purchases} purchases paid once each; all invariants hold")
