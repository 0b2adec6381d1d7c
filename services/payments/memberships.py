"""Memberships: who has joined which plan, and what the provider says of each. Periods that were paid are purchases.

Whoever changes a membership locks it, then the purchases of its periods. Who may end one that was not paid yet locks
its promo code first.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime
from uuid import UUID

from sqlalchemy import or_, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert

from powerhouse.payments.v1.events_pb2 import MembershipChanged
from services.chassis.clock import real_now
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, NotFound, PermissionDenied
from services.chassis.ids import derived_id, new_id
from services.chassis.rpc.codec import to_timestamp
from services.payments import client_merges, kinds, merchants, promo_codes, purchases
from services.payments.buyers import Buyer
from services.payments.models import Membership, MembershipAttempt, MembershipPrice
from services.payments.providers.card_gateway import Charge, SavedCard
from services.payments.providers.membership_gateway import Invoice, Subscription

GIVE_UP_JOB = "give_up_membership"
# The provider's words for what is not over. Whether it is paused it says apart.
_RUNNING = {
    "incomplete": "PENDING",
    "trialing": "ACTIVE",
    "active": "ACTIVE",
    "past_due": "PAST_DUE",
    "unpaid": "PAST_DUE",
}


_ALREADY_MEMBER = FailedPrecondition("the client has this membership already", reason="ALREADY_MEMBER")


async def create(tx: UnitOfWork, buyer: Buyer, option_id: UUID, code: str, total_minor: int) -> Membership:
    """Joins; paid and begun at the provider is it later.

    Raises as `purchases.offer`, and FailedPrecondition with NOT_A_MEMBERSHIP, PRICE_CHANGED, MERCHANT_NOT_ACTIVE,
    ALREADY_MEMBER.
    """
    sold = await purchases.offer(tx, buyer, option_id, code, None, lock=True)
    if sold.option.kind != kinds.MEMBERSHIP:
        raise FailedPrecondition("it is bought, not joined", reason="NOT_A_MEMBERSHIP")
    purchases.require_price(sold, total_minor)
    account = await merchants.get(tx)
    if not account.charges_enabled:
        raise FailedPrecondition("the studio cannot be paid yet", reason="MERCHANT_NOT_ACTIVE")
    await require_not_member(tx, buyer.client_id, option_id)
    made = insert(Membership).values(
        tenant_id=tx.tenant,
        id=new_id(),
        client_id=buyer.client_id,
        account_id=buyer.account_id,
        pricing_option_id=option_id,
        terms_version=sold.terms.version,
        next_pricing_option_id=option_id,
        next_terms_version=sold.terms.version,
        promo_code_id=sold.promo_code.id if sold.promo_code else None,
        first_total_minor=sold.quote.total if sold.promo_code else None,
        intro_offer=sold.terms.intro_offer,
        payer_id=buyer.payer_id,
        external_account=account.external_account,
        create_key=new_id(),
        create_key_time=real_now(),
        state="PENDING",
        end_reason="",
        cancel_at_period_end=False,
        due_minor=0,
        read_time=real_now(),
        version=1,
        create_time=tx.now(),
        update_time=tx.now(),
    )
    untaken = made.on_conflict_do_nothing(
        index_elements=["tenant_id", "client_id", "pricing_option_id"], index_where=text("state = 'PENDING'")
    )
    membership = (await tx.session.scalars(untaken.returning(Membership))).one_or_none()
    if membership is None:
        raise _ALREADY_MEMBER
    if sold.promo_code:
        promo_codes.use(tx, sold.promo_code)
    due = tx.now() + purchases.LIFETIME
    await tx.enqueue(GIVE_UP_JOB, str(membership.id), due_at=due, args={"membership": str(membership.id)})
    return membership


async def require_not_member(tx: UnitOfWork, client_id: UUID, option_id: UUID, *, beside: UUID | None = None) -> None:
    """Raises FailedPrecondition/ALREADY_MEMBER for who has this plan, or will, by another membership than `beside`."""
    plans = (Membership.pricing_option_id, Membership.next_pricing_option_id)
    query = select(Membership.id).where(
        Membership.tenant_id == tx.tenant,
        Membership.client_id.in_(await client_merges.all_of(tx, client_id)),
        Membership.state != "ENDED",
        Membership.id.is_distinct_from(beside),
        or_(*(each == option_id for each in plans)),
    )
    if await tx.session.scalar(query.limit(1)) is not None:
        raise _ALREADY_MEMBER


async def describe(
    tx: UnitOfWork,
    membership: Membership,
    told: Subscription,
    due: Invoice | None,
    declined: Charge | None,
    read_time: datetime,
) -> None:
    """Takes over what the provider said when it was asked at `read_time`, under the membership's lock.

    `due` is the oldest invoice that is to be paid, `declined` the last try to collect that.
    """
    membership.external_id = membership.external_id or told.external_id
    if read_time < membership.read_time or membership.state == "ENDED":
        return
    before, was = _told(membership), (membership.state, membership.cancel_at_period_end)
    membership.read_time = read_time
    membership.cancel_at_period_end, membership.resume_time = told.cancel_at_period_end, told.resume_time
    membership.due_invoice, membership.due_minor, membership.next_attempt_time = None, 0, None
    next_plan = await plan_of(tx, told.price)
    if next_plan is not None:
        membership.next_pricing_option_id, membership.next_terms_version = next_plan
    _pay_with(membership, told.card)
    if told.status not in _RUNNING:
        await end(tx, membership, "PAYMENT_FAILED" if told.unpaid else "CANCELLED")
    else:
        if not waits_for_card(membership, told):
            membership.state = "PAUSED" if told.paused else _RUNNING[told.status]
        if due is not None:
            membership.due_invoice, membership.due_minor = due.external_id, due.total_minor
            membership.next_attempt_time = due.next_attempt_time
        if told.paused:
            membership.period_start, membership.period_end = told.period_start, told.period_end
    another = bool(due is not None and due.attempts and await _note_attempt(tx, membership, due, declined))
    if another or _told(membership) != before:
        await changed(tx, membership, _changes(membership, *was, another=another))


def waits_for_card(membership: Membership, told: Subscription) -> bool:
    """Its first interval is free, and begins once a card pays what follows."""
    return membership.state == "PENDING" and membership.first_total_minor == 0 and not told.card


def gives_free(membership: Membership, told: Subscription) -> bool:
    """Whether an interval that costs nothing is given: nobody paid for it, so it goes with a membership that ended."""
    return told.status in _RUNNING and not waits_for_card(membership, told)


async def end(tx: UnitOfWork, membership: Membership, reason: str) -> None:
    """It is over; under the lock of `lock`, with its promo code while nothing was paid."""
    never_paid = membership.period_end is None
    membership.end_reason = "NEVER_PAID" if never_paid else reason
    membership.state, membership.end_time = "ENDED", tx.now()
    _pay_with(membership, None)
    if never_paid and membership.promo_code_id is not None:
        await promo_codes.give_back(tx, membership.promo_code_id)


async def changed(
    tx: UnitOfWork, membership: Membership, changes: Sequence["MembershipChanged.Change.ValueType"] = ()
) -> None:
    """Marks a change and tells the mesh. `changes` are what its client is to hear of."""
    membership.touch(tx.now())
    event = MembershipChanged(
        membership_id=str(membership.id),
        client_id=str(membership.client_id),
        state=membership.state,
        end_reason=membership.end_reason,
        period_end_time=to_timestamp(membership.period_end),
        declined_attempts=len(await attempts(tx, [membership])),
        next_attempt_time=to_timestamp(membership.next_attempt_time),
        cancel_at_period_end=membership.cancel_at_period_end,
        changes=changes,
    )
    await tx.publish(event, aggregate="membership", aggregate_id=membership.id, version=membership.version)


async def find(tx: UnitOfWork, external_account: str, told: Subscription) -> Membership | None:
    """By the provider's id, or by what we called it when its id did not reach us yet."""
    ours = Membership.external_id == told.external_id
    with suppress(ValueError):
        ours |= (Membership.id == UUID(told.reference)) & Membership.external_id.is_(None)
    mine = select(Membership).where(Membership.tenant_id == tx.tenant, Membership.external_account == external_account)
    return (await tx.session.scalars(mine.where(ours))).one_or_none()


async def lock(tx: UnitOfWork, seen: Membership) -> Membership:
    """One to be changed, and what it would give back if it was never paid."""
    if seen.promo_code_id is not None and seen.period_end is None:
        await promo_codes.lock(tx, seen.promo_code_id)
    return await get(tx, seen.id, None, lock=True)


async def get(tx: UnitOfWork, membership_id: UUID, account: UUID | None, *, lock: bool = False) -> Membership:
    """A membership; with `account` only one that it joined.

    Raises PermissionDenied for any other, known or not, when narrowed; else NotFound.
    """
    key = (tx.tenant, membership_id)
    membership = await tx.session.get(Membership, key, with_for_update=lock or None, populate_existing=True)
    if account is not None and (membership is None or membership.account_id != account):
        raise PermissionDenied()
    if membership is None:
        raise NotFound("membership")
    return membership


async def list_latest(
    tx: UnitOfWork, page: Page, *, account: UUID | None, client_id: UUID | None, state: str
) -> Sequence[Membership]:
    """Newest first: of one account, of one client, in one state, or all where these are None or empty."""
    query = select(Membership).where(Membership.tenant_id == tx.tenant)
    if account is not None:
        query = query.where(Membership.account_id == account)
    if client_id is not None:
        query = query.where(Membership.client_id.in_(await client_merges.all_of(tx, client_id)))
    if state:
        query = query.where(Membership.state == state)
    if page.after:
        query = query.where(tuple_(Membership.create_time, Membership.id) < tuple(page.after))
    query = query.order_by(Membership.create_time.desc(), Membership.id.desc()).limit(page.limit)
    return (await tx.session.scalars(query)).all()


async def attempts(tx: UnitOfWork, rows: Collection[Membership]) -> Sequence[MembershipAttempt]:
    """Declined tries to collect what is due of these, oldest first."""
    due = [(each.id, each.due_invoice) for each in rows if each.due_invoice]
    if not due:
        return []
    tried = tuple_(MembershipAttempt.membership_id, MembershipAttempt.external_id)
    query = select(MembershipAttempt).where(MembershipAttempt.tenant_id == tx.tenant, tried.in_(due))
    return (await tx.session.scalars(query.order_by(MembershipAttempt.number))).all()


async def plan_of(tx: UnitOfWork, price: str) -> tuple[UUID, int] | None:
    """The plan and its terms that a price at the provider stands for."""
    query = select(MembershipPrice.pricing_option_id, MembershipPrice.terms_version).where(
        MembershipPrice.tenant_id == tx.tenant, MembershipPrice.external_id == price
    )
    row = (await tx.session.execute(query)).one_or_none()
    return (row.pricing_option_id, row.terms_version) if row else None


async def _note_attempt(tx: UnitOfWork, membership: Membership, due: Invoice, declined: Charge | None) -> bool:
    row = insert(MembershipAttempt).values(
        tenant_id=tx.tenant,
        membership_id=membership.id,
        external_id=due.external_id,
        number=due.attempts,
        # What was not declined waits for the client at the bank.
        code=declined.code if declined else "authentication_required",
        decline_code=declined.decline_code if declined else "",
        create_time=tx.now(),
    )
    new = row.on_conflict_do_nothing().returning(MembershipAttempt.number)
    return await tx.session.scalar(new) is not None


def _pay_with(membership: Membership, card: SavedCard | None) -> None:
    membership.card_id = derived_id(membership.tenant_id, card.external_id) if card else None
    membership.card_brand, membership.card_last4 = (card.brand, card.last4) if card else ("", "")
    until = (card.expire_month, card.expire_year) if card else (0, 0)
    membership.card_expire_month, membership.card_expire_year = until


def _changes(
    membership: Membership, state: str, cancelling: bool, *, another: bool
) -> list["MembershipChanged.Change.ValueType"]:
    """What its client is to hear of, by what it was. One that nobody paid for yet is seen on screen alone."""
    if state == "PENDING":
        return [MembershipChanged.JOINED] if membership.state == "ACTIVE" else []
    ended = membership.state == "ENDED"
    unpaid = ended and membership.end_reason == "PAYMENT_FAILED"
    # Who has cancelled before has heard when it ends.
    cancelled = (membership.cancel_at_period_end or (ended and not unpaid)) and not cancelling
    news = {
        MembershipChanged.ENDED_UNPAID: unpaid,
        MembershipChanged.CANCELLED: cancelled,
        MembershipChanged.DECLINED: another and membership.state == "PAST_DUE",
        MembershipChanged.PAUSED: membership.state == "PAUSED" != state,
        MembershipChanged.RESUMED: state == "PAUSED" != membership.state and not ended,
    }
    return [change for change, is_new in news.items() if is_new]


def _told(membership: Membership) -> tuple[object, ...]:
    """What its clients see of what the provider tells."""
    return (
        *(membership.state, membership.period_end, membership.cancel_at_period_end, membership.resume_time),
        *(membership.due_invoice, membership.next_attempt_time),
        *(membership.next_pricing_option_id, membership.next_terms_version),
        *(membership.card_id, membership.card_expire_month, membership.card_expire_year),
    )
