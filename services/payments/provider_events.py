"""What the provider tells: stored first, answered, applied by a job. Its id of an event tells a repeat."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import delete, update
from sqlalchemy.dialects.postgresql import insert

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
_CARD = ("payment_method.attached", "setup_intent.succeeded")

# What was told before is not stored, and no job is made for it. The same twice in one batch is stored once too.
_STORE = """
WITH told AS (
    SELECT * FROM unnest($5::text[], $6::text[], $7::text[], $8::text[], $9::uuid[], $10::text[])
        AS r (account, event, type, payload, job, traceparent)
), stored AS (
    INSERT INTO provider_events (provider, external_account, external_id, type, payload, source, receive_time)
    SELECT $1, account, event, type, payload::jsonb, 'WEBHOOK', $3 FROM told ORDER BY account, event
    ON CONFLICT DO NOTHING RETURNING external_account, external_id
)
INSERT INTO jobs (id, kind, dedup_key, args, due_at, traceparent)
SELECT t.job, $2, t.account || ' ' || t.event, jsonb_build_object('account', t.account, 'event', t.event), $4,
    t.traceparent
FROM told t JOIN stored s ON (s.external_account, s.external_id) = (t.account, t.event)
ON CONFLICT DO NOTHING
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


@cache
def _intake_of(database: Database) -> Batches[tuple[Told, str | None], None]:
    """What is told at the same moment is stored in one statement and one commit."""

    async def store_all(batch: Sequence[tuple[Told, str | None]]) -> Sequence[None]:
        rows = [
            (each.external_account, each.external_id, each.type, json.dumps(each.payload), new_id(), traceparent)
            for each, traceparent in batch
        ]
        columns = map(list, zip(*rows, strict=True))
        await database.queue(_STORE, PROVIDER, APPLY_JOB, real_now(), database.clock.now(), *columns)
        return [None] * len(batch)

    return Batches(store_all, lambda _: ())


async def store(tx: UnitOfWork, told: Told, source: str) -> bool:
    """Keeps an event and makes the job that applies it; False when it is known."""
    row = insert(ProviderEvent).values(
        provider=PROVIDER,
        external_account=told.external_account,
        external_id=told.external_id,
        type=told.type,
        payload=told.payload,
        source=source,
        receive_time=real_now(),
    )
    keys = ["provider", "external_account", "external_id"]
    new = await tx.session.scalar(row.on_conflict_do_nothing(index_elements=keys).returning(ProviderEvent.external_id))
    if new is None:
        return False
    args = {"account": told.external_account, "event": told.external_id}
    await tx.enqueue(APPLY_JOB, f"{told.external_account} {told.external_id}", args=args)
    return True


async def apply(resources: Resources, external_account: str, external_id: str) -> bool:
    """Does what an event says. False when it concerns nothing here: it is kept, and that is all.

    Raises payments.Mismatch, Unreadable.
    """
    event = await _stored_of(resources.database).ask((external_account, external_id))
    if event is None:
        return False
    if event.type in _INTENT:
        told = (event.studio, external_account, external_id, _intent_of(resources, event))
        if await successes.book(resources.database, *told):
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
    studio, external_account = event.studio, event.external_account
    gateway, read_time = gateway_of(resources.settings), real_now()
    if event.type == "account.updated":
        # Not as it was told: what is told last need not be the latest.
        account = await gateway.get_account(external_account)
        async with resources.database.transaction(studio) as tx:
            await merchants.describe(tx, account, read_time)
            await _applied(tx, event)
        return True
    if event.type.startswith("refund."):
        ours = await refunding.take_over(resources, studio, external_account, event.payload["id"])
        async with resources.database.transaction() as tx:
            await _applied(tx, event)
        return ours
    if event.type.startswith("charge.dispute."):
        dispute = await gateway.get_dispute(external_account, event.payload["id"])
        async with resources.database.transaction(studio) as tx:
            await disputes.describe(tx, external_account, dispute, read_time)
            await _applied(tx, event)
        return True
    if event.type.startswith("payout."):
        payout = await gateway.get_payout(external_account, event.payload["id"])
        async with resources.database.transaction(studio) as tx:
            await payouts.describe(tx, payout, read_time)
            await _applied(tx, event)
        return True
    subscription, invoice = memberships_of(resources.settings).subscription_in(event.type, event.payload)
    if subscription:
        ours = await membership_payments.take_over(resources, studio, external_account, subscription, invoice)
        async with resources.database.transaction() as tx:
            await _applied(tx, event)
        return ours
    if event.type in _CARD:
        customer, card, old = gateway.card_of(event.payload)
        if old:
            await membership_cards.replaced(resources, studio, customer, card, old)
        ours = await cards.saved(resources, studio, external_account, customer, card, old)
        async with resources.database.transaction() as tx:
            await _applied(tx, event)
        return ours
    if event.type not in _INTENT:
        return False
    async with resources.database.transaction(studio) as tx:
        ours = await payments.apply(tx, external_account, _intent_of(resources, event))
        await _applied(tx, event)
    crashpoint("payments_after_apply")
    return ours


def _intent_of(resources: Resources, event: _Event) -> Intent:
    try:
        return gateway_of(resources.settings).intent_of(event.payload)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable from error


async def forget_old(tx: UnitOfWork) -> None:
    """What came long ago is not needed any more: the provider lists 30 days."""
    await tx.session.execute(delete(ProviderEvent).where(ProviderEvent.receive_time < real_now() - KEPT))


async def _applied(tx: UnitOfWork, event: _Event) -> None:
    await tx.session.execute(
        update(ProviderEvent)
        .where(
            ProviderEvent.provider == PROVIDER,
            ProviderEvent.external_account == event.external_account,
            ProviderEvent.external_id == event.external_id,
        )
        .values(apply_time=real_now())
    )
