"""The inbox: events of others have their effect here once, whatever is sent twice, late or out of order."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

import orjson
from opentelemetry.trace import SpanKind
from sqlalchemy import text

from services.chassis.crashpoints import crashpoint
from services.chassis.db.database import Database
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import DomainError
from services.chassis.ids import NO_TENANT, new_id
from services.chassis.messaging.consumers import Consumer, Consumers
from services.chassis.messaging.envelope import Envelope
from services.chassis.outages import is_outage
from services.chassis.telemetry import DEAD_LETTERS, EVENTS_APPLIED, logger, span

log = logger(__name__)

# A whole batch before any handler, in one order: workers with overlapping batches wait, and never deadlock.
_RECEIVE = text(
    "INSERT INTO inbox (event_id, type, source_time)"
    " SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:types AS text[]), CAST(:times AS timestamptz[])) AS e (id)"
    " ORDER BY id ON CONFLICT (event_id) DO NOTHING RETURNING event_id::text"
)
_PARK = text(
    "INSERT INTO dead_letters (event_id, type, event, error)"
    " VALUES (CAST(:event_id AS uuid), :type, CAST(:event AS jsonb), :error)"
    " ON CONFLICT (event_id) DO UPDATE SET error = excluded.error"
)
_SET_TENANTS = text("SELECT set_config('app.tenants', :tenants, true)")
_PARKED = text("SELECT event_id FROM dead_letters ORDER BY create_time, event_id")
# Whoever deletes the row applies the event; a second replay at the same time finds nothing.
_UNPARK = text("DELETE FROM dead_letters WHERE event_id = :event_id RETURNING event::text")


async def apply(database: Database, consumers: Consumers, envelopes: Sequence[Envelope]) -> int:
    """Applies a batch in one transaction and returns how many of its events were new here.

    An event whose handler raises is parked alone as a dead letter. When the database is away or the transaction was
    a deadlock's victim everything is rolled back and the error raised: send the batch again.
    """
    batch = [envelope for envelope in envelopes if consumers.get(envelope.type)]
    if not batch:
        return 0
    # Handlers of every worker lock aggregates in the same order, and versions of an aggregate come in theirs.
    batch.sort(key=lambda envelope: (envelope.aggregate_id, envelope.version))
    applied: Counter[str] = Counter()
    parked: Counter[str] = Counter()
    async with database.transaction() as tx:
        fresh = await _receive(tx, batch)
        for envelope in batch:
            consumer = consumers.get(envelope.type)
            if consumer is None or envelope.event_id not in fresh:
                continue
            fresh.remove(envelope.event_id)
            outcome = applied if await _handle(tx, consumer, envelope) else parked
            outcome[envelope.type] += 1
    crashpoint("inbox_after_commit")
    for event_type, count in applied.items():
        EVENTS_APPLIED.labels(event_type).inc(count)
    for event_type, count in parked.items():
        DEAD_LETTERS.labels(event_type).inc(count)
    return applied.total() + parked.total()


async def replay(database: Database, consumers: Consumers) -> tuple[int, int]:
    """Tries every dead letter once more, each in its own transaction; returns how many worked and how many did not.

    Safe to press twice, also at the same time.
    """
    worked = failed = 0
    async with database.transaction() as tx:
        parked: Sequence[UUID] = (await tx.session.scalars(_PARKED)).all()
    for event_id in parked:
        async with database.transaction() as tx:
            stored = await tx.session.scalar(_UNPARK, {"event_id": event_id})
            envelope = Envelope.of_json(orjson.loads(stored)) if stored else None
            consumer = consumers.get(envelope.type) if envelope else None
            if envelope is None:
                continue
            if consumer is not None and await _handle(tx, consumer, envelope):
                worked += 1
            else:
                failed += 1
    return worked, failed


async def _receive(tx: UnitOfWork, batch: Sequence[Envelope]) -> set[str]:
    """Ids of the events that are new here. Waits for other workers that are just applying some of them."""
    columns = {
        "ids": [envelope.event_id for envelope in batch],
        "types": [envelope.type for envelope in batch],
        "times": [envelope.source_time for envelope in batch],
    }
    return set(await tx.session.scalars(_RECEIVE, columns))


async def _handle(tx: UnitOfWork, consumer: Consumer, envelope: Envelope) -> bool:
    """Runs the handler in the event's studio and in a savepoint; False when it raised and the event was parked."""
    await tx.session.execute(_SET_TENANTS, {"tenants": f"{{{envelope.tenant or NO_TENANT}}}"})
    attributes = {"messaging.message.id": envelope.event_id, "messaging.operation": "process"}
    with span(
        f"apply {envelope.type}",
        traceparent=envelope.traceparent or None,
        kind=SpanKind.CONSUMER,
        attributes=attributes,
    ):
        try:
            async with tx.session.begin_nested():
                event = envelope.open(consumer)
                await consumer.handler(tx.of(event.tenant or NO_TENANT), event)
            return True
        except Exception as error:
            if is_outage(error):
                raise
            await _park(tx, envelope, error)
            return False


async def _park(tx: UnitOfWork, envelope: Envelope, error: Exception) -> None:
    """The text of an error may quote a row, so only its name is kept; the id leads to the log."""
    error_id = new_id().hex[-12:]
    name = error.reason if isinstance(error, DomainError) else type(error).__name__
    log.error("event_parked", type=envelope.type, event_id=envelope.event_id, error_id=error_id, exc_info=error)
    await tx.session.execute(
        _PARK,
        {
            "event_id": envelope.event_id,
            "type": envelope.type,
            "event": orjson.dumps(envelope.as_json()).decode(),
            "error": f"{name} ({error_id})",
        },
    )
