"""What must always hold, as SQL: run after tests, after chaos, and in production as a metric."""

from sqlalchemy import text

from services.booking.credits import ISSUED, REDEEMED
from services.chassis.db.unit_of_work import UnitOfWork

# Each finds the offenders of one studio.
INVARIANTS = {
    # The counter is the number of active bookings, and nothing is kept for places that were cut away.
    "seats": """
        SELECT FROM class_sessions s
        LEFT JOIN bookings b ON b.tenant_id = s.tenant_id AND b.class_session_id = s.id AND b.state = 'CONFIRMED'
        WHERE s.tenant_id = :tenant GROUP BY s.tenant_id, s.id
        HAVING s.booked_count <> count(b.id) OR s.effective_capacity <> greatest(s.planned_capacity, s.booked_count)
    """,
    # A package's balance is the sum of its transfers.
    "balances": """
        WITH moved AS (
            SELECT credit_account AS account, amount FROM transfers WHERE tenant_id = :tenant
            UNION ALL SELECT debit_account, -amount FROM transfers WHERE tenant_id = :tenant)
        SELECT FROM client_packages p LEFT JOIN moved ON moved.account = p.id
        WHERE p.tenant_id = :tenant GROUP BY p.id, p.credits_left
        HAVING p.credits_left <> coalesce(sum(moved.amount), 0)
    """,
    # All accounts together are zero: what was issued is either left or redeemed.
    "ledger": """
        WITH balances AS (
            SELECT credits_left AS amount FROM client_packages WHERE tenant_id = :tenant
            UNION ALL SELECT -amount FROM transfers
            WHERE tenant_id = :tenant AND debit_account IN (:issued, :redeemed)
            UNION ALL SELECT amount FROM transfers
            WHERE tenant_id = :tenant AND credit_account IN (:issued, :redeemed))
        SELECT FROM balances HAVING sum(amount) <> 0
    """,
    # A booking holds one credit of the package it names, and none when it was returned.
    "redemptions": """
        SELECT FROM bookings b LEFT JOIN transfers t ON t.tenant_id = b.tenant_id AND t.booking_id = b.id
        WHERE b.tenant_id = :tenant GROUP BY b.tenant_id, b.id
        HAVING coalesce(sum(CASE
            WHEN t.debit_account = b.client_package_id AND t.credit_account = :redeemed THEN t.amount
            WHEN t.credit_account = b.client_package_id AND t.debit_account = :redeemed THEN -t.amount
        END), 0) <> CASE WHEN b.credit_returned THEN 0 ELSE 1 END
    """,
    "one_active_booking": """
        SELECT FROM bookings WHERE tenant_id = :tenant AND state = 'CONFIRMED'
        GROUP BY class_session_id, client_id HAVING count(*) > 1
    """,
}


async def violations(tx: UnitOfWork) -> dict[str, int]:
    """How many offenders each invariant has in the studio; all zero is well."""
    found = {}
    values = {"tenant": tx.tenant, "issued": ISSUED, "redeemed": REDEEMED}
    for name, offenders in INVARIANTS.items():
        used = {key: value for key, value in values.items() if f":{key}" in offenders}
        count = text(f"SELECT count(*) FROM ({offenders}) offenders")  # noqa: S608  # constants of this module
        found[name] = await tx.session.scalar(count, used) or 0
    return found
