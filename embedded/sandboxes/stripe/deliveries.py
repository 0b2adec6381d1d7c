"""Tells endpoints of events: signed, again and again until they answer 2xx, in no promised order."""

import asyncio
import hashlib
import hmac
import json
import time

import httpx

from embedded.sandboxes.stripe.merchant import public
from embedded.sandboxes.stripe.store import Store
from embedded.sandboxes.stripe.wire import Object

EVERY_SECONDS, AT_ONCE, PATIENCE_SECONDS = 0.05, 32, 10.0
# Doubling waits in seconds; Stripe's own are hours.
FIRST_WAIT, LONGEST_WAIT, ATTEMPTS = 1.0, 60.0, 16


class Deliveries:
    """The loop that delivers what is due."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._places = asyncio.Semaphore(AT_ONCE)
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled."""
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:
            while True:
                await self._round(client)
                await asyncio.sleep(EVERY_SECONDS)

    async def _round(self, client: httpx.AsyncClient) -> None:
        due = self._store.rows(
            "SELECT * FROM deliveries WHERE state = 'pending' AND due_at <= ? ORDER BY due_at, number LIMIT ?",
            *(time.time(), AT_ONCE),
        )
        for row in due:
            await self._places.acquire()
            self._store.run("UPDATE deliveries SET state = 'sending' WHERE number = ?", row["number"])
            task = asyncio.create_task(self._deliver(client, dict(row)))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _deliver(self, client: httpx.AsyncClient, row: Object) -> None:
        try:
            event = self._store.get(row["account"], row["event"])
            endpoint = self._store.get(row["owner"], row["endpoint"])
            if event is None or endpoint is None:
                return self._note(row, "failed", None)
            body = json.dumps(public(event), indent=2).encode()
            headers = {
                "content-type": "application/json; charset=utf-8",
                "stripe-signature": signature(body, endpoint["_secrets"], time.time()),
                "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            }
            try:
                status = (await client.post(endpoint["url"], content=body, headers=headers)).status_code
            except (httpx.HTTPError, httpx.InvalidURL):
                status = None
            self._note(row, "delivered" if status is not None and 200 <= status < 300 else "pending", status)
        finally:
            self._places.release()

    def _note(self, row: Object, state: str, status: int | None) -> None:
        attempts = row["attempts"] + 1
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** row["attempts"])
        if state == "pending" and attempts >= ATTEMPTS:
            state = "failed"
        sql = "UPDATE deliveries SET state = ?, attempts = ?, status = ?, due_at = ? WHERE number = ?"
        with self._store.transaction():
            self._store.run(sql, state, attempts, status, time.time() + wait, row["number"])
            event = self._store.get(row["account"], row["event"])
            if event is not None:
                query = "SELECT count(*) AS n FROM deliveries WHERE event = ? AND state IN ('pending', 'sending')"
                left = self._store.row(query, row["event"])
                assert left is not None
                self._store.save(row["account"], event | {"pending_webhooks": left["n"]})


def signature(body: bytes, secrets: list[Object], now: float) -> str:
    """`Stripe-Signature`: a time, and a signature by each secret that is alive."""
    stamp = int(now)
    alive = [one["secret"] for one in secrets if one["until"] is None or one["until"] > now]
    signed = [hmac.new(one.encode(), b"%d." % stamp + body, hashlib.sha256).hexdigest() for one in alive]
    return ",".join([f"t={stamp}", *(f"v1={one}" for one in signed)])
