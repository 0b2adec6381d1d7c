"""Cancelling in full classes over gRPC: each one gives its place to the first in line, in the same transaction."""

import asyncio
import json
import random
import sys
from dataclasses import asdict
from pathlib import Path
from uuid import UUID

import asyncpg

from bench import loads, plan, report
from bench.cancel_load import Task
from bench.stack import Stack
from bench.usage import cpu_seconds
from embedded.processes import Unusable

# In each round.
CLASSES, PLACES = 40, 10
# Numbers that no other class has.
FIRST = 1_000_000
# Nobody is promoted at night, but a bench may run then.
_NO_QUIET_HOURS = (
    "INSERT INTO booking_policies (tenant_id, version, create_time, quiet_start_minute, quiet_end_minute)"
    " SELECT studio_id, 2, now(), 0, 0 FROM studio_ids"
)
# A place that was cancelled, and one that was promoted into it.
_DONE = (
    "SELECT count(*) FILTER (WHERE b.state = 'CANCELLED_EARLY'), count(e.id) FROM bookings b"
    " LEFT JOIN waitlist_entries e ON e.tenant_id = b.tenant_id AND e.booking_id = b.id AND e.state = 'PROMOTED'"
    " WHERE b.class_session_id = ANY ($1)"
)


def measure(stack: Stack, rounds: int, seconds: float, first: int) -> report.Figure:
    """Rounds of cancelling and of pgbench's one-statement bookings in turn, of which `first` is the first number.

    Raises Unusable when a place is not given on.
    """
    asyncio.run(_execute(stack, _NO_QUIET_HOURS))
    ratios, cpu_us = [], []
    # The first round warms up.
    for number in range(rounds + 1):
        bookings = asyncio.run(_plan(stack, FIRST + number * CLASSES))
        before = cpu_seconds(stack.process_ids)
        rate = len(bookings) / _cancel(stack, bookings)
        after = cpu_seconds(stack.process_ids)
        asyncio.run(_check(stack, FIRST + number * CLASSES))
        theirs = loads.run(loads.function, stack, first + number * plan.BLOCK, seconds).made.rate
        name = "cancel warm-up" if number == 0 else f"cancel {number}"
        print(f"{name}: {rate:.0f}/s  function {theirs:.0f}/s", flush=True)
        if number:
            ratios.append(rate / theirs)
            cpu_us.append(1e6 * sum(after[name] - before[name] for name in before) / len(bookings))
    if broken := {name: rows for name, rows in stack.violations().items() if rows}:
        raise Unusable(f"invariants are broken: {broken}")
    return report.figure("cancel_promote", "function", ratios, cpu_us)


def _cancel(stack: Stack, bookings: list[tuple[int, str]]) -> float:
    task = Task(
        booking_target=stack.target("booking"),
        identity_target=stack.target("identity"),
        tls_dir=str(stack.run.certificates.tls("gateway")),
        api_keys=stack.api_keys,
        bookings=bookings,
        in_flight=loads.IN_FLIGHT,
    )
    return float(json.loads(loads.output([sys.executable, "-m", "bench.cancel_load"], json.dumps(asdict(task)))))


async def _plan(stack: Stack, first: int) -> list[tuple[int, str]]:
    """Full classes, and what to cancel in them: everybody, in an order of chance that is the same each time."""
    connection = await asyncpg.connect(stack.url("admin"))
    settings = {"studios": plan.STUDIOS, "clients": plan.CLIENTS, "classes": CLASSES, "places": PLACES, "first": first}
    try:
        async with connection.transaction():
            tenants = ",".join(str(studio) for studio in plan.studios())
            await connection.execute("SELECT set_config('app.tenants', $1, true)", f"{{{tenants}}}")
            for name, value in {**settings, "earliest": FIRST}.items():
                await connection.execute("SELECT set_config($1, $2, true)", f"bench.{name}", str(value))
            await connection.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
        rows = await connection.fetch(
            "SELECT tenant_id, id FROM bookings WHERE class_session_id = ANY ($1) ORDER BY class_session_id, client_id",
            _sessions(first),
        )
    finally:
        await connection.close()
    bookings = [(plan.number_of(str(tenant)), f"studios/{tenant}/bookings/{booking}") for tenant, booking in rows]
    random.Random(first).shuffle(bookings)  # noqa: S311
    return [(number - plan.FIRST_ID, name) for number, name in bookings]


async def _check(stack: Stack, first: int) -> None:
    connection = await asyncpg.connect(stack.url("admin"))
    try:
        done = tuple(await connection.fetchrow(_DONE, _sessions(first)))
    finally:
        await connection.close()
    if done != (CLASSES * PLACES, CLASSES * PLACES):
        raise Unusable(f"{done[0]} of {CLASSES * PLACES} bookings were cancelled, and {done[1]} places given on")


async def _execute(stack: Stack, statement: str) -> None:
    connection = await asyncpg.connect(stack.url("admin"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _sessions(first: int) -> list[UUID]:
    return [UUID(plan.bench_id(2, first + number)) for number in range(CLASSES)]
