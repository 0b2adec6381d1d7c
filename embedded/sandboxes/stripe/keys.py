"""Idempotency keys: the first answer for a key is given again; other parameters are refused."""

import hashlib
import json
import time
from dataclasses import dataclass

from embedded.sandboxes.stripe.store import KEY_LIFETIME_SECONDS, Store
from embedded.sandboxes.stripe.wire import Object, Refusal


@dataclass(frozen=True)
class Replay:
    """An answer that was given before."""

    status: int
    body: Object
    request_id: str


class Keys:
    """The keys of all accounts, for 24 hours."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def claim(self, account: str, key: str, request: str, request_id: str) -> Replay | None:
        """Takes a key, or gives the answer of whoever took it first. Raises Refusal."""
        if len(key) > 255:
            raise Refusal("Idempotency-Key must be at most 255 characters long.", kind="idempotency_error")
        fingerprint = hashlib.sha256(request.encode()).hexdigest()
        expired = time.time() - KEY_LIFETIME_SECONDS
        self._store.run("DELETE FROM keys WHERE account = ? AND key = ? AND create_time < ?", account, key, expired)
        known = self._store.row("SELECT * FROM keys WHERE account = ? AND key = ?", account, key)
        if known is None:
            sql = "INSERT INTO keys (account, key, fingerprint, create_time, request_id) VALUES (?, ?, ?, ?, ?)"
            self._store.run(sql, account, key, fingerprint, time.time(), request_id)
            return None
        self._store.run("UPDATE keys SET uses = uses + 1 WHERE account = ? AND key = ?", account, key)
        if known["fingerprint"] != fingerprint:
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{key}' if you meant to execute a different request."
            )
            raise Refusal(message, kind="idempotency_error")
        if known["status"] is None:
            message = (
                "There is currently another in-progress request using this Idempotent Key (that probably means you "
                f"submitted twice, and the other request is still going through): {key}. Try again later."
            )
            raise Refusal(message, status=409, kind="idempotency_error", code="idempotency_key_in_use")
        return Replay(known["status"], json.loads(known["body"]), known["request_id"])

    def keep(self, account: str, key: str, status: int, body: Object) -> None:
        """Stores the answer."""
        sql = "UPDATE keys SET status = ?, body = ? WHERE account = ? AND key = ?"
        self._store.run(sql, status, json.dumps(body), account, key)

    def release(self, account: str, key: str) -> None:
        """Gives a key back: nothing was done under it."""
        self._store.run("DELETE FROM keys WHERE account = ? AND key = ? AND status IS NULL", account, key)

    def effects(self, account: str | None, key: str | None) -> Object:
        """What each key has done: how often it came, and the events of each type."""
        where = "account = coalesce(?, account) AND key = coalesce(?, key)"
        found = {
            row["key"]: {"uses": row["uses"], "status": row["status"], "events": {}}
            for row in self._store.rows(f"SELECT * FROM keys WHERE {where}", account, key)  # noqa: S608
        }
        rows = self._store.rows(
            "SELECT json_extract(body, '$.request.idempotency_key') AS key, json_extract(body, '$.type') AS type, "
            "count(*) AS n FROM objects WHERE kind = 'event' AND account = coalesce(?1, account) "
            "AND json_extract(body, '$.request.idempotency_key') = coalesce(?2, json_extract(body, "
            "'$.request.idempotency_key')) GROUP BY 1, 2",
            *(account, key),
        )
        for row in rows:
            found.setdefault(row["key"], {"uses": 0, "status": None, "events": {}})["events"][row["type"]] = row["n"]
        return found
