"""One supervised process: how it starts (again), where its lines go, whether it is ready."""

import http.client
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from embedded.processes import Server, spawn

ROOT = Path(__file__).resolve().parent.parent
# A child that ran this long (seconds) before it ended is restarted at once.
STEADY = 60.0
LONGEST_PAUSE = 30.0


class Output:
    """The pipe that a child writes to, for all of its lives; every byte is kept in a file as well."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self._raw = open(log, "ab", buffering=0)  # noqa: SIM115 - closed with the pipe
        self._rest = b""

    def lines(self) -> list[str]:
        """The whole lines that have arrived since the last call."""
        chunks = []
        with suppress(BlockingIOError):
            while chunk := os.read(self.reader, 65536):
                chunks.append(chunk)
        arrived = b"".join(chunks)
        self._raw.write(arrived)
        *whole, self._rest = (self._rest + arrived).split(b"\n")
        return [line.decode(errors="replace") for line in whole]

    def close(self) -> None:
        """Nothing can be written or read any more."""
        os.close(self.reader)
        os.close(self.writer)
        self._raw.close()


@dataclass(eq=False)
class Child:
    """A process that is kept running, or with `once` runs to its end.

    Stage 0 is stopped first, then stage 1 and so on. `probe` is the port where `/readyz` tells that it is ready.
    """

    name: str
    stage: int
    launch: Callable[[], subprocess.Popen[bytes]]
    probe: int | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    once: bool = False
    # What a program of ours was told; empty for servers, which have files of settings.
    environment: Mapping[str, str] = field(default_factory=dict)
    output: Output | None = None
    process: subprocess.Popen[bytes] | None = None
    exit_code: int | None = None
    # On the monotonic clock: when it starts again after a crash.
    due_at: float | None = None
    _ready: bool = False
    _started_at: float = field(default_factory=time.monotonic)
    _crashes: int = 0

    def start(self) -> None:
        """Starts it. Raises Unusable or OSError."""
        self.due_at, self._ready, self._started_at = None, False, time.monotonic()
        self.process = self.launch()

    def bury(self) -> int | None:
        """Takes note when the process has ended, with all it started; its exit code, once, else None."""
        if self.process is None or self.process.poll() is None:
            return None
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.exit_code = self.process.returncode
        self.process = None
        return self.exit_code

    def postpone(self) -> float:
        """Plans the next start after a crash; returns the pause in seconds, which doubles with each crash in a row."""
        self._crashes = 1 if time.monotonic() - self._started_at > STEADY else self._crashes + 1
        pause: float = min(0.25 * 2**self._crashes, LONGEST_PAUSE)
        self.due_at = time.monotonic() + pause
        return pause

    def is_ready(self) -> bool:
        """Whether it runs and has answered its probe once since it started."""
        if not self._ready and self.process is not None:
            self._ready = self.probe is None or answers(self.probe)
        return self._ready and self.process is not None


def program(name: str, stage: int, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> Child:
    """A child that runs a command of ours, its lines going to `log` and to the console."""
    output = Output(log)

    def launch() -> subprocess.Popen[bytes]:
        return spawn(list(arguments), ROOT, output.writer, environment=environment)

    return Child(name, stage, launch, output=output, environment=environment)


def server(name: str, stage: int, start: Callable[[], Server], first: Server) -> Child:
    """A child that a launcher has started and can start again; it keeps its own log."""
    return Child(name, stage, lambda: start().process, stop_signal=first.stop_signal, process=first.process)


def answers(port: int, path: str = "/readyz") -> bool:
    """Whether 127.0.0.1:`port` answers 200 at `path`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
