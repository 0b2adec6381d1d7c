"""What the provider tells: stored first, answered, applied by a job. Its id of an event tells a repeat."""

from datetime import timedelta

from sqlalchemy import delete, update
from sqlalchemy.dialects.postgresql import insert

from services.chassis.clock import real_now
from services.chassis.crashpoints import crashpoint
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import PermissionDenied
from services.chassis.resources import Resources
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


async def receive(resources: Resources, body: bytes, signature: str) -> None:
    """Stores what a webhook brought. Raises PermissionDenied/SIGNATURE_INVALID."""
    try:
        told = gateway_of(resources.settings).verify(body, signature)
    except BadSignature:
        raise PermissionDenied("this was not signed by the provider, or not now", reason="SIGNATURE_INVALID") from None
    async with resources.database.transaction() as tx:
        await store(tx, told, "WEBHOOK")


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

    Raises payments.Mismatch.
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
    async with resources.database.transaction(studio) as tx:
        ours = await payments.apply(tx, external_account, gateway.intent_of(event.payload))
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
