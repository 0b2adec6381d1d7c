"""The whole asynchronous half as real processes: through crashes, a wiped or absent broker and a frozen worker, every
committed event has its effect once and every job ends.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from time import monotonic

import pytest

from embedded.broker import Broker
from embedded.processes import temporary_var
from services.chassis.crashpoints import CRASHPOINTS
from services.chassis.ids import new_id
from services.chassis.messaging.relay import Relay
from tests.support.messaging import BrokerView, Sample, Workers, eventually
from tests.support.sample_service import NAME

StartWorkers = Callable[[str], Workers]


async def commit(sample: Sample, count: int) -> None:
    """Commits events in many small transactions, as requests do."""
    tenant = new_id()
    for n in range(count):
        await sample.publish(tenant, new_id(), 1, n)


async def settled(sample: Sample, events: int, workers: Workers, within: float = 45) -> None:
    """Waits until all is done, then checks that nothing was lost or doubled."""

    async def done() -> bool:
        return await sample.count("jobs", "kind = 'count' AND state = 'done'") >= events and not await sample.count(
            "outbox", "publish_time IS NULL"
        )

    await eventually(done, within, lambda: "\n".join(process.log() for process in workers.started))
    assert await sample.count("facts") == events
    assert await sample.count("facts", "event_id NOT IN (SELECT event_id FROM outbox)") == 0
    assert len(await sample.sql("SELECT DISTINCT event_id FROM facts")) == events
    assert await sample.count("inbox") == events
    assert await sample.count("effects") == events
    assert await sample.count("projection") == events
    assert await sample.count("dead_letters") == 0
    assert await sample.count("jobs", "state IN ('failed', 'cancelled')") == 0


@pytest.mark.broker
async def test_an_event_has_its_effect_soon(
    sample: Sample, any_broker: BrokerView, start_workers: StartWorkers
) -> None:
    workers = start_workers(any_broker.url)
    process = workers.start()
    await commit(sample, 1)
    await settled(sample, 1, workers)
    started = monotonic()
    await commit(sample, 1)
    await settled(sample, 2, workers)
    assert monotonic() - started < 5, process.log()
    assert await process.stop() == 0
    assert '"stopped"' in process.log()


@pytest.mark.broker
@pytest.mark.parametrize(
    "crashpoint", [name for name in CRASHPOINTS if not name.startswith(("notify_", "payments_", "scheduling_"))]
)
async def test_a_crash_loses_and_doubles_nothing(
    sample: Sample, any_broker: BrokerView, start_workers: StartWorkers, crashpoint: str
) -> None:
    workers = start_workers(any_broker.url)
    dying = workers.start(crashpoint)
    await commit(sample, 30)
    assert await dying.ended() == 137, dying.log()
    workers.start()
    await settled(sample, 30, workers)


@pytest.mark.broker
async def test_what_the_broker_lost_comes_through_the_feed(
    sample: Sample, any_broker: BrokerView, start_workers: StartWorkers
) -> None:
    await commit(sample, 20)
    with any_broker.publisher() as publisher:
        await Relay(NAME, sample.database, publisher).step()
    assert await sample.count("outbox", "publish_time IS NULL") == 0
    any_broker.wipe()
    workers = start_workers(any_broker.url)
    process = workers.start()
    await settled(sample, 20, workers)
    assert "events_healed" in process.log()


@pytest.mark.broker
async def test_a_wiped_broker_heals_under_load(
    sample: Sample, any_broker: BrokerView, start_workers: StartWorkers
) -> None:
    workers = start_workers(any_broker.url)
    workers.start()
    for _ in range(4):
        await commit(sample, 25)
        await asyncio.sleep(0.1)
        await asyncio.to_thread(any_broker.wipe)
    await commit(sample, 25)
    await settled(sample, 125, workers, within=45)


async def test_a_frozen_worker_is_fenced_out(sample: Sample, broker: BrokerView, start_workers: StartWorkers) -> None:
    workers = start_workers(broker.url)
    frozen = workers.start()
    [id] = await sample.enqueue({"seconds": 0.5})
    await eventually(lambda: sample.count("runs"), explain=frozen.log)
    frozen.popen.send_signal(signal.SIGSTOP)
    workers.start()
    await eventually(lambda: sample.count("jobs", f"id = '{id}' AND state = 'done'"))
    [before] = await sample.sql("SELECT * FROM jobs WHERE id = $1", id)
    frozen.popen.send_signal(signal.SIGCONT)
    await asyncio.sleep(1)
    [after] = await sample.sql("SELECT * FROM jobs WHERE id = $1", id)
    assert before == after
    assert after["attempts"] == 2
    assert await sample.count("effects") == 1
    assert "job_lease_lost" in frozen.log()


async def test_ticks_of_three_processes_are_made_once(
    sample: Sample, broker: BrokerView, start_workers: StartWorkers
) -> None:
    workers = start_workers(broker.url)
    for _ in range(3):
        workers.start()
    await eventually(lambda: _at_least(4, sample.count("pulses")))
    ticks = [row["tick_at"] for row in await sample.sql("SELECT tick_at FROM pulses")]
    assert len(ticks) == len(set(ticks))


async def test_the_process_outlives_an_absent_broker(sample: Sample, start_workers: StartWorkers) -> None:
    with temporary_var() as var:
        broker = Broker(var)
        with broker.running() as server:
            port = server.port
            workers = start_workers(server.url)
            process = workers.start()
            await commit(sample, 5)
            await settled(sample, 5, workers)
        await commit(sample, 5)
        await eventually(lambda: _in(process.log, '"loop":"relay"'), explain=process.log)
        await asyncio.sleep(1)  # it tries again meanwhile
        assert process.popen.poll() is None, process.log()
        assert await sample.count("outbox", "publish_time IS NULL") == 5
        assert process.log().count('"loop":"relay"') == 1, "an outage is told once"
        with Broker(var, port).running() as server:
            assert server.port == port
            await settled(sample, 10, workers)
            assert await process.stop() == 0


async def test_it_stops_while_the_broker_is_away(sample: Sample, start_workers: StartWorkers) -> None:
    process = start_workers("redis://127.0.0.1:1/0").start()
    await eventually(lambda: _in(process.log, "loop_interrupted"), explain=process.log)
    assert await process.stop() == 0, process.log()


async def test_it_ends_what_runs_before_it_stops(
    sample: Sample, broker: BrokerView, start_workers: StartWorkers
) -> None:
    process = start_workers(broker.url).start()
    short, long = await sample.enqueue({"seconds": 1}, {"seconds": 60})
    await eventually(lambda: _at_least(2, sample.count("runs")), explain=process.log)
    assert await process.stop() == 0, process.log()
    states = {row["id"]: row["state"] for row in await sample.sql("SELECT id, state FROM jobs")}
    assert states[short] == "done"
    assert states[long] == "running", "another process takes it over when its lease ends"


async def _at_least(wanted: int, counted: Awaitable[int]) -> bool:
    return await counted >= wanted


async def _in(read: Callable[[], str], text: str) -> bool:
    return text in read()
