"""What one account sees and may change at one instant: its objects, its events, its timers."""

import secrets
import string
from dataclasses import dataclass, replace
from typing import Any

from embedded.sandboxes.stripe.faults import Faults
from embedded.sandboxes.stripe.store import Store
from embedded.sandboxes.stripe.wire import API_VERSION, Object, missing

LETTERS = string.ascii_letters + string.digits
# What the errors call each kind, where it is not the kind's own name.
NAMES = {
    "payment_intent": "payment_intent",
    "payment_method": "PaymentMethod",
    "setup_intent": "setupintent",
    "test_helpers.test_clock": "testclock",
    "balance_transaction": "balance transaction",
}


def new_id(prefix: str) -> str:
    """An id as Stripe writes them."""
    return f"{prefix}_1{''.join(secrets.choice(LETTERS) for _ in range(23))}"


def public(body: Object) -> Object:
    """An object as others may see it: what begins with `_` is the sandbox's own."""
    return {name: value for name, value in body.items() if not name.startswith("_")}


@dataclass(frozen=True)
class Merchant:
    """`platform` is the account that holds the key; `clock` the test clock whose time it is, if one."""

    store: Store
    faults: Faults
    id: str
    platform: str
    now: int
    real_now: float
    base_url: str
    clock: str | None = None
    request: str | None = None
    key: str | None = None
    secret: bool = True

    @property
    def connected(self) -> bool:
        """Whether the account belongs to a platform, and is not the platform itself."""
        return self.id != self.platform

    def get(self, identity: str) -> Object | None:
        """An object of this account."""
        return self.store.get(self.id, identity)

    def need(self, kind: str, identity: str, param: str = "id") -> Object:
        """An object of this account. Raises Refusal."""
        found = self.get(identity)
        if found is None or found["object"] != kind:
            raise missing(NAMES.get(kind, kind), identity, param)
        return found

    def customer(self, identity: str, param: str = "customer") -> Object:
        """A customer that was not deleted. Raises Refusal."""
        found = self.need("customer", identity, param)
        if found.get("deleted"):
            raise missing("customer", identity, param)
        return found

    def add(self, body: Object) -> Object:
        """Stores a new object."""
        self.store.add(self.id, body)
        return body

    def save(self, body: Object) -> Object:
        """Stores what has become of an object."""
        self.store.save(self.id, body)
        return body

    def emit(self, event_type: str, body: Object, previous: Object | None = None) -> None:
        """Records an event, with a delivery to each endpoint that wants it."""
        data: Object = {"object": public(body)}
        if previous is not None:
            data["previous_attributes"] = previous
        event: Object = {
            "id": new_id("evt"),
            "object": "event",
            "api_version": API_VERSION,
            "created": self.now,
            "data": data,
            "livemode": False,
            "pending_webhooks": 0,
            "request": {"id": self.request, "idempotency_key": self.key},
            "type": event_type,
        }
        if self.connected:
            event["account"] = self.id
        endpoints = self._endpoints(event_type)
        event["pending_webhooks"] = len(endpoints)
        self.add(event)
        for endpoint in endpoints:
            self._deliver(event, endpoint)

    def after(self, seconds: int, kind: str, identity: str) -> None:
        """Calls the timer `kind` for an object when so much time has passed."""
        self.at(self.now + seconds, kind, identity)

    def at(self, when: int, kind: str, identity: str) -> None:
        """Calls the timer `kind` for an object at an instant, of the test clock if there is one."""
        sql = "INSERT INTO timers (account, clock, due_at, kind, id) VALUES (?, ?, ?, ?, ?)"
        self.store.run(sql, self.id, self.clock, when, kind, identity)

    def forget(self, kind: str, identity: str) -> None:
        """Takes a timer back."""
        self.store.run("DELETE FROM timers WHERE account = ? AND kind = ? AND id = ?", self.id, kind, identity)

    def of(self, body: Object | None) -> "Merchant":
        """The same account in the time of an object, which may be a test clock's."""
        clock = body.get("test_clock") or body.get("_clock") if body else None
        if clock is None or clock == self.clock:
            return self
        return replace(self, clock=clock, now=int(self.need("test_helpers.test_clock", clock)["frozen_time"]))

    def find(self, kind: str, where: str = "1", *values: Any) -> list[Object]:
        """Objects of one kind, oldest first."""
        return self.store.find(self.id, kind, where, *values)

    def _endpoints(self, event_type: str) -> list[Object]:
        owned = self.store.find(self.platform, "webhook_endpoint")
        if self.connected:
            # Those of the platform that asked for connected accounts, and what the account registered itself.
            owned = [one for one in owned if one["_connect"]] + self.store.find(self.id, "webhook_endpoint")
        else:
            owned = [one for one in owned if not one["_connect"]]
        wanted = ("*", event_type)
        return [one for one in owned if one["status"] == "enabled" and any(t in wanted for t in one["enabled_events"])]

    def _deliver(self, event: Object, endpoint: Object) -> None:
        kind = event["type"]
        due, state = self.real_now, "pending"
        if self.faults.delivery("webhook_drop", kind):
            state = "dropped"
        if delay := self.faults.delivery("webhook_delay", kind):
            due += delay.seconds
        if reorder := self.faults.delivery("webhook_reorder", kind):
            due += self.faults.dice.uniform(0, reorder.seconds)
        copies = 2 if self.faults.delivery("webhook_duplicate", kind) else 1
        sql = "INSERT INTO deliveries (account, event, owner, endpoint, due_at, state) VALUES (?, ?, ?, ?, ?, ?)"
        for _ in range(copies):
            self.store.run(sql, self.id, event["id"], endpoint["_owner"], endpoint["id"], due, state)
