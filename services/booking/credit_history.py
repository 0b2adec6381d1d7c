"""Why a client has as many credits as it has: the transfers of its packages, told in order."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from services.booking.credit_words import Entry
from services.booking.lapses import LAPSED
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import InvalidArgument

# The accounts up to this one are not a client's; saying so lets the indexes be used.
_SHARED = "'00000000-0000-0000-0000-0000000000ff'"
# The id of what has lapsed and is not posted yet: after all that is.
_NOT_YET = 2**63 - 1

# All that a package was debited or credited with, what was set aside and paid after all (which moves nothing), and what
# the next tick will post: the balance at any time is what could pay then.
_EXPLAIN = text(f"""
    WITH owned AS (
        SELECT id, display_name FROM client_packages
        WHERE tenant_id = :tenant AND client_id = :client AND id = coalesce(CAST(:package AS uuid), id)
    ), moved AS (
        SELECT t.id AS transfer_id, t.create_time, o.id AS package_id, o.display_name AS package, t.cause,
            -t.amount AS amount, t.reason, t.booking_id, t.credit_account AS hold_id
        FROM owned o
        JOIN transfers t ON t.tenant_id = :tenant AND t.debit_account = o.id AND t.debit_account > {_SHARED}
        UNION ALL
        SELECT t.id, t.create_time, o.id, o.display_name, t.cause, t.amount, t.reason, t.booking_id, t.debit_account
        FROM owned o
        JOIN transfers t ON t.tenant_id = :tenant AND t.credit_account = o.id AND t.credit_account > {_SHARED}
        UNION ALL
        SELECT t.id, t.create_time, o.id, o.display_name, t.cause, 0, t.reason, t.booking_id, h.id
        FROM owned o
        JOIN credit_holds h ON h.tenant_id = :tenant AND h.client_package_id = o.id
        JOIN transfers t ON t.tenant_id = :tenant AND t.debit_account = h.id AND t.debit_account > {_SHARED}
        WHERE t.cause = 'promoted'
        UNION ALL
        SELECT {_NOT_YET}, l.lapse_time, o.id, o.display_name, l.cause, -l.credits_left, '', NULL, NULL
        FROM owned o JOIN ({LAPSED}) l USING (id)
    ), told AS (
        SELECT *, sum(amount) OVER (ORDER BY create_time, transfer_id, package_id) AS balance,
            sum(amount) OVER () AS total
        FROM moved WHERE create_time <= :now
    ), page AS (
        SELECT * FROM told
        WHERE CAST(:after_time AS timestamptz) IS NULL
            OR (create_time, transfer_id, package_id)
                > (CAST(:after_time AS timestamptz), CAST(:after_id AS bigint), CAST(:after_package AS uuid))
        ORDER BY create_time, transfer_id, package_id LIMIT :limit
    )
    SELECT p.transfer_id, p.create_time, p.package_id, p.package, p.cause, p.amount, p.balance, p.reason, p.booking_id,
        s.id AS class_session_id, s.class_type_display_name AS class_type, s.start_time, s.time_zone, p.total
    FROM page p
    LEFT JOIN bookings b ON b.tenant_id = :tenant AND b.id = p.booking_id
    LEFT JOIN LATERAL (
        -- A hold may be for several waits; it was made for the first.
        SELECT e.class_session_id FROM waitlist_entries e
        WHERE e.tenant_id = :tenant AND e.credit_hold_id = p.hold_id ORDER BY e.create_time, e.id LIMIT 1
    ) w ON b.id IS NULL
    LEFT JOIN class_sessions s
        ON s.tenant_id = :tenant AND s.id = coalesce(b.class_session_id, w.class_session_id)
    ORDER BY p.create_time, p.transfer_id, p.package_id
""")  # noqa: S608  # constants


async def explain(
    tx: UnitOfWork, page: Page, *, client_id: UUID, package_id: UUID | None, at: datetime | None
) -> tuple[datetime, int, Sequence[Entry]]:
    """The moment `at` (None: now), what could pay then, and what led to it, oldest first: of one package or of all.

    Raises InvalidArgument/TIME_IN_FUTURE.
    """
    now = tx.now()
    if at is not None and at > now:
        raise InvalidArgument("at", "is in the future", reason="TIME_IN_FUTURE")
    after = page.after or (None, None, None)
    values = {
        "tenant": tx.tenant,
        "tenants": [tx.tenant],
        "client": client_id,
        "package": package_id,
        "now": at or now,
        **dict(zip(("after_time", "after_id", "after_package"), after, strict=True)),
        "limit": page.limit,
    }
    rows = [dict(row) for row in (await tx.session.execute(_EXPLAIN, values)).mappings()]
    balance = rows[0]["total"] if rows else 0
    return at or now, balance, [Entry(**{name: row[name] for name in row if name != "total"}) for row in rows]
