"""The relay brings to the broker exactly what was committed, and says so only after the broker has it."""

import asyncio

import pytest
from kombu.exceptions import OperationalError

from powerhouse.scheduling.v1.events_pb2 import StudioCreated
from services.chassis.ids import new_id
from services.chassis.messaging import topology
from services.chassis.messaging.relay import Relay
from tests.support import sample_service
from tests.support.messaging import BrokerView, Sample

QUEUE = topology.events_queue(sample_service.NAME)


@pytest.mark.broker
async def test_publishes_what_was_committed_in_order_and_once(sample: Sample, any_broker: BrokerView) -> None:
    tenant = new_id()
    await sample.publish_all([(tenant, new_id(), 1, n) for n in range(250)])
    with any_broker.publisher() as publisher:
        relay = Relay(sample_service.NAME, sample.database, publisher)
        while await relay.step():
            pass
        assert not await relay.step()
    messages = any_broker.take(QUEUE)
    assert [len(message) for message in messages] == [100, 100, 50]
    sent = [event for message in messages for event in message]
    assert sent == [event.as_json() for event in await sample.outbox()]
    assert await sample.count("outbox", "publish_time IS NULL") == 0


async def test_leaves_out_what_was_rolled_back(sample: Sample, broker: BrokerView) -> None:
    async with sample.database.transaction() as tx:
        await tx.publish(StudioCreated(), aggregate="studio", aggregate_id=new_id(), version=1)
        await tx.session.rollback()
    with broker.publisher() as publisher:
        await Relay(sample_service.NAME, sample.database, publisher).step()
    assert broker.take(QUEUE) == []


@pytest.mark.broker
async def test_several_relays_share_an_outbox(sample: Sample, any_broker: BrokerView) -> None:
    await sample.publish_all([(new_id(), new_id(), 1, n) for n in range(1200)])
    with any_broker.publisher() as one, any_broker.publisher() as two:
        relays = [Relay(sample_service.NAME, sample.database, publisher) for publisher in (one, two)]
        while await sample.count("outbox", "publish_time IS NULL"):
            await asyncio.gather(*(relay.step() for relay in relays))
    sent = [event["event_id"] for message in any_broker.take(QUEUE) for event in message]
    assert sorted(sent) == sorted(event.event_id for event in await sample.outbox())


async def test_keeps_events_while_the_broker_is_away(sample: Sample) -> None:
    await sample.publish(new_id(), new_id(), 1)
    with BrokerView("redis://127.0.0.1:1/0").publisher() as publisher, pytest.raises(OperationalError):
        await Relay(sample_service.NAME, sample.database, publisher).step()
    assert await sample.count("outbox", "publish_time IS NULL") == 1


@pytest.mark.broker
async def test_an_event_nobody_listens_to_does_not_block_the_others(sample: Sample, any_broker: BrokerView) -> None:
    await sample.publish(new_id(), new_id(), 1)
    with any_broker.publisher() as publisher:
        await Relay("nobody", sample.database, publisher).step()
        await sample.publish(new_id(), new_id(), 1)
        await Relay(sample_service.NAME, sample.database, publisher).step()
    assert len(any_broker.take(QUEUE)) == 1
    assert await sample.count("outbox", "publish_time IS NULL") == 0
