"""Reconciling one merchant: what no webhook brought is found in the provider's lists; what differs is reported."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, update

from powerhouse.payments.v1.reconciliation_service_pb2 import Reconciliation as Message
from services.chassis.resources import Resources
from services.chassis.telemetry import current_traceparent, logger
from services.payments import membership_payments, payments, provider_events, reconciliations, refunding
from services.payments.gateways import gateway_of
from services.payments.models import BalanceTransaction, Merchant
from services.payments.providers.card_gateway import BalanceLine, Refused, Told

log = logger(__name__)

JOB = "reconcile_merchant"
KINDS = [kind.name for kind in Message.Difference.Kind.DESCRIPTOR.values if kind.number]
# Lists are read again so far back: what was made last need not be listed first.
_OVERLAP = timedelta(hours=1)
_BEGINNING = datetime(2011, 1, 1, tzinfo=UTC)
_AT_ONCE = 100


async def reconcile(work: Resources, studio: UUID, external_account: str) -> None:
    """Raises ProviderError; what was done until then stays done."""
    found = await _list_events(work, external_account)
    await _list_lines(work, studio, external_account)
    async with work.database.transaction(studio) as tx:
        unmatched = await reconciliations.unmatched(tx)
    for kind, source in unmatched:
        await _repair(work, studio, external_account, kind, source)
    async with work.database.transaction(studio) as tx:
        compared = await reconciliations.compare(tx, found)
    if compared.differences or compared.difference_minor:
        log.error("books_differ", studio=str(studio), count=len(compared.differences))


async def _list_events(work: Resources, external_account: str) -> int:
    """Stores what was told and did not come; how much that was."""
    async with work.database.transaction() as tx:
        mine = select(Merchant.events_until).where(Merchant.external_account == external_account)
        until = await tx.session.scalar(mine) or _BEGINNING
    found, latest, read = 0, until, list[tuple[Told, str | None]]()
    async for told in gateway_of(work.settings).events(external_account, until - _OVERLAP):
        read.append((told, current_traceparent()))
        latest = max(latest, told.create_time)
        if len(read) == _AT_ONCE:
            found += await provider_events.store(work.database, read, "LISTED")
            read.clear()
    if read:
        found += await provider_events.store(work.database, read, "LISTED")
    async with work.database.transaction() as tx:
        # Only now: a list that broke off is read again from where it began.
        done = update(Merchant).where(Merchant.external_account == external_account).values(events_until=latest)
        await tx.session.execute(done)
    return found


async def _list_lines(work: Resources, studio: UUID, external_account: str) -> None:
    async with work.database.transaction(studio) as tx:
        newest = select(func.max(BalanceTransaction.create_time)).where(BalanceTransaction.tenant_id == studio)
        since = (await tx.session.scalar(newest) or _BEGINNING) - _OVERLAP
    # All of them before any is written: the newest come first, and the newest written says where to go on.
    lines: list[BalanceLine] = []
    async for line in gateway_of(work.settings).balance_lines(external_account, since):
        lines.append(line)
    lines.reverse()
    for first in range(0, len(lines), _AT_ONCE):
        async with work.database.transaction(studio) as tx:
            await reconciliations.note(tx, lines[first : first + _AT_ONCE])


async def _repair(work: Resources, studio: UUID, external_account: str, kind: str, source: str) -> None:
    """Takes over what a line is of, as if a webhook had told. What is not ours stays a difference."""
    gateway = gateway_of(work.settings)
    try:
        if kind == "REFUND_UNKNOWN":
            await refunding.take_over(work, studio, external_account, source)
        elif intent_id := await gateway.intent_of_charge(external_account, source):
            intent = await gateway.get_intent(external_account, intent_id)
            async with work.database.transaction(studio) as tx:
                ours = await payments.apply(tx, external_account, intent)
            if not ours:
                await membership_payments.take_over_intent(work, studio, external_account, intent_id)
    except (Refused, payments.Mismatch) as error:
        log.warning("not_repaired", studio=str(studio), kind=kind, error=type(error).__name__)
