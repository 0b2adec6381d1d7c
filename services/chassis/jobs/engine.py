"""The engine of a `work` process: one event loop, in a thread of its own, that does all the work."""

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import uvloop
from celery import Celery

from services.chassis import telemetry
from services.chassis.jobs.dispatcher import Dispatcher
from services.chassis.jobs.loop import Loop
from services.chassis.jobs.sweeper import sweep
from services.chassis.jobs.timing import Timing
from services.chassis.jobs.worker import Worker
from services.chassis.messaging import inbox, topology
from services.chassis.messaging.envelope import Envelope
from services.chassis.messaging.feed import FeedCheck
from services.chassis.messaging.publisher import Publisher
from services.chassis.messaging.relay import Relay
from services.chassis.outages import is_outage
from services.chassis.resources import open_resources
from services.chassis.service import Service
from services.chassis.settings import ServiceSettings

log = telemetry.logger(__name__)

_APPLY_ATTEMPTS = 5


class Engine:
    """Relay, dispatcher, ticks, sweeper, feed check, and the chunks that Celery's threads hand over."""

    def __init__(self, service: Service, settings: ServiceSettings, timing: Timing, app: Celery) -> None:
        self._service, self._settings, self._timing = service, settings, timing
        self._queues = {jobs.queue.table: jobs for jobs in (service.jobs, *service.queues)}
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="engine", daemon=True)
        self._chunks: set[Future[None]] = set()
        self._publisher = Publisher(app, settings.broker_url)
        self._running: list[asyncio.Task[None]] = []

    @property
    def tables(self) -> Sequence[str]:
        """The queues that it works on."""
        return list(self._queues)

    def start(self) -> None:
        """Starts the thread and everything periodic."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()

    def run(self, chunk: Coroutine[Any, Any, None]) -> None:
        """Runs a chunk on the loop and waits for it; concurrent.futures.CancelledError when the process stops first."""
        future = asyncio.run_coroutine_threadsafe(chunk, self._loop)
        self._chunks.add(future)
        try:
            future.result()
        finally:
            self._chunks.discard(future)

    def begin_drain(self) -> None:
        """Chunks get some seconds to end; what is then still running is stopped and done again by another process."""

        def cancel() -> None:
            for chunk in list(self._chunks):
                chunk.cancel()

        log.info("draining", chunks=len(self._chunks))
        self._loop.call_soon_threadsafe(self._loop.call_later, self._timing.drain, cancel)

    def stop(self) -> None:
        """Ends everything; returns when the thread has ended."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._publisher.close()

    async def apply(self, envelopes: Sequence[Envelope]) -> None:
        """Applies events, again after a pause while the database is away or a deadlock chose this transaction."""
        for attempt in range(1, _APPLY_ATTEMPTS + 1):
            try:
                await inbox.apply(self._resources.database, self._service.consumers, envelopes)
                break
            except Exception as error:
                if not is_outage(error) or attempt == _APPLY_ATTEMPTS:
                    raise
                log.warning("batch_interrupted", attempt=attempt, error=type(error).__name__)
                await asyncio.sleep(0.1 * 2**attempt)
        self._wake()

    async def work_on(self, table: str, ids: Sequence[UUID]) -> None:
        """Runs announced jobs of a queue."""
        await self._workers[table].run(ids)
        self._wake()

    def _wake(self) -> None:
        """Events and jobs may just have been committed here."""
        self._relay.wake()
        for announcer in self._announcers.values():
            announcer.wake()

    async def _open(self) -> None:
        service, timing = self._service, self._timing
        self._resources = resources = open_resources(service.name, self._settings)
        self._workers = {table: Worker(resources, jobs, timing) for table, jobs in self._queues.items()}
        dispatchers = {
            table: Dispatcher(service.name, resources.database, resources.clock, self._publisher, jobs, timing)
            for table, jobs in self._queues.items()
        }
        ticker = dispatchers[service.jobs.queue.table]
        self._relay = Loop(
            "relay", Relay(service.name, resources.database, self._publisher).step, timing.relay_interval
        )
        self._announcers = {
            table: Loop(f"dispatcher of {table}", dispatcher.announce, timing.dispatch_interval)
            for table, dispatcher in dispatchers.items()
        }

        async def make_ticks() -> bool:
            if await ticker.make_ticks():
                self._announcers[service.jobs.queue.table].wake()
            return False

        async def sweep_jobs() -> bool:
            telemetry.QUEUE_AGE.set(max([await dispatcher.overdue() for dispatcher in dispatchers.values()]))
            for table, jobs in self._queues.items():
                forgotten = await dispatchers[table].forget_old()
                if await sweep(resources.database, jobs) or forgotten:
                    self._announcers[table].wake()
            return False

        loops = [
            self._relay,
            *self._announcers.values(),
            Loop("ticks", make_ticks, timing.tick_interval),
            Loop("sweeper", sweep_jobs, timing.sweep_interval),
            Loop("topology", self._declare, timing.feed_interval),
            *self._feed_loops(),
        ]
        self._running = [asyncio.create_task(loop.run()) for loop in loops]

    def _feed_loops(self) -> list[Loop]:
        timing = self._timing
        feed = FeedCheck(
            self._resources.database,
            self._service.consumers,
            self._resources.stubs,
            grace=timedelta(seconds=timing.feed_grace),
            overlap=timedelta(seconds=timing.feed_overlap),
        )

        async def check(source: str, types: Sequence[str]) -> bool:
            if await feed.check(source, types):
                self._wake()
            return False

        return [
            Loop(f"feed of {source}", partial(check, source, types), timing.feed_interval)
            for source, types in self._service.consumers.sources().items()
        ]

    async def _declare(self) -> bool:
        """Again and again, since a wiped broker has forgotten queues and bindings."""
        await asyncio.to_thread(
            topology.declare, self._settings.broker_url, self._service.name, self._service.consumers
        )
        return False

    async def _close(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._resources.close()
