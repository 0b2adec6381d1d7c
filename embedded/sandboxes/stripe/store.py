"""What the sandbox knows, in SQLite, so that a restart forgets nothing."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from embedded.sandboxes.stripe.wire import Object

KEY_LIFETIME_SECONDS = 24 * 3600
SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    created INTEGER NOT NULL,
    customer TEXT,
    body TEXT NOT NULL,
    UNIQUE (account, id)
);
CREATE INDEX IF NOT EXISTS objects_by_kind ON objects (account, kind, number);
CREATE INDEX IF NOT EXISTS objects_by_id ON objects (id);
CREATE INDEX IF NOT EXISTS objects_by_customer ON objects (account, kind, customer, number);
CREATE TABLE IF NOT EXISTS keys (
    account TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    create_time REAL NOT NULL,
    request_id TEXT NOT NULL,
    status INTEGER,
    body TEXT,
    uses INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (account, key)
);
CREATE TABLE IF NOT EXISTS timers (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    clock TEXT,
    due_at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS timers_by_due ON timers (clock, due_at, number);
CREATE TABLE IF NOT EXISTS deliveries (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    event TEXT NOT NULL,
    owner TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    due_at REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'pending',
    status INTEGER
);
CREATE INDEX IF NOT EXISTS deliveries_by_due ON deliveries (state, due_at);
CREATE INDEX IF NOT EXISTS deliveries_by_event ON deliveries (event, state);
"""


class Store:
    """Objects of all accounts. Calls take well under a millisecond and are made from one thread."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(directory / "stripe.sqlite", isolation_level=None)
        self._database.row_factory = sqlite3.Row
        self._database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
        self._database.executescript(SCHEMA)
        # What was in flight when the process died never finished.
        self.run("DELETE FROM keys WHERE status IS NULL OR create_time < ?", time.time() - KEY_LIFETIME_SECONDS)
        self.run("UPDATE deliveries SET state = 'pending' WHERE state = 'sending'")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, but for an error that says it is `kept`."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException as error:
            self._database.execute("COMMIT" if getattr(error, "kept", False) else "ROLLBACK")
            raise
        self._database.execute("COMMIT")

    @contextmanager
    def nothing_kept(self) -> Iterator[None]:
        """Inside a transaction: what is done here is undone, whatever comes of it."""
        self._database.execute("SAVEPOINT tried")
        try:
            yield
        finally:
            self._database.execute("ROLLBACK TO tried")
            self._database.execute("RELEASE tried")

    def run(self, sql: str, *values: Any) -> int:
        """Changes rows and says how many."""
        return self._database.execute(sql, values).rowcount

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """Reads rows."""
        return self._database.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> sqlite3.Row | None:
        """Reads one row."""
        row: sqlite3.Row | None = self._database.execute(sql, values).fetchone()
        return row

    def get(self, account: str, identity: str) -> Object | None:
        """One object of an account."""
        row = self.row("SELECT body FROM objects WHERE account = ? AND id = ?", account, identity)
        return json.loads(row["body"]) if row else None

    def add(self, account: str, body: Object) -> None:
        """Stores a new object."""
        self.run(
            "INSERT INTO objects (account, kind, id, created, customer, body) VALUES (?, ?, ?, ?, ?, ?)",
            *(account, body["object"], body["id"], body.get("created", 0), body.get("customer"), json.dumps(body)),
        )

    def save(self, account: str, body: Object) -> None:
        """Stores what has become of an object."""
        sql = "UPDATE objects SET body = ?, customer = ? WHERE account = ? AND id = ?"
        self.run(sql, json.dumps(body), body.get("customer"), account, body["id"])

    def remove(self, account: str, identity: str) -> None:
        """Forgets an object."""
        self.run("DELETE FROM objects WHERE account = ? AND id = ?", account, identity)

    def find(self, account: str, kind: str, where: str = "1", *values: Any, order: str = "number") -> list[Object]:
        """Objects of one kind, oldest first."""
        sql = f"SELECT body FROM objects WHERE account = ? AND kind = ? AND {where} ORDER BY {order}"  # noqa: S608
        return [json.loads(row["body"]) for row in self.rows(sql, account, kind, *values)]
