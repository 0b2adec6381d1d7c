"""Ending a membership now with a refund of what is unused: of counted credits those left, of unlimited ones the time.

The money goes back by refunds like any other; a job ends it at the provider and takes what is left at booking.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from powerhouse.booking.v1.sale_service_pb2 import EndPurchaseRequest
from services.chassis.crashpoints import crashpoint
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition
from services.chassis.resources import Resources
from services.payments import (
    earnings,
    kinds,
    membership_payments,
    memberships,
    payments,
    purchases,
    quotes,
    refunding,
    refunds,
)
from services.payments.buyers import sale_stub
from services.payments.gateways import memberships_of
from services.payments.models import Membership, MembershipPeriod, Refund
from services.payments.refunds import Preview

END_JOB = "end_membership"


@dataclass(frozen=True)
class Unused:
    """What is given back of one paid interval."""

    purchase_id: UUID
    shown: Preview
    left: int


async def credits_left(resources: Resources, tenant: UUID, membership_id: UUID) -> dict[UUID, int]:
    """What booking has left of each interval that is running."""
    async with resources.database.transaction(tenant) as tx:
        running = await _running(tx, membership_id)
    return {each.purchase_id: await refunding.credits_left(resources, tenant, each.purchase_id) for each in running}


async def preview(tx: UnitOfWork, membership: Membership, left: Mapping[UUID, int]) -> list[Unused]:
    """Raises FailedPrecondition with MEMBERSHIP_ENDED, NOT_PAID or NOT_FULFILLED."""
    membership_payments.require_running(membership)
    if membership.state == "PENDING":
        raise FailedPrecondition("nothing was paid", reason="NOT_PAID")
    found = []
    for period in await _running(tx, membership.id):
        purchase = await purchases.get(tx, period.purchase_id, None)
        payment = await payments.of_purchase(tx, purchase.id)
        if payment is None:
            # It was free.
            continue
        part, whole = left.get(purchase.id, 0), period.credits
        if period.credits == kinds.UNLIMITED_CREDITS:
            rest, all_of_it = period.end_time - tx.now(), period.end_time - period.start_time
            part, whole = int(rest.total_seconds()), int(all_of_it.total_seconds())
        unused = quotes.deferred(payment.amount_minor, min(part, whole), whole)
        amount = min(unused, payment.amount_minor - payment.refunding_minor)
        if amount > 0:
            credits = left.get(purchase.id, 0)
            found.append(Unused(purchase.id, await refunds.preview(tx, purchase, amount, credits), credits))
    return found


async def create(
    tx: UnitOfWork, membership: Membership, left: Mapping[UUID, int], refund_minor: int, reason: str
) -> None:
    """Requests it, under the membership's lock. Raises as `preview`, and FailedPrecondition/PREVIEW_OUTDATED."""
    unused = await preview(tx, membership, left)
    total = sum(each.shown.amount for each in unused)
    if total != refund_minor:
        raise FailedPrecondition(
            "something else would be given back", reason="PREVIEW_OUTDATED", metadata={"refund_minor": str(total)}
        )
    for each in unused:
        await refunds.create(
            tx,
            each.purchase_id,
            amount=each.shown.amount,
            credits=each.shown.credits,
            credits_left=each.left,
            reason=reason,
        )
    ended = [str(each.purchase_id) for each in await _running(tx, membership.id)]
    tx.note_change("refund_minor", 0, total)
    await tx.enqueue(END_JOB, str(membership.id), args={"membership": str(membership.id), "purchases": ended})


async def forget(tx: UnitOfWork, client_id: UUID) -> None:
    """Memberships of who was erased end; nothing is given back."""
    query = select(Membership.id).where(
        Membership.tenant_id == tx.tenant, Membership.client_id == client_id, Membership.state != "ENDED"
    )
    for membership_id in (await tx.session.scalars(query)).all():
        await tx.enqueue(END_JOB, str(membership_id), args={"membership": str(membership_id), "purchases": []})


async def end(work: Resources, tenant: UUID, membership_id: UUID, ended: Sequence[UUID]) -> bool:
    """Ends it at the provider, then takes what is left of its intervals. False while a refund has to take its part.

    Safe to run again. Raises ProviderError.
    """
    async with work.database.transaction(tenant) as tx:
        membership = await memberships.get(tx, membership_id, None)
    if membership.state == "PENDING":
        await membership_payments.give_up(work, tenant, membership_id)
    elif membership.external_id is not None and membership.state != "ENDED":
        await memberships_of(work.settings).cancel_now(membership.external_account, membership.external_id)
        crashpoint("payments_after_membership_end")
        await membership_payments.take_over(work, tenant, membership.external_account, membership.external_id)
    async with work.database.transaction(tenant) as tx:
        requested = select(Refund.id).where(
            Refund.tenant_id == tenant, Refund.purchase_id.in_(ended), Refund.state == "REQUESTED"
        )
        if await tx.session.scalar(requested.limit(1)) is not None:
            return False
    for purchase_id in ended:
        request = EndPurchaseRequest(parent=f"studios/{tenant}", purchase_id=str(purchase_id))
        package = await sale_stub(work.stubs).EndPurchase(request)
        async with work.database.transaction(tenant) as tx:
            package_id = UUID(package.name.rpartition("/")[2])
            await earnings.tell(tx, package_id, package.credits_left, int(package.etag))
    return True


async def _running(tx: UnitOfWork, membership_id: UUID) -> Sequence[MembershipPeriod]:
    query = select(MembershipPeriod).where(
        MembershipPeriod.tenant_id == tx.tenant,
        MembershipPeriod.membership_id == membership_id,
        MembershipPeriod.end_time > tx.now(),
    )
    return (await tx.session.scalars(query.order_by(MembershipPeriod.start_time))).all()
