"""Promo codes: what they take off, for what, and how often. What is given up unpaid, purchase or membership, gives its
use back, and so does a purchase that is RETURNED: its client has nothing of it. One that staff refund has used it.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, check_etag
from services.chassis.ids import new_id
from services.payments import client_merges
from services.payments.models import Membership, PricingOption, PromoCode, Purchase


async def create(
    tx: UnitOfWork,
    *,
    code: str,
    off_ppm: int,
    off_minor: int,
    max_redemptions: int,
    max_per_client: int,
    expire_time: datetime | None,
    pricing_option_ids: Collection[UUID],
) -> PromoCode:
    """Raises InvalidArgument/DISCOUNT_AMBIGUOUS, NotFound for a pricing option, AlreadyExists/CODE_TAKEN."""
    if bool(off_ppm) == bool(off_minor):
        raise InvalidArgument("promo_code.off_ppm", "a part of the price or an amount", reason="DISCOUNT_AMBIGUOUS")
    known = select(func.count()).where(
        PricingOption.tenant_id == tx.tenant, PricingOption.id.in_(set(pricing_option_ids))
    )
    if await tx.session.scalar(known) != len(set(pricing_option_ids)):
        raise NotFound("pricing_option")
    made = insert(PromoCode).values(
        tenant_id=tx.tenant,
        id=new_id(),
        code=code.upper(),
        off_ppm=off_ppm,
        off_minor=off_minor,
        max_redemptions=max_redemptions,
        max_per_client=max_per_client,
        expire_time=expire_time,
        pricing_option_ids=sorted(set(pricing_option_ids)),
        redemptions=0,
        version=1,
        create_time=tx.now(),
        update_time=tx.now(),
    )
    untaken = made.on_conflict_do_nothing(
        index_elements=["tenant_id", "code"], index_where=PromoCode.archive_time.is_(None)
    )
    row = (await tx.session.scalars(untaken.returning(PromoCode))).one_or_none()
    if row is None:
        raise AlreadyExists("the studio has this code already", reason="CODE_TAKEN", field="promo_code.code")
    return row


async def list_latest(tx: UnitOfWork, page: Page) -> Sequence[PromoCode]:
    """Newest first."""
    query = select(PromoCode).where(PromoCode.tenant_id == tx.tenant)
    if page.after:
        query = query.where(tuple_(PromoCode.create_time, PromoCode.id) < tuple(page.after))
    query = query.order_by(PromoCode.create_time.desc(), PromoCode.id.desc()).limit(page.limit)
    return (await tx.session.scalars(query)).all()


async def archive(tx: UnitOfWork, promo_code_id: UUID, etag: str) -> PromoCode:
    """Takes it back. Raises NotFound, Aborted/ETAG_MISMATCH, FailedPrecondition/ARCHIVED."""
    row = await tx.session.get(PromoCode, (tx.tenant, promo_code_id), with_for_update=True)
    if row is None:
        raise NotFound("promo_code")
    check_etag(etag, row.etag)
    if row.archive_time is not None:
        raise FailedPrecondition("it was taken back already", reason="ARCHIVED")
    row.archive_time = tx.now()
    row.touch(tx.now())
    return row


async def find(tx: UnitOfWork, code: str, client_id: UUID, option_id: UUID, *, lock: bool = False) -> PromoCode:
    """One that the client may use for this now; `lock` for who is about to use it.

    Raises FailedPrecondition with PROMO_CODE_UNKNOWN, PROMO_CODE_EXPIRED, PROMO_CODE_USED_UP, PROMO_CODE_NOT_FOR_THIS.
    """
    query = select(PromoCode).where(
        PromoCode.tenant_id == tx.tenant, PromoCode.code == code.strip().upper(), PromoCode.archive_time.is_(None)
    )
    row = (await tx.session.scalars(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise FailedPrecondition("there is no such code", reason="PROMO_CODE_UNKNOWN")
    if row.expire_time is not None and row.expire_time <= tx.now():
        raise FailedPrecondition("the code has expired", reason="PROMO_CODE_EXPIRED")
    if row.pricing_option_ids and option_id not in row.pricing_option_ids:
        raise FailedPrecondition("the code is not for this", reason="PROMO_CODE_NOT_FOR_THIS")
    if row.max_redemptions and row.redemptions >= row.max_redemptions:
        raise FailedPrecondition("the code is used up", reason="PROMO_CODE_USED_UP")
    if row.max_per_client and await _uses(tx, row, client_id) >= row.max_per_client:
        raise FailedPrecondition("the client has used the code already", reason="PROMO_CODE_USED_UP")
    return row


def use(tx: UnitOfWork, row: PromoCode) -> None:
    """One use, under the lock of `find`."""
    row.redemptions += 1
    row.touch(tx.now())


async def give_back(tx: UnitOfWork, promo_code_id: UUID) -> None:
    """The use of what was given up or returned, under the lock of `lock`."""
    row = await tx.session.get_one(PromoCode, (tx.tenant, promo_code_id))
    row.redemptions -= 1
    row.touch(tx.now())


async def lock(tx: UnitOfWork, promo_code_id: UUID) -> None:
    """For who is about to give a use back, before what gives it back is locked."""
    await tx.session.get_one(PromoCode, (tx.tenant, promo_code_id), with_for_update=True, populate_existing=True)


async def get(tx: UnitOfWork, promo_code_id: UUID) -> PromoCode:
    """One that is known."""
    return await tx.session.get_one(PromoCode, (tx.tenant, promo_code_id))


async def _uses(tx: UnitOfWork, row: PromoCode, client_id: UUID) -> int:
    """How often the client has used a code."""
    clients = await client_merges.all_of(tx, client_id)
    purchases = select(func.count()).where(
        Purchase.tenant_id == tx.tenant,
        Purchase.client_id.in_(clients),
        Purchase.promo_code_id == row.id,
        Purchase.state.not_in(("CANCELLED", "RETURNED")),
    )
    memberships = select(func.count()).where(
        Membership.tenant_id == tx.tenant,
        Membership.client_id.in_(clients),
        Membership.promo_code_id == row.id,
        Membership.end_reason != "NEVER_PAID",
    )
    return (await tx.session.scalar(purchases) or 0) + (await tx.session.scalar(memberships) or 0)
