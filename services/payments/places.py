"""Places that are paid singly: what booking tells of them, and what that does to their purchases.

A place that was given back in time is refunded. Any other is earned once its class has begun.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from services.chassis.db.unit_of_work import UnitOfWork
from services.payments import earnings, purchases, refunds
from services.payments.models import DropInPlace, Purchase

SETTLE_JOB = "settle_place"


async def note(tx: UnitOfWork, booking_id: UUID, state: str, start_time: datetime, version: int) -> bool:
    """Keeps what booking says; False when it is not newer."""
    told = {"state": state, "start_time": start_time, "version": version}
    row = insert(DropInPlace).values(tenant_id=tx.tenant, booking_id=booking_id, **told)
    newer = row.on_conflict_do_update(
        index_elements=["tenant_id", "booking_id"], set_=told, where=DropInPlace.version < version
    )
    return await tx.session.scalar(newer.returning(DropInPlace.booking_id)) is not None


async def tell(tx: UnitOfWork, booking_id: UUID, state: str, start_time: datetime, version: int) -> None:
    """Keeps what booking says, and does what follows from it."""
    if await note(tx, booking_id, state, start_time, version):
        bought = select(Purchase.id).where(Purchase.tenant_id == tx.tenant, Purchase.booking_id == booking_id)
        for purchase_id in (await tx.session.scalars(bought.order_by(Purchase.id))).all():
            await settle(tx, await purchases.lock(tx, purchase_id))


async def settle(tx: UnitOfWork, purchase: Purchase) -> None:
    """What the state of its place means for a purchase, under its lock. Again changes nothing."""
    place = await tx.session.get(DropInPlace, (tx.tenant, purchase.booking_id), populate_existing=True)
    if place is None:
        return
    args = {"purchase": str(purchase.id)}
    if purchase.state == "OPEN" and place.state not in purchases.PAYABLE:
        # Given back before it was paid, or paid at the desk: nobody shall pay it any more.
        await tx.enqueue(purchases.EXPIRE_JOB, f"{purchase.id} {place.state}", args=args)
    if purchase.state != "FULFILLED":
        return
    if place.state == "CANCELLED_EARLY":
        await refunds.give_back(tx, purchase, "the place was given back in time", releases_place=True)
    elif place.start_time > tx.now():
        key = f"{purchase.id} {place.start_time.isoformat()}"
        await tx.enqueue(SETTLE_JOB, key, due_at=place.start_time, args=args)
    await earnings.earn(tx, purchase)
