"""What the provider tells: stored first, answered, applied by a job. Its id of an event tells a repeat."""

import json
from collections.abc import Sequence
from datetime import timedelta
from functools import cache

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
)
from services.payments.gateways import gateway_of, memberships_of
from services.payments.models import ProviderEvent
from services.payments.providers.card_gateway import BadSignature, Told

PROVIDER = "stripe"
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
    async with resources.database.transaction() as tx:
        event = await tx.session.get(ProviderEvent, (PROVIDER, external_account, external_id))
        studio = await merchants.studio_of(tx, external_account)
    if event is None or studio is None:
        return False
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
    try:
        intent = gateway.intent_of(event.payload)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable from error
    async with resources.database.transaction(studio) as tx:
        ours = await payments.apply(tx, external_account, intent)
        await _applied(tx, event)
    crashpoint("payments_after_apply")
    return ours


async def forget_old(tx: UnitOfWork) -> None:
    """What came long ago is not needed any more: the provider lists 30 days."""
    await tx.session.execute(delete(ProviderEvent).where(ProviderEvent.receive_time < real_now() - KEPT))


async def _applied(tx: UnitOfWork, event: ProviderEvent) -> None:
    await tx.session.execute(
        update(ProviderEvent)
        .where(
            ProviderEvent.provider == event.provider,
            ProviderEvent.external_account == event.external_account,
            ProviderEvent.external_id == event.external_id,
        )
        .values(apply_time=real_now())
    )
