"""The supervisor: merged lines, restarts, the order of the end, and that nothing is left whatever happens to it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from embedded.console import parse
from embedded.processes import free_port, is_alive, temporary_var
from embedded.toolchain import ROOT

SLEEPER = "import os, time; print('up', os.environ, flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
PARTING = (
    "import os, signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b'bye\\n'), sys.exit()));"
    "print('up', flush=True); time.sleep(60)"
)


@pytest.fixture
def var() -> Iterator[Path]:
    with temporary_var() as folder:
        yield folder


class Family:
    """A supervisor in a process of its own, and what it says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.pids: dict[str, int] = json.loads(self.read_until("READY").partition(" ")[2])

    def read_until(self, text: str) -> str:
        """The next line that holds `text`."""
        assert self.process.stdout
        for line in self.process.stdout:
            if text in line:
                return line
        raise AssertionError(f"ended without saying {text!r}")

    def stop(self, number: signal.Signals) -> str:
        """Sends a signal and returns everything said from then on."""
        self.process.send_signal(number)
        return self.process.communicate(timeout=30)[0]


@contextmanager
def family(var: Path, *programs: str, grace: float = 10) -> Iterator[Family]:
    command = [sys.executable, str(Path(__file__).parent / "family.py"), str(var), str(grace), *programs]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Family(process)
        finally:
            process.kill()


def wait_for_the_end_of(pids: list[int]) -> None:
    deadline = time.monotonic() + 30
    while alive := [pid for pid in pids if is_alive(pid)]:
        assert time.monotonic() < deadline, f"still running: {alive}"
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_orderly_end_leaves_nothing_and_returns_0(var: Path, number: signal.Signals) -> None:
    with family(var, f"gateway:0:{PARTING}", f"worker:1:{PARTING}") as running:
        said = running.stop(number)
        assert running.process.returncode == 0
        wait_for_the_end_of(list(running.pids.values()))
    goodbyes = [line.split()[1] for line in said.splitlines() if line.endswith("bye")]
    assert goodbyes == ["gateway", "worker"], said
    assert not (var / "postgres" / "data" / "postmaster.pid").exists()


def test_kill_9_leaves_nothing(var: Path) -> None:
    with family(var, f"gateway:0:{SLEEPER}", f"worker:1:{PARTING}") as running:
        running.process.kill()
        wait_for_the_end_of(list(running.pids.values()))


def test_whoever_does_not_stop_is_killed(var: Path) -> None:
    with family(var, f"stubborn:0:{STUBBORN}", grace=2) as running:
        started = time.monotonic()
        said = running.stop(signal.SIGTERM)
        assert running.process.returncode == 0
        assert 2 < time.monotonic() - started < 9
        assert "stubborn did not stop within 2 s and is killed" in said
        wait_for_the_end_of(list(running.pids.values()))


def test_a_crashed_child_is_started_again(var: Path) -> None:
    with family(var, f"worker:1:{SLEEPER}") as running:
        os.kill(running.pids["worker"], signal.SIGKILL)
        assert "worker ended unasked (signal 9); starting it again in 0.5 s" in running.read_until("ended unasked")
        running.read_until("up")
        os.kill(running.pids["postgres"], signal.SIGKILL)
        running.read_until("postgres ended unasked")
        pid_file = var / "postgres" / "data" / "postmaster.pid"
        deadline = time.monotonic() + 30
        while is_of(pid_file, running.pids["postgres"]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        running.stop(signal.SIGTERM)
        assert running.process.returncode == 0


def test_a_child_knows_only_what_it_was_told_and_its_lines_are_kept(var: Path) -> None:
    with family(var, f"worker:1:{SLEEPER}") as running:
        running.stop(signal.SIGTERM)
    kept = (var / "log" / "worker.log").read_text()
    assert "'SECRET': 'worker'" in kept
    assert "HOME" not in kept


def test_a_log_line_becomes_readable() -> None:
    record = {"time": "2026-11-22T12:01:02.345678Z", "level": "warning", "service": "booking", "process": "serve"}
    _, level, text = parse(json.dumps({**record, "event": "slow", "method": "Book", "seconds": 1.5, "why": "a lock"}))
    assert (level, text) == ("warning", 'slow method=Book seconds=1.5 why="a lock"')
    assert parse("Traceback")[1:] == ("info", "Traceback")
    assert parse("[1]")[2] == "[1]"


def is_of(pid_file: Path, pid: int) -> bool:
    """Whether no other server than this one has begun to run."""
    try:
        return int(pid_file.read_text().partition("\n")[0]) == pid
    except (FileNotFoundError, ValueError):
        return True


def run(var: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`make run` after its set-up, which is expected to refuse."""
    told = {"PATH": os.environ["PATH"], "POWERHOUSE_VAR_DIR": str(var), **environment}
    command = [sys.executable, "-m", "embedded"]
    return subprocess.run(command, env=told, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)


def test_a_taken_port_names_the_variable(var: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused = run(var, POWERHOUSE_PORT=str(port))
    assert refused.returncode == 1
    assert f"Port {port} is taken on 127.0.0.1. Choose another: POWERHOUSE_PORT=" in refused.stderr


def test_a_port_must_be_a_number(var: Path) -> None:
    assert "POWERHOUSE_PORT is 'http', which is no port number" in run(var, POWERHOUSE_PORT="http").stderr


def test_a_second_run_on_the_same_directory_says_so(var: Path) -> None:
    holder = (
        "import pathlib, sys, time; from embedded.run import _alone\n"
        "with _alone(pathlib.Path(sys.argv[1]), 1): print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", holder, str(var)], stdout=subprocess.PIPE) as first:
        assert first.stdout
        first.stdout.readline()
        refused = run(var, POWERHOUSE_PORT=str(free_port()))
        first.kill()
    assert refused.returncode == 1
    assert f"it already runs on {var} (process {first.pid}, http://127.0.0.1:1)" in refused.stderr


def test_a_directory_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file where the directory should be")
    refused = run(tmp_path / "var", POWERHOUSE_PORT=str(free_port()))
    assert refused.returncode == 1
    assert "cannot be written" in refused.stderr
    assert "POWERHOUSE_VAR_DIR" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_old_python_is_told_what_is_needed() -> None:
    program = (
        "import runpy, sys; sys.version_info = (3, 9, 2); runpy.run_path('embedded/toolchain.py', run_name='__main__')"
    )
    refused = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False, timeout=30
    )
    assert refused.returncode == 1
    assert "Powerhouse needs Python 3.11 or newer" in refused.stderr
    assert "make PYTHON=" in refused.stderr
