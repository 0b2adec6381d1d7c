"""The story of one `make run`, from the first check to the last process."""

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from embedded.broker import Broker
from embedded.certificates import Certificates
from embedded.children import ROOT, server
from embedded.console import Console
from embedded.postgres import Postgres
from embedded.processes import Unusable, is_free, unwritable
from embedded.programs import SERVERS, Ports, Run
from embedded.supervisor import Stopped, Supervisor

PATIENCE = 120.0
# Seconds without log lines on the console after the block that says where to click.
CALM = 8.0


def main() -> int:
    """Runs until told to stop. Returns 0 after an orderly end, 1 with a message when it cannot run."""
    console = Console()
    var = Path(os.environ.get("POWERHOUSE_VAR_DIR") or ROOT / "var").absolute()
    try:
        port = _port(os.environ.get("POWERHOUSE_PORT") or "8080")
        with _alone(var, port):
            if not is_free(port):
                raise Unusable(
                    f"Port {port} is taken on 127.0.0.1. Choose another: POWERHOUSE_PORT={port + 1} make run"
                )
            with Supervisor(console) as supervisor:
                try:
                    _run(supervisor, console, var, port)
                except Stopped:
                    console.only = None
                    console.say("stopping")
            console.say("stopped; nothing is left running")
    except Unusable as error:
        print(f"\nPowerhouse cannot run: {error}", file=sys.stderr)
        return 1
    return 0


def _run(supervisor: Supervisor, console: Console, var: Path, port: int) -> None:
    started = time.monotonic()
    ports = Ports(_remembered(var))
    database_url = os.environ.get("POWERHOUSE_DATABASE_URL")
    if not database_url:
        postgres = Postgres(var, ports["postgres"])
        running = postgres.start()
        supervisor.keep([server("postgres", SERVERS, postgres.start, running)])
        database_url = running.url
    broker_url = os.environ.get("POWERHOUSE_BROKER_URL")
    if not broker_url:
        broker = Broker(var, ports["broker"])
        running = broker.start()
        supervisor.keep([server("broker", SERVERS, broker.start, running)])
        broker_url = running.url
    certificates = Certificates(var / "certificates")
    certificates.make()
    run = Run(var, port, database_url, broker_url, ports, certificates)
    console.say("databases and keys are there; migrating")
    if supervisor.run(run.migration()):
        raise Unusable(f"The databases could not be migrated; {var / 'log' / 'migrate.log'} says why.")
    supervisor.keep(run.programs())
    _remember(var, run)
    supervisor.wait_until_ready(PATIENCE)
    console.say(f"everything answers after {time.monotonic() - started:.1f} s; looking at the demo studios")
    # Loading calls the services some thousand times; their log files have every line.
    console.only = "demo"
    demo_failed = supervisor.run(run.demo()) != 0
    if demo_failed:
        console.say(f"the demo studios could not be loaded; {var / 'log' / 'demo.log'} says why", "error")
    console.block(_welcome(console, run, time.monotonic() - started))
    # The mails of a fresh demo would push the block out of sight.
    calm = time.monotonic() + CALM
    supervisor.wait(lambda: time.monotonic() > calm)
    console.only = None
    supervisor.wait(lambda: False)


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise Unusable(f"POWERHOUSE_PORT is {text!r}, which is no port number.")
    return int(text)


@contextmanager
def _alone(var: Path, port: int) -> Iterator[None]:
    """Holds the lock of a var directory. Raises Unusable when it is held by another run, or not writable."""
    path = var / "lock"
    try:
        var.mkdir(parents=True, exist_ok=True)
        lock = open(path, "a+")  # noqa: SIM115 - closed below
    except OSError as error:
        raise unwritable(var, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise Unusable(
                f"it already runs on {var} ({lock.read().strip()}). Stop it, or set POWERHOUSE_VAR_DIR."
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()}, http://127.0.0.1:{port}")
        lock.flush()
        yield


def _remembered(var: Path) -> dict[str, int]:
    try:
        ports: dict[str, int] = json.loads((var / "run.json").read_text())["ports"]
        return ports
    except (OSError, ValueError, KeyError):
        return {}


def _remember(var: Path, run: Run) -> None:
    """Writes `run.json`: where everything listens, for people, programs and the next run."""
    facts = {
        "pid": os.getpid(),
        "url": run.public_url,
        "authority": str(run.certificates.authority),
        "ports": {"gateway": run.port, **run.ports.chosen},
    }
    fresh = var / "run.json.new"
    fresh.write_text(json.dumps(facts, indent=2) + "\n")
    fresh.rename(var / "run.json")


def _welcome(console: Console, run: Run, seconds: float) -> list[str]:
    lines = [
        f"{console.bold('Powerhouse runs at ' + run.public_url)}   (ready after {seconds:.1f} s)",
        *([f"Messages  {run.public_url}/sandbox"] if run.has_sandbox else []),
        *(["Mail      leaves this machine"] if run.sends_real_mail else []),
        f"Payments  {run.public_url}/sandbox/stripe/"
        if not run.takes_real_money
        else "Payments  move real money (STRIPE_API_KEY)",
        f"Ports     {run.var / 'run.json'}",
        f"Logs      {run.var / 'log'}",
    ]
    demo = _demo(run.var)
    if logins := demo.get("logins"):
        lines += ["", f"Demo logins, all with the password {console.bold(str(demo['password']))}"]
        widths = [max(len(str(login.get(column, ""))) for login in logins) for column in ("email", "role")]
        for login in logins:
            email, role = (
                str(login.get(column, "")).ljust(width) for column, width in zip(("email", "role"), widths, strict=True)
            )
            # A client's studios are found by their link, as a studio would send it.
            client = login.get("role") in ("client", "member")
            place = f"{run.public_url}/?studio={login['studio_name'].split('/')[1]}" if client else login["studio"]
            lines.append(f"  {email}  {role}  {place}")
    return [*lines, "", "Ctrl-C stops everything; the data stays in " + str(run.var)]


def _demo(var: Path) -> dict[str, Any]:
    try:
        demo: dict[str, Any] = json.loads((var / "demo.json").read_text())
        return demo
    except (OSError, ValueError):
        return {}
