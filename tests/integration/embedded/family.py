"""A small family under a real supervisor, for the tests beside it: a database, a broker, two programs and their lines.

Run as `python family.py <var> <grace in seconds> <program>...`; each program is `name:stage:source` and says "up".
Prints `READY {"name": pid, ...}`.
"""

import json
import sys
from pathlib import Path

from embedded import supervisor as supervisor_module
from embedded.broker import Broker
from embedded.children import Child, program, server
from embedded.console import Console
from embedded.postgres import Postgres
from embedded.processes import log_file
from embedded.supervisor import Stopped, Supervisor


def main() -> None:
    var = Path(sys.argv[1])
    supervisor_module.GRACE = float(sys.argv[2])
    with Supervisor(Console()) as supervisor:
        family: list[Child] = []
        for name, launcher in (("postgres", Postgres(var)), ("broker", Broker(var))):
            family.append(server(name, 9, launcher.start, launcher.start()))
        supervisor.keep(family)
        for argument in sys.argv[3:]:
            name, stage, source = argument.split(":", 2)
            command = [sys.executable, "-c", source]
            family.append(program(name, int(stage), command, {"SECRET": name}, log_file(var, name)))
        supervisor.keep(family[2:])
        supervisor.wait_until_ready(30)
        supervisor.wait(lambda: all("up" in child.output.log.read_text() for child in family if child.output))
        print("READY", json.dumps({child.name: child.process.pid for child in family if child.process}), flush=True)
        try:
            supervisor.wait(lambda: False)
        except Stopped:
            print("STOPPING", flush=True)


if __name__ == "__main__":
    main()
