"""The inbox: each event has its effect once, whatever is doubled, shuffled, poisoned or applied by several at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from sqlalchemy import text

from powerhouse.scheduling.v1.events_pb2 import ClassSessionChanged
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import new_id
from services.chassis.messaging import inbox
from services.chassis.messaging.consumers import Consumers, Event
from services.chassis.messaging.envelope import Envelope
from tests.support.messaging import Sample, sample_database, shuffled
from tests.support.sample_service import POISON, consumers


@pytest.fixture
async def other(postgres_url: str) -> AsyncIterator[Sample]:
    """A second subscriber, to compare digests with."""
    async with sample_database(postgres_url) as made:
        yield made


async def history(sample: Sample, sessions: int = 20, versions: int = 6) -> list[Envelope]:
    """Committed events of several studios, in order."""
    tenants = [new_id() for _ in range(4)]
    ids = [new_id() for _ in range(sessions)]
    await sample.publish_all(
        [(tenants[n % 4], session, v, 100 * v + n) for v in range(1, versions + 1) for n, session in enumerate(ids)]
    )
    return await sample.outbox()


async def apply_in_batches(sample: Sample, events: Sequence[Envelope], workers: int) -> None:
    """Deals the events to several workers that apply at the same time, again when they were a deadlock's victim."""
    batches = [list(events[start : start + 30]) for start in range(0, len(events), 30)]

    async def work() -> None:
        while batches:
            await inbox.apply(sample.database, consumers, batches.pop())

    await asyncio.gather(*(work() for _ in range(workers)))


async def test_doubled_and_shuffled_events_lead_to_the_same_state(sample: Sample, other: Sample) -> None:
    events = await history(sample)
    assert await inbox.apply(sample.database, consumers, events) == len(events)
    for seed in range(3):
        await apply_in_batches(other, shuffled(events, seed), workers=4)
        assert await other.digest() == await sample.digest(), f"seed {seed}"
    assert await other.count("facts") == len(events)


async def test_a_poisoned_event_is_parked_alone(sample: Sample) -> None:
    tenant, good, bad = new_id(), new_id(), new_id()
    await sample.publish_all([(tenant, good, 1, 5), (tenant, bad, 1, POISON), (tenant, good, 2, 6)])
    assert await inbox.apply(sample.database, consumers, await sample.outbox()) == 3
    assert await sample.count("facts") == 2
    assert [row["id"] for row in await sample.sql("SELECT id FROM projection")] == [good]
    [parked] = await sample.sql("SELECT event_id::text, error FROM dead_letters")
    assert parked["event_id"] == (await sample.outbox())[1].event_id
    assert parked["error"].startswith("ValueError (")
    # Parked is settled: it is not tried again by itself.
    assert await inbox.apply(sample.database, consumers, await sample.outbox()) == 0


async def test_a_payload_that_is_not_the_message_is_parked(sample: Sample) -> None:
    await sample.publish(new_id(), new_id(), 1)
    [event] = await sample.outbox()
    broken = replace(event, payload={"classSession": {"capacity": "many"}})
    await inbox.apply(sample.database, consumers, [broken])
    assert await sample.count("dead_letters") == 1
    assert await sample.count("facts") == 0


async def test_replay_may_be_pressed_twice(sample: Sample) -> None:
    await sample.publish_all([(new_id(), new_id(), 1, POISON) for _ in range(3)])
    await inbox.apply(sample.database, consumers, await sample.outbox())
    assert await inbox.replay(sample.database, consumers) == (0, 3)
    cured = Consumers()

    @cured.on(ClassSessionChanged)
    async def accept(tx: UnitOfWork, event: Event[ClassSessionChanged]) -> None:
        await tx.session.execute(text("INSERT INTO facts VALUES (:id)"), {"id": event.event_id})

    results = await asyncio.gather(*(inbox.replay(sample.database, cured) for _ in range(3)))
    assert sum(worked for worked, _ in results) == 3
    assert await sample.count("facts") == 3
    assert await sample.count("dead_letters") == 0
    assert await inbox.replay(sample.database, cured) == (0, 0)


async def test_unknown_types_and_unknown_fields_are_ignored(sample: Sample) -> None:
    await sample.publish(new_id(), new_id(), 1)
    [event] = await sample.outbox()
    unknown = replace(event, type="powerhouse.scheduling.v1.Unheard")
    assert await inbox.apply(sample.database, consumers, [unknown]) == 0
    assert await sample.count("inbox") == 0
    later_release = replace(event, payload={**event.payload, "addedLater": True})
    assert await inbox.apply(sample.database, consumers, [later_release]) == 1
    assert await sample.count("facts") == 1


async def test_a_handler_sees_only_the_studio_of_its_event(sample: Sample) -> None:
    mine, theirs = new_id(), new_id()
    await sample.publish_all([(mine, new_id(), 1, 1), (theirs, new_id(), 1, 2)])
    seen: dict[str, int] = {}
    looking = Consumers()

    @looking.on(ClassSessionChanged)
    async def look(tx: UnitOfWork, event: Event[ClassSessionChanged]) -> None:
        await tx.session.execute(
            text("INSERT INTO projection VALUES (:tenant, :id, 1, 1)"), {"tenant": tx.tenant, "id": event.aggregate_id}
        )
        seen[str(event.tenant)] = await tx.session.scalar(text("SELECT count(*) FROM projection")) or 0

    await inbox.apply(sample.database, looking, await sample.outbox())
    assert seen == {str(mine): 1, str(theirs): 1}


async def test_a_handler_cannot_write_into_another_studio(sample: Sample) -> None:
    await sample.publish(new_id(), new_id(), 1)
    straying = Consumers()

    @straying.on(ClassSessionChanged)
    async def stray(tx: UnitOfWork, event: Event[ClassSessionChanged]) -> None:
        await tx.session.execute(text("INSERT INTO projection VALUES (:tenant, :tenant, 1, 1)"), {"tenant": new_id()})

    await inbox.apply(sample.database, straying, await sample.outbox())
    assert await sample.count("projection") == 0
    assert await sample.count("dead_letters") == 1


async def test_an_outage_rolls_the_whole_batch_back(sample: Sample) -> None:
    await sample.publish_all([(new_id(), new_id(), 1, n) for n in range(3)])
    failing = Consumers()
    handled = 0

    @failing.on(ClassSessionChanged)
    async def fail(tx: UnitOfWork, event: Event[ClassSessionChanged]) -> None:
        nonlocal handled
        handled += 1
        if handled == 2:
            await tx.session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(Exception, match=r"connection|terminat"):
        await inbox.apply(sample.database, failing, await sample.outbox())
    assert await sample.count("inbox") == 0
    assert await sample.count("dead_letters") == 0
    assert await inbox.apply(sample.database, failing, await sample.outbox()) == 3


async def test_the_trace_goes_on_in_what_an_event_sets_off(sample: Sample) -> None:
    await sample.publish(new_id(), new_id(), 1)
    [event] = await sample.outbox()
    trace_id = "0123456789abcdef" * 2
    await inbox.apply(sample.database, consumers, [replace(event, traceparent=f"00-{trace_id}-{'12' * 8}-01")])
    [job] = await sample.sql("SELECT traceparent FROM jobs")
    assert trace_id in job["traceparent"]
