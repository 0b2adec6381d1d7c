"""Credits set aside for the waitlist: one serves all waits of a client of which only one can come true.

A hold is an account of the ledger. Whoever calls has locked the client.
"""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import text

from services.booking import changes
from services.booking.models import BookableSession
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import new_id

# A hold whose waits all exclude each other and the new one, and whose package pays for the class.
_SHARED = text(
    "SELECT h.id FROM credit_holds h"
    " JOIN client_packages p ON p.tenant_id = h.tenant_id AND p.id = h.client_package_id"
    " JOIN waitlist_entries e ON e.tenant_id = h.tenant_id AND e.credit_hold_id = h.id"
    " AND e.state IN ('WAITING', 'OFFERED')"
    " JOIN class_sessions s ON s.tenant_id = e.tenant_id AND s.id = e.class_session_id"
    " WHERE h.tenant_id = :tenant AND e.client_id = :client AND h.credits = 1 AND p.revoke_time IS NULL"
    " AND (p.expire_time IS NULL OR p.expire_time > :start)"
    " AND (p.class_type_ids = '{}' OR :class_type = ANY (p.class_type_ids))"
    " GROUP BY h.id, h.create_time HAVING bool_and(s.start_time < :end AND s.end_time > :start)"
    " ORDER BY h.create_time, h.id LIMIT 1"
)
_CHOOSE = text("SELECT id FROM choose_package_v2(:tenant, :client, :class_type, :start)")
_HOLD = text(
    "WITH wanted AS ("
    " SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:clients AS uuid[]), CAST(:packages AS uuid[]))"
    " AS w (id, client_id, package_id)),"
    " made AS (INSERT INTO credit_holds (tenant_id, id, client_id, client_package_id, create_time)"
    " SELECT :tenant, id, client_id, package_id, :now FROM wanted)"
    " INSERT INTO transfers (tenant_id, debit_account, credit_account, amount, cause, create_time)"
    " SELECT :tenant, package_id, id, 1, 'held', :now FROM wanted"
)
_RELEASE = text(
    "INSERT INTO transfers (tenant_id, debit_account, credit_account, amount, cause, create_time)"
    " SELECT h.tenant_id, h.id, h.client_package_id, 1, 'released', :now FROM credit_holds h"
    " WHERE h.tenant_id = :tenant AND h.id = ANY (:ids) AND h.credits = 1"
    " AND NOT EXISTS (SELECT FROM waitlist_entries e WHERE e.tenant_id = h.tenant_id AND e.credit_hold_id = h.id"
    " AND e.state IN ('WAITING', 'OFFERED'))"
    " RETURNING credit_account"
)
# Waits under one hold that a move has taken apart, those that stay in line first.
_TORN = text(
    "SELECT e.id, e.client_id, e.class_session_id, e.credit_hold_id,"
    " array_agg(o.id ORDER BY o.state = 'WAITING', o.join_time, o.id) AS others,"
    " bool_or((o.state = 'WAITING', o.join_time, o.id) < (e.state = 'WAITING', e.join_time, e.id)) AS is_later"
    " FROM waitlist_entries e"
    " JOIN class_sessions s ON s.tenant_id = e.tenant_id AND s.id = e.class_session_id"
    " JOIN waitlist_entries o ON o.tenant_id = e.tenant_id AND o.credit_hold_id = e.credit_hold_id AND o.id <> e.id"
    " JOIN class_sessions t ON t.tenant_id = o.tenant_id AND t.id = o.class_session_id"
    " WHERE e.tenant_id = :tenant AND e.class_session_id = :session"
    " AND e.state IN ('WAITING', 'OFFERED') AND o.state IN ('WAITING', 'OFFERED')"
    " AND NOT (t.start_time < s.end_time AND t.end_time > s.start_time)"
    " GROUP BY e.tenant_id, e.id ORDER BY e.client_id"
)


async def set_aside(tx: UnitOfWork, session: BookableSession, client_id: UUID) -> UUID | None:
    """The hold for a wait of a client: one that may be shared, else a new one; None when no package has a credit."""
    wanted = {
        "tenant": tx.tenant,
        "client": client_id,
        "class_type": session.class_type_id,
        "start": session.start_time,
        "end": session.end_time,
    }
    shared: UUID | None = await tx.session.scalar(_SHARED, wanted)
    if shared is not None:
        return shared
    del wanted["end"]
    package: UUID | None = await tx.session.scalar(_CHOOSE, wanted)
    if package is None:
        return None
    hold_id = new_id()
    await hold(tx, [(hold_id, client_id, package)])
    await changes.publish_packages(tx, [package])
    return hold_id


async def hold(tx: UnitOfWork, wanted: Collection[tuple[UUID, UUID, UUID]]) -> None:
    """New holds of (id, client, package), each with a credit of the package. The caller tells of the packages."""
    ids, clients, packages = zip(*wanted, strict=True)
    values = {"ids": list(ids), "clients": list(clients), "packages": list(packages)}
    await tx.session.execute(_HOLD, {"tenant": tx.tenant, "now": tx.now(), **values})


async def release(tx: UnitOfWork, ids: Collection[UUID]) -> None:
    """Gives the credits back of those holds under which nobody waits any more."""
    released = await tx.session.scalars(_RELEASE, {"tenant": tx.tenant, "now": tx.now(), "ids": list(set(ids))})
    packages = set(released.all())
    if packages:
        await changes.publish_packages(tx, sorted(packages))


async def torn(tx: UnitOfWork, session_id: UUID) -> list[UUID]:
    """The entries that need a credit of their own since the session has moved: of two waits the later, by join time.

    A place on offer keeps its credit.
    """
    rows = await tx.session.execute(_TORN, {"tenant": tx.tenant, "session": session_id})
    return [entry for row in rows for entry in ([row.id] if row.is_later else row.others)]
