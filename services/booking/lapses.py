"""Lapses: credits that can pay for nothing any more leave their package.

Those of a package that has ended expire; what comes back to a revoked one is revoked too. A tick posts it, dated at
the moment when it happened: so a balance at any time is the sum of the transfers until then, whenever the tick ran.
"""

from uuid import UUID

from sqlalchemy import select, text

from services.booking import changes, ledger
from services.booking.models import StudioId
from services.chassis.db.database import Database

# Studios and clients of one transaction: its locks are short.
_STUDIOS = 100
_CLIENTS = 500

# Packages of `:tenants` with credits of which nothing can come at `:now`, and since when: their end, or when the last
# one came back after it. With what the transfer will say.
LAPSED = f"""
    SELECT p.tenant_id, p.id, p.client_id, p.credits_left,
        greatest(least(p.expire_time, p.revoke_time), p.update_time) AS lapse_time,
        CASE WHEN p.revoke_time IS NULL THEN 'expired' ELSE 'revoked' END AS cause,
        CASE WHEN p.revoke_time IS NULL THEN uuid '{ledger.EXPIRED}' ELSE uuid '{ledger.REVOKED}' END AS account
    FROM client_packages p
    WHERE p.tenant_id = ANY (CAST(:tenants AS uuid[])) AND p.credits_left > 0
        AND (p.expire_time <= :now OR p.revoke_time <= :now)
"""  # noqa: S608  # constants
_LOCK = text(
    f"SELECT c.id FROM clients c WHERE c.tenant_id = ANY (CAST(:tenants AS uuid[]))"  # noqa: S608  # constants
    f" AND EXISTS (SELECT FROM ({LAPSED}) l WHERE l.tenant_id = c.tenant_id AND l.client_id = c.id)"
    " ORDER BY c.id LIMIT :limit FOR NO KEY UPDATE OF c"
)
_POST = text(
    f"WITH lapsed AS ({LAPSED} AND p.client_id = ANY (CAST(:clients AS uuid[]))),"  # noqa: S608  # constants
    " posted AS (INSERT INTO transfers (tenant_id, debit_account, credit_account, amount, cause, create_time)"
    " SELECT tenant_id, id, account, credits_left, cause, lapse_time FROM lapsed)"
    " SELECT tenant_id, array_agg(id) AS package_ids FROM lapsed GROUP BY tenant_id"
)


async def post_all(database: Database) -> int:
    """Posts what has lapsed in all studios; any number may do so at once. Returns from how many packages."""
    async with database.transaction() as tx:
        studios = (await tx.session.scalars(select(StudioId.studio_id).order_by(StudioId.studio_id))).all()
    total = 0
    for start in range(0, len(studios), _STUDIOS):
        while count := await _post(database, list(studios[start : start + _STUDIOS])):
            total += count
    return total


async def _post(database: Database, studios: list[UUID]) -> int:
    """The same in some studios and for some of their clients, under the clients' locks. 0 when nothing was left."""
    async with database.transaction(*studios) as tx:
        values = {"tenants": studios, "now": tx.now()}
        clients = (await tx.session.scalars(_LOCK, {**values, "limit": _CLIENTS})).all()
        if not clients:
            return 0
        posted = (await tx.session.execute(_POST, {**values, "clients": clients})).all()
        for studio, package_ids in posted:
            await changes.publish_packages(tx.of(studio), package_ids)
    return sum(len(package_ids) for _, package_ids in posted)
