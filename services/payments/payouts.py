"""Payouts: money on its way to the studio's bank, as the provider tells of it. It moves with the provider's lines."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, tuple_

from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import derived_id
from services.payments import merchants
from services.payments.models import Payout
from services.payments.providers.card_gateway import MadePayout


async def describe(tx: UnitOfWork, made: MadePayout, read_time: datetime) -> None:
    """Takes over what a payout was when it was asked for at `read_time`."""
    await merchants.get(tx, lock=True)
    payout_id = derived_id(tx.tenant, made.external_id)
    payout = await tx.session.get(Payout, (tx.tenant, payout_id))
    if payout is None:
        payout = Payout(
            tenant_id=tx.tenant,
            id=payout_id,
            external_id=made.external_id,
            amount_minor=made.amount_minor,
            currency_code=made.currency_code,
            status=made.status,
            arrival_time=made.arrival_time,
            read_time=read_time,
            create_time=tx.now(),
            update_time=tx.now(),
        )
        tx.session.add(payout)
    elif read_time > payout.read_time:
        payout.status, payout.arrival_time, payout.read_time = made.status, made.arrival_time, read_time
        payout.touch(tx.now())


async def list_latest(tx: UnitOfWork, page: Page) -> Sequence[Payout]:
    """Newest first."""
    query = select(Payout).where(Payout.tenant_id == tx.tenant)
    if page.after:
        query = query.where(tuple_(Payout.create_time, Payout.id) < tuple(page.after))
    query = query.order_by(Payout.create_time.desc(), Payout.id.desc()).limit(page.limit)
    return (await tx.session.scalars(query)).all()
