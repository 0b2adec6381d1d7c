"""Purchases: what a client buys, on the terms of that moment, and what becomes of it.

Whoever changes a purchase locks its promo code, then the purchase, then its payment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, text, tuple_
from sqlalchemy.dialects.postgresql import insert

from powerhouse.payments.v1.events_pb2 import PurchasePaid, PurchaseReturned
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from services.chassis.ids import new_id
from services.payments import catalogue, client_merges, gift_cards, kinds, merchants, promo_codes
from services.payments.buyers import Buyer, Place
from services.payments.gift_cards import Paying
from services.payments.models import Membership, MembershipPeriod, PricingOption, PromoCode, Purchase, Terms
from services.payments.providers.chargeable_amounts import require_chargeable, smallest
from services.payments.quotes import Quote

FULFIL_JOB, EXPIRE_JOB, CHARGE_JOB = "fulfil_purchase", "expire_purchase", "charge_fee"
# A purchase that is not paid is given up after this.
LIFETIME = timedelta(hours=24)
# A place in one of these states of booking's can be paid: it may be had again after its hold has ended.
PAYABLE = ("PENDING_PAYMENT", "EXPIRED")
_LOCK_NEWCOMER = text("SELECT pg_advisory_xact_lock(hashtextextended(:client, 0))")
_WAITS = text(
    "SELECT 1 FROM jobs WHERE tenant_id = :tenant AND kind = :kind AND dedup_key = :key"
    " AND state IN ('queued', 'running')"
)


@dataclass(frozen=True)
class Offer:
    """What is sold, to which terms, for how much."""

    option: PricingOption
    terms: Terms
    promo_code: PromoCode | None
    quote: Quote
    gift: Paying | None
    # Of a membership: what each interval after the first costs.
    renewal_minor: int

    @property
    def gift_minor(self) -> int:
        return self.gift.amount if self.gift else 0

    @property
    def gift_kept_minor(self) -> int:
        return self.gift.kept if self.gift else 0


async def offer(
    tx: UnitOfWork,
    buyer: Buyer,
    option_id: UUID,
    code: str,
    place: Place | None,
    gift_card_id: UUID | None = None,
    *,
    lock: bool = False,
) -> Offer:
    """What it would cost this client now; `lock` for who is about to buy. `place` is what a drop-in is for.

    Raises NotFound, FailedPrecondition with ARCHIVED, FOR_STAFF_ONLY, INTRO_OFFER_USED, GIFT_CARD_NOT_FOR_THIS,
    and as `require_chargeable`, `promo_codes.find`, `gift_cards.paying` and `_require_place`.
    """
    option, terms = await catalogue.get_on_sale(tx, option_id)
    if kinds.KINDS[option.kind].for_staff_only and not buyer.by_staff:
        raise FailedPrecondition("only the studio charges this", reason="FOR_STAFF_ONLY")
    _require_place(tx, option, terms, place)
    if terms.intro_offer:
        await _require_newcomer(tx, buyer.client_id, lock=lock)
    promo = await promo_codes.find(tx, code, buyer.client_id, option_id, lock=lock) if code.strip() else None
    quote, gift, renewal_minor = catalogue.quote_of(terms, promo, place), None, 0
    if option.kind == kinds.MEMBERSHIP:
        renewal_minor = catalogue.quote_of(terms).total
    if gift_card_id is not None and quote.total:
        if option.kind == kinds.GIFT_CARD:
            raise FailedPrecondition("no gift card pays for another", reason="GIFT_CARD_NOT_FOR_THIS")
        gift = await gift_cards.paying(tx, gift_card_id, quote.total, lock=lock)
    sold = Offer(option, terms, promo, quote, gift, renewal_minor)
    require_chargeable(quote.total - sold.gift_minor, terms.currency_code, "code" if promo else "pricing_option")
    return sold


def require_price(sold: Offer, total_minor: int, gift_minor: int = 0) -> None:
    """Raises FailedPrecondition/PRICE_CHANGED unless it costs what the buyer was shown."""
    if (sold.quote.total, sold.gift_minor) != (total_minor, gift_minor):
        now = {"total_minor": str(sold.quote.total), "gift_minor": str(sold.gift_minor)}
        raise FailedPrecondition("the price is another one now", reason="PRICE_CHANGED", metadata=now)


async def create(
    tx: UnitOfWork,
    buyer: Buyer,
    option_id: UUID,
    code: str,
    place: Place | None,
    gift_card_id: UUID | None,
    *,
    total_minor: int,
    gift_minor: int,
) -> Purchase:
    """Buys. What costs nothing is paid at once; what a gift card pays all of, `payments.settle`.

    Raises as `offer`, and FailedPrecondition with PRICE_CHANGED, IS_A_MEMBERSHIP, MERCHANT_NOT_ACTIVE, PURCHASE_EXISTS.
    """
    sold = await offer(tx, buyer, option_id, code, place, gift_card_id, lock=True)
    require_price(sold, total_minor, gift_minor)
    if sold.option.kind == kinds.MEMBERSHIP:
        raise FailedPrecondition("a membership is joined", reason="IS_A_MEMBERSHIP")
    if sold.quote.total > sold.gift_minor and not (await merchants.get(tx)).charges_enabled:
        raise FailedPrecondition("the studio cannot be paid yet", reason="MERCHANT_NOT_ACTIVE")
    promo_code_id = sold.promo_code.id if sold.promo_code else None
    made = insert(Purchase).values(
        row(tx, buyer, sold.option, sold.terms, sold.quote)
        | {"promo_code_id": promo_code_id, "booking_id": place.booking_id if place else None}
        | {"gift_card_id": sold.gift.card.id if sold.gift and sold.gift_minor else None, "gift_minor": sold.gift_minor}
    )
    # Taken can be the place or the intro offer.
    untaken = made.on_conflict_do_nothing()
    purchase = (await tx.session.scalars(untaken.returning(Purchase))).one_or_none()
    if purchase is None:
        raise await _existing(tx, place) or INTRO_OFFER_USED
    if sold.promo_code:
        promo_codes.use(tx, sold.promo_code)
    if sold.gift_minor:
        await gift_cards.hold(tx, purchase)
    if not sold.quote.total:
        await paid(tx, purchase)
    elif sold.quote.total > sold.gift_minor and purchase.kind == kinds.FEE:
        await charge(tx, purchase.id, 0)
    elif sold.quote.total > sold.gift_minor:
        due = tx.now() + LIFETIME
        due = min(due, place.start_time) if place else due
        await tx.enqueue(EXPIRE_JOB, str(purchase.id), due_at=due, args={"purchase": str(purchase.id)})
    await tx.session.flush()
    return purchase


def row(tx: UnitOfWork, buyer: Buyer, option: PricingOption, terms: Terms, quote: Quote) -> dict[str, Any]:
    """The columns of a new purchase."""
    return {
        "tenant_id": tx.tenant,
        "id": new_id(),
        "client_id": buyer.client_id,
        "account_id": buyer.account_id,
        "pricing_option_id": option.id,
        "kind": option.kind,
        "terms_version": terms.version,
        "intro_offer": terms.intro_offer,
        "price_minor": quote.price,
        "discount_minor": quote.discount,
        "net_minor": quote.net,
        "tax_minor": quote.tax,
        "total_minor": quote.total,
        "currency_code": terms.currency_code,
        "state": "OPEN",
        "version": 1,
        "create_time": tx.now(),
        "update_time": tx.now(),
    }


def too_small(purchase: Purchase) -> bool:
    """Whether it waits for a payment that nobody can make. What is sold here never does; what booking charges may."""
    due = purchase.total_minor - purchase.gift_minor
    return purchase.state == "OPEN" and 0 < due < smallest(purchase.currency_code)


async def charge(tx: UnitOfWork, purchase_id: UUID, step: int, *, due_at: datetime | None = None) -> None:
    """Has a fee charged while the client is away; `step` counts the tries."""
    args = {"purchase": str(purchase_id), "step": step}
    await tx.enqueue(CHARGE_JOB, f"{purchase_id} {step}", due_at=due_at, args=args)


async def is_to_be_charged(tx: UnitOfWork, purchase_id: UUID, step: int) -> bool:
    """Whether that try is still to come, or under way."""
    which = {"tenant": tx.tenant, "kind": CHARGE_JOB, "key": f"{purchase_id} {step}"}
    return await tx.session.scalar(_WAITS, which) is not None


async def paid(tx: UnitOfWork, purchase: Purchase) -> None:
    """The money is there, or none was due: the client is to get what was bought."""
    purchase.state = "PAID"
    purchase.touch(tx.now())
    await tx.enqueue(FULFIL_JOB, str(purchase.id), args={"purchase": str(purchase.id)})


async def fulfilled(tx: UnitOfWork, purchase: Purchase, client_package_id: UUID | None = None) -> None:
    """The client has it, under the lock of `lock`. The same again changes nothing."""
    if purchase.state == "FULFILLED":
        return
    purchase.state, purchase.client_package_id = "FULFILLED", client_package_id
    purchase.touch(tx.now())
    event = PurchasePaid(
        purchase_id=str(purchase.id),
        client_id=str(purchase.client_id),
        total_minor=purchase.total_minor,
        currency_code=purchase.currency_code,
    )
    await tx.publish(event, aggregate="purchase", aggregate_id=purchase.id, version=purchase.version)


async def returned(tx: UnitOfWork, purchase: Purchase, reason: str) -> None:
    """The client does not get it, or gave it back in time: the money goes back, and the use of a code; under the locks
    of `lock` with its promo code.
    """
    purchase.state, purchase.return_reason = "RETURNED", reason
    purchase.touch(tx.now())
    if purchase.promo_code_id is not None:
        await promo_codes.give_back(tx, purchase.promo_code_id)
    event = PurchaseReturned(
        purchase_id=str(purchase.id),
        client_id=str(purchase.client_id),
        reason=reason,
        total_minor=purchase.total_minor,
        currency_code=purchase.currency_code,
    )
    await tx.publish(event, aggregate="purchase", aggregate_id=purchase.id, version=purchase.version)


async def cancelled(tx: UnitOfWork, purchase: Purchase) -> None:
    """It will not be paid; under the locks of `lock` with its promo code."""
    purchase.state = "CANCELLED"
    purchase.touch(tx.now())
    if purchase.gift_card_id is not None:
        await gift_cards.let_go(tx, purchase)
    if purchase.promo_code_id is not None:
        await promo_codes.give_back(tx, purchase.promo_code_id)


async def lock(tx: UnitOfWork, purchase_id: UUID, *, with_promo_code: bool = False) -> Purchase:
    """A purchase to be changed. Raises NotFound."""
    if with_promo_code:
        seen = await get(tx, purchase_id, None)
        if seen.promo_code_id is not None:
            await promo_codes.lock(tx, seen.promo_code_id)
    purchase = await tx.session.get(Purchase, (tx.tenant, purchase_id), with_for_update=True, populate_existing=True)
    if purchase is None:
        raise NotFound("purchase")
    return purchase


async def get(tx: UnitOfWork, purchase_id: UUID, account: UUID | None) -> Purchase:
    """A purchase; with `account` only one that it made.

    Raises PermissionDenied for any other, known or not, when narrowed; else NotFound.
    """
    purchase = await tx.session.get(Purchase, (tx.tenant, purchase_id))
    if account is not None and (purchase is None or purchase.account_id != account):
        raise PermissionDenied()
    if purchase is None:
        raise NotFound("purchase")
    return purchase


async def credits_of(tx: UnitOfWork, purchase: Purchase) -> int:
    """How many credits it bought."""
    if purchase.kind == kinds.MEMBERSHIP:
        return (await tx.session.get_one(MembershipPeriod, (tx.tenant, purchase.id))).credits
    return (await catalogue.terms_of(tx, purchase.pricing_option_id, purchase.terms_version)).credits


@dataclass(frozen=True)
class Filter:
    """Which purchases: of one account, of one client, of a kind, in some states, made in [start, end); None or empty is
    any.
    """

    account: UUID | None = None
    client_id: UUID | None = None
    kind: str = ""
    states: Sequence[str] = ()
    start: datetime | None = None
    end: datetime | None = None

    def __post_init__(self) -> None:
        if self.start and self.end and self.end <= self.start:
            raise InvalidArgument("end_time", "must be after start_time", reason="INVALID_RANGE")


async def list_latest(tx: UnitOfWork, page: Page, wanted: Filter) -> Sequence[Purchase]:
    """Newest first."""
    query = select(Purchase).where(Purchase.tenant_id == tx.tenant)
    if wanted.account is not None:
        query = query.where(Purchase.account_id == wanted.account)
    if wanted.client_id is not None:
        query = query.where(Purchase.client_id.in_(await client_merges.all_of(tx, wanted.client_id)))
    if wanted.kind:
        query = query.where(Purchase.kind == wanted.kind)
    if wanted.states:
        query = query.where(Purchase.state.in_(wanted.states))
    if wanted.start is not None:
        query = query.where(Purchase.create_time >= wanted.start)
    if wanted.end is not None:
        query = query.where(Purchase.create_time < wanted.end)
    if page.after:
        query = query.where(tuple_(Purchase.create_time, Purchase.id) < tuple(page.after))
    query = query.order_by(Purchase.create_time.desc(), Purchase.id.desc()).limit(page.limit)
    return (await tx.session.scalars(query)).all()


INTRO_OFFER_USED = FailedPrecondition("this is for new clients, once", reason="INTRO_OFFER_USED")


def _require_place(tx: UnitOfWork, option: PricingOption, terms: Terms, place: Place | None) -> None:
    """A drop-in is for a place that can be paid, anything else for none.

    Raises InvalidArgument/BOOKING_MISSING or BOOKING_NOT_WANTED, FailedPrecondition with NOT_FOR_THIS_CLASS,
    ALREADY_PAID, PLACE_GONE, CURRENCY_MISMATCH.
    """
    if option.kind != kinds.DROP_IN:
        if place is not None:
            raise InvalidArgument("booking", "only a drop-in is for one", reason="BOOKING_NOT_WANTED")
        return
    if place is None:
        raise InvalidArgument("booking", "a drop-in is for one", reason="BOOKING_MISSING")
    if terms.class_type_ids and place.class_type_id not in terms.class_type_ids:
        raise FailedPrecondition("it is for other classes", reason="NOT_FOR_THIS_CLASS")
    if place.currency_code != terms.currency_code:
        raise FailedPrecondition("the class is sold in another currency", reason="CURRENCY_MISMATCH")
    if place.paid:
        raise FailedPrecondition("the place is paid already", reason="ALREADY_PAID")
    if place.state not in PAYABLE or place.start_time <= tx.now():
        raise FailedPrecondition("the place is given up, or the class has begun", reason="PLACE_GONE")


async def _existing(tx: UnitOfWork, place: Place | None) -> FailedPrecondition | None:
    """The refusal that names the purchase that a place has."""
    if place is None:
        return None
    bought = select(Purchase.id).where(
        Purchase.tenant_id == tx.tenant,
        Purchase.booking_id == place.booking_id,
        Purchase.kind == kinds.DROP_IN,
        Purchase.state.not_in(("CANCELLED", "RETURNED")),
    )
    known = await tx.session.scalar(bought)
    if known is None:
        return None
    return FailedPrecondition(
        "the place is being paid; go on with that, or give it up",
        reason="PURCHASE_EXISTS",
        metadata={"purchase": f"studios/{tx.tenant}/purchases/{known}"},
    )


async def _require_newcomer(tx: UnitOfWork, client_id: UUID, *, lock: bool) -> None:
    """`lock` for who is about to buy: of a purchase and a membership at once only one is an intro offer."""
    if lock:
        await tx.session.execute(_LOCK_NEWCOMER, {"client": str(client_id)})
    clients = await client_merges.all_of(tx, client_id)
    joined = select(Membership.id).where(
        Membership.tenant_id == tx.tenant,
        Membership.client_id.in_(clients),
        Membership.intro_offer,
        Membership.end_reason != "NEVER_PAID",
    )
    bought = select(Purchase.id).where(
        Purchase.tenant_id == tx.tenant,
        Purchase.client_id.in_(clients),
        Purchase.kind != kinds.FEE,
        Purchase.state.in_(("PAID", "FULFILLED")) | (Purchase.intro_offer & (Purchase.state == "OPEN")),
    )
    for query in (joined, bought):
        if await tx.session.scalar(query.limit(1)) is not None:
            raise INTRO_OFFER_USED
