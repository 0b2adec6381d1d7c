"""Finding a client at the front desk: by the beginning of a name, a part of a number, an address, and with typos."""

from collections.abc import Sequence

from sqlalchemy import text

from services.booking import clients
from services.booking.clients import Profile
from services.chassis.db.unit_of_work import UnitOfWork

# How many are shown; who is not among them types another letter.
LIMIT = 20

_SEARCH = text("SELECT search_clients_v1(:tenant, :query, :limit)")


async def search(tx: UnitOfWork, query: str) -> Sequence[Profile]:
    """Active clients that the query may mean, best first."""
    found = (await tx.session.scalars(_SEARCH, {"tenant": tx.tenant, "query": query, "limit": LIMIT})).all()
    return await clients.get_all(tx, found)
