"""Comparing the ledger with the provider's account, line by line: each charge and refund there is one here."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert

from services.chassis.db.unit_of_work import UnitOfWork
from services.payments import ledger, merchants
from services.payments.ledger import Move
from services.payments.models import BalanceTransaction, Reconciliation
from services.payments.providers.card_gateway import BalanceLine

# What moves with its line alone. Charges and refunds are posted when they succeed, with their parts.
_POSTED = {
    "payout": (ledger.BANK, "paid_out"),
    "payout_reversal": (ledger.BANK, "payout_returned"),
    "dispute": (ledger.DISPUTES, "disputed"),
    "dispute_reversal": (ledger.DISPUTES, "dispute_won"),
    "fee": (ledger.PROVIDER_FEES, "provider_fee"),
}
_OF_PURCHASES = ("charge", "refund", "refund_failure", "partial_capture_reversal")
# What is so new that it may still be on its way is not missing.
_GRACE = timedelta(hours=1)
_SHOWN = 100

# [kind, subject, amount] of all that does not agree. A refund that failed after all has two lines, which add up to 0.
_DIFFERENCES = text("""
    SELECT 'CHARGE_UNKNOWN' AS kind, b.source AS subject, b.amount_minor AS amount FROM balance_transactions b
    WHERE b.tenant_id = :tenant AND b.category = 'charge' AND NOT EXISTS (
        SELECT FROM payments p WHERE p.tenant_id = b.tenant_id AND p.charge_id = b.source AND p.state = 'SUCCEEDED')
    UNION ALL
    SELECT 'CHARGE_MISSING', 'studios/' || p.tenant_id || '/purchases/' || p.purchase_id,
        p.amount_minor - p.gift_minor
    FROM payments p
    WHERE p.tenant_id = :tenant AND p.amount_minor > p.gift_minor AND p.state = 'SUCCEEDED'
        AND p.succeed_time < :settled AND NOT EXISTS (
        SELECT FROM balance_transactions b
        WHERE b.tenant_id = p.tenant_id AND b.source = p.charge_id AND b.category = 'charge')
    UNION ALL
    SELECT 'CHARGE_AMOUNT', b.source, b.amount_minor - p.amount_minor + p.gift_minor FROM payments p
    JOIN balance_transactions b ON b.tenant_id = p.tenant_id AND b.source = p.charge_id AND b.category = 'charge'
    WHERE p.tenant_id = :tenant AND p.state = 'SUCCEEDED' AND b.amount_minor <> p.amount_minor - p.gift_minor
    UNION ALL
    SELECT 'REFUND_UNKNOWN', b.source, sum(b.amount_minor)::bigint FROM balance_transactions b
    LEFT JOIN refunds r ON r.tenant_id = b.tenant_id AND r.external_id = b.source
        AND r.state IN ('PENDING', 'SUCCEEDED')
    WHERE b.tenant_id = :tenant AND b.category IN ('refund', 'refund_failure', 'partial_capture_reversal')
    GROUP BY b.source, r.amount_minor HAVING sum(b.amount_minor) <> -coalesce(r.amount_minor, 0)
    UNION ALL
    SELECT 'REFUND_MISSING', 'studios/' || r.tenant_id || '/refunds/' || r.id, r.amount_minor FROM refunds r
    WHERE r.tenant_id = :tenant AND NOT r.to_gift_card AND r.state = 'SUCCEEDED' AND r.update_time < :settled
        AND NOT EXISTS (
        SELECT FROM balance_transactions b WHERE b.tenant_id = r.tenant_id AND b.source = r.external_id)
    UNION ALL
    SELECT 'FOREIGN_CURRENCY', b.external_id, b.amount_minor FROM balance_transactions b
    WHERE b.tenant_id = :tenant AND b.currency_code <> :currency
    UNION ALL
    SELECT 'TRANSACTION_UNKNOWN', b.external_id, b.amount_minor FROM balance_transactions b
    WHERE b.tenant_id = :tenant AND b.category <> ALL (:known)
    ORDER BY 1, 2
""")


# What succeeded within the grace and has no line yet.
_UNDER_WAY = text("""
    SELECT coalesce(sum(amount), 0)::bigint FROM (
        SELECT p.amount_minor - p.gift_minor AS amount FROM payments p
        WHERE p.tenant_id = :tenant AND p.state = 'SUCCEEDED' AND p.succeed_time >= :settled AND NOT EXISTS (
            SELECT FROM balance_transactions b
            WHERE b.tenant_id = p.tenant_id AND b.source = p.charge_id AND b.category = 'charge')
        UNION ALL
        SELECT -r.amount_minor FROM refunds r
        WHERE r.tenant_id = :tenant AND NOT r.to_gift_card AND r.state = 'SUCCEEDED' AND r.update_time >= :settled
            AND NOT EXISTS (
            SELECT FROM balance_transactions b WHERE b.tenant_id = r.tenant_id AND b.source = r.external_id)) new
""")


async def note(tx: UnitOfWork, lines: Sequence[BalanceLine]) -> None:
    """Keeps the provider's lines and posts what they alone tell, each once."""
    for line in lines:
        row = insert(BalanceTransaction).values(
            tenant_id=tx.tenant,
            external_id=line.external_id,
            category=line.category,
            source=line.source,
            amount_minor=line.amount_minor,
            fee_minor=line.fee_minor,
            currency_code=line.currency_code,
            create_time=line.create_time,
        )
        new = await tx.session.scalar(
            row.on_conflict_do_nothing(index_elements=["tenant_id", "external_id"]).returning(
                BalanceTransaction.external_id
            )
        )
        if new is not None:
            await ledger.post(tx, f"line {line.external_id}", line.currency_code, _moves(line))


async def unmatched(tx: UnitOfWork) -> Sequence[tuple[str, str]]:
    """Category and source of lines whose charge or refund is not known here, or not as far."""
    rows = await tx.session.execute(_DIFFERENCES, await _values(tx))
    return [(row.kind, row.subject) for row in rows if row.kind in ("CHARGE_UNKNOWN", "REFUND_UNKNOWN")]


async def compare(tx: UnitOfWork, events_found: int) -> Reconciliation:
    """Writes down how the two stand to each other; `events_found` are added to those of before."""
    values = await _values(tx)
    currency = str(values["currency"])
    differences = [list(row) for row in (await tx.session.execute(_DIFFERENCES, values)).all()]
    mine = (BalanceTransaction.tenant_id == tx.tenant, BalanceTransaction.currency_code == currency)
    net = BalanceTransaction.amount_minor - BalanceTransaction.fee_minor
    sums = select(func.coalesce(func.sum(net), 0), func.count()).where(*mine)
    provider, count = (await tx.session.execute(sums)).one()
    figures = {
        "currency_code": currency,
        "provider_minor": int(provider),
        "ledger_minor": -await ledger.balance(tx, ledger.PROVIDER, currency),
        "under_way_minor": await tx.session.scalar(_UNDER_WAY, {"tenant": tx.tenant, "settled": values["settled"]}),
        "differences": differences[:_SHOWN],
        "transaction_count": count,
        "run_time": tx.now(),
    }
    row = insert(Reconciliation).values(tenant_id=tx.tenant, events_found=events_found, **figures)
    again = row.on_conflict_do_update(
        index_elements=["tenant_id"],
        set_={**figures, "events_found": Reconciliation.events_found + events_found},
    )
    found = await tx.session.scalars(again.returning(Reconciliation), execution_options={"populate_existing": True})
    return found.one()


async def latest(tx: UnitOfWork) -> Reconciliation | None:
    """None before the first."""
    return await tx.session.get(Reconciliation, (tx.tenant,))


async def _values(tx: UnitOfWork) -> dict[str, object]:
    return {
        "tenant": tx.tenant,
        "currency": (await merchants.get(tx)).currency_code,
        "settled": tx.now() - _GRACE,
        "known": [*_POSTED, *_OF_PURCHASES],
    }


def _moves(line: BalanceLine) -> list[Move]:
    fee = _move(ledger.PROVIDER_FEES, -line.fee_minor, "provider_fee")
    if line.category not in _POSTED:
        return [fee]
    account, cause = _POSTED[line.category]
    if line.category == "fee":
        return [_move(account, line.amount_minor - line.fee_minor, cause)]
    return [fee, _move(account, line.amount_minor, cause)]


def _move(account: str, amount: int, cause: str) -> Move:
    """What came to the provider from an account, or, below zero, went from there to it."""
    debit, credit = (ledger.PROVIDER, account) if amount > 0 else (account, ledger.PROVIDER)
    return Move(debit, credit, abs(amount), cause)
