"""What one client buys, and all that becomes of it: what trades of every kind have in common."""

import time
from abc import ABC, abstractmethod
from typing import Any, ClassVar
from uuid import UUID

from tests.chaos.till import Till
from tests.support.product import eventually

# A purchase: its kind and state, the states of its refunds, its documents.
Bought = tuple[str, str, tuple[str, ...], tuple[str, ...]]

_SEEN = """
SELECT u.kind, u.state,
    ARRAY(SELECT r.state FROM refunds r WHERE r.tenant_id = u.tenant_id AND r.purchase_id = u.id
        ORDER BY r.create_time, r.id) AS refunds,
    ARRAY(SELECT d.kind FROM receipts d WHERE d.tenant_id = u.tenant_id AND d.purchase_id = u.id ORDER BY d.number)
        AS documents
FROM purchases u WHERE u.tenant_id = $1 AND u.client_id = $2 ORDER BY u.create_time, u.id
"""
_UNDER_WAY = """
SELECT kind FROM jobs WHERE state IN ('queued', 'running') AND due_at <= now() AND kind = ANY (ARRAY[
    'apply_provider_event', 'fulfil_purchase', 'expire_purchase', 'settle_place', 'settle_fee', 'charge_fee',
    'make_refund', 'restore_credits', 'issue_receipt', 'end_membership', 'reconcile_merchant'])
"""
_PAYMENTS = """
SELECT p.id::text, coalesce(p.external_id, '') AS intent, u.kind, p.state FROM payments p
JOIN purchases u ON u.tenant_id = p.tenant_id AND u.id = p.purchase_id
WHERE u.tenant_id = $1 AND u.client_id = $2
"""
_REFUNDS = """
SELECT r.id::text, r.state <> 'FAILED' OR r.external_id IS NOT NULL AS sent, r.to_gift_card FROM refunds r
JOIN purchases u ON u.tenant_id = r.tenant_id AND u.id = r.purchase_id
WHERE u.tenant_id = $1 AND u.client_id = $2
"""
_PACKAGES = """
SELECT p.credits_left FROM client_packages p
JOIN package_sales s ON s.tenant_id = p.tenant_id AND s.client_package_id = p.id
WHERE p.tenant_id = $1 AND p.client_id = $2 ORDER BY s.purchase_id
"""


class Trade(ABC):
    """One client at a till. `run` ends when `end` has come about."""

    end: ClassVar[tuple[Bought, ...]]
    card = "pm_card_visa"

    def __init__(self, till: Till, key: str) -> None:
        self.till, self.key = till, key
        self.client = ""
        # When something had come about.
        self.ends: list[float] = []

    @abstractmethod
    def run(self) -> None:
        """Until all of it has come about."""

    def check(self) -> None:  # noqa: B027  # a fee has nothing more
        """What only its kind has."""

    def check_all(self) -> None:
        """Each effect at the provider came about once, and the end is still the end."""
        self.wait(*self.end)
        intents, charges, refunds = self.till.at_provider()
        for row in self.sql("payments", _PAYMENTS):
            # Those of memberships are the provider's own.
            ours = row["intent"] and row["kind"] != "MEMBERSHIP"
            assert intents[row["id"]] == bool(ours), f"{intents[row['id']]} intents"
            paid = row["intent"] and row["state"] == "SUCCEEDED"
            assert charges[row["intent"]] == bool(paid), f"{charges[row['intent']]} charges"
        for row in self.sql("payments", _REFUNDS):
            there = row["sent"] and not row["to_gift_card"]
            assert refunds[row["id"]] == bool(there), f"{refunds[row['id']]} refunds"
        self.check()

    def wait(self, *end: Bought) -> None:
        """Until it has come so far, and nothing is to be done just now."""
        eventually(lambda: self.seen() == end, within=120, what=f"{end}")
        self.reached()

    def reached(self) -> None:
        """Something has come about."""
        self.ends.append(time.monotonic())

    def seen(self) -> tuple[Bought, ...] | None:
        """As far as it has come; None while something is under way."""
        rows = self.sql("payments", _SEEN)
        if self.till.running.sql("payments", _UNDER_WAY):
            return None
        return tuple((row["kind"], row["state"], tuple(row["refunds"]), tuple(row["documents"])) for row in rows)

    def ask(self, path: str, body: Any, key: str) -> Any:
        """The desk asks below the studio, or of something named, until it has an answer."""
        below = "" if path.startswith("studios/") else f"{self.till.desk.studio}/"
        return self.till.insist(f"/v1/{below}{path}", body, self.key_of(key))

    def open_an_account(self, **facts: str) -> None:
        """The client is known from now on."""
        self.client = self.ask("clients", {"displayName": "Kim", **facts}, "client")["name"]

    def buy(self, option: str, total: int, key: str, **more: Any) -> str:
        """A purchase that is not paid yet."""
        wanted = {"client": self.client, "pricingOption": option, "totalMinor": str(total), **more}
        name: str = self.ask("purchases", wanted, key)["name"]
        return name

    def pay(self, what: str, key: str, card: str = "") -> None:
        """A purchase, or what is due of a membership."""
        self.till.pay(what, self.key_of(key), card or self.card)

    def sql(self, service: str, query: str) -> list[Any]:
        """Of this studio and client."""
        return self.till.running.sql(service, query, self.till.studio, id_of(self.client))

    def packages(self) -> list[int]:
        """What is left of each package of the client that was sold."""
        return [row["credits_left"] for row in self.sql("booking", _PACKAGES)]

    def key_of(self, key: str) -> str:
        """Its own of a request."""
        return f"{self.key}-{key}"


def id_of(name: str) -> UUID:
    """Of what is named so."""
    return UUID(name.rpartition("/")[2])
