"""Deliveries: which messages are to go out, how far each has come, and what became of it.

A delivery is planned once per (studio, kind, subject, channel), however often its event comes. Sending follows the
protocol for effects outside: `begin` commits the intention, the provider is called, `accept`, `fail`, `put_back` or
`keep_trying` records the outcome. Whoever records second changes nothing: the first outcome stands.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from services.chassis.clock import real_now
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import NotFound
from services.chassis.ids import new_id
from services.notify.models import MAX_ATTEMPTS, Channel, Delivery, Kind, Outcome, State

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


async def list_newest(tx: UnitOfWork, page: Page, booking_id: UUID | None) -> Sequence[Delivery]:
    """Deliveries of the studio, newest first; only those about a booking when one is named."""
    query = select(Delivery).where(Delivery.tenant_id == tx.tenant).order_by(Delivery.id.desc()).limit(page.limit)
    if booking_id is not None:
        query = query.where(Delivery.subject_id == booking_id)
    if page.after is not None:
        query = query.where(Delivery.id < page.after[0])
    return (await tx.session.scalars(query)).all()


async def begin(tx: UnitOfWork, delivery_id: UUID, provider: str) -> bool:
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
    delivery.state, delivery.provider = State.SENDING, provider
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


async def report(
    tx: UnitOfWork,
    *,
    provider: str,
    provider_message_id: str,
    delivery_id: UUID | None = None,
    outcome: Outcome | None,
    reason: str,
    at: datetime,
) -> bool:
    """What a provider tells of a message; `outcome` None: that it has it. True when that was news.

    Reports come twice and in any order. A later word replaces an earlier one only if it is worse: what bounced or was
    complained of has not become well by an old "delivered". The message is found by our id, or by the provider's.
    """
    query = select(Delivery).where(Delivery.tenant_id == tx.tenant).with_for_update().limit(1)
    if delivery_id is not None:
        query = query.where(Delivery.id == delivery_id)
    else:
        query = query.where(Delivery.provider == provider, Delivery.provider_message_id == provider_message_id)
    delivery = await tx.session.scalar(query)
    if delivery is None or _RANK[outcome] <= _rank_of(delivery):
        return False
    if delivery.attempts == 0:
        # Nobody can have taken what was never handed over.
        return False
    if delivery.accept_time is None and outcome != Outcome.FAILED:
        delivery.accept_time = tx.now()
    if not delivery.provider_message_id:
        delivery.provider, delivery.provider_message_id = provider, provider_message_id
    if outcome is None:
        delivery.state, delivery.reason = State.ACCEPTED, ""
        what = "accepted"
    else:
        delivery.state = State.FAILED if outcome in (Outcome.BOUNCED, Outcome.FAILED) else State.DELIVERED
        delivery.outcome, delivery.outcome_time = outcome, at
        delivery.reason = (reason or outcome) if delivery.state == State.FAILED else reason
        what = str(outcome)
    delivery.story = [*delivery.story, step(at, what, reason, provider, provider_message_id)]
    return True


_RANK: dict[Outcome | None, int] = {
    None: 1,
    Outcome.DELIVERED: 2,
    Outcome.FAILED: 3,
    Outcome.BOUNCED: 3,
    Outcome.COMPLAINED: 4,
}


def _rank_of(delivery: Delivery) -> int:
    """How much the provider has told already."""
    if delivery.outcome:
        return _RANK[Outcome(delivery.outcome)]
    return 1 if delivery.state == State.ACCEPTED else 0


def step(
    at: datetime, what: str, reason: str = "", provider: str = "", provider_message_id: str = ""
) -> dict[str, str]:
    """One line of a delivery's story."""
    told = {"reason": reason, "provider": provider, "id": provider_message_id}
    return {"at": at.isoformat(), "what": what, **{key: value for key, value in told.items() if value}}
