"""Disputes: payments that clients' banks take back, as the provider tells of them. Their money moves with its lines."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, tuple_

from powerhouse.payments.v1.events_pb2 import PaymentDisputed
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import NotFound
from services.chassis.ids import derived_id
from services.payments import merchants
from services.payments.models import Dispute, Payment
from services.payments.providers.card_gateway import MadeDispute


async def describe(tx: UnitOfWork, external_account: str, made: MadeDispute, read_time: datetime) -> None:
    """Takes over what a dispute was when it was asked for at `read_time`."""
    await merchants.get(tx, lock=True)
    purchase = select(Payment.purchase_id).where(
        Payment.tenant_id == tx.tenant,
        Payment.external_account == external_account,
        Payment.external_id == made.intent,
    )
    dispute_id = derived_id(tx.tenant, made.external_id)
    dispute = await tx.session.get(Dispute, (tx.tenant, dispute_id))
    if dispute is None:
        dispute = Dispute(
            tenant_id=tx.tenant,
            id=dispute_id,
            external_id=made.external_id,
            purchase_id=await tx.session.scalar(purchase),
            amount_minor=made.amount_minor,
            currency_code=made.currency_code,
            status="",
            reason=made.reason,
            due_time=made.due_time,
            read_time=read_time,
            create_time=tx.now(),
            update_time=tx.now(),
        )
        tx.session.add(dispute)
    if dispute.status == made.status or read_time < dispute.read_time:
        return
    dispute.status, dispute.read_time = made.status, read_time
    await tx.session.flush()
    dispute.touch(tx.now())
    event = PaymentDisputed(
        dispute_id=str(dispute.id),
        purchase_id=str(dispute.purchase_id or ""),
        status=dispute.status,
        amount_minor=dispute.amount_minor,
        currency_code=dispute.currency_code,
    )
    await tx.publish(event, aggregate="dispute", aggregate_id=dispute.id, version=dispute.version)


async def get(tx: UnitOfWork, dispute_id: UUID) -> Dispute:
    """Raises NotFound."""
    dispute = await tx.session.get(Dispute, (tx.tenant, dispute_id))
    if dispute is None:
        raise NotFound("dispute")
    return dispute


async def list_latest(tx: UnitOfWork, page: Page) -> Sequence[Dispute]:
    """Newest first."""
    query = select(Dispute).where(Dispute.tenant_id == tx.tenant)
    if page.after:
        query = query.where(tuple_(Dispute.create_time, Dispute.id) < tuple(page.after))
    query = query.order_by(Dispute.create_time.desc(), Dispute.id.desc()).limit(page.limit)
    return (await tx.session.scalars(query)).all()
