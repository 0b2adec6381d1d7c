"""Deliveries: which messages are to go out, how far each has come, and what became of it.

A delivery is planned once per (studio, kind, subject, channel), however often its event comes. Sending follows the
protocol for effects outside: `begin` commits the intention, the provider is called, `accept`, `fail`, `put_back` or
`keep_trying` records the outcome. Whoever records second changes nothing: the first outcome stands.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from services.chassis.clock import real_now
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import NotFound
from services.chassis.ids import new_id
from services.notify.models import MAX_ATTEMPTS, Channel, Delivery, Kind, State

SEND_JOB = "send_delivery"
# The provider forgets idempotency keys after 24 hours; an hour less leaves room for clocks that differ.
KEY_LIFETIME = timedelta(hours=23)


async def plan(tx: UnitOfWork, kind: Kind, subject_id: UUID) -> None:
    """Makes the delivery and its job, unless there is one already."""
    now = tx.now()
    delivery_id = await tx.session.scalar(
        insert(Delivery)
        .values(
            tenant_id=tx.tenant,
            id=new_id(),
            kind=kind,
            subject_id=subject_id,
            channel=Channel.EMAIL,
            booking_id=subject_id if kind == Kind.BOOKING_CONFIRMATION else None,
            due_time=now,
            due_at=now,
            create_time=now,
        )
        .on_conflict_do_nothing(constraint="uq_deliveries_once")
        .returning(Delivery.id)
    )
    if delivery_id is not None:
        await tx.enqueue(SEND_JOB, str(delivery_id), args={"delivery_id": str(delivery_id)})


async def get(tx: UnitOfWork, delivery_id: UUID) -> Delivery:
    """One delivery. Raises NotFound."""
    delivery = await tx.session.get(Delivery, (tx.tenant, delivery_id))
    if delivery is None:
        raise NotFound("delivery")
    return delivery


async def begin(tx: UnitOfWork, delivery_id: UUID) -> bool:
    """Commits to one more call of the provider; False when there is nothing left to call it for.

    A delivery whose outcome is still open when its attempts are used up, or when the provider has forgotten its key,
    fails here: calling again could send it twice.
    """
    delivery = await _lock(tx, delivery_id)
    now = real_now()
    if delivery.finished:
        return False
    if delivery.attempts == MAX_ATTEMPTS:
        _fail(delivery, delivery.reason or "no answer from the mail provider")
        return False
    first = delivery.first_attempt_time
    if delivery.state == State.SENDING and first is not None and now - first > KEY_LIFETIME:
        _fail(delivery, "no answer from the mail provider while it could still be asked safely")
        return False
    delivery.state = State.SENDING
    delivery.attempts += 1
    delivery.first_attempt_time = first or now
    return True


async def accept(tx: UnitOfWork, delivery_id: UUID, provider_message_id: str, reason: str = "") -> None:
    """The provider has taken it."""
    delivery = await _lock(tx, delivery_id)
    if not delivery.finished:
        delivery.state = State.ACCEPTED
        delivery.accept_time = tx.now()
        delivery.provider_message_id = provider_message_id
        delivery.reason = reason


async def skip(tx: UnitOfWork, delivery_id: UUID, reason: str) -> None:
    """It is not wanted (any more)."""
    delivery = await _lock(tx, delivery_id)
    if not delivery.finished:
        if delivery.state == State.SENDING:
            reason += "; an earlier attempt may have been accepted"
        delivery.state, delivery.reason = State.SKIPPED, reason


async def fail(tx: UnitOfWork, delivery_id: UUID, reason: str) -> None:
    """It is given up."""
    delivery = await _lock(tx, delivery_id)
    if not delivery.finished:
        _fail(delivery, reason)


async def put_back(tx: UnitOfWork, delivery_id: UUID, reason: str) -> bool:
    """The provider certainly did not take it. True when it may be tried again, else it has failed."""
    return await _after_attempt(tx, delivery_id, State.PENDING, reason)


async def keep_trying(tx: UnitOfWork, delivery_id: UUID, reason: str) -> bool:
    """Whether the provider took it is not known. True when it may be tried again, else it has failed."""
    return await _after_attempt(tx, delivery_id, State.SENDING, reason)


async def _after_attempt(tx: UnitOfWork, delivery_id: UUID, state: State, reason: str) -> bool:
    delivery = await _lock(tx, delivery_id)
    if delivery.finished:
        return False
    if delivery.attempts == MAX_ATTEMPTS:
        _fail(delivery, reason)
        return False
    delivery.state, delivery.reason = state, reason
    return True


def _fail(delivery: Delivery, reason: str) -> None:
    delivery.state, delivery.reason = State.FAILED, reason


async def _lock(tx: UnitOfWork, delivery_id: UUID) -> Delivery:
    delivery = await tx.session.get(Delivery, (tx.tenant, delivery_id), with_for_update=True)
    if delivery is None:
        raise NotFound("delivery")
    return delivery
