"""The loads: each makes bookings for some seconds, 32 at a time, and tells what it made and what that cost."""

import json
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

from bench import desk_load, plan, tools
from bench.grpc_load import Task
from bench.stack import Stack
from bench.usage import cpu_seconds
from embedded.children import ROOT
from embedded.processes import Unusable

IN_FLIGHT = 32
MANY_IN_FLIGHT = 256
# Seconds until pgbench's new connections have made their plans and seen the tables once, as the service's own have.
WARM_UP = 4
# Seconds that one program may take.
LONGEST = 180
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Made:
    """What one run of a load made."""

    bookings: int
    # Those answered in time, by the second.
    rate: float


@dataclass(frozen=True)
class Round:
    """One run of a load with the CPU time that each process spent on one booking, in microseconds."""

    made: Made
    cpu_us: Mapping[str, float]

    @property
    def served_us(self) -> float:
        """All but the generator's."""
        return sum(spent for name, spent in self.cpu_us.items() if name != "generator")


Load = Callable[[Stack, int, float], Made]


def run(load: Load, stack: Stack, first: int, seconds: float) -> Round:
    """Runs a load from its first number on. Raises Unusable when anything is refused or breaks."""
    before, generator = cpu_seconds(stack.process_ids), _spent_by_children()
    made = load(stack, first, seconds)
    after = cpu_seconds(stack.process_ids)
    spent = {name: after[name] - before[name] for name in before}
    spent["generator"] = _spent_by_children() - generator
    if made.bookings > plan.BLOCK:
        raise Unusable(f"{made.bookings} bookings in a run are more than plan.BLOCK")
    return Round(made, {name: 1e6 * cpu / made.bookings for name, cpu in spent.items()})


def reference(stack: Stack, first: int, seconds: float) -> Made:
    """pgbench, the plainest correct booking."""
    return _pgbench("reference.pgbench", stack.url("admin"), first, seconds)


def function(stack: Stack, first: int, seconds: float) -> Made:
    """pgbench, the production function as the app role."""
    return _pgbench("function.pgbench", stack.url("app"), first, seconds)


def grpc(stack: Stack, first: int, seconds: float) -> Made:
    """CreateBooking over mTLS with a bearer token."""
    task = Task(
        booking_target=stack.target("booking"),
        identity_target=stack.target("identity"),
        tls_dir=str(stack.run.certificates.tls("gateway")),
        api_keys=stack.api_keys,
        first=first,
        in_flight=IN_FLIGHT,
        seconds=seconds,
    )
    tally = json.loads(output([sys.executable, "-m", "bench.grpc_load"], json.dumps(asdict(task))))
    return Made(tally["booked"], tally["booked_in_time"] / seconds)


def inprocess_256(stack: Stack, first: int, seconds: float) -> Made:
    """The service's own desk without RPC: what natural batching makes of many at once."""
    task = desk_load.Task(stack.url("app"), MANY_IN_FLIGHT, first, seconds)
    tally = json.loads(output([sys.executable, "-m", "bench.desk_load"], json.dumps(asdict(task))))
    return Made(tally["booked"], tally["booked_in_time"] / seconds)


def rest(stack: Stack, first: int, seconds: float) -> Made:
    """wrk, POST with an API key through the gateway."""
    return _wrk(stack, first, seconds, IN_FLIGHT)


def rest_256(stack: Stack, first: int, seconds: float) -> Made:
    """The same with many connections."""
    return _wrk(stack, first, seconds, MANY_IN_FLIGHT)


def _wrk(stack: Stack, first: int, seconds: float, in_flight: int) -> Made:
    keys = stack.run.var / "api-keys"
    keys.write_text("".join(f"{key}\n" for key in stack.api_keys))
    arguments = [first, seconds, plan.STUDIOS, plan.SESSIONS, plan.CLIENTS, keys]
    # A second more, in which what is in flight is answered.
    command = [tools.wrk(), "-t1", f"-c{in_flight}", f"-d{int(seconds) + 2}s", "--timeout", "10s"]
    printed = output([*command, "-s", str(HERE / "book.lua"), stack.run.public_url, "--", *map(str, arguments)])
    tally = json.loads(printed.splitlines()[-1])
    if tally["refused"] or tally["broken"] or tally["answered"] != tally["issued"]:
        raise Unusable(f"wrk was not answered well: {tally}")
    # When time was up every connection had a request in flight.
    return Made(tally["answered"], (tally["answered"] - in_flight) / seconds)


def _pgbench(script: str, url: str, first: int, seconds: float) -> Made:
    variables = {
        "n": 0,
        "first": first,
        "connections": IN_FLIGHT,
        "studios": plan.STUDIOS,
        "sessions": plan.SESSIONS,
        "clients": plan.CLIENTS,
    }
    command = [tools.pgbench(), "--no-vacuum", "--protocol=prepared", f"--file={HERE / script}"]
    command += [f"--time={WARM_UP + max(1, round(seconds))}", f"--client={IN_FLIGHT}", "--progress=1"]
    command += [f"--define={name}={value}" for name, value in variables.items()]
    # It tells its progress on stderr.
    printed = output([*command, url], stderr=subprocess.STDOUT)
    processed = re.search(r"actually processed: (\d+)", printed)
    rates = [float(rate) for rate in re.findall(r"^progress: \S+ s, ([\d.]+) tps", printed, re.MULTILINE)]
    if not processed or len(rates) <= WARM_UP or "number of failed transactions: 0 " not in printed:
        raise Unusable(f"pgbench did not say how it went:\n{printed}")
    return Made(int(processed[1]), mean(rates[WARM_UP:]))


def output(command: list[str], given: str = "", stderr: int = subprocess.PIPE) -> str:
    """What a program printed. Raises Unusable when it failed or did not end."""
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            input=given,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            check=False,
            timeout=LONGEST,
        )
    except subprocess.TimeoutExpired as error:
        raise Unusable(f"{' '.join(command[:4])} did not end:\n{error.stdout!r}\n{error.stderr!r}") from None
    if done.returncode:
        raise Unusable(f"{command[0]} failed:\n{done.stdout[-2000:]}\n{(done.stderr or '')[-2000:]}")
    return done.stdout


def _spent_by_children() -> float:
    """CPU seconds of the programs that have been run and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
