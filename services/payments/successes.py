"""Payments that have succeeded, as many at once as the provider tells of at once.

What `payments.apply` does for one intent, in five statements for all of them: for the plain case that nearly all are,
an open payment that is known by the provider's id and came in whole, without a gift card. The rest is left to
`payments.apply`. The locks are the same in the same order: the purchases, then their payments, each by their ids.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import text

from services.chassis.db.batches import Batches
from services.chassis.db.database import Database
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import new_id
from services.chassis.telemetry import current_traceparent
from services.payments import ledger, purchases, receipts
from services.payments.ledger import Move, Posting
from services.payments.providers.card_gateway import Intent


@dataclass(frozen=True)
class _Success:
    """An intent of a studio, as an event told of it."""

    tenant: UUID
    external_account: str
    intent: Intent
    charge: str
    traceparent: str | None


@dataclass(frozen=True)
class _Sold:
    """What it is the money for, under its locks."""

    success: _Success
    purchase_id: UUID
    payment_id: UUID
    amount_minor: int
    tax_minor: int


async def book(database: Database, tenant: UUID, external_account: str, intent: Intent) -> bool:
    """True when the payment is booked; False when `payments.apply` is to see to it."""
    if intent.status != "succeeded" or intent.charge is None or not intent.charge.external_id:
        return False
    told = _Success(tenant, external_account, intent, intent.charge.external_id, current_traceparent())
    return await _bookings_of(database).ask(told)


@cache
def _bookings_of(database: Database) -> Batches[_Success, bool]:
    async def book_all(batch: Sequence[_Success]) -> Sequence[bool]:
        async with database.transaction(*{each.tenant for each in batch}) as tx:
            sold = await _lock(tx, batch)
            if sold:
                await ledger.post_all(tx, map(_posting, sold))
                await tx.session.execute(_BOOK, _columns(tx, sold))
        booked = {id(each.success) for each in sold}
        return [id(each) in booked for each in batch]

    # Of two events of one intent the second finds what the first has done.
    return Batches(book_all, lambda told: [(told.external_account, told.intent.external_id)])


async def _lock(tx: UnitOfWork, batch: Sequence[_Success]) -> list[_Sold]:
    """Those of the plain case."""
    told = {
        "tenants": [each.tenant for each in batch],
        "accounts": [each.external_account for each in batch],
        "intents": [each.intent.external_id for each in batch],
    }
    open_purchases = (await tx.session.execute(_LOCK_PURCHASES, told)).all()
    locked = {"tenants": [row.tenant_id for row in open_purchases], "purchases": [row.id for row in open_purchases]}
    payments = {row.purchase_id: row for row in await tx.session.execute(_LOCK_PAYMENTS, locked)}
    sold = []
    for row in open_purchases:
        success, payment = batch[row.position - 1], payments.get(row.id)
        came_in = (success.intent.received_minor, success.intent.currency_code)
        if payment is not None and came_in == (payment.amount_minor, payment.currency_code):
            sold.append(_Sold(success, row.id, payment.id, payment.amount_minor, row.tax_minor))
    return sold


def _posting(sold: _Sold) -> Posting:
    deferred = Move(ledger.PROVIDER, ledger.DEFERRED, sold.amount_minor - sold.tax_minor, "sold", sold.purchase_id)
    taxed = Move(ledger.PROVIDER, ledger.TAX, sold.tax_minor, "taxed")
    source, currency = f"payment {sold.payment_id}", sold.success.intent.currency_code
    return Posting(sold.success.tenant, source, currency, (deferred, taxed))


def _columns(tx: UnitOfWork, sold: Sequence[_Sold]) -> dict[str, Any]:
    return {
        "now": tx.now(),
        "fulfil": purchases.FULFIL_JOB,
        "issue": receipts.ISSUE_JOB,
        "receipt": receipts.RECEIPT,
        "tenants": [each.success.tenant for each in sold],
        "purchases": [each.purchase_id for each in sold],
        "payments": [each.payment_id for each in sold],
        "charges": [each.success.charge for each in sold],
        "traces": [each.success.traceparent for each in sold],
        **{ids: [new_id() for _ in sold] for ids in ("attempt_ids", "fulfil_ids", "issue_ids")},
    }


# A purchase that is not open any more, or that a gift card pays a part of, is none of the plain case.
_LOCK_PURCHASES = text("""
SELECT told.position, u.tenant_id, u.id, u.tax_minor
FROM unnest(CAST(:tenants AS uuid[]), CAST(:accounts AS text[]), CAST(:intents AS text[]))
    WITH ORDINALITY AS told (tenant_id, account, intent, position)
JOIN payments p ON p.tenant_id = told.tenant_id AND p.external_account = told.account AND p.external_id = told.intent
JOIN purchases u ON u.tenant_id = p.tenant_id AND u.id = p.purchase_id
WHERE u.state = 'OPEN' AND u.gift_minor = 0
ORDER BY u.tenant_id, u.id FOR UPDATE OF u
""")
# Read after the purchases are locked: what another did to them before is seen.
_LOCK_PAYMENTS = text("""
SELECT p.purchase_id, p.id, p.amount_minor, p.currency_code
FROM unnest(CAST(:tenants AS uuid[]), CAST(:purchases AS uuid[])) AS locked (tenant_id, purchase_id)
JOIN payments p ON p.tenant_id = locked.tenant_id AND p.purchase_id = locked.purchase_id
WHERE p.state = 'OPEN' AND p.gift_minor = 0
ORDER BY p.tenant_id, p.purchase_id FOR UPDATE OF p
""")
# The rows of both jobs are those of `purchases.paid` and `receipts.order`.
_BOOK = text("""
WITH sold AS (
    SELECT * FROM unnest(
        CAST(:tenants AS uuid[]), CAST(:purchases AS uuid[]), CAST(:payments AS uuid[]), CAST(:charges AS text[]),
        CAST(:traces AS text[]),
        CAST(:attempt_ids AS uuid[]), CAST(:fulfil_ids AS uuid[]), CAST(:issue_ids AS uuid[])
    ) AS r (tenant_id, purchase_id, payment_id, charge, trace, attempt_id, fulfil_id, issue_id)
), tried AS (
    INSERT INTO payment_attempts
        (tenant_id, id, payment_id, external_id, succeeded, code, decline_code, create_time)
    SELECT tenant_id, attempt_id, payment_id, charge, true, '', '', CAST(:now AS timestamptz) FROM sold
    ON CONFLICT (tenant_id, payment_id, external_id) DO NOTHING
), succeeded AS (
    UPDATE payments p SET state = 'SUCCEEDED', charge_id = sold.charge, succeed_time = CAST(:now AS timestamptz),
        version = p.version + 1, update_time = CAST(:now AS timestamptz)
    FROM sold WHERE p.tenant_id = sold.tenant_id AND p.id = sold.payment_id
), paid AS (
    UPDATE purchases u SET state = 'PAID', version = u.version + 1, update_time = CAST(:now AS timestamptz)
    FROM sold WHERE u.tenant_id = sold.tenant_id AND u.id = sold.purchase_id
)
INSERT INTO jobs (id, tenant_id, kind, dedup_key, args, due_at, traceparent)
SELECT fulfil_id, tenant_id, CAST(:fulfil AS text), purchase_id::text, jsonb_build_object('purchase', purchase_id),
    CAST(:now AS timestamptz), trace
FROM sold
UNION ALL
SELECT issue_id, tenant_id, CAST(:issue AS text), CAST(:receipt AS text) || ' ' || purchase_id,
    jsonb_build_object('kind', CAST(:receipt AS text), 'purchase', purchase_id, 'refund', ''),
    CAST(:now AS timestamptz), trace
FROM sold
ON CONFLICT (kind, dedup_key) DO NOTHING
""")
