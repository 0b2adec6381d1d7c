"""Charging fees while the client is away: to the default card, again by a schedule, until they are paid or let go.

What the bank declines, or wants the client for, stays open: the client pays the same purchase in the browser.
"""

from datetime import timedelta
from uuid import UUID

from services.chassis.errors import FailedPrecondition
from services.chassis.resources import Resources
from services.payments import buyers, cards, fees, payments, purchases
from services.payments.providers.card_gateway import Refused

# After the fee was made; the first at once.
SCHEDULE = (timedelta(0), timedelta(days=1), timedelta(days=3), timedelta(days=7))


async def charge(work: Resources, tenant: UUID, purchase_id: UUID, step: int) -> None:
    """One try. Safe to run again: a purchase has one intent, and that is paid once. Raises Unavailable, Away."""
    async with work.database.transaction(tenant) as tx:
        purchase = await purchases.get(tx, purchase_id, None)
        if not await fees.is_due(tx, purchase):
            return
    buyer = await buyers.find(work.stubs, tenant, purchase.client_id, None, even_archived=True)
    try:
        default = await cards.default_of(work, tenant, buyer.payer_id)
        if default is not None:
            await payments.charge(work, tenant, purchase_id, *default)
    except (FailedPrecondition, Refused):
        # The provider refuses this fee or its customer; the next step asks again.
        pass
    async with work.database.transaction(tenant) as tx:
        purchase = await purchases.get(tx, purchase_id, None)
        if step + 1 < len(SCHEDULE) and await fees.is_due(tx, purchase):
            await purchases.charge(tx, purchase_id, step + 1, due_at=purchase.create_time + SCHEDULE[step + 1])
