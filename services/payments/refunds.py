"""Refunds: credits are frozen, the money is sent, and what the provider says of it is posted, or the credits restored.

Whoever changes a refund locks its purchase, then its payment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, tuple_, update

from powerhouse.payments.v1.events_pb2 import PaymentRefunded
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, NotFound
from services.chassis.ids import derived_id, new_id
from services.payments import earnings, gift_cards, kinds, ledger, payments, purchases, quotes, receipts
from services.payments.ledger import Move
from services.payments.models import Payment, Purchase, Refund
from services.payments.providers.card_gateway import MadeRefund

MAKE_JOB, RESTORE_JOB = "make_refund", "restore_credits"


@dataclass(frozen=True)
class Preview:
    """What a refund of `amount` would do."""

    amount: int
    tax: int
    currency: str
    # At most.
    rest: int
    credits: int
    to_gift_card: bool


async def preview(tx: UnitOfWork, purchase: Purchase, amount: int, credits_left: int) -> Preview:
    """`amount` 0 is all that is left. Raises FailedPrecondition with NOT_PAID, NOT_FULFILLED or ABOVE_REST."""
    payment = await payments.of_purchase(tx, purchase.id)
    if payment is None or payment.state != "SUCCEEDED":
        raise FailedPrecondition("nothing was paid", reason="NOT_PAID")
    if purchase.state == "PAID":
        raise FailedPrecondition("what was bought is on its way to the client; wait for it", reason="NOT_FULFILLED")
    rest, to_gift_card = await _rest(tx, payment)
    if purchase.kind == kinds.GIFT_CARD:
        rest = min(rest, await gift_cards.balance(tx, await gift_cards.of_purchase(tx, purchase)))
    amount = amount or rest
    if not 0 < amount <= rest:
        raise FailedPrecondition("more than is left of it", reason="ABOVE_REST", metadata={"rest_minor": str(rest)})
    sold = await purchases.credits_of(tx, purchase)
    gone = select(func.coalesce(func.sum(Refund.credits), 0)).where(
        Refund.tenant_id == tx.tenant, Refund.purchase_id == purchase.id, Refund.state != "FAILED"
    )
    paid_back = quotes.credits_in_refund(sold, payment.amount_minor, payment.refunding_minor + amount)
    credits = paid_back - int(await tx.session.scalar(gone) or 0)
    return Preview(
        amount=amount,
        tax=quotes.tax_in_refund(purchase.total_minor, purchase.tax_minor, payment.refunding_minor, amount),
        currency=payment.currency_code,
        rest=rest,
        credits=max(0, min(credits, credits_left)),
        to_gift_card=to_gift_card,
    )


async def create(
    tx: UnitOfWork, purchase_id: UUID, *, amount: int, credits: int, credits_left: int, reason: str
) -> Refund:
    """Requests a refund; a job makes it. Raises NotFound, as `preview`, and FailedPrecondition/PREVIEW_OUTDATED."""
    purchase = await purchases.lock(tx, purchase_id)
    shown = await preview(tx, purchase, amount, credits_left)
    if shown.credits != credits:
        raise FailedPrecondition(
            "other credits would be revoked", reason="PREVIEW_OUTDATED", metadata={"credits": str(shown.credits)}
        )
    payment = await _payment(tx, purchase_id)
    refund = await _request(tx, payment, amount, credits=credits, reason=reason)
    if purchase.kind == kinds.GIFT_CARD:
        await gift_cards.withhold(tx, purchase, amount, f"refund {refund.id}")
    tx.note_change("refunding_minor", payment.refunding_minor - amount, payment.refunding_minor)
    return refund


async def _rest(tx: UnitOfWork, payment: Payment) -> tuple[int, bool]:
    """What one refund can give back at most, and whether to a gift card: first what the provider took."""
    gone = select(func.coalesce(func.sum(Refund.amount_minor), 0)).where(
        Refund.tenant_id == tx.tenant, Refund.payment_id == payment.id, Refund.state != "FAILED", Refund.to_gift_card
    )
    to_card = int(await tx.session.scalar(gone) or 0)
    charged = payment.charged_minor - (payment.refunding_minor - to_card)
    return (charged, False) if charged else (payment.gift_minor - to_card, True)


async def _request(tx: UnitOfWork, payment: Payment, amount: int, *, credits: int, reason: str) -> Refund:
    _, to_gift_card = await _rest(tx, payment)
    payment.refunding_minor += amount
    payment.touch(tx.now())
    refund = _row(tx, payment, amount, credits=credits, reason=reason, state="REQUESTED")
    refund.to_gift_card = to_gift_card
    tx.session.add(refund)
    await tx.session.flush()
    await tx.enqueue(MAKE_JOB, str(refund.id), args={"refund": str(refund.id)})
    return refund


async def give_back(tx: UnitOfWork, purchase: Purchase, reason: str, *, releases_place: bool = False) -> None:
    """Requests a refund of all that is left of what has no credits, under the purchase's lock; or of nothing."""
    if not purchase.total_minor:
        return
    payment = await _payment(tx, purchase.id)
    while (rest := (await _rest(tx, payment))[0]) > 0:
        refund = await _request(tx, payment, rest, credits=0, reason=reason)
        refund.releases_place = releases_place
        await tx.session.flush()


async def frozen(tx: UnitOfWork, refund_id: UUID) -> None:
    """The credits, or the place, are out of the client's hands."""
    purchase, _, refund = await _locked(tx, refund_id)
    if refund.state == "REQUESTED":
        refund.state = "FROZEN"
        refund.touch(tx.now())
        if refund.releases_place and purchase.state != "RETURNED":
            await purchases.returned(tx, purchase, "CANCELLED")


async def fail(tx: UnitOfWork, refund_id: UUID, failure: str) -> None:
    """No money went back: what was set aside is free again, and the credits are restored."""
    purchase, payment, refund = await _locked(tx, refund_id)
    await _fail(tx, purchase, payment, refund, failure)


async def put_back(tx: UnitOfWork, refund_id: UUID) -> None:
    """What a gift card paid is on it again."""
    purchase, payment, refund = await _locked(tx, refund_id)
    if refund.state == "FROZEN":
        await _succeed(tx, purchase, payment, refund)


async def apply(tx: UnitOfWork, external_account: str, made: MadeRefund) -> bool:
    """Takes over what a refund is now, ours or made at the provider itself. False when it is of no payment here.

    What comes late (pending after succeeded, anything after failed) changes nothing.
    """
    found = await _find(tx, external_account, made)
    if found is None:
        return False
    purchase, payment, refund = await _locked(tx, found.id)
    refund.external_id = made.external_id
    if made.status in ("failed", "canceled"):
        await _fail(tx, purchase, payment, refund, made.failure or made.status)
    elif made.status == "succeeded" and refund.state in ("FROZEN", "PENDING"):
        await _succeed(tx, purchase, payment, refund)
    elif refund.state == "FROZEN":
        refund.state = "PENDING"
        refund.touch(tx.now())
    return True


async def forget_reasons(tx: UnitOfWork, client_id: UUID) -> None:
    """Of a client who was erased: what staff wrote about a refund may be about the person. The money stays."""
    theirs = select(Purchase.id).where(Purchase.tenant_id == tx.tenant, Purchase.client_id == client_id)
    mine = (Refund.tenant_id == tx.tenant, Refund.purchase_id.in_(theirs))
    await tx.session.execute(update(Refund).where(*mine).values(reason=""))


async def get(tx: UnitOfWork, refund_id: UUID) -> Refund:
    """Raises NotFound."""
    refund = await tx.session.get(Refund, (tx.tenant, refund_id))
    if refund is None:
        raise NotFound("refund")
    return refund


async def list_latest(tx: UnitOfWork, page: Page, purchase_id: UUID | None) -> Sequence[Refund]:
    """Newest first: of one purchase, or of all."""
    query = select(Refund).where(Refund.tenant_id == tx.tenant)
    if purchase_id is not None:
        query = query.where(Refund.purchase_id == purchase_id)
    if page.after:
        query = query.where(tuple_(Refund.create_time, Refund.id) < tuple(page.after))
    query = query.order_by(Refund.create_time.desc(), Refund.id.desc()).limit(page.limit)
    return (await tx.session.scalars(query)).all()


async def _succeed(tx: UnitOfWork, purchase: Purchase, payment: Payment, refund: Refund) -> None:
    await earnings.earn(tx, purchase)
    refund.tax_minor = quotes.tax_in_refund(
        purchase.total_minor, purchase.tax_minor, payment.refunded_minor, refund.amount_minor
    )
    refund.deferred_minor = await earnings.worth(tx, purchase, refund)
    await ledger.post(tx, f"refund {refund.id}", refund.currency_code, _moves(purchase, refund))
    refund.state = "SUCCEEDED"
    refund.touch(tx.now())
    payment.refunded_minor += refund.amount_minor
    payment.touch(tx.now())
    await tx.session.flush()
    await earnings.earn(tx, purchase)
    await receipts.order(tx, receipts.CREDIT_NOTE, purchase.id, refund.id)
    await _publish(tx, purchase, payment, refund)


async def _fail(tx: UnitOfWork, purchase: Purchase, payment: Payment, refund: Refund, failure: str) -> None:
    if refund.state == "FAILED":
        return
    came_back = refund.state == "SUCCEEDED"
    if came_back:
        back = [Move(m.credit, m.debit, m.amount, f"{m.cause}_back", m.subject) for m in _moves(purchase, refund)]
        await ledger.post(tx, f"refund {refund.id}", refund.currency_code, back)
        payment.refunded_minor -= refund.amount_minor
    refund.state, refund.failure = "FAILED", failure
    refund.touch(tx.now())
    payment.refunding_minor -= refund.amount_minor
    payment.touch(tx.now())
    # One that was made at the provider has taken nothing off the card.
    if purchase.kind == kinds.GIFT_CARD and refund.send_time is not None:
        await gift_cards.withhold(tx, purchase, -refund.amount_minor, f"refund {refund.id}")
    await tx.session.flush()
    await earnings.earn(tx, purchase)
    if refund.credits:
        await tx.enqueue(RESTORE_JOB, str(refund.id), args={"refund": str(refund.id)})
    if came_back:
        await receipts.order(tx, receipts.REVERSAL, purchase.id, refund.id)
        await _publish(tx, purchase, payment, refund)


def _moves(purchase: Purchase, refund: Refund) -> list[Move]:
    """Tax first, then what was not earned yet, then what was; what the client leaves to the studio is earned by it."""
    net = refund.amount_minor - refund.tax_minor
    unearned = min(net, refund.deferred_minor)
    return [
        Move(ledger.TAX, ledger.PROVIDER, refund.tax_minor, "tax_refunded"),
        Move(ledger.DEFERRED, ledger.PROVIDER, unearned, "unearned_refunded", refund.purchase_id),
        Move(ledger.REFUNDS, ledger.PROVIDER, net - unearned, "earned_refunded"),
        Move(ledger.DEFERRED, ledger.REVENUE, refund.deferred_minor - unearned, "forgone", refund.purchase_id),
        # Not by the provider, but by way of it.
        *(
            [Move(ledger.PROVIDER, ledger.GIFT_CARD, refund.amount_minor, "gift_put_back", purchase.gift_card_id)]
            if refund.to_gift_card
            else []
        ),
    ]


async def _publish(tx: UnitOfWork, purchase: Purchase, payment: Payment, refund: Refund) -> None:
    purchase.touch(tx.now())
    event = PaymentRefunded(
        purchase_id=str(purchase.id),
        client_id=str(purchase.client_id),
        refund_id=str(refund.id),
        amount_minor=refund.amount_minor,
        currency_code=refund.currency_code,
        refunded_minor=payment.refunded_minor,
    )
    await tx.publish(event, aggregate="purchase", aggregate_id=purchase.id, version=purchase.version)


async def _find(tx: UnitOfWork, external_account: str, made: MadeRefund) -> Refund | None:
    """By the provider's id, by what we called it, or, made at the provider itself, as a new one of the payment."""
    mine = select(Refund).where(Refund.tenant_id == tx.tenant)
    known = (await tx.session.scalars(mine.where(Refund.external_id == made.external_id))).one_or_none()
    if known is not None:
        return known
    query = select(Payment).where(
        Payment.tenant_id == tx.tenant,
        Payment.external_account == external_account,
        Payment.external_id == made.intent,
    )
    payment = (await tx.session.scalars(query)).one_or_none()
    if payment is None:
        return None
    if made.reference:
        ours = await tx.session.scalars(mine.where(Refund.payment_id == payment.id))
        return next((each for each in ours if str(each.id) == made.reference), None)
    await purchases.lock(tx, payment.purchase_id)
    payment = await _payment(tx, payment.purchase_id)
    foreign_id = derived_id(payment.id, made.external_id)
    refund = await tx.session.get(Refund, (tx.tenant, foreign_id))
    if refund is None:
        payment.refunding_minor += made.amount_minor
        refund = _row(tx, payment, made.amount_minor, credits=0, reason="made at the provider", state="FROZEN")
        refund.id = foreign_id
        tx.session.add(refund)
        await tx.session.flush()
    return refund


def _row(tx: UnitOfWork, payment: Payment, amount: int, *, credits: int, reason: str, state: str) -> Refund:
    return Refund(
        tenant_id=tx.tenant,
        id=new_id(),
        purchase_id=payment.purchase_id,
        payment_id=payment.id,
        amount_minor=amount,
        currency_code=payment.currency_code,
        credits=credits,
        reason=reason,
        state=state,
        create_time=tx.now(),
        update_time=tx.now(),
    )


async def _payment(tx: UnitOfWork, purchase_id: UUID) -> Payment:
    query = select(Payment).where(Payment.tenant_id == tx.tenant, Payment.purchase_id == purchase_id)
    query = query.with_for_update().execution_options(populate_existing=True)
    return (await tx.session.scalars(query)).one()


async def _locked(tx: UnitOfWork, refund_id: UUID) -> tuple[Purchase, Payment, Refund]:
    seen = await get(tx, refund_id)
    purchase = await purchases.lock(tx, seen.purchase_id, with_promo_code=seen.releases_place)
    payment = await _payment(tx, seen.purchase_id)
    refund = await tx.session.get(Refund, (tx.tenant, refund_id), populate_existing=True)
    assert refund is not None
    return purchase, payment, refund
