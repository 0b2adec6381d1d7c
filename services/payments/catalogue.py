"""What a studio sells. Terms are versions that never change: a purchase names the one it was made under."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.orm.attributes import set_committed_value

from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, NotFound, check_etag
from services.chassis.ids import new_id
from services.payments import kinds, merchants, quotes
from services.payments.buyers import Place
from services.payments.models import PricingOption, PromoCode, TaxRate, Terms
from services.payments.providers.chargeable_amounts import require_chargeable
from services.payments.quotes import Quote

MUTABLE = (
    *("display_name", "price_minor", "credits", "valid_days", "starts_on_first_use", "class_types", "tax_rate"),
    *("intro_offer", "interval", "interval_count", "unlimited"),
)
Sold = tuple[PricingOption, Terms]


async def create(tx: UnitOfWork, kind: str, terms: dict[str, Any]) -> Sold:
    """Puts something up for sale, in the studio's currency.

    Raises as `kinds.check_terms`, NotFound for the tax rate, FailedPrecondition with NOT_A_MERCHANT, and as
    `require_chargeable`.
    """
    option = PricingOption(
        tenant_id=tx.tenant, id=new_id(), kind=kind, terms_version=0, create_time=tx.now(), update_time=tx.now()
    )
    tx.session.add(option)
    await tx.session.flush()
    currency = await merchants.currency(tx)
    return option, await _write(tx, option, {**terms, "currency_code": currency})


async def update(tx: UnitOfWork, option_id: UUID, etag: str, changes: dict[str, Any]) -> Sold:
    """Other terms for sales to come.

    Raises NotFound, Aborted/ETAG_MISMATCH, FailedPrecondition/ARCHIVED, and as `kinds.check_terms` and
    `require_chargeable`.
    """
    option = await _locked(tx, option_id, etag)
    _require_sold(option)
    now = await _terms(tx, option)
    fields = [column.name for column in Terms.__table__.columns]
    kept = {field: getattr(now, field) for field in fields if field not in _KEYS}
    for field, value in changes.items():
        tx.note_change(field, kept[field], value)
    return option, await _write(tx, option, {**kept, **changes})


async def archive(tx: UnitOfWork, option_id: UUID, etag: str) -> Sold:
    """Off sale. Raises NotFound, Aborted/ETAG_MISMATCH, FailedPrecondition/ARCHIVED."""
    option = await _locked(tx, option_id, etag)
    _require_sold(option)
    option.archive_time = tx.now()
    option.touch(tx.now())
    return option, await _terms(tx, option)


async def restore(tx: UnitOfWork, option_id: UUID) -> Sold:
    """On sale again. Raises NotFound, FailedPrecondition/NOT_ARCHIVED."""
    option = await _locked(tx, option_id, "")
    if option.archive_time is None:
        raise FailedPrecondition("it is not archived", reason="NOT_ARCHIVED")
    option.archive_time = None
    option.touch(tx.now())
    return option, await _terms(tx, option)


async def get(tx: UnitOfWork, option_id: UUID) -> Sold:
    """With its latest terms. Raises NotFound."""
    row = (await tx.session.execute(_with_terms().where(_mine(tx), PricingOption.id == option_id))).one_or_none()
    if row is None:
        raise NotFound("pricing_option")
    return row.PricingOption, row.Terms


async def get_on_sale(tx: UnitOfWork, option_id: UUID) -> Sold:
    """Raises NotFound, FailedPrecondition/ARCHIVED."""
    option, terms = await get(tx, option_id)
    _require_sold(option)
    return option, terms


async def list_latest(tx: UnitOfWork, page: Page, *, show_archived: bool) -> Sequence[Sold]:
    """Newest first, with their latest terms."""
    query = _with_terms().where(_mine(tx))
    if not show_archived:
        query = query.where(PricingOption.archive_time.is_(None))
    if page.after:
        query = query.where(tuple_(PricingOption.create_time, PricingOption.id) < tuple(page.after))
    query = query.order_by(PricingOption.create_time.desc(), PricingOption.id.desc()).limit(page.limit)
    return [(row.PricingOption, row.Terms) for row in await tx.session.execute(query)]


async def terms_of(tx: UnitOfWork, option_id: UUID, version: int) -> Terms:
    """One version of the terms of an option."""
    terms = await tx.session.get(Terms, (tx.tenant, option_id, version))
    assert terms is not None
    return terms


async def terms_of_all(tx: UnitOfWork, versions: Collection[tuple[UUID, int]]) -> dict[tuple[UUID, int], Terms]:
    """Versions of the terms of options."""
    key = tuple_(Terms.pricing_option_id, Terms.version)
    query = select(Terms).where(Terms.tenant_id == tx.tenant, key.in_(versions))
    return {(row.pricing_option_id, row.version): row for row in await tx.session.scalars(query)}


def quote_of(terms: Terms, promo: PromoCode | None = None, place: Place | None = None) -> Quote:
    """What these terms cost, for a place when they are a drop-in's."""
    rate = terms.tax_rate
    return quotes.quote(
        # What has no price of its own costs what booking said when it was booked.
        terms.price_minor or (place.price_minor if place else 0),
        off_ppm=promo.off_ppm if promo else 0,
        off=promo.off_minor if promo else 0,
        tax_ppm=rate.rate_ppm if rate else 0,
        tax_inclusive=bool(rate and rate.inclusive),
    )


async def create_tax_rate(tx: UnitOfWork, display_name: str, rate_ppm: int, *, inclusive: bool) -> TaxRate:
    rate = TaxRate(
        tenant_id=tx.tenant,
        id=new_id(),
        display_name=display_name,
        rate_ppm=rate_ppm,
        inclusive=inclusive,
        create_time=tx.now(),
    )
    tx.session.add(rate)
    await tx.session.flush()
    return rate


async def get_tax_rate(tx: UnitOfWork, rate_id: UUID) -> TaxRate:
    """Raises NotFound."""
    rate = await tx.session.get(TaxRate, (tx.tenant, rate_id))
    if rate is None:
        raise NotFound("tax_rate")
    return rate


async def list_tax_rates(tx: UnitOfWork, page: Page) -> Sequence[TaxRate]:
    """Newest first."""
    query = select(TaxRate).where(TaxRate.tenant_id == tx.tenant)
    if page.after:
        query = query.where(tuple_(TaxRate.create_time, TaxRate.id) < tuple(page.after))
    query = query.order_by(TaxRate.create_time.desc(), TaxRate.id.desc()).limit(page.limit)
    return (await tx.session.scalars(query)).all()


async def write_fee_terms(tx: UnitOfWork, option_id: UUID, display_name: str) -> None:
    """The first terms of an option that a fee made, whose price booking says."""
    terms = Terms(
        tenant_id=tx.tenant,
        pricing_option_id=option_id,
        version=1,
        display_name=display_name,
        price_minor=0,
        currency_code=await merchants.currency(tx),
        credits=0,
        valid_days=0,
        starts_on_first_use=False,
        class_type_ids=[],
        intro_offer=False,
        create_time=tx.now(),
    )
    set_committed_value(terms, "tax_rate", None)
    tx.session.add(terms)
    await tx.session.flush()


_KEYS = ("tenant_id", "pricing_option_id", "version", "create_time")


def _mine(tx: UnitOfWork) -> Any:
    return PricingOption.tenant_id == tx.tenant


def _with_terms() -> Any:
    return select(PricingOption, Terms).join(
        Terms,
        (Terms.tenant_id == PricingOption.tenant_id)
        & (Terms.pricing_option_id == PricingOption.id)
        & (Terms.version == PricingOption.terms_version),
    )


async def _write(tx: UnitOfWork, option: PricingOption, terms: dict[str, Any]) -> Terms:
    kinds.check_terms(option.kind, terms)
    rate = await get_tax_rate(tx, terms["tax_rate_id"]) if terms["tax_rate_id"] is not None else None
    version = option.terms_version + 1
    row = Terms(tenant_id=tx.tenant, pricing_option_id=option.id, version=version, create_time=tx.now(), **terms)
    set_committed_value(row, "tax_rate", rate)
    require_chargeable(quote_of(row).total, row.currency_code, "pricing_option.price_minor")
    tx.session.add(row)
    if version > 1:
        option.touch(tx.now())
    option.terms_version = version
    await tx.session.flush()
    return row


async def _terms(tx: UnitOfWork, option: PricingOption) -> Terms:
    return await terms_of(tx, option.id, option.terms_version)


async def _locked(tx: UnitOfWork, option_id: UUID, etag: str) -> PricingOption:
    option = await tx.session.get(PricingOption, (tx.tenant, option_id), with_for_update=True)
    if option is None:
        raise NotFound("pricing_option")
    check_etag(etag, option.etag)
    return option


def _require_sold(option: PricingOption) -> None:
    if option.archive_time is not None:
        raise FailedPrecondition("it is not sold any more", reason="ARCHIVED")
