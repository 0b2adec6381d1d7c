"""What must always hold, as SQL: run after tests, after chaos, and in production as a metric."""

from sqlalchemy import text

from services.chassis.db.unit_of_work import UnitOfWork

# Each finds the offenders of one studio.
INVARIANTS = {
    # All accounts of a currency together are zero.
    "ledger": """
        SELECT FROM (
            SELECT currency_code, amount_minor AS amount FROM transfers
            JOIN ledger_accounts a USING (tenant_id, currency_code)
            WHERE transfers.tenant_id = :tenant AND a.id = credit_account
            UNION ALL
            SELECT currency_code, -amount_minor FROM transfers
            JOIN ledger_accounts a USING (tenant_id, currency_code)
            WHERE transfers.tenant_id = :tenant AND a.id = debit_account) sides
        GROUP BY currency_code HAVING sum(amount) <> 0
    """,
    # The balance of a purchase's account is the sum of its transfers.
    "balances": """
        SELECT FROM ledger_accounts a
        LEFT JOIN LATERAL (
            SELECT coalesce(sum(CASE WHEN t.credit_account = a.id THEN t.amount_minor ELSE -t.amount_minor END), 0)
                AS moved
            FROM transfers t WHERE t.tenant_id = a.tenant_id AND a.id IN (t.credit_account, t.debit_account)) m ON true
        WHERE a.tenant_id = :tenant AND a.subject_id IS NOT NULL AND a.balance_minor <> m.moved
    """,
    # What was captured is in the ledger, and the payment is for what the purchase costs.
    "captured": """
        SELECT FROM payments p JOIN purchases b ON b.tenant_id = p.tenant_id AND b.id = p.purchase_id
        LEFT JOIN LATERAL (
            SELECT coalesce(sum(t.amount_minor), 0) AS posted FROM transfers t
            WHERE t.tenant_id = p.tenant_id AND t.source = 'payment ' || p.id) posted ON true
        WHERE p.tenant_id = :tenant AND (
            p.amount_minor <> b.total_minor
            OR posted.posted <> CASE p.state WHEN 'SUCCEEDED' THEN p.amount_minor - p.gift_minor ELSE 0 END
            OR (p.state = 'SUCCEEDED') <> (b.state IN ('PAID', 'FULFILLED', 'RETURNED')))
    """,
    # Refunds are never more than was captured; what is done of them is what the payment says and what the ledger has.
    "refunds": """
        SELECT FROM payments p
        LEFT JOIN LATERAL (
            SELECT coalesce(sum(r.amount_minor) FILTER (WHERE r.state = 'SUCCEEDED'), 0) AS done,
                coalesce(sum(r.amount_minor) FILTER (WHERE r.state = 'SUCCEEDED' AND r.to_gift_card), 0) AS to_card,
                coalesce(sum(r.amount_minor) FILTER (WHERE r.state <> 'FAILED'), 0) AS reserved
            FROM refunds r WHERE r.tenant_id = p.tenant_id AND r.payment_id = p.id) r ON true
        LEFT JOIN LATERAL (
            SELECT coalesce(sum(CASE WHEN a.kind = 'provider' THEN t.amount_minor
                WHEN d.kind = 'provider' THEN -t.amount_minor ELSE 0 END), 0) AS posted
            FROM refunds r
            JOIN transfers t ON t.tenant_id = r.tenant_id AND t.source = 'refund ' || r.id
            JOIN ledger_accounts a ON a.tenant_id = t.tenant_id AND a.id = t.credit_account
            JOIN ledger_accounts d ON d.tenant_id = t.tenant_id AND d.id = t.debit_account
            WHERE r.tenant_id = p.tenant_id AND r.payment_id = p.id) l ON true
        WHERE p.tenant_id = :tenant AND (
            p.refunded_minor <> r.done OR p.refunding_minor <> r.reserved OR l.posted <> r.done - r.to_card
            OR r.reserved > p.amount_minor)
    """,
    # Receipts are numbered from 1 without a gap.
    "receipts": """
        SELECT FROM receipt_counters c
        LEFT JOIN LATERAL (
            SELECT count(*) AS count, coalesce(max(r.number), 0) AS highest FROM receipts r
            WHERE r.tenant_id = c.tenant_id) r ON true
        WHERE c.tenant_id = :tenant AND (c.last_number <> r.count OR c.last_number <> r.highest)
    """,
    # A promo code counts the purchases and memberships that use it.
    "promo_codes": """
        SELECT FROM promo_codes c WHERE c.tenant_id = :tenant AND c.redemptions <> (
            SELECT count(*) FROM purchases p
            WHERE p.tenant_id = c.tenant_id AND p.promo_code_id = c.id
                AND p.state NOT IN ('CANCELLED', 'RETURNED'))
            + (SELECT count(*) FROM memberships m
            WHERE m.tenant_id = c.tenant_id AND m.promo_code_id = c.id AND m.end_reason <> 'NEVER_PAID')
    """,
}


async def violations(tx: UnitOfWork) -> dict[str, int]:
    """How many offenders each invariant has in the studio; all zero is well."""
    found = {}
    for name, offenders in INVARIANTS.items():
        count = text(f"SELECT count(*) FROM ({offenders}) offenders")  # noqa: S608  # constants of this module
        found[name] = await tx.session.scalar(count, {"tenant": tx.tenant}) or 0
    return found
