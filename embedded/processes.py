"""Child processes that never outlive their parent, and the few questions every launcher asks of the machine."""

import ctypes
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

OUTSIDE = Path("/var/lib/powerhouse")
PR_SET_PDEATHSIG = 1


class Unusable(Exception):
    """The machine or a directory cannot be used; the text tells a person what to do about it."""


@dataclass(frozen=True)
class Server:
    """A started server: where it listens and how it is asked to end."""

    process: subprocess.Popen[bytes]
    port: int
    url: str
    stop_signal: signal.Signals = signal.SIGTERM

    def stop(self, grace: float = 10) -> None:
        """Ends it within `grace` seconds, by force after that."""
        end(self.process, self.stop_signal, grace)


def spawn(
    command: list[str],
    directory: Path,
    output: IO[bytes] | int,
    parting: signal.Signals = signal.SIGTERM,
    environment: Mapping[str, str] | None = None,
    *,
    as_nobody: bool = False,
) -> subprocess.Popen[bytes]:
    """Starts a child in a session of its own (Ctrl-C does not reach it), both of its outputs going to `output`.

    The kernel sends it `parting` as soon as the thread that called this is gone, even by `kill -9`.
    `as_nobody` takes root's rights away; it changes nothing for anybody else.
    """
    return subprocess.Popen(
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        preexec_fn=_dies_with_parent(parting),
        **(unprivileged() if as_nobody else {}),
    )


def _dies_with_parent(parting: signal.Signals) -> Callable[[], None]:
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def bind() -> None:
        if prctl:
            prctl(PR_SET_PDEATHSIG, parting)
            if os.getppid() != parent:
                os._exit(1)

    return bind


def end(process: subprocess.Popen[bytes], polite: signal.Signals, grace: float) -> None:
    """Sends `polite`, waits `grace` seconds, then kills the process and its session."""
    if process.poll() is None:
        process.send_signal(polite)
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port(wanted: int | None = None) -> int:
    """`wanted` when nothing listens there, else a port the kernel picks. Loopback only."""
    if wanted and is_free(wanted):
        return wanted
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Whether 127.0.0.1:`port` can be bound."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def is_alive(pid: int) -> bool:
    """Whether a process runs under this id. A zombie is dead: some containers never reap."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return not Path("/proc/self").exists()


def unprivileged() -> dict[str, Any]:
    """Popen arguments that make a child `nobody` when we are root; servers refuse to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def home(directory: Path) -> Path:
    """Makes the directory of an unprivileged server and gives it to that user.

    When root's own directory is closed to others, `directory` becomes a link to one below /var/lib/powerhouse.
    Raises Unusable when nothing can be written there.
    """
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        if not directory.exists():
            directory.unlink(missing_ok=True)
            if is_root() and not is_reachable(directory.parent):
                OUTSIDE.mkdir(parents=True, exist_ok=True)
                directory.symlink_to(tempfile.mkdtemp(prefix=f"{directory.name}-", dir=OUTSIDE))
            else:
                directory.mkdir()
        directory = directory.resolve()
        directory.chmod(0o700)
        if is_root() and directory.stat().st_uid != unprivileged()["user"]:
            # New, or copied, or made by an ordinary user's run.
            for path in (directory, *directory.rglob("*")):
                give_away(path)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise unwritable(directory, error) from error
    return directory


def log_file(var: Path, name: str) -> Path:
    """Where the raw lines of a process go; emptied when it starts. Raises Unusable."""
    log = var / "log" / f"{name}.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
    except OSError as error:
        raise unwritable(log, error) from error
    return log


def unwritable(path: Path, error: OSError) -> Unusable:
    """What to tell a person whose var directory refuses us."""
    return Unusable(f"{path} cannot be written ({error.strerror}). Make it writable or set POWERHOUSE_VAR_DIR.")


def give_away(path: Path) -> None:
    """Hands a path to the unprivileged user when we are root."""
    if is_root():
        nobody = unprivileged()
        os.chown(path, nobody["user"], nobody["group"], follow_symlinks=False)


def is_root() -> bool:
    """Whether servers have to be started as somebody else."""
    return os.geteuid() == 0


def is_reachable(path: Path) -> bool:
    """Whether any user may walk to `path` and enter it."""
    path = path.resolve()
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def password(file: Path) -> str:
    """The password kept in `file` (0600), made on first use."""
    if not file.exists():
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as secret:
            secret.write(secrets.token_urlsafe(24))
        give_away(file)
    return file.read_text()


def wait_until(
    ready: Callable[[], bool],
    process: subprocess.Popen[bytes],
    log: Path,
    seconds: float,
) -> None:
    """Polls until `ready`. Raises Unusable with the end of the log when the process ends or time is up."""
    deadline = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            end(process, signal.SIGKILL, 5)
            lines = log.read_text(errors="replace").splitlines()[-8:]
            raise Unusable("\n  ".join([f"{log.stem} did not start; {log} ends with:", *lines]))
        time.sleep(0.02)


@contextmanager
def temporary_var() -> Iterator[Path]:
    """A var directory for a test: open to the unprivileged servers (pytest's own is not) and gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="powerhouse-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
