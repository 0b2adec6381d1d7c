"""Jobs: announced when due, run under a lease, recorded by whoever holds it; ticks made once by however many."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy import text

from services.chassis.db.database import Database
from services.chassis.jobs import queues, retention
from services.chassis.jobs.dispatcher import Dispatcher
from services.chassis.jobs.registry import Jobs, Work, tick_before
from services.chassis.jobs.sweeper import sweep
from services.chassis.jobs.worker import Worker
from services.chassis.messaging import topology
from tests.support.messaging import BrokerView, Sample
from tests.support.sample_service import NAME, QUICK, make_jobs
from tests.support.services import HeldClock

QUEUE = topology.jobs_queue(NAME)


@dataclass(frozen=True)
class Bench:
    """What the sample's handlers use of `Work`."""

    database: Database
    clock: HeldClock


@pytest.fixture
def jobs() -> Jobs:
    return make_jobs()


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock(datetime.now(UTC) + timedelta(minutes=1))


@pytest.fixture
def worker(sample: Sample, clock: HeldClock, jobs: Jobs) -> Worker:
    return Worker(cast(Work, Bench(sample.database, clock)), jobs, QUICK)


@pytest.fixture
def dispatcher(sample: Sample, broker: BrokerView, clock: HeldClock, jobs: Jobs) -> AsyncIterator[Dispatcher]:
    with broker.publisher() as publisher:
        yield Dispatcher(NAME, sample.database, clock, publisher, jobs, QUICK)


async def row(sample: Sample, id: UUID) -> Any:
    return (await sample.sql("SELECT * FROM jobs WHERE id = $1", id))[0]


def ids_in(messages: list[list[str]]) -> list[str]:
    return [id for message in messages for id in message]


async def test_due_jobs_are_announced_in_chunks_in_order(
    sample: Sample, broker: BrokerView, dispatcher: Dispatcher
) -> None:
    ids = await sample.enqueue(*({} for _ in range(250)))
    await dispatcher.announce()
    messages = broker.take(QUEUE)
    assert [len(message) for message in messages] == [100, 100, 50]
    assert ids_in(messages) == [str(id) for id in ids]


async def test_what_is_announced_is_not_announced_again_at_once(
    sample: Sample, broker: BrokerView, dispatcher: Dispatcher
) -> None:
    await dispatcher.forget_old()
    [id] = await sample.enqueue({})
    await dispatcher.announce()
    assert not await dispatcher.forget_old()
    await dispatcher.announce()
    assert ids_in(broker.take(QUEUE)) == [str(id)]
    await sample.sql("UPDATE jobs SET announced_at = announced_at - interval '2 seconds'")
    assert await dispatcher.forget_old()
    await dispatcher.announce()
    assert ids_in(broker.take(QUEUE)) == [str(id)]


async def test_who_starts_announces_what_a_dead_process_was_to_run(
    sample: Sample, broker: BrokerView, dispatcher: Dispatcher, jobs: Jobs, clock: HeldClock
) -> None:
    [id] = await sample.enqueue({})
    await dispatcher.announce()
    # The hint dies with who had it.
    broker.take(QUEUE)
    with broker.publisher() as publisher:
        started = Dispatcher(NAME, sample.database, clock, publisher, jobs, QUICK)
        assert await started.forget_old()
        await started.announce()
    assert ids_in(broker.take(QUEUE)) == [str(id)]


async def test_a_backlog_is_announced_in_portions(
    sample: Sample, broker: BrokerView, dispatcher: Dispatcher, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "ROWS_PER_ROUND", 20)
    monkeypatch.setattr(queues, "ENOUGH_ANNOUNCED", 10)
    ids = await sample.enqueue(*({} for _ in range(50)))
    await dispatcher.announce()
    await dispatcher.announce()
    assert ids_in(broker.take(QUEUE)) == [str(id) for id in ids[:20]]
    await worker.run(ids[:11])
    await dispatcher.announce()
    assert ids_in(broker.take(QUEUE)) == [str(id) for id in ids[20:40]]


async def test_nothing_is_announced_or_run_before_it_is_due(
    sample: Sample, broker: BrokerView, dispatcher: Dispatcher, worker: Worker, clock: HeldClock
) -> None:
    [id] = await sample.enqueue({})
    await sample.sql("UPDATE jobs SET due_at = $1", clock.now() + timedelta(hours=1))
    await dispatcher.announce()
    await worker.run([id])
    assert broker.take(QUEUE) == []
    assert (await row(sample, id))["state"] == "queued"
    clock.move(timedelta(hours=1))
    await dispatcher.announce()
    assert ids_in(broker.take(QUEUE)) == [str(id)]
    await worker.run([id])
    assert (await row(sample, id))["state"] == "done"


async def test_kinds_of_another_release_are_left_alone(sample: Sample, broker: BrokerView, clock: HeldClock) -> None:
    [id] = await sample.enqueue({})
    older = Jobs()
    with broker.publisher() as publisher:
        await Dispatcher(NAME, sample.database, clock, publisher, older, QUICK).announce()
    await Worker(cast(Work, Bench(sample.database, clock)), older, QUICK).run([id])
    assert broker.take(QUEUE) == []
    assert (await row(sample, id))["state"] == "queued"


async def test_the_announcement_is_taken_back_when_the_broker_is_away(
    sample: Sample, jobs: Jobs, clock: HeldClock
) -> None:
    [id] = await sample.enqueue({})
    with BrokerView("redis://127.0.0.1:1/0").publisher() as publisher:
        dispatcher = Dispatcher(NAME, sample.database, clock, publisher, jobs, QUICK)
        with pytest.raises(Exception, match="refused"):
            await dispatcher.announce()
    assert (await row(sample, id))["announced_at"] is None


async def test_outcomes_are_kept(sample: Sample, worker: Worker) -> None:
    ids = await sample.enqueue({}, {"outcome": "cancelled"}, {"outcome": "failed"}, {"outcome": "retry"})
    await worker.run(ids)
    done, cancelled, failed, retried = [await row(sample, id) for id in ids]
    assert [r["state"] for r in (done, cancelled, failed, retried)] == ["done", "cancelled", "failed", "queued"]
    assert [r["outcome"] for r in (done, cancelled, failed, retried)] == [None, "NOT_WANTED", "NO_USE", "NOT_YET"]
    assert [bool(r["finish_time"]) for r in (done, cancelled, failed, retried)] == [True, True, True, False]
    assert retried["retry_at"] is not None
    assert all(r["lease_token"] is None for r in (done, cancelled, failed, retried))


async def test_attempts_are_counted_at_the_claim_and_end(sample: Sample, worker: Worker) -> None:
    [id] = await sample.enqueue({"outcome": "error"})
    for attempt in (1, 2, 3):
        await sample.sql("UPDATE jobs SET retry_at = NULL")
        await worker.run([id])
        assert (await row(sample, id))["attempts"] == attempt
    assert (await row(sample, id))["state"] == "failed"
    assert (await row(sample, id))["outcome"] == "RuntimeError"
    await worker.run([id])
    assert await sample.count("runs") == 3


async def test_a_retry_waits_for_its_pause(sample: Sample, worker: Worker) -> None:
    [id] = await sample.enqueue({"outcome": "retry"})
    await worker.run([id])
    await worker.run([id])
    assert await sample.count("runs") == 1
    await asyncio.sleep(0.15)
    await worker.run([id])
    assert await sample.count("runs") == 2


async def test_racing_workers_run_each_job_once(sample: Sample, worker: Worker) -> None:
    ids = await sample.enqueue(*({} for _ in range(60)))
    await asyncio.gather(*(worker.run(ids) for _ in range(4)))
    assert await sample.count("runs") == 60
    assert await sample.count("jobs", "state = 'done'") == 60


async def test_what_somebody_holds_for_a_moment_is_looked_at_again(sample: Sample, worker: Worker) -> None:
    """As a dispatcher holds what another has announced, when it comes second: nobody would announce it again soon."""
    held, free = await sample.enqueue({}, {})
    async with sample.database.transaction() as tx:
        await tx.session.execute(text("SELECT 1 FROM jobs WHERE id = :id FOR UPDATE"), {"id": held})
        running = asyncio.create_task(worker.run([held, free]))
        async with asyncio.timeout(30):
            while (await row(sample, free))["state"] == "queued":  # noqa: ASYNC110  # it cannot tell
                await asyncio.sleep(0.01)
        assert (await row(sample, held))["state"] == "queued"
    await running
    assert [(await row(sample, each))["state"] for each in (held, free)] == ["done", "done"]


async def test_a_long_job_keeps_its_lease(sample: Sample, worker: Worker, jobs: Jobs) -> None:
    [id] = await sample.enqueue({"seconds": 2 * QUICK.lease})
    running = asyncio.create_task(worker.run([id]))
    while not running.done():
        await sweep(sample.database, jobs)
        await asyncio.sleep(0.2)
    await running
    assert (await row(sample, id))["state"] == "done"
    assert await sample.count("runs") == 1


async def test_whoever_lost_the_lease_records_nothing(sample: Sample, clock: HeldClock, jobs: Jobs) -> None:
    """A worker that was frozen past its lease: it never renews, wakes up late, and finds that it is fenced out."""
    [id] = await sample.enqueue({"outcome": "failed", "seconds": 1.0})
    frozen = replace(QUICK, lease=0.3, renew_interval=60)
    late = asyncio.create_task(Worker(cast(Work, Bench(sample.database, clock)), jobs, frozen).run([id]))
    await asyncio.sleep(0.6)
    assert await sweep(sample.database, jobs)
    await sample.sql("""UPDATE jobs SET args = '{"outcome": "done"}'""")
    await Worker(cast(Work, Bench(sample.database, clock)), jobs, QUICK).run([id])
    await late
    assert (await row(sample, id))["state"] == "done"
    assert await sample.count("runs") == 2
    assert await sample.count("effects") == 1


async def test_a_worker_that_lost_its_lease_stops_its_job(sample: Sample, worker: Worker) -> None:
    [id] = await sample.enqueue({"seconds": 30})
    running = asyncio.create_task(worker.run([id]))
    await asyncio.sleep(0.2)
    await sample.sql("UPDATE jobs SET lease_token = gen_random_uuid()")
    await asyncio.wait_for(running, 20)
    assert await sample.count("effects") == 0


async def test_the_sweeper_fails_what_has_no_attempt_left(sample: Sample, jobs: Jobs) -> None:
    first, last, alive = await sample.enqueue({}, {}, {})
    expired = "state = 'running', lease_until = clock_timestamp() - interval '1 second'"
    await sample.sql(f"UPDATE jobs SET {expired}, attempts = 1 WHERE id = $1", first)
    await sample.sql(f"UPDATE jobs SET {expired}, attempts = 3 WHERE id = $1", last)
    await sample.sql(
        "UPDATE jobs SET state = 'running', lease_until = clock_timestamp() + interval '9 s' WHERE id = $1", alive
    )
    assert await sweep(sample.database, jobs)
    assert [(await row(sample, id))["state"] for id in (first, last, alive)] == ["queued", "failed", "running"]
    assert not await sweep(sample.database, jobs)


async def test_three_dispatchers_make_each_tick_once(
    sample: Sample, broker: BrokerView, clock: HeldClock, jobs: Jobs
) -> None:
    with broker.publisher() as publisher:
        dispatchers = [Dispatcher(NAME, sample.database, clock, publisher, jobs, QUICK) for _ in range(3)]
        for _ in range(5):
            await asyncio.gather(*(dispatcher.make_ticks() for dispatcher in dispatchers))
            clock.move(timedelta(seconds=1))
    ticks = await sample.sql("SELECT due_at, dedup_key FROM jobs WHERE kind = 'tick:pulse' ORDER BY due_at")
    assert len(ticks) == 5
    assert all(tick["due_at"].microsecond == 0 for tick in ticks)


async def test_missed_ticks_fire_once_and_old_ones_never(
    sample: Sample, dispatcher: Dispatcher, clock: HeldClock, jobs: Jobs
) -> None:
    jobs.every("weekly", timedelta(weeks=1))(_nothing)
    clock.instant = tick_before(clock.now(), timedelta(weeks=1)) + timedelta(hours=23)
    await dispatcher.make_ticks()
    assert await sample.count("jobs", "kind = 'tick:weekly'") == 1
    assert await sample.count("jobs", "kind = 'tick:pulse'") == 1
    clock.move(timedelta(days=8))
    await dispatcher.make_ticks()
    assert await sample.count("jobs", "kind = 'tick:weekly'") == 1, "more than 24 hours late"
    assert await sample.count("jobs", "kind = 'tick:pulse'") == 2, "only the latest of those missed"


async def test_a_tick_knows_its_time(sample: Sample, dispatcher: Dispatcher, worker: Worker, clock: HeldClock) -> None:
    await dispatcher.make_ticks()
    [tick] = await sample.sql("SELECT id, due_at FROM jobs WHERE kind = 'tick:pulse'")
    await worker.run([tick["id"]])
    assert [r["tick_at"] for r in await sample.sql("SELECT tick_at FROM pulses")] == [tick["due_at"]]


async def test_retention_deletes_what_is_old_and_settled(sample: Sample, clock: HeldClock) -> None:
    done, failed, fresh = await sample.enqueue({}, {}, {})
    await sample.sql("UPDATE jobs SET state = 'done', finish_time = now() - interval '8 days' WHERE id = $1", done)
    await sample.sql("UPDATE jobs SET state = 'failed', finish_time = now() - interval '8 days' WHERE id = $1", failed)
    await sample.publish_all([(UUID(int=7), UUID(int=n), 1, 1) for n in range(3)])
    await sample.sql("UPDATE outbox SET create_time = now() - interval '9 days'")
    await sample.sql("UPDATE outbox SET publish_time = now() - interval '8 days' WHERE aggregate_id <> $1", UUID(int=0))
    await retention.delete_old_rows(cast(Work, Bench(sample.database, clock)), clock.now())
    assert {r["id"] for r in await sample.sql("SELECT id FROM jobs")} == {failed, fresh}
    assert await sample.count("outbox") == 1, "never published, so it stays"


async def _nothing(work: Work, tick_at: datetime) -> None:
    """A tick without an effect."""
