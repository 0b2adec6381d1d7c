"""Charging fees while the client is away: to the default card, again by a schedule, until they are paid or let go.

What the bank declines, or wants the client for, stays open: the client pays the same purchase in the browser. What is
less than can be charged is never tried: it stays open until the studio waives it.
"""

from datetime import datetime, timedelta
from uuid import UUID

from powerhouse.payments.v1.events_pb2 import FeeChargeDeclined
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition
from services.chassis.resources import Resources
from services.payments import buyers, cards, fees, kinds, payments, purchases
from services.payments.models import Purchase
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
    declined = False
    try:
        default = await cards.default_of(work, tenant, buyer.payer_id)
        if default is not None:
            declined = not await payments.charge(work, tenant, purchase_id, *default)
    except (FailedPrecondition, Refused):
        # The provider refuses this fee or its customer; the next step asks again.
        pass
    async with work.database.transaction(tenant) as tx:
        purchase = await purchases.lock(tx, purchase_id)
        if not await fees.is_due(tx, purchase):
            return
        last = step + 1 == len(SCHEDULE)
        if not last:
            await purchases.charge(tx, purchase_id, step + 1, due_at=purchase.create_time + SCHEDULE[step + 1])
        if declined:
            await _tell(tx, purchase, last=last)


def next_time(purchase: Purchase, now: datetime) -> datetime | None:
    """When the card is tried again for a fee that is due; None for never, and for everything else."""
    if purchase.kind != kinds.FEE or purchase.state != "OPEN" or purchases.too_small(purchase):
        return None
    return next((due for each in SCHEDULE if (due := purchase.create_time + each) > now), None)


async def _tell(tx: UnitOfWork, purchase: Purchase, *, last: bool) -> None:
    """From here and not with PaymentFailed: a webhook that is faster notes the try and cannot know who was away."""
    purchase.touch(tx.now())
    event = FeeChargeDeclined(
        purchase_id=str(purchase.id),
        client_id=str(purchase.client_id),
        fee_id=str(purchase.fee_id or ""),
        last=last,
    )
    await tx.publish(event, aggregate="purchase", aggregate_id=purchase.id, version=purchase.version)
