"""A front desk that sells and gives back, and repeats until it has an answer; and what the provider made of it."""

import json
import sqlite3
import time
from collections import Counter
from contextlib import closing
from functools import cached_property
from typing import Any
from uuid import UUID

import httpx

from services.payments.invariants import INVARIANTS
from services.payments.providers.stripe_calls import REFERENCE
from tests.support.product import Product, eventually

# As the tick does every ten minutes.
_RECONCILE = (
    "INSERT INTO jobs (id, kind, dedup_key, args, due_at) SELECT gen_random_uuid(), 'reconcile_merchant',"
    " gen_random_uuid()::text, jsonb_build_object('account', external_account, 'studio', studio_id), now()"
    " FROM merchants WHERE studio_id = $1"
)

_MERCHANT = "SELECT external_account FROM merchants WHERE studio_id = $1"


class Till:
    """The front desk of the demo studio. `run` tells its keys from those of other runs."""

    def __init__(self, running: Product, run: str) -> None:
        self.running, self.run, self.desk = running, run, running.sign_in("owner")
        self.stripe = f"http://127.0.0.1:{running.facts['ports']['stripe']}"
        self.studio = UUID(self.desk.studio.rpartition("/")[2])
        [merchant] = running.sql("payments", _MERCHANT, self.studio)
        self.account: str = merchant["external_account"]
        self._rule: dict[str, Any] = {}

    @cached_property
    def option(self) -> str:
        """What `buy` buys."""
        return self.sell()

    def a_class(self) -> str:
        """One that has places."""
        page = self.desk.get(f"/v1/{self.desk.studio}/bookableSessions", pageSize="200")
        found = [session["classSession"] for session in page["bookableSessions"] if session["availability"] == "OPEN"]
        name: str = found[-1]
        return name

    def rule(self, **rule: Any) -> None:
        """The studio's rules of cancelling from now on."""
        if rule != self._rule:
            self.desk.patch(f"/v1/{self.desk.studio}/bookingPolicy?updateMask={','.join(rule)}", rule)
            self._rule = rule

    def sell(self, **terms: Any) -> str:
        """Something for sale: nine credits for 90.00, unless `terms` say otherwise."""
        terms = {"displayName": "Chaos", **(terms or {"priceMinor": "9000", "credits": 9})}
        option: str = self.desk.post(f"/v1/{self.desk.studio}/pricingOptions", terms)["name"]
        return option

    def buy(self, client: str, option: str, key: str) -> str:
        """A purchase of what `sell` sells."""
        wanted = {"client": client, "pricingOption": option, "totalMinor": "9000"}
        name: str = self.insist(f"/v1/{self.desk.studio}/purchases", wanted, key)["name"]
        return name

    def pay(self, purchase: str, key: str, *cards: str) -> None:
        """Pays as the browser does, with one card after the other."""
        session = self.insist(f"/v1/{purchase}:pay", {}, key)
        for card in cards:
            self.confirm(session, card)

    def confirm(self, session: dict[str, Any], card: str) -> None:
        """What the browser does with a session: the client's bank is asked where it wants that."""
        secret, headers = session["clientSecret"], {"Authorization": f"Bearer {session['publishableKey']}"}
        kind = "setup_intents" if secret.startswith("seti_") else "payment_intents"
        answer = httpx.post(
            f"{self.stripe}/v1/{kind}/{secret.partition('_secret_')[0]}/confirm",
            data={"client_secret": secret, "payment_method": card, "return_url": self.running.url},
            headers=headers | {"Stripe-Account": session["externalAccount"]},
        )
        if answer.json().get("status") == "requires_action":
            path = f"{self.stripe}/elements/authenticate/{secret}"
            httpx.post(path, json={"outcome": "succeed"}).raise_for_status()

    def give_back(self, purchase: str, key: str, *, refused_is_fine: bool = False) -> str:
        """A refund of a third of it, or nothing when that is refused."""
        asked = {"purchase": purchase, "amountMinor": "3000", "creditsRevoked": 3, "reason": "chaos"}
        path = f"/v1/{self.desk.studio}/refunds"
        name: str = self.insist(path, asked, key, refused_is_fine=refused_is_fine).get("name", "")
        return name

    def insist(self, path: str, body: Any, key: str, *, refused_is_fine: bool = False) -> dict[str, Any]:
        """Asks with the same key until there is an answer."""
        # An error of the provider's own is answered to the same key again, and a key is in use for a minute.
        for _ in range(300):
            answer = self.desk.attempt("POST", path, body, f"chaos-{self.run}-{key}")
            if answer is not None and answer.status_code == 200:
                told: dict[str, Any] = answer.json()
                return told
            if answer is not None and answer.status_code == 400 and refused_is_fine:
                return {}
            time.sleep(0.5)
        raise AssertionError(f"no answer: {path} {answer and answer.text}")

    def set_faults(self, faults: dict[str, Any]) -> None:
        """What goes wrong at the provider from now on."""
        httpx.put(f"{self.stripe}/sandbox/faults", json=faults).raise_for_status()

    def let_pass(self, what: str, days: int) -> None:
        """What is to happen to something at the provider within so many days happens now."""
        httpx.post(f"{self.stripe}/sandbox/timers", json={"within": days * 86400, "id": what}).raise_for_status()

    def reconcile(self) -> None:
        """Has the ledger compared with the provider's account, of which no line is still to come."""
        httpx.post(f"{self.stripe}/sandbox/timers", json={"within": 2}).raise_for_status()
        self.running.sql("payments", _RECONCILE, self.studio)

    def wait_until_the_books_agree(self) -> None:
        """To the cent, and no invariant is hurt."""

        def agreed() -> bool:
            self.reconcile()
            time.sleep(1)
            read = self.desk.get(f"/v1/{self.desk.studio}/reconciliation")
            return read["differenceMinor"] == "0" and not read["differences"]

        eventually(agreed, within=60, what="ledger and provider agree to the cent")
        for name, query in INVARIANTS.items():
            assert self.running.sql("payments", query.replace(":tenant", "$1"), self.studio) == [], name

    def at_provider(self) -> tuple[Counter[str], Counter[str], Counter[str]]:
        """Intents by our payments, charges that succeeded by their intents, refunds of ours by our ids."""
        intents, charges, refunds = (self.objects(kind) for kind in ("payment_intent", "charge", "refund"))
        return (
            Counter(intent["metadata"][REFERENCE] for intent in intents if REFERENCE in intent["metadata"]),
            Counter(charge["payment_intent"] for charge in charges if charge["status"] == "succeeded"),
            Counter(refund["metadata"][REFERENCE] for refund in refunds),
        )

    def deliveries_under_way(self) -> int:
        """Webhooks that the provider still wants to bring."""
        return int(self._provider("SELECT count(*) FROM deliveries WHERE state IN ('pending', 'sending')")[0][0])

    def objects(self, kind: str) -> list[dict[str, Any]]:
        """What of a kind the provider has made for the studio."""
        made = "SELECT body FROM objects WHERE account = ? AND kind = ?"
        return [json.loads(body) for (body,) in self._provider(made, self.account, kind)]

    def _provider(self, query: str, *values: str) -> list[Any]:
        with closing(sqlite3.connect(f"file:{self.running.var}/stripe/stripe.sqlite?mode=ro", uri=True)) as database:
            return database.execute(query, values).fetchall()
