"""The feed brings what the broker lost, once, and then stays silent."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from embedded.certificates import Certificates
from powerhouse.scheduling.v1.events_pb2 import ClassSessionChanged
from services.chassis.ids import new_id
from services.chassis.messaging import inbox
from services.chassis.messaging.feed import FeedCheck
from services.chassis.rpc.stubs import Stubs, Tls
from tests.support.messaging import Sample, sample_database
from tests.support.sample_service import NAME, POISON, consumers

TYPES = consumers.sources()[NAME]


@pytest.fixture
async def subscriber(postgres_url: str) -> AsyncIterator[Sample]:
    """A service that listens to `sample`, with a database of its own."""
    async with sample_database(postgres_url) as made:
        yield made


@pytest.fixture
async def feed(subscriber: Sample, certificates: Certificates, feed_target: str) -> AsyncIterator[FeedCheck]:
    """The subscriber's check of `sample`'s feed, without a grace."""
    stubs = Stubs({NAME: feed_target}, Tls(certificates.tls("booking")))
    yield FeedCheck(subscriber.database, consumers, stubs, grace=timedelta(0), overlap=timedelta(minutes=10))
    await stubs.close()


async def test_a_new_subscriber_gets_everything_from_the_beginning(
    sample: Sample, subscriber: Sample, feed: FeedCheck
) -> None:
    tenant = new_id()
    await sample.publish_all([(tenant, new_id(), 1, n) for n in range(450)])
    assert await feed.check(NAME, TYPES) == 450
    assert await subscriber.count("facts") == 450
    assert await feed.check(NAME, TYPES) == 0


async def test_only_what_was_missed_is_applied(sample: Sample, subscriber: Sample, feed: FeedCheck) -> None:
    await sample.publish_all([(new_id(), new_id(), 1, n) for n in range(20)])
    events = await sample.outbox()
    await inbox.apply(subscriber.database, consumers, events[:5] + events[6:])
    assert await feed.check(NAME, TYPES) == 1
    await inbox.apply(sample.database, consumers, events)
    assert await subscriber.digest() == await sample.digest()


async def test_what_committed_late_is_still_found(sample: Sample, subscriber: Sample, feed: FeedCheck) -> None:
    """An event that belongs before a window checked already, since its transaction was slow."""
    async with sample.database.transaction() as slow:
        await slow.of(new_id()).publish(_change(), aggregate="class_session", aggregate_id=new_id(), version=1)
        assert await feed.check(NAME, TYPES) == 0
        await asyncio.sleep(0.05)
    assert await feed.check(NAME, TYPES) == 1
    assert await subscriber.count("facts") == 1


async def test_a_parked_event_does_not_hold_the_feed_up(sample: Sample, subscriber: Sample, feed: FeedCheck) -> None:
    await sample.publish_all([(new_id(), new_id(), 1, POISON), (new_id(), new_id(), 1, 1)])
    assert await feed.check(NAME, TYPES) == 2
    assert await subscriber.count("dead_letters") == 1
    assert await feed.check(NAME, TYPES) == 0


async def test_the_grace_leaves_alone_what_may_still_be_on_its_way(
    sample: Sample, subscriber: Sample, certificates: Certificates, feed_target: str
) -> None:
    stubs = Stubs({NAME: feed_target}, Tls(certificates.tls("booking")))
    feed = FeedCheck(subscriber.database, consumers, stubs, grace=timedelta(seconds=60), overlap=timedelta(0))
    await sample.publish(new_id(), new_id(), 1)
    assert await feed.check(NAME, TYPES) == 0
    await sample.sql("UPDATE outbox SET create_time = create_time - interval '2 minutes'")
    await subscriber.sql("DELETE FROM feed_positions")
    assert await feed.check(NAME, TYPES) == 1
    await stubs.close()


def _change() -> ClassSessionChanged:
    return ClassSessionChanged(change=ClassSessionChanged.SCHEDULED)
