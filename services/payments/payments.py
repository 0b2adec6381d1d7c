"""Payments: the intent at the provider for a purchase, and what the provider says became of it.

What an intent is now is applied, wherever it was read: in a webhook, in a list, in the answer of a call. Success is for
good, a declined try is noted once, so any order and any repetition ends in the same state.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from powerhouse.payments.v1.events_pb2 import PaymentFailed
from services.chassis.clock import real_now
from services.chassis.crashpoints import crashpoint
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, PermissionDenied, Unavailable, check_etag
from services.chassis.ids import new_id
from services.chassis.resources import Resources
from services.payments import buyers, cards, kinds, ledger, merchants, purchases, receipts
from services.payments.gateways import gateway_of
from services.payments.ledger import Move
from services.payments.models import Customer, Payment, PaymentAttempt, Purchase
from services.payments.providers.card_gateway import Away, Charge, Intent, ProviderError, Refused
from services.payments.providers.chargeable_amounts import require_chargeable

# Who never got the answer never got the client secret either, so an intent without an id can be paid by nobody and a
# new key is safe. It is needed: what the provider answered once, an error of its own too, it answers that key again.
KEY_LIFETIME = timedelta(minutes=1)


_PROCESSING = FailedPrecondition("the client's bank is at it; that takes days", reason="PAYMENT_PROCESSING")


class Mismatch(Exception):
    """The provider took another amount than the purchase costs, or took it for one that was given up."""


@dataclass(frozen=True)
class Wish:
    """What a client wants of cards: to keep the one it pays with, or to pay with one it has kept."""

    save: bool = False
    card_id: UUID | None = None


async def settle(tx: UnitOfWork, purchase: Purchase) -> None:
    """A new purchase of which a gift card pays all is paid by that; of any other nothing is known yet."""
    if purchase.total_minor and purchase.gift_minor == purchase.total_minor:
        await _paid(tx, purchase, await _open(tx, purchase))


async def start(
    resources: Resources, tenant: UUID, purchase_id: UUID, account: UUID | None, wish: Wish = Wish()
) -> Intent:
    """The intent that the browser confirms: made once, found after that.

    Raises NotFound, FailedPrecondition with ALREADY_PAID, CANCELLED, NOTHING_TO_PAY, AMOUNT_TOO_SMALL,
    PAYMENT_PROCESSING or PAYMENT_REFUSED, Unavailable/PROVIDER_AWAY, PermissionDenied for staff who have a wish.
    """
    if account is None and wish != Wish():
        raise PermissionDenied()
    async with resources.database.transaction(tenant) as tx:
        await purchases.get(tx, purchase_id, account)
        purchase = await purchases.lock(tx, purchase_id)
        payment = await _open(tx, purchase)
        require_chargeable(payment.charged_minor, payment.currency_code)
    gateway, read_time = gateway_of(resources.settings), real_now()
    try:
        if payment.external_id:
            intent = await gateway.get_intent(payment.external_account, payment.external_id)
        else:
            intent = await gateway.create_intent(
                payment.external_account,
                str(payment.intent_key),
                amount=payment.charged_minor,
                currency=payment.currency_code,
                reference=str(payment.id),
                # A place is held for minutes.
                at_once=purchase.booking_id is not None,
            )
            crashpoint("payments_after_intent")
    except ProviderError as error:
        raise cards.refusal(error) from error
    async with resources.database.transaction(tenant) as tx:
        ours = await apply(tx, payment.external_account, intent, read_time)
    # Not before that is kept: it may have been paid.
    async with resources.database.transaction(tenant) as tx:
        _require_open(await purchases.get(tx, purchase_id, None))
    if ours and ours.processing:
        raise _PROCESSING
    if not ours:
        raise Unavailable("the payment was started twice; try again", reason="PROVIDER_AWAY", retry_after=1)
    # What was wished at an earlier try is not wished any more.
    if wish == Wish() and not intent.saves:
        return intent
    return await _prepare(resources, tenant, payment, intent, account, wish)


async def charge(resources: Resources, tenant: UUID, purchase_id: UUID, customer: Customer, card: str) -> bool:
    """Takes the money from a saved card while the client is away, or notes why not. False when it was declined.

    Raises as `start`, and ProviderError.
    """
    intent = await start(resources, tenant, purchase_id, None)
    tried = await gateway_of(resources.settings).charge_intent(
        customer.external_account, intent.external_id, str(new_id()), customer=customer.external_id, card=card
    )
    crashpoint("payments_after_charge")
    async with resources.database.transaction(tenant) as tx:
        await apply(tx, customer.external_account, tried)
    return tried.charge is None or tried.charge.succeeded


async def give_up(resources: Resources, tenant: UUID, purchase_id: UUID, account: UUID | None, etag: str) -> None:
    """Somebody will not pay a purchase. Raises as `cancel`, FailedPrecondition/FOR_STAFF_ONLY or WAIVE_INSTEAD."""
    async with resources.database.transaction(tenant) as tx:
        purchase = await purchases.get(tx, purchase_id, account)
    if purchase.kind == kinds.FEE and account is not None:
        raise FailedPrecondition("only the studio lets a fee go", reason="FOR_STAFF_ONLY")
    if purchase.fee_id is not None:
        raise FailedPrecondition("waive the fee at its booking", reason="WAIVE_INSTEAD")
    await cancel(resources, tenant, purchase_id, account, etag)


async def cancel(resources: Resources, tenant: UUID, purchase_id: UUID, account: UUID | None, etag: str = "") -> None:
    """Gives up a purchase that is not paid: first at the provider, so that it cannot be paid any more.

    Raises NotFound, Aborted/ETAG_MISMATCH, FailedPrecondition with ALREADY_PAID, CANCELLED, PAYMENT_STARTED or
    PAYMENT_PROCESSING, Unavailable/PROVIDER_AWAY.
    """
    async with resources.database.transaction(tenant) as tx:
        purchase = await purchases.get(tx, purchase_id, account)
        check_etag(etag, purchase.etag)
        _require_open(purchase)
        payment = await of_purchase(tx, purchase_id)
    if payment is not None and payment.external_id:
        read_time = real_now()
        try:
            intent = await gateway_of(resources.settings).cancel_intent(payment.external_account, payment.external_id)
        except (Refused, Away) as error:
            raise merchants.away(error) from error
        async with resources.database.transaction(tenant) as tx:
            await apply(tx, payment.external_account, intent, read_time)
    async with resources.database.transaction(tenant) as tx:
        purchase = await purchases.lock(tx, purchase_id, with_promo_code=True)
        started = await of_purchase(tx, purchase_id)
        if purchase.state == "CANCELLED":
            return
        _require_open(purchase)
        if started is not None and started.processing:
            raise _PROCESSING
        if started is not None and started.external_id:
            raise FailedPrecondition("it is being paid just now; try again", reason="PAYMENT_STARTED")
        if started is not None:
            started.state = "CANCELLED"
            started.touch(tx.now())
        await purchases.cancelled(tx, purchase)


async def apply(
    tx: UnitOfWork, external_account: str, intent: Intent, read_time: datetime | None = None
) -> Payment | None:
    """Takes over what an intent is. None when it is none of the studio's here.

    With `read_time`, when the provider was asked for it, also whether the client's bank is at it: that comes and goes,
    so what an event says of it says nothing of now. Raises Mismatch, and then nothing is granted.
    """
    found = await _find(tx, external_account, intent)
    if found is None:
        return None
    purchase = await purchases.lock(tx, found.purchase_id, with_promo_code=intent.status == "canceled")
    payment = await tx.session.get(Payment, (tx.tenant, found.id), with_for_update=True, populate_existing=True)
    assert payment is not None
    if payment.external_id is None:
        payment.external_id = intent.external_id
        payment.touch(tx.now())
    if intent.charge is not None:
        await _note(tx, purchase, payment, intent.charge)
    if intent.status == "succeeded" and payment.state != "SUCCEEDED":
        await _succeed(tx, purchase, payment, intent)
    if intent.status == "canceled" and payment.state == "OPEN":
        payment.state = "CANCELLED"
        payment.touch(tx.now())
        await purchases.cancelled(tx, purchase)
    if read_time is not None and (payment.read_time is None or payment.read_time <= read_time):
        payment.read_time = read_time
        if payment.processing != (intent.status == "processing"):
            payment.processing = not payment.processing
            payment.touch(tx.now())
            purchase.touch(tx.now())
    return payment


async def of_purchase(tx: UnitOfWork, purchase_id: UUID) -> Payment | None:
    """The payment of a purchase, once it was started."""
    query = select(Payment).where(Payment.tenant_id == tx.tenant, Payment.purchase_id == purchase_id)
    return (await tx.session.scalars(query.execution_options(populate_existing=True))).one_or_none()


async def of_purchases(
    tx: UnitOfWork, purchase_ids: Collection[UUID]
) -> dict[UUID, tuple[Payment, list[PaymentAttempt]]]:
    """The payments of many, as far as they were started, with their decided tries, newest first."""
    query = (
        select(Payment, PaymentAttempt)
        .outerjoin(
            PaymentAttempt,
            (PaymentAttempt.tenant_id == Payment.tenant_id) & (PaymentAttempt.payment_id == Payment.id),
        )
        .where(Payment.tenant_id == tx.tenant, Payment.purchase_id.in_(purchase_ids))
        .order_by(PaymentAttempt.create_time.desc(), PaymentAttempt.id.desc())
        .execution_options(populate_existing=True)
    )
    found: dict[UUID, tuple[Payment, list[PaymentAttempt]]] = {}
    for payment, attempt in await tx.session.execute(query):
        _, tries = found.setdefault(payment.purchase_id, (payment, []))
        if attempt is not None:
            tries.append(attempt)
    return found


async def _prepare(
    resources: Resources, tenant: UUID, payment: Payment, intent: Intent, account: UUID | None, wish: Wish
) -> Intent:
    async with resources.database.transaction(tenant) as tx:
        client_id = (await purchases.get(tx, payment.purchase_id, None)).client_id
    payer_id = (await buyers.find(resources.stubs, tenant, client_id, account)).payer_id
    card = await cards.get(resources, tenant, payer_id, wish.card_id) if wish.card_id else None
    customer = card.customer if card else await cards.customer_of(resources, tenant, payer_id)
    try:
        return await gateway_of(resources.settings).prepare_intent(
            payment.external_account,
            intent.external_id,
            customer=customer.external_id,
            save=wish.save,
            card=card.saved.external_id if card else "",
        )
    except ProviderError as error:
        raise cards.refusal(error) from error


async def _open(tx: UnitOfWork, purchase: Purchase) -> Payment:
    _require_open(purchase)
    payment, now = await of_purchase(tx, purchase.id), real_now()
    if payment is None:
        account = await merchants.get(tx)
        payment = Payment(
            tenant_id=tx.tenant,
            id=new_id(),
            purchase_id=purchase.id,
            external_account=account.external_account,
            intent_key=new_id(),
            intent_key_time=now,
            amount_minor=purchase.total_minor,
            gift_minor=purchase.gift_minor,
            currency_code=purchase.currency_code,
            state="OPEN",
            create_time=tx.now(),
            update_time=tx.now(),
        )
        tx.session.add(payment)
    elif payment.external_id is None and now - payment.intent_key_time > KEY_LIFETIME:
        payment.intent_key, payment.intent_key_time = new_id(), now
    await tx.session.flush()
    return payment


async def _find(tx: UnitOfWork, external_account: str, intent: Intent) -> Payment | None:
    """By the provider's id, or by what we called it when its id did not reach us yet.

    In one statement: between two the id may be written by another call of ours.
    """
    ours = Payment.external_id == intent.external_id
    with suppress(ValueError):
        ours |= (Payment.id == UUID(intent.reference)) & Payment.external_id.is_(None)
    mine = select(Payment).where(Payment.tenant_id == tx.tenant, Payment.external_account == external_account)
    return (await tx.session.scalars(mine.where(ours))).one_or_none()


async def _note(tx: UnitOfWork, purchase: Purchase, payment: Payment, charge: Charge) -> None:
    row = insert(PaymentAttempt).values(
        tenant_id=tx.tenant,
        id=new_id(),
        payment_id=payment.id,
        # What failed before it became a charge is known by its code alone.
        external_id=charge.external_id or f"{charge.intent} {charge.code}",
        succeeded=charge.succeeded,
        code=charge.code,
        decline_code=charge.decline_code,
        create_time=tx.now(),
    )
    new = await tx.session.scalar(
        row.on_conflict_do_nothing(index_elements=["tenant_id", "payment_id", "external_id"]).returning(
            PaymentAttempt.id
        )
    )
    if new is not None and not charge.succeeded and payment.state == "OPEN":
        purchase.touch(tx.now())
        event = PaymentFailed(
            purchase_id=str(purchase.id),
            client_id=str(purchase.client_id),
            code=charge.code,
            decline_code=charge.decline_code,
        )
        await tx.publish(event, aggregate="purchase", aggregate_id=purchase.id, version=purchase.version)


async def _succeed(tx: UnitOfWork, purchase: Purchase, payment: Payment, intent: Intent) -> None:
    if (intent.received_minor, intent.currency_code) != (payment.charged_minor, payment.currency_code):
        raise Mismatch(f"{intent.received_minor} {intent.currency_code} for {payment.id}")
    if payment.state == "CANCELLED":
        raise Mismatch(f"{payment.id} was given up")
    payment.charge_id = intent.charge.external_id if intent.charge else None
    await _paid(tx, purchase, payment)


async def _paid(tx: UnitOfWork, purchase: Purchase, payment: Payment) -> None:
    """All of it is there. What a gift card pays is deferred already, and tax in it is not."""
    payment.state, payment.succeed_time = "SUCCEEDED", tx.now()
    payment.touch(tx.now())
    taxed = min(purchase.tax_minor, payment.charged_minor)
    moves = [
        Move(ledger.PROVIDER, ledger.DEFERRED, payment.charged_minor - taxed, "sold", purchase.id),
        Move(ledger.PROVIDER, ledger.TAX, taxed, "taxed"),
    ]
    await ledger.post(tx, f"payment {payment.id}", payment.currency_code, moves)
    of_gift = Move(ledger.DEFERRED, ledger.TAX, purchase.tax_minor - taxed, "gift_taxed", purchase.id)
    await ledger.post(tx, f"gift {purchase.id}", payment.currency_code, [of_gift])
    await purchases.paid(tx, purchase)
    await receipts.order(tx, receipts.RECEIPT, purchase.id)


def _require_open(purchase: Purchase) -> None:
    if purchase.state == "CANCELLED":
        raise FailedPrecondition("the purchase was given up", reason="CANCELLED")
    if not purchase.total_minor:
        raise FailedPrecondition("it costs nothing", reason="NOTHING_TO_PAY")
    if purchase.state != "OPEN":
        raise FailedPrecondition("it is paid already", reason="ALREADY_PAID")
