"""What the sandboxes have accepted, in SQLite, so that a restart forgets nothing."""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

KEPT_FOR = timedelta(days=30)
SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    channel TEXT NOT NULL,
    provider TEXT NOT NULL,
    create_time TEXT NOT NULL,
    key TEXT,
    status TEXT NOT NULL,
    callback TEXT,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_by_key ON messages (key, number);
CREATE TABLE IF NOT EXISTS recipients (
    address TEXT NOT NULL,
    number INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS recipients_by_address ON recipients (address, number);
CREATE TABLE IF NOT EXISTS attachments (
    number INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,
    position INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (number, position)
);
CREATE TABLE IF NOT EXISTS unsubscribed (number TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS browsers (id TEXT PRIMARY KEY, private_key TEXT NOT NULL, auth TEXT NOT NULL);
"""
SELECT = """
SELECT id, channel, provider, create_time, key, status, callback, body,
       (SELECT count(*) FROM messages same WHERE same.key = messages.key) AS accepted_count
FROM messages
"""
Message = dict[str, Any]


@dataclass(frozen=True)
class Attachment:
    """A file that came with a message."""

    file_name: str
    media_type: str
    content: bytes


class KeyReused(Exception):
    """The idempotency key came with another body before."""


class Messages:
    """Accepted messages of one directory. Calls take well under a millisecond and are made from one thread."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(directory / "messages.sqlite", isolation_level=None)
        self._database.row_factory = sqlite3.Row
        self._database.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;"
        )
        self._database.executescript(SCHEMA)
        oldest = (datetime.now(UTC) - KEPT_FOR).isoformat()
        self._database.execute("DELETE FROM messages WHERE create_time < ?", (oldest,))
        # Told of each message once it is stored.
        self.accepted: Callable[[Message], None] = lambda message: None

    def accept(
        self,
        message_id: str,
        channel: str,
        provider: str,
        body: Message,
        key: str | None,
        *,
        attachments: Sequence[Attachment] = (),
        callback: str | None = None,
        remembers: timedelta | None = None,
    ) -> str:
        """Stores a message and returns its id. `body` holds what the page shows, with `to` as a list.

        A provider that remembers keys returns the id of then. Raises KeyReused.
        """
        now = datetime.now(UTC)
        text = json.dumps({**body, "attachments": [_described(each) for each in attachments]}, sort_keys=True)
        if key is not None and remembers:
            query = "SELECT id, body FROM messages WHERE key = ? AND create_time > ? ORDER BY number DESC"
            known = self._database.execute(query, (key, (now - remembers).isoformat())).fetchone()
            if known and known["body"] != text:
                raise KeyReused
            if known:
                return str(known["id"])
        with self._written():
            number = self._database.execute(
                "INSERT INTO messages (id, channel, provider, create_time, key, status, callback, body)"
                " VALUES (?, ?, ?, ?, ?, 'queued', ?, ?)",
                (message_id, channel, provider, now.isoformat(), key, callback, text),
            ).lastrowid
            self._database.executemany(
                "INSERT INTO recipients VALUES (?, ?)", [(address(to), number) for to in everyone(body)]
            )
            self._database.executemany(
                "INSERT INTO attachments VALUES (?, ?, ?)",
                [(number, position, each.content) for position, each in enumerate(attachments)],
            )
        stored = self.get(message_id)
        assert stored
        self.accepted(stored)
        return message_id

    def get(self, message_id: str) -> Message | None:
        """One message with its story, or None."""
        row = self._database.execute(f"{SELECT} WHERE id = ?", (message_id,)).fetchone()
        return _message(row) if row else None

    def attachment(self, message_id: str, position: int) -> Attachment | None:
        """One of the files of a message, counted from 0, or None."""
        query = "SELECT body, content FROM messages JOIN attachments USING (number) WHERE id = ? AND position = ?"
        row = self._database.execute(query, (message_id, position)).fetchone()
        if row is None:
            return None
        told = json.loads(row["body"])["attachments"][position]
        return Attachment(told["file_name"], told["media_type"], row["content"])

    def set_status(self, message_id: str, status: str) -> None:
        self._database.execute("UPDATE messages SET status = ? WHERE id = ?", (status, message_id))

    def newest(self, to: str | None, limit: int) -> list[Message]:
        """The newest messages first; `to` is a bare address, in any case, matched against to, cc and bcc."""
        if to is None:
            rows = self._database.execute(f"{SELECT} ORDER BY number DESC LIMIT ?", (limit,))
        else:
            condition = "WHERE number IN (SELECT number FROM recipients WHERE address = ?)"
            rows = self._database.execute(f"{SELECT} {condition} ORDER BY number DESC LIMIT ?", (address(to), limit))
        return [_message(row) for row in rows]

    def of_provider(self, provider: str) -> list[Message]:
        """All messages of one provider, newest first."""
        rows = self._database.execute(f"{SELECT} WHERE provider = ? ORDER BY number DESC", (provider,))
        return [_message(row) for row in rows]

    def accepted_by_key(self) -> dict[str, int]:
        """How often each key was accepted, by whichever provider.

        Not those of push: there a repeat replaces the one before.
        """
        query = "SELECT key, count(*) AS times FROM messages WHERE key IS NOT NULL AND channel <> 'push' GROUP BY key"
        return {row["key"]: row["times"] for row in self._database.execute(query)}

    def unsubscribe(self, number: str) -> None:
        """The number wrote STOP."""
        self._database.execute("INSERT OR IGNORE INTO unsubscribed VALUES (?)", (number,))

    def subscribe(self, number: str) -> None:
        """The number wrote START."""
        self._database.execute("DELETE FROM unsubscribed WHERE number = ?", (number,))

    def is_unsubscribed(self, number: str) -> bool:
        return bool(self._database.execute("SELECT 1 FROM unsubscribed WHERE number = ?", (number,)).fetchone())

    def add_browser(self, browser_id: str, private_key: str, auth: str) -> None:
        """A browser that listens; its keys read what is sent to it."""
        self._database.execute("INSERT INTO browsers VALUES (?, ?, ?)", (browser_id, private_key, auth))

    def browser(self, browser_id: str) -> tuple[str, str] | None:
        """Private key and secret of a browser, None when it listens no more."""
        row = self._database.execute("SELECT * FROM browsers WHERE id = ?", (browser_id,)).fetchone()
        return (row["private_key"], row["auth"]) if row else None

    def remove_browser(self, browser_id: str) -> None:
        self._database.execute("DELETE FROM browsers WHERE id = ?", (browser_id,))

    def _written(self) -> AbstractContextManager[Any]:
        """Both statements or none."""
        self._database.execute("BEGIN")
        return self._database


def everyone(body: Message) -> list[str]:
    """All recipients of a message, visible or not."""
    return [to for name in ("to", "cc", "bcc") for to in listed(body.get(name))]


def listed(value: object) -> list[str]:
    """One address or a list of them."""
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def address(recipient: str) -> str:
    """`Ann <Ann@Example.com>` → `ann@example.com`."""
    return recipient.rpartition("<")[2].rstrip("> ").strip().lower()


def _described(attachment: Attachment) -> dict[str, Any]:
    """What is told of a file; its hash is in the body, by which a reused key is known."""
    return {
        "file_name": attachment.file_name,
        "media_type": attachment.media_type,
        "size": len(attachment.content),
        "sha256": hashlib.sha256(attachment.content).hexdigest(),
    }


def _message(row: sqlite3.Row) -> Message:
    body = json.loads(row["body"])
    return {
        "id": row["id"],
        "channel": row["channel"],
        "provider": row["provider"],
        "from": body["from"],
        "to": listed(body["to"]),
        "cc": listed(body.get("cc")),
        "bcc": listed(body.get("bcc")),
        "reply_to": listed(body.get("reply_to")),
        "subject": body.get("subject") or "",
        "text": body.get("text"),
        "html": body.get("html"),
        "headers": body.get("headers") or {},
        "tags": body.get("tags") or [],
        "attachments": [
            {**told, "path": f"/sandbox/messages/{row['id']}/attachments/{position}/{quote(told['file_name'], '')}"}
            for position, told in enumerate(body.get("attachments") or [])
        ],
        "link": body.get("link"),
        "status": row["status"],
        "callback": row["callback"],
        "idempotency_key": row["key"],
        "create_time": row["create_time"],
        "accepted_count": row["accepted_count"] or 1,
    }
