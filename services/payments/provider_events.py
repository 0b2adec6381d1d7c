"""What the provider tells: stored first, answered, applied by a job. Its id of an event tells a repeat."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import delete

from services.chassis.clock import real_now
from services.chassis.crashpoints import crashpoint
from services.chassis.db.batches import Batches
from services.chassis.db.database import Database
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import PermissionDenied
from services.chassis.ids import new_id
from services.chassis.resources import Resources
from services.chassis.telemetry import current_traceparent
from services.payments import (
    cards,
    disputes,
    membership_cards,
    membership_payments,
    merchants,
    payments,
    payouts,
    refunding,
    successes,
)
from services.payments.gateways import PROVIDER, gateway_of, memberships_of
from services.payments.models import ProviderEvent
from services.payments.providers.card_gateway import BadSignature, Intent, Told

APPLY_JOB = "apply_provider_event"
KEPT = timedelta(days=35)
_INTENT = ("payment_intent.succeeded", "payment_intent.payment_failed", "payment_intent.canceled")

# What was told before is not stored, and no job is made for it. The same twice in one batch is stored once too.
_STORE = """
WITH told AS (
    SELECT * FROM unnest($6::text[], $7::text[], $8::text[], $9::text[], $10::uuid[], $11::text[])
        AS r (account, event, type, payload, job, traceparent)
), stored AS (
    INSERT INTO provider_events (provider, external_account, external_id, type, payload, source, receive_time)
    SELECT $1, account, event, type, payload::jsonb, $5, $3 FROM told ORDER BY account, event
    ON CONFLICT DO NOTHING RETURNING external_account, external_id
)
INSERT INTO jobs (id, kind, dedup_key, args, due_at, traceparent)
SELECT t.job, $2, t.account || ' ' || t.event, jsonb_build_object('account', t.account, 'event', t.event), $4,
    t.traceparent
FROM told t JOIN stored s ON (s.external_account, s.external_id) = (t.account, t.event)
ON CONFLICT DO NOTHING RETURNING id
"""
_READ = """
SELECT e.type, e.payload, m.studio_id
FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS r (account, event, position)
LEFT JOIN provider_events e ON e.provider = $1 AND e.external_account = r.account AND e.external_id = r.event
LEFT JOIN merchants m ON m.external_account = r.account
ORDER BY r.position
"""
# What is not applied together with others: so many at a time in a process.
_ALONE = 16


@dataclass(frozen=True)
class _Event:
    """What is stored of an event, and whose it is."""

    external_account: str
    external_id: str
    type: str
    payload: dict[str, Any]
    studio: UUID


class Unreadable(Exception):
    """The provider told of a payment in words that are none of a payment: another API version, another currency."""


async def receive(resources: Resources, body: bytes, signature: str) -> None:
    """Stores what a webhook brought. Raises PermissionDenied/SIGNATURE_INVALID."""
    try:
        told = gateway_of(resources.settings).verify(body, signature)
    except BadSignature:
        raise PermissionDenied("this was not signed by the provider, or not now", reason="SIGNATURE_INVALID") from None
    await _intake_of(resources.database).ask((told, current_traceparent()))


async def store(database: Database, told: Sequence[tuple[Told, str | None]], source: str) -> int:
    """Keeps events, each with its trace, and makes the jobs that apply them; how many of them are new."""
    rows = [
        (each.external_account, each.external_id, each.type, json.dumps(each.payload), new_id(), traceparent)
        for each, traceparent in told
    ]
    columns = map(list, zip(*rows, strict=True))
    return len(await database.queue(_STORE, PROVIDER, APPLY_JOB, real_now(), database.clock.now(), source, *columns))


@cache
def _intake_of(database: Database) -> Batches[tuple[Told, str | None], None]:
    """What is told at the same moment is stored in one statement and one commit."""

    async def store_all(batch: Sequence[tuple[Told, str | None]]) -> Sequence[None]:
        await store(database, batch, "WEBHOOK")
        return [None] * len(batch)

    return Batches(store_all, lambda _: ())


async def apply(resources: Resources, external_account: str, external_id: str) -> bool:
    """Does what an event says. False when it concerns nothing here: it is kept, and that is all.

    Raises payments.Mismatch, Unreadable.
    """
    event = await _stored_of(resources.database).ask((external_account, external_id))
    if event is None:
        return False
    if event.type in _INTENT:
        told = _intent_of(resources, event)
        if await successes.book(resources.database, event.studio, external_account, told):
            crashpoint("payments_after_apply")
            return True
    async with _alone_of(resources.database):
        return await _apply_alone(resources, event)


@cache
def _stored_of(database: Database) -> Batches[tuple[str, str], _Event | None]:
    """What is applied at the same moment is read in one statement. None for what is nobody's here."""

    async def read_all(batch: Sequence[tuple[str, str]]) -> Sequence[_Event | None]:
        accounts, events = map(list, zip(*batch, strict=True))
        rows = await database.queue(_READ, PROVIDER, accounts, events)
        return [
            _Event(*told, row["type"], json.loads(row["payload"]), row["studio_id"])
            if row["type"] and row["studio_id"]
            else None
            for told, row in zip(batch, rows, strict=True)
        ]

    return Batches(read_all, lambda _: ())


@cache
def _alone_of(_: Database) -> asyncio.Semaphore:
    return asyncio.Semaphore(_ALONE)


async def _apply_alone(resources: Resources, event: _Event) -> bool:
    handle = next((handler for prefix, handler in _HANDLERS.items() if event.type.startswith(prefix)), None)
    if handle is None:
        return False
    ours = await handle(resources, event)
    crashpoint("payments_after_apply")
    return ours


# What an event names is asked for, not believed: what is told last need not be the latest.


async def _describe_account(resources: Resources, event: _Event) -> bool:
    read_time = real_now()
    account = await gateway_of(resources.settings).get_account(event.external_account)
    async with resources.database.transaction(event.studio) as tx:
        await merchants.describe(tx, account, read_time)
    return True


async def _describe_dispute(resources: Resources, event: _Event) -> bool:
    read_time = real_now()
    dispute = await gateway_of(resources.settings).get_dispute(event.external_account, event.payload["id"])
    async with resources.database.transaction(event.studio) as tx:
        await disputes.describe(tx, event.external_account, dispute, read_time)
    return True


async def _describe_payout(resources: Resources, event: _Event) -> bool:
    read_time = real_now()
    payout = await gateway_of(resources.settings).get_payout(event.external_account, event.payload["id"])
    async with resources.database.transaction(event.studio) as tx:
        await payouts.describe(tx, payout, read_time)
    return True


async def _take_over_refund(resources: Resources, event: _Event) -> bool:
    return await refunding.take_over(resources, event.studio, event.external_account, event.payload["id"])


async def _take_over_membership(resources: Resources, event: _Event) -> bool:
    subscription, invoice = memberships_of(resources.settings).subscription_in(event.type, event.payload)
    if not subscription:
        return False
    return await membership_payments.take_over(resources, event.studio, event.external_account, subscription, invoice)


async def _save_card(resources: Resources, event: _Event) -> bool:
    customer, card, old = gateway_of(resources.settings).card_of(event.payload)
    if old:
        await membership_cards.replaced(resources, event.studio, customer, card, old)
    if membership := memberships_of(resources.settings).setup_in(event.payload):
        await membership_cards.saved(resources, event.studio, UUID(membership), card)
    return await cards.saved(resources, event.studio, event.external_account, customer, card, old)


async def _describe_card(resources: Resources, event: _Event) -> bool:
    return await membership_cards.described(resources, event.studio, event.payload["id"])


async def _take_over_intent(resources: Resources, event: _Event) -> bool:
    async with resources.database.transaction(event.studio) as tx:
        payment = await payments.apply(tx, event.external_account, _intent_of(resources, event))
        undecided = payment is not None and payment.processing and payment.state == "OPEN"
    return await _describe_intent(resources, event) if undecided else payment is not None


async def _describe_intent(resources: Resources, event: _Event) -> bool:
    read_time = real_now()
    intent = await gateway_of(resources.settings).get_intent(event.external_account, event.payload["id"])
    async with resources.database.transaction(event.studio) as tx:
        return await payments.apply(tx, event.external_account, intent, read_time) is not None


# By the beginning of its type. Whatever else there is concerns nothing here.
_HANDLERS: dict[str, Callable[[Resources, _Event], Awaitable[bool]]] = {
    "account.updated": _describe_account,
    "charge.dispute.": _describe_dispute,
    "payout.": _describe_payout,
    "refund.": _take_over_refund,
    "customer.subscription.": _take_over_membership,
    "invoice.": _take_over_membership,
    "payment_method.attached": _save_card,
    "payment_method.": _describe_card,
    "setup_intent.succeeded": _save_card,
    "payment_intent.processing": _describe_intent,
    **dict.fromkeys(_INTENT, _take_over_intent),
}


def _intent_of(resources: Resources, event: _Event) -> Intent:
    try:
        return gateway_of(resources.settings).intent_of(event.payload)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable from error


async def forget_old(tx: UnitOfWork) -> None:
    """What came long ago is not needed any more: the provider lists 30 days."""
    await tx.session.execute(delete(ProviderEvent).where(ProviderEvent.receive_time < real_now() - KEPT))
