"""Deliveries: which messages are to go out, how far each has come, and what became of it.

A delivery is planned once per (studio, kind, subject, offset, channel, time_version), however often its event comes.
Its row is its own job; `sending` does it. What the provider tells afterwards comes in through `report`.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import literal, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from services.chassis.db.database import Database
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import NotFound, PermissionDenied
from services.chassis.ids import new_id
from services.chassis.jobs.queues import Queue
from services.chassis.telemetry import current_traceparent
from services.notify.models import WAITING, Channel, Delivery, Kind, Outcome, State

# Who asks for what was due longer ago is not answered: some of it may be gone.
KEPT = timedelta(days=730)
_ROWS_PER_STATEMENT = 1000
# Providers forget idempotency keys after 24 hours; an hour less leaves room for clocks that differ.
KEY_LIFETIME = timedelta(hours=23)

_IS_OPEN = "q.state IN ('pending', 'sending', 'unknown')"
# A worker that ends a delivery says how in the statement that gives the row back; these are for what it could not say.
QUEUE = Queue(
    "deliveries",
    waiting=WAITING,
    held="announced_at IS NOT NULL AND lease_token IS NOT NULL",
    runs="runs",
    settled=(
        f"state = CASE WHEN r.state = 'failed' AND {_IS_OPEN} THEN 'failed' ELSE q.state END",
        f"reason = CASE WHEN r.state = 'failed' AND {_IS_OPEN} THEN r.outcome ELSE q.reason END",
    ),
    lost=(
        f"state = CASE WHEN runs >= gone.max_attempts AND {_IS_OPEN} THEN 'failed' ELSE q.state END",
        f"reason = CASE WHEN runs >= gone.max_attempts AND {_IS_OPEN} THEN 'nobody who began it came back'"
        " ELSE q.reason END",
    ),
)


# Studio by studio, along the index of what each had due. What is not finished stays, however old.
FORGET = f"""
WITH RECURSIVE studios AS (
    (SELECT tenant_id FROM deliveries ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT d.tenant_id FROM deliveries d WHERE d.tenant_id > s.tenant_id ORDER BY d.tenant_id LIMIT 1)
    FROM studios s WHERE s.tenant_id IS NOT NULL
), old AS (
    SELECT d.row_id FROM studios s CROSS JOIN LATERAL (
        SELECT ctid AS row_id FROM deliveries
        WHERE tenant_id = s.tenant_id AND due_time < $1 AND state NOT IN ('pending', 'sending', 'unknown')
        ORDER BY due_time LIMIT {_ROWS_PER_STATEMENT}
    ) d LIMIT {_ROWS_PER_STATEMENT}
)
DELETE FROM deliveries WHERE ctid = ANY (ARRAY(SELECT row_id FROM old)) RETURNING 1
"""  # noqa: S608 - constants only


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A message to be sent. Without `due_time`: at once."""

    kind: Kind
    channel: Channel
    subject_id: UUID
    offset_minutes: int = 0
    time_version: int = 0
    client_id: UUID | None = None
    booking_id: UUID | None = None
    class_session_id: UUID | None = None
    args: dict[str, Any] = field(default_factory=dict)
    due_time: datetime | None = None
    # When it leaves, if later or earlier than it is due.
    send_time: datetime | None = None
    useful_until: datetime | None = None
    # Why it is not sent at all.
    skipped: str = ""


async def plan(tx: UnitOfWork, *plans: Plan) -> None:
    """Makes the deliveries that are not there yet."""
    now, traceparent = tx.now(), current_traceparent()
    rows = [
        {
            "tenant_id": tx.tenant,
            "id": new_id(),
            "kind": plan.kind,
            "subject_id": plan.subject_id,
            "channel": plan.channel,
            "offset_minutes": plan.offset_minutes,
            "time_version": plan.time_version,
            "client_id": plan.client_id,
            "booking_id": plan.booking_id,
            "class_session_id": plan.class_session_id,
            "args": plan.args,
            "state": State.SKIPPED if plan.skipped else State.PENDING,
            "reason": plan.skipped,
            "due_time": plan.due_time or now,
            "due_at": plan.send_time or plan.due_time or now,
            "useful_until": plan.useful_until,
            "story": [step(now, "skipped" if plan.skipped else "planned", plan.skipped)],
            "create_time": now,
            "traceparent": traceparent,
        }
        for plan in plans
    ]
    if rows:
        await tx.session.execute(insert(Delivery).values(rows).on_conflict_do_nothing(constraint="uq_deliveries_once"))


async def get(tx: UnitOfWork, delivery_id: UUID) -> Delivery:
    """One delivery. Raises NotFound."""
    delivery = await tx.session.get(Delivery, (tx.tenant, delivery_id))
    if delivery is None:
        raise NotFound("delivery")
    return delivery


async def of_gift_card(tx: UnitOfWork, card_id: UUID, account: UUID | None) -> Delivery:
    """The latest by which a card was sent to somebody; with `account` only of a card that it bought.

    Raises PermissionDenied for any other, known or not, when narrowed; else NotFound.
    """
    mine = (Delivery.tenant_id == tx.tenant, Delivery.kind == Kind.GIFT_CARD, Delivery.subject_id == card_id)
    latest = select(Delivery).where(*mine).order_by(Delivery.time_version.desc()).limit(1)
    delivery = await tx.session.scalar(latest)
    if account is not None and (delivery is None or delivery.args["account"] != str(account)):
        raise PermissionDenied()
    if delivery is None:
        raise NotFound("delivery")
    return delivery


async def skip_waiting(tx: UnitOfWork, reason: str, *which: Any) -> None:
    """Whatever of these has not been begun is not wanted any more. `which` are conditions on Delivery."""
    await tx.session.execute(
        update(Delivery)
        .where(Delivery.tenant_id == tx.tenant, Delivery.state == State.PENDING, Delivery.attempts == 0, *which)
        .values(state=State.SKIPPED, reason=reason, story=_told(step(tx.now(), "skipped", reason)))
    )


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
    delivery.words_hash = None
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


async def forget(database: Database) -> int:
    """Deletes what was due longer ago than it is kept, a little at a time. How many there were."""
    count = 0
    while rows := await database.queue(FORGET, database.clock.now() - KEPT):
        count += len(rows)
    return count


def step(
    at: datetime, what: str, reason: str = "", provider: str = "", provider_message_id: str = ""
) -> dict[str, str]:
    """One line of a delivery's story."""
    told = {"reason": reason, "provider": provider, "id": provider_message_id}
    return {"at": at.isoformat(), "what": what, **{key: value for key, value in told.items() if value}}


def _told(line: dict[str, str]) -> Any:
    return Delivery.story + literal([line], JSONB)
