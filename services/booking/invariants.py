"""What must always hold, as SQL: run after tests, after chaos, and in production as a metric."""

from uuid import UUID

from sqlalchemy import text

from services.booking import ledger
from services.chassis.db.unit_of_work import UnitOfWork

# Accounts up to here are not a client's.
_LAST_SHARED = UUID(int=255)

# Each finds the offenders of one studio.
INVARIANTS = {
    # The counter is the number of places held or on offer, and nothing is kept for places that were cut away.
    "seats": """
        SELECT FROM class_sessions s
        LEFT JOIN LATERAL (
            SELECT count(*) AS held FROM bookings b
            WHERE b.tenant_id = s.tenant_id AND b.class_session_id = s.id AND b.cancel_time IS NULL) held ON true
        LEFT JOIN LATERAL (
            SELECT count(*) AS offered FROM waitlist_entries e
            WHERE e.tenant_id = s.tenant_id AND e.class_session_id = s.id AND e.state = 'OFFERED') offered ON true
        WHERE s.tenant_id = :tenant AND (
            s.booked_count <> held + offered OR s.effective_capacity <> greatest(s.planned_capacity, s.booked_count))
    """,
    # The balance of a package or hold is the sum of its transfers.
    "balances": """
        WITH moved AS (
            SELECT account, sum(amount) AS amount FROM (
                SELECT credit_account AS account, amount FROM transfers WHERE tenant_id = :tenant
                UNION ALL SELECT debit_account, -amount FROM transfers WHERE tenant_id = :tenant) sides
            GROUP BY account),
        cached AS (
            SELECT id, credits_left AS amount FROM client_packages WHERE tenant_id = :tenant
            UNION ALL SELECT id, credits FROM credit_holds WHERE tenant_id = :tenant)
        SELECT FROM cached LEFT JOIN moved ON moved.account = cached.id
        WHERE cached.amount <> coalesce(moved.amount, 0)
    """,
    # All accounts together are zero: what was issued is left, set aside, redeemed, expired, revoked or adjusted away.
    "ledger": """
        WITH balances AS (
            SELECT credits_left AS amount FROM client_packages WHERE tenant_id = :tenant
            UNION ALL SELECT credits FROM credit_holds WHERE tenant_id = :tenant
            UNION ALL SELECT -amount FROM transfers WHERE tenant_id = :tenant AND debit_account <= :last_shared
            UNION ALL SELECT amount FROM transfers WHERE tenant_id = :tenant AND credit_account <= :last_shared)
        SELECT FROM balances HAVING sum(amount) <> 0
    """,
    # A booking holds one credit of the package it names, and none when it was returned.
    "redemptions": """
        WITH redeemed AS (
            SELECT booking_id, sum(CASE WHEN credit_account = :redeemed THEN amount ELSE -amount END) AS amount
            FROM transfers
            WHERE tenant_id = :tenant AND booking_id IS NOT NULL
                AND (credit_account = :redeemed OR debit_account = :redeemed)
            GROUP BY booking_id)
        SELECT FROM bookings b LEFT JOIN redeemed r ON r.booking_id = b.id
        WHERE b.tenant_id = :tenant AND coalesce(r.amount, 0) <>
            CASE WHEN b.credit_returned OR b.client_package_id IS NULL THEN 0 ELSE 1 END
    """,
    # Nobody is booked twice in a class, guests apart.
    "one_active_booking": """
        SELECT FROM bookings WHERE tenant_id = :tenant AND cancel_time IS NULL AND guest_display_name = ''
        GROUP BY class_session_id, client_id HAVING count(*) > 1
    """,
    # A hold has its credit exactly as long as somebody waits under it.
    "holds": """
        SELECT FROM credit_holds h WHERE h.tenant_id = :tenant AND h.credits <> (
            SELECT least(count(*), 1) FROM waitlist_entries e
            WHERE e.tenant_id = h.tenant_id AND e.credit_hold_id = h.id AND e.state IN ('WAITING', 'OFFERED'))
    """,
    # Of waits under one hold only one can come true.
    "shared_holds": """
        SELECT FROM waitlist_entries e
        JOIN waitlist_entries o ON o.tenant_id = e.tenant_id AND o.credit_hold_id = e.credit_hold_id AND o.id > e.id
        JOIN class_sessions s ON s.tenant_id = e.tenant_id AND s.id = e.class_session_id
        JOIN class_sessions t ON t.tenant_id = o.tenant_id AND t.id = o.class_session_id
        WHERE e.tenant_id = :tenant AND e.state IN ('WAITING', 'OFFERED') AND o.state IN ('WAITING', 'OFFERED')
            AND NOT (s.start_time < t.end_time AND t.start_time < s.end_time)
    """,
    # Whoever still waits was considered, or had not come yet, each time that somebody behind got a place or an offer.
    "fair_lines": """
        SELECT FROM waitlist_decisions d
        JOIN waitlist_entries e ON e.tenant_id = d.tenant_id AND e.id = d.waitlist_entry_id
        JOIN waitlist_entries w ON w.tenant_id = d.tenant_id AND w.class_session_id = d.class_session_id
            AND w.state = 'WAITING' AND w.create_time < d.create_time
            AND (NOT w.displaced, w.join_time, w.id) < (NOT e.displaced, e.join_time, e.id)
        WHERE d.tenant_id = :tenant AND d.outcome IN ('PROMOTED', 'OFFERED') AND NOT EXISTS (
            SELECT FROM waitlist_decisions c WHERE c.tenant_id = w.tenant_id AND c.waitlist_entry_id = w.id
                AND (c.create_time = d.create_time OR c.outcome = 'OFFERED' AND c.create_time < d.create_time))
    """,
    # For longer than a minute no offer is overdue, nobody who can have a free place waits for it (quiet hours apart),
    # and nobody waits for a class that has started or is cancelled.
    "settled_lines": """
        SELECT FROM waitlist_entries e
        JOIN bookable_sessions s ON s.tenant_id = e.tenant_id AND s.id = e.class_session_id
        CROSS JOIN (SELECT CAST(:now AS timestamptz) AS now) clock
        WHERE e.tenant_id = :tenant AND e.state IN ('WAITING', 'OFFERED')
            AND coalesce(e.offer_expire_time, e.update_time) < clock.now - interval '1 minute' AND (
            e.state = 'OFFERED' OR s.cancelled OR clock.now > s.start_time + interval '1 minute'
            OR e.passed_over = '' AND s.booked_count < s.planned_capacity AND s.waitlist_mode <> 'OFF'
            AND clock.now < time_before_v1(s.start_time, s.time_zone, s.waitlist_cutoff_minutes)
            AND NOT EXISTS (
                SELECT FROM unnest(ARRAY[clock.now, clock.now - interval '1 minute']) AS at
                CROSS JOIN LATERAL (
                    SELECT extract(epoch FROM (at AT TIME ZONE s.time_zone)::time) / 60) AS wall (minute)
                WHERE CASE WHEN s.quiet_start_minute <= s.quiet_end_minute
                    THEN wall.minute >= s.quiet_start_minute AND wall.minute < s.quiet_end_minute
                    ELSE wall.minute >= s.quiet_start_minute OR wall.minute < s.quiet_end_minute END))
    """,
}


async def violations(tx: UnitOfWork) -> dict[str, int]:
    """How many offenders each invariant has in the studio; all zero is well."""
    found = {}
    values = {"tenant": tx.tenant, "redeemed": ledger.REDEEMED, "last_shared": _LAST_SHARED, "now": tx.now()}
    for name, offenders in INVARIANTS.items():
        used = {key: value for key, value in values.items() if f":{key}" in offenders}
        count = text(f"SELECT count(*) FROM ({offenders}) offenders")  # noqa: S608  # constants of this module
        found[name] = await tx.session.scalar(count, used) or 0
    return found
