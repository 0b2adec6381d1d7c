"""`make bench`: bookings by pgbench, over gRPC and over REST in turn, on one database, with everything on.

Prints ratios, rates and CPU time by process, and writes `var/bench/booking.json`; then generates recurring classes and
writes `var/bench/recurring.json` (`make bench ARGS=recurring` for that alone). Ends with status 1 when anything was
refused, when an invariant is broken or when bookings and answers do not add up; a missed goal is only printed.
"""

import argparse
import os
import sys
from itertools import count
from pathlib import Path

from bench import (
    cancel_promote,
    client_search,
    list20,
    loads,
    payments,
    plan,
    recurring,
    reminders,
    report,
    rush,
    tools,
)
from bench.stack import Stack, running
from embedded.children import ROOT
from embedded.processes import Unusable

LOADS: dict[str, loads.Load] = {
    "reference": loads.reference,
    "function": loads.function,
    "grpc": loads.grpc,
    "rest": loads.rest,
    "inprocess_256": loads.inprocess_256,
    "rest_256": loads.rest_256,
}
# Figure -> its load and the one it is compared with.
RATIOS = {
    "function_vs_reference": ("function", "reference"),
    "booking_grpc_32": ("grpc", "function"),
    "booking_rest_32": ("rest", "function"),
    "booking_inprocess_256": ("inprocess_256", "function"),
    "booking_rest_256": ("rest_256", "function"),
}
GOALS = {
    "function_vs_reference": ">= 0.5",
    "booking_grpc_32": ">= 0.4",
    "booking_rest_32": ">= 0.2",
    "booking_inprocess_256": ">= 2",
    "booking_rest_256": ">= 0.25",
    "rush_inprocess_time": "<= 0.5",
    "rush_rest_time": "-",
    "cancel_promote": "-",
    "list20_transcode_cpu": "<= 0.6",
    "client_search_100k": "<= 2",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "only", nargs="?", choices=("booking", "recurring", "reminders", "payments"), help="one benchmark alone"
    )
    parser.add_argument("--studios", type=int, default=1000, help="with recurring classes")
    parser.add_argument("--due", type=int, default=50_000, help="reminders that are due at once")
    parser.add_argument("--deliveries", type=int, default=1_000_000, help="among which they are")
    parser.add_argument("--events", type=int, default=10_000, help="of the payment provider that wait to be applied")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=5, help="of each load in a round")
    arguments = parser.parse_args()
    var = Path(os.environ.get("POWERHOUSE_VAR_DIR") or ROOT / "var") / "bench"
    try:
        if arguments.only in {None, "booking"}:
            _booking(var, arguments)
        if arguments.only in {None, "recurring"}:
            recurring.run(var, arguments.studios, max(1, arguments.rounds // 2))
        if arguments.only in {None, "reminders"}:
            _reminders(var, arguments)
        if arguments.only in {None, "payments"}:
            _payments(var, arguments)
    except Unusable as error:
        print(f"\nThe bench cannot run: {error}", file=sys.stderr)
        return 1
    return 0


def _booking(var: Path, arguments: argparse.Namespace) -> None:
    # Before anything is started.
    tools.pgbench(), tools.wrk()
    with running(var) as stack:
        rounds = _measure(stack, arguments.rounds, arguments.seconds)
        _check(stack, rounds)
        rushes = rush.measure(stack, max(1, arguments.rounds // 2))
        # Numbers that the loads have not used up.
        last = plan.BLOCK * (arguments.rounds + 1) * len(LOADS)
        cancels = cancel_promote.measure(stack, max(1, arguments.rounds // 2), arguments.seconds, last)
        search, latencies = client_search.measure(stack, arguments.rounds)
    figures = [_compared(name, rounds) for name in RATIOS]
    figures += [*rushes, cancels, list20.measure(arguments.rounds), search]
    report.write(var / "booking.json", figures)
    kept = {name: runs[1:] for name, runs in rounds.items()}
    print("", *report.loads_table(kept), "", *report.figures_table(figures, GOALS), "", latencies, sep="\n")
    print(f"\n{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}; {var / 'booking.json'}")


def _reminders(var: Path, arguments: argparse.Namespace) -> None:
    with running(var) as stack:
        figures, steady = reminders.measure(var, stack, arguments.rounds, arguments.due, arguments.deliveries)
    report.write(var / "reminders.json", figures)
    print("", *report.figures_table(figures, reminders.GOALS), "", steady, sep="\n")
    print(f"\n{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}; {var / 'reminders.json'}")


def _payments(var: Path, arguments: argparse.Namespace) -> None:
    tools.pgbench(), tools.wrk()
    with running(var) as stack:
        stack.settle()
        rounds = max(1, arguments.rounds // 2)
        figures, latency = payments.measure(stack, rounds, arguments.seconds, arguments.events)
    report.write(var / "payments.json", figures)
    print("", *report.figures_table(figures, payments.GOALS), "", latency, sep="\n")
    print(f"\n{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}; {var / 'payments.json'}")


def _measure(stack: Stack, rounds: int, seconds: float) -> dict[str, list[loads.Round]]:
    """The rounds of each load; the first of them warms up and counts for nothing but the books."""
    done: dict[str, list[loads.Round]] = {name: [] for name in LOADS}
    firsts = count(0, plan.BLOCK)
    for number in range(rounds + 1):
        names = list(LOADS)
        if number == 1:
            stack.settle()
        # Each takes each place in turn.
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            done[name].append(loads.run(LOADS[name], stack, next(firsts), seconds))
        rates = "  ".join(f"{name} {done[name][-1].made.rate:.0f}/s" for name in LOADS)
        print(f"{'warm-up' if number == 0 else f'round {number}'}: {rates}  load {os.getloadavg()[0]:.1f}", flush=True)
    return done


def _check(stack: Stack, rounds: dict[str, list[loads.Round]]) -> None:
    """Raises Unusable when a booking was lost or made twice, or an invariant does not hold."""
    made = {name: sum(run.made.bookings for run in runs) for name, runs in rounds.items()}
    for table, answered in (
        ("reference.bookings", made["reference"]),
        ("bookings", sum(made.values()) - made["reference"]),
    ):
        if stack.count(table) != answered:
            raise Unusable(f"{table} has {stack.count(table)} rows, but {answered} bookings were answered")
    if broken := {name: rows for name, rows in stack.violations().items() if rows}:
        raise Unusable(f"invariants are broken: {broken}")
    print(f"{sum(made.values())} bookings, each answered once; all invariants hold")


def _compared(name: str, rounds: dict[str, list[loads.Round]]) -> report.Figure:
    load, against = RATIOS[name]
    pairs = list(zip(rounds[load][1:], rounds[against][1:], strict=True))
    ratios = [run.made.rate / other.made.rate for run, other in pairs]
    return report.figure(name, against, ratios, [run.served_us for run, _ in pairs])


if __name__ == "__main__":
    sys.exit(main())
