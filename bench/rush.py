"""The rush: 10,000 ask at once for the 500 places of one class. How long until everybody has an answer."""

import asyncio
import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import asyncpg

from bench import desk_load, loads, plan, report, tools
from bench.stack import Stack
from bench.usage import cpu_seconds
from embedded.processes import Unusable

HERE = Path(__file__).parent
# Connections of pgbench and of wrk.
_PGBENCH, _WRK = 50, 256


@dataclass(frozen=True)
class Answered:
    """A rush in which everybody was answered."""

    seconds: float
    # Of all processes but the load's generator, for one answer.
    cpu_us: float


def measure(stack: Stack, rounds: int) -> list[report.Figure]:
    """Rounds of all three in turn, each on a class of its own. Raises Unusable when anybody is answered wrongly."""
    ways: dict[str, Callable[[Stack, int], float]] = {"pgbench": _pgbench, "inprocess": _inprocess, "rest": _rest}
    done: dict[str, list[Answered]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        names = list(ways)
        turn = number % len(names)
        for place, name in enumerate(names[turn:] + names[:turn]):
            session = number * len(names) + place
            asyncio.run(_plan(stack, session))
            before = sum(cpu_seconds(stack.process_ids).values())
            seconds = ways[name](stack, session)
            spent = sum(cpu_seconds(stack.process_ids).values()) - before
            done[name].append(Answered(seconds, 1e6 * spent / plan.RUSH))
            asyncio.run(_check(stack, session))
        told = "  ".join(f"{name} {done[name][-1].seconds:.2f} s" for name in ways)
        print(f"{'rush warm-up' if number == 0 else f'rush {number}'}: {told}", flush=True)
    return [_compared(f"rush_{name}_time", done[name], done["pgbench"]) for name in ("inprocess", "rest")]


def _compared(name: str, ours: list[Answered], theirs: list[Answered]) -> report.Figure:
    ratios = [our.seconds / their.seconds for our, their in zip(ours[1:], theirs[1:], strict=True)]
    return report.figure(name, "function", ratios, [our.cpu_us for our in ours[1:]])


def _pgbench(stack: Stack, session: int) -> float:
    names = plan.rushed(session, 0)
    variables = {
        "n": 0,
        "first": plan.number_of(names[2]),
        # Requests of one session never repeat those of another.
        "block": session * plan.RUSH,
        "connections": _PGBENCH,
        "studio": plan.id_of(names[0]),
        "session": plan.id_of(names[1]),
    }
    command = [tools.pgbench(), "--no-vacuum", "--protocol=prepared", f"--file={HERE / 'rush.pgbench'}"]
    command += [f"--client={_PGBENCH}", f"--transactions={plan.RUSH // _PGBENCH}"]
    command += [f"--define={name}={value}" for name, value in variables.items()]
    printed = loads.output([*command, stack.url("app")])
    rate = re.search(r"tps = ([\d.]+) \(without", printed)
    if not rate or f"processed: {plan.RUSH}/{plan.RUSH}" not in printed:
        raise Unusable(f"pgbench did not say how it went:\n{printed}")
    return plan.RUSH / float(rate[1])


def _inprocess(stack: Stack, session: int) -> float:
    task = desk_load.Task(stack.url("app"), plan.RUSH, session=session)
    tally = json.loads(loads.output([sys.executable, "-m", "bench.desk_load"], json.dumps(asdict(task))))
    if (tally["booked"], tally["full"]) != (plan.RUSH_PLACES, plan.RUSH - plan.RUSH_PLACES):
        raise Unusable(f"the desk was not right: {tally}")
    return float(tally["seconds"])


def _rest(stack: Stack, session: int) -> float:
    studio, class_session, client = plan.rushed(session, 0)
    arguments = [plan.id_of(studio), plan.id_of(class_session), plan.number_of(client), plan.RUSH, stack.api_keys[-1]]
    command = [tools.wrk(), "-t1", f"-c{_WRK}", "-d120s", "--timeout", "30s", "-s", str(HERE / "rush.lua")]
    printed = loads.output([*command, stack.run.public_url, "--", *map(str, arguments)])
    tally = json.loads(printed.splitlines()[-1])
    if (tally["booked"], tally["full"], tally["broken"]) != (plan.RUSH_PLACES, plan.RUSH - plan.RUSH_PLACES, 0):
        raise Unusable(f"the gateway was not right: {tally}")
    return float(tally["microseconds"]) / 1e6


async def _plan(stack: Stack, session: int) -> None:
    """A class of its own for each rush, a day after the one before, so that everybody can come to all of them."""
    studio, name, _ = plan.rushed(session, 0)
    connection = await asyncpg.connect(stack.url("admin"))
    try:
        await connection.execute("SELECT set_config('app.tenants', $1, false)", f"{{{plan.id_of(studio)}}}")
        await connection.execute(
            "INSERT INTO class_sessions SELECT (jsonb_populate_record(s, jsonb_build_object("
            " 'tenant_id', $1::uuid, 'id', $2::uuid, 'start_time', now() + make_interval(days => 1 + $3),"
            " 'end_time', now() + make_interval(days => 1 + $3, mins => 50), 'planned_capacity', $4::integer,"
            " 'effective_capacity', $4::integer, 'booked_count', 0))).* FROM class_sessions s LIMIT 1",
            plan.id_of(studio),
            plan.id_of(name),
            session % 25,
            plan.RUSH_PLACES,
        )
    finally:
        await connection.close()


async def _check(stack: Stack, session: int) -> None:
    connection = await asyncpg.connect(stack.url("admin"))
    try:
        count = await connection.fetchval(
            "SELECT count(*) FROM bookings WHERE class_session_id = $1", plan.id_of(plan.rushed(session, 0)[1])
        )
    finally:
        await connection.close()
    if count != plan.RUSH_PLACES:
        raise Unusable(f"{count} bookings of {plan.RUSH_PLACES} places")
