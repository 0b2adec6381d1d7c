"""What the provider tells of one purchase, in each of the 720 orders of six events and with any of them repeated.

Orders share their beginnings, so they are not walked one by one: from each state that some of the events lead to, each
event is applied once. When all orders of the same few meet in one state, and each repeat stays in it, then by induction
every order with any repeats ends where the others end.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import combinations
from typing import Any

import asyncpg
import stripe

from powerhouse.payments.v1.purchase_service_pb2 import Purchase
from services.chassis.db.urls import database_name
from services.payments import payments, provider_events, successes
from services.payments.gateways import gateway_of
from tests.integration.payments.house import API_KEY, Shop

# Whatever an event can change.
TABLES = (
    *("merchants", "merchant_accounts", "purchases", "payments", "payment_attempts", "refunds", "disputes", "payouts"),
    *("package_credits", "ledger_accounts", "transfers", "jobs"),
)
# Made anew by each run, or a count of steps: nothing is decided by it.
NOT_STATE = {"id", "version", "create_time", "update_time", "succeed_time", "read_time", "due_at", "source"}
_INTENT = ("payment_intent.payment_failed", "payment_intent.succeeded")
Rows = dict[str, list[dict[str, Any]]]


class Books:
    """The rows of one studio, to be looked at and put back. As the administrator, whom no trigger stops."""

    def __init__(self, shop: Shop, admin: "asyncpg.Connection[Any]") -> None:
        self._shop, self._admin = shop, admin
        self._now: Rows = {}

    async def read(self) -> Rows:
        query = " UNION ALL ".join(
            f"SELECT '{table}', coalesce(jsonb_agg(to_jsonb(t) ORDER BY t::text), '[]')::text FROM {table} t"
            f" WHERE {'studio_id' if table == 'merchants' else 'tenant_id'} = $1"
            for table in TABLES
        )
        self._now = {table: json.loads(rows) for table, rows in await self._admin.fetch(query, self._shop.tenant)}
        return self._now

    async def put_back(self, then: Rows) -> None:
        for table in TABLES:
            if then[table] == self._now[table]:
                continue
            key = "studio_id" if table == "merchants" else "tenant_id"
            await self._admin.execute(f"DELETE FROM {table} WHERE {key} = $1", self._shop.tenant)
            rows = f"SELECT * FROM jsonb_populate_recordset(NULL::{table}, $1)"
            await self._admin.execute(f"INSERT INTO {table} OVERRIDING SYSTEM VALUE {rows}", json.dumps(then[table]))
        self._now = then


def state(rows: Rows) -> str:
    """Rows without what two runs never have alike."""
    return json.dumps(
        {
            table: sorted(
                json.dumps({name: value for name, value in row.items() if name not in NOT_STATE}, sort_keys=True)
                for row in listed
            )
            for table, listed in rows.items()
        }
    )


@asynccontextmanager
async def books_of(shop: Shop) -> AsyncIterator[Books]:
    url = f"{shop.payments.mesh.admin_url}/{database_name('payments')}"
    admin = await asyncpg.connect(url, server_settings={"session_replication_role": "replica"})
    try:
        yield Books(shop, admin)
    finally:
        await admin.close()


async def six_events(shop: Shop, purchase: Purchase) -> list[str]:
    """A declined try, one that succeeds, two refunds made at the provider, a dispute that is won; their ids."""
    await shop.pay(purchase, "pm_card_visa_chargeDeclined")
    await shop.pay(purchase)
    paid = next(e for e in await shop.told() if e["type"] == "payment_intent.succeeded")["data"]["object"]
    client = stripe.StripeClient(API_KEY, base_addresses={"api": shop.sandbox}, http_client=stripe.HTTPXClient())
    for amount in (4000, 2500):
        wanted: stripe.params.RefundCreateParams = {"payment_intent": paid["id"], "amount": amount}
        await client.v1.refunds.create_async(wanted, {"stripe_account": shop.account})
    about = {"account": shop.account, "charge": paid["latest_charge"], "amount": 1000}
    dispute = await shop.control("POST", "disputes", about)
    await shop.control("POST", f"disputes/{dispute['id']}", {"account": shop.account, "outcome": "won"})
    wanted_types = {
        *("payment_intent.payment_failed", "payment_intent.succeeded", "refund.created"),
        *("charge.dispute.created", "charge.dispute.closed"),
    }
    events = [event for event in await shop.told() if event["type"] in wanted_types]
    await shop.tell(events)
    return [event["id"] for event in events]


async def test_every_order_of_six_events_ends_in_one_state(shop: Shop) -> None:
    purchase = await shop.buy(await shop.add_client(), await shop.sell(), 10_000)
    events = await six_events(shop, purchase)
    assert len(events) == 6
    await shop.payments.sql("DELETE FROM jobs WHERE kind = 'apply_provider_event'")
    async with books_of(shop) as books:
        start = await books.read()
        reached: dict[frozenset[str], dict[str, Rows]] = {frozenset(): {state(start): start}}
        for told in (frozenset(some) for count in range(7) for some in combinations(events, count)):
            for before, rows in list(reached[told].items()):
                for event in events:
                    await books.put_back(rows)
                    await provider_events.apply(shop.payments.resources, shop.account, event)
                    after = await books.read()
                    if event in told:
                        assert state(after) == before, "a repeat changes something"
                    reached.setdefault(told | {event}, {})[state(after)] = after
        assert [len(states) for states in reached.values()] == [1] * 64
    # What they all end in.
    await shop.work_off()
    ended = await shop.get(purchase)
    assert (ended.state, ended.refunded_minor) == (Purchase.FULFILLED, 6500)
    assert sorted((each.succeeded, each.code) for each in ended.attempts) == [(False, "card_declined"), (True, "")]
    assert len(await shop.packages(purchase.client)) == 1
    assert await shop.violations() == {}


async def test_what_is_booked_with_others_is_what_is_booked_alone(shop: Shop) -> None:
    """A declined try before it, tax in it: as much as the plain case can have."""
    option = await shop.sell(tax_rate=await shop.tax())
    purchase = await shop.buy(await shop.add_client(), option, 11_900)
    await shop.pay(purchase, "pm_card_visa_chargeDeclined")
    await shop.pay(purchase)
    declined, paid = [event for event in await shop.told() if event["type"] in _INTENT]
    await shop.tell([declined, paid])
    await shop.payments.sql("DELETE FROM jobs WHERE kind = 'apply_provider_event'")
    resources, intent = shop.payments.resources, gateway_of(shop.payments.resources.settings).intent_of
    async with books_of(shop) as books:
        await provider_events.apply(resources, shop.account, declined["id"])
        before = await books.read()
        payload = paid["data"]["object"]
        assert await successes.book(resources.database, shop.tenant, shop.account, intent(payload))
        together = await books.read()
        await books.put_back(before)
        async with resources.database.transaction(shop.tenant) as tx:
            assert await payments.apply(tx, shop.account, intent(payload))
        alone = await books.read()
    assert state(together) == state(alone) != state(before)
    for table in ("purchases", "payments"):
        assert [row["version"] for row in together[table]] == [row["version"] for row in alone[table]]
    assert {row["source"] for row in together["transfers"]} == {row["source"] for row in alone["transfers"]}
    await shop.work_off()
    assert (await shop.get(purchase)).state == Purchase.FULFILLED
    assert await shop.violations() == {}
