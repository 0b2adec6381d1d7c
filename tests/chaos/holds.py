"""Making one step of the product wait at a known place, and knowing whose process it is that waits."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import asyncpg
import httpx

from tests.support.product import Product, eventually

# Of the lock that holds.
_KEY = 4711
_ARM = """
CREATE FUNCTION hold_here() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF {when} THEN PERFORM pg_advisory_xact_lock_shared({key}); END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER hold_here AFTER INSERT OR UPDATE ON {table} DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION hold_here();
"""
_DISARM = "DROP TRIGGER hold_here ON {table}; DROP FUNCTION hold_here()"
_HELD = f"""
SELECT a.pid, a.client_port FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.objid = {_KEY} AND NOT l.granted AND a.datname = current_database()
"""


class Hold(Protocol):
    """Something that waits for us."""

    def pid(self) -> int | None:
        """The process that waits; None while none does."""

    def end(self) -> None:
        """Whose it was is dead: what it was about comes about all the same, or never."""


class Gate(Protocol):
    """Where the first who comes is to wait."""

    def armed(self, running: Product, *, kept: bool) -> AbstractContextManager[Hold]:
        """`kept`: what waits there comes about although its process dies."""


@dataclass(frozen=True)
class AtCommit:
    """The commit of a transaction that writes a row of a table for which `when` holds, in the words of a trigger.

    A deferred trigger runs when all else is done, so that what waits there has only to be committed.
    """

    service: str
    table: str
    when: str

    @contextmanager
    def armed(self, running: Product, *, kept: bool) -> Iterator[Hold]:
        with asyncio.Runner() as runner:
            connection = runner.run(asyncpg.connect(running.database_url(self.service)))
            runner.run(connection.execute(f"SELECT pg_advisory_lock({_KEY})"))
            runner.run(connection.execute(_ARM.format(when=self.when, table=self.table, key=_KEY)))
            try:
                yield _HeldCommit(running, runner, connection, kept)
            finally:
                runner.run(connection.execute("SELECT pg_advisory_unlock_all()"))
                runner.run(connection.execute(_DISARM.format(table=self.table)))
                runner.run(connection.close())


@dataclass(frozen=True)
class _HeldCommit:
    running: Product
    runner: asyncio.Runner
    connection: Any
    kept: bool

    def pid(self) -> int | None:
        held = self._held()
        return _connected_from(self.running, held[0]["client_port"]) if held else None

    def end(self) -> None:
        # The server does not look after its clients while a commit waits, so the fate of that is ours to choose.
        if not self.kept:
            for backend in self._held():
                self.runner.run(self.connection.execute("SELECT pg_terminate_backend($1)", backend["pid"]))
            eventually(lambda: not self._held(), what="the transaction is rolled back")
        self.runner.run(self.connection.execute("SELECT pg_advisory_unlock_all()"))

    def _held(self) -> list[Any]:
        return list(self.runner.run(self.connection.fetch(_HELD)))


@dataclass(frozen=True)
class AtProvider:
    """A call of the payment provider: one that was done and is not answered yet, or one that has not arrived."""

    path: str
    caller: str
    method: str = "POST"

    @contextmanager
    def armed(self, running: Product, *, kept: bool) -> Iterator[Hold]:
        hold = _HeldCall(self, running, kept)
        hold.set("done_then_hold" if kept else "hold")
        try:
            yield hold
        finally:
            hold.set()


@dataclass(frozen=True)
class _HeldCall:
    gate: AtProvider
    running: Product
    kept: bool

    def set(self, *faults: str) -> None:
        knob = {"count": 1, "path": self.gate.path, "method": self.gate.method}
        httpx.put(self._faults, json={name: knob for name in faults}).raise_for_status()

    def pid(self) -> int | None:
        # A knob that is used up is not shown.
        return None if httpx.get(self._faults).json() else self.running.children(self.gate.caller)[0]

    def end(self) -> None:
        self.set(*() if self.kept else ("reject_close",))

    @property
    def _faults(self) -> str:
        return f"http://127.0.0.1:{self.running.facts['ports']['stripe']}/sandbox/faults"


def _connected_from(running: Product, port: int) -> int:
    """The process that is connected to the database from this port."""
    ends = [f"0100007F:{each:04X}" for each in (port, running.facts["ports"]["postgres"])]
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    [inode] = [fields[9] for fields in sockets if fields[1:3] == ends]
    for pid in running.children("."):
        if any(_points_to(entry, f"socket:[{inode}]") for entry in Path(f"/proc/{pid}/fd").iterdir()):
            return pid
    raise AssertionError(f"nobody has port {port}")


def _points_to(entry: Path, target: str) -> bool:
    try:
        return str(entry.readlink()) == target
    except OSError:
        return False
