"""What the mail sandbox has accepted, in SQLite, so that a restart forgets nothing."""

import json
import sqlite3
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

KEY_LIFETIME = timedelta(hours=24)
KEPT_FOR = timedelta(days=30)
SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    create_time TEXT NOT NULL,
    idempotency_key TEXT,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_by_key ON messages (idempotency_key, number);
CREATE TABLE IF NOT EXISTS recipients (
    address TEXT NOT NULL,
    number INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS recipients_by_address ON recipients (address, number);
"""
SELECT = """
SELECT id, create_time, idempotency_key, body,
       (SELECT count(*) FROM messages same WHERE same.idempotency_key = messages.idempotency_key) AS accepted_count
FROM messages
"""
Message = dict[str, Any]


class KeyReused(Exception):
    """The idempotency key came with another body before."""


class Messages:
    """Accepted mails of one directory. Calls take well under a millisecond and are made from one thread."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(directory / "mail.sqlite", isolation_level=None)
        self._database.row_factory = sqlite3.Row
        self._database.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;"
        )
        self._database.executescript(SCHEMA)
        oldest = (datetime.now(UTC) - KEPT_FOR).isoformat()
        self._database.execute("DELETE FROM messages WHERE create_time < ?", (oldest,))

    def accept(self, body: Message, key: str | None) -> str:
        """Stores a mail and returns its id; a key seen in the last 24 h returns the id of then. Raises KeyReused."""
        now = datetime.now(UTC)
        text = json.dumps(body, sort_keys=True)
        if key is not None:
            earliest = (now - KEY_LIFETIME).isoformat()
            query = "SELECT id, body FROM messages WHERE idempotency_key = ? AND create_time > ? ORDER BY number DESC"
            known = self._database.execute(query, (key, earliest)).fetchone()
            if known and known["body"] != text:
                raise KeyReused
            if known:
                return str(known["id"])
        message_id = str(uuid.uuid4())
        with self._database:
            self._database.execute("BEGIN")
            number = self._database.execute(
                "INSERT INTO messages (id, create_time, idempotency_key, body) VALUES (?, ?, ?, ?)",
                (message_id, now.isoformat(), key, text),
            ).lastrowid
            self._database.executemany(
                "INSERT INTO recipients VALUES (?, ?)", [(address(to), number) for to in everyone(body)]
            )
        return message_id

    def get(self, message_id: str) -> Message | None:
        """One mail with its story, or None."""
        row = self._database.execute(f"{SELECT} WHERE id = ?", (message_id,)).fetchone()
        return _message(row) if row else None

    def newest(self, to: str | None, limit: int) -> list[Message]:
        """The newest mails first; `to` is a bare address, in any case, matched against to, cc and bcc."""
        if to is None:
            rows = self._database.execute(f"{SELECT} ORDER BY number DESC LIMIT ?", (limit,))
        else:
            condition = "WHERE number IN (SELECT number FROM recipients WHERE address = ?)"
            rows = self._database.execute(f"{SELECT} {condition} ORDER BY number DESC LIMIT ?", (address(to), limit))
        return [_message(row) for row in rows]


def everyone(body: Message) -> list[str]:
    """All recipients of a mail, visible or not."""
    return [to for name in ("to", "cc", "bcc") for to in listed(body.get(name))]


def listed(value: object) -> list[str]:
    """Resend takes one address or a list of them."""
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def address(recipient: str) -> str:
    """`Ann <Ann@Example.com>` → `ann@example.com`."""
    return recipient.rpartition("<")[2].rstrip("> ").strip().lower()


def _message(row: sqlite3.Row) -> Message:
    body = json.loads(row["body"])
    return {
        "id": row["id"],
        "from": body["from"],
        "to": listed(body["to"]),
        "cc": listed(body.get("cc")),
        "bcc": listed(body.get("bcc")),
        "reply_to": listed(body.get("reply_to")),
        "subject": body["subject"],
        "text": body.get("text"),
        "html": body.get("html"),
        "headers": body.get("headers") or {},
        "tags": body.get("tags") or [],
        "idempotency_key": row["idempotency_key"],
        "create_time": row["create_time"],
        "accepted_count": row["accepted_count"] or 1,
    }
