"""The `work` process: a Celery worker in the main thread, and beside it the engine that does all the work."""

import os
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from typing import Any
from uuid import UUID

from celery import Celery, signals
from celery.concurrency import get_implementation
from celery.exceptions import Reject, SecurityWarning
from celery.worker.consumer import Consumer

from services.chassis import config, telemetry
from services.chassis.jobs import retention
from services.chassis.jobs.engine import Engine
from services.chassis.jobs.timing import DEFAULT, Timing
from services.chassis.messaging import topology
from services.chassis.messaging.envelope import Envelope
from services.chassis.outages import is_outage
from services.chassis.probes import serve_probes
from services.chassis.service import Service

log = telemetry.logger(__name__)

# Messages worked on at once; each is a chunk whose thread only waits for the event loop.
_CONCURRENCY = 8


def run_work(service: Service, timing: Timing = DEFAULT) -> None:
    """Runs until SIGTERM or SIGINT, then ends running chunks within `timing.drain` seconds.

    Whatever else is away, broker or database, the process stays and goes on when it is back. Ends in SystemExit.
    """
    settings = config.load(service.settings)
    if not settings.broker_url:
        raise config.ConfigurationError("POWERHOUSE_BROKER_URL is not set")
    telemetry.setup(service.name, "work", settings.otlp_endpoint, sample_ratio=settings.trace_sample_ratio)
    retention.register(service.jobs)
    app = topology.make_app(settings.broker_url, service.name, service.consumers)
    engine = Engine(service, settings, timing, app)
    _register_tasks(app, engine)
    ready = threading.Event()
    signals.setup_logging.connect(_leave_logging_alone, weak=False)
    signals.worker_ready.connect(lambda **_: ready.set(), weak=False)
    signals.worker_shutting_down.connect(lambda **_: engine.begin_drain(), weak=False)
    engine.start()
    probes = serve_probes(settings.metrics_port, ready.is_set, settings.bind_host)
    log.info("working", metrics_port=probes.server_port)
    app.conf.worker_consumer = _Consumer
    # The advice not to be root is for pickles; we accept JSON alone.
    warnings.simplefilter("ignore", SecurityWarning)
    worker = app.Worker(
        # Unique, since a name that is still connected would be refused.
        hostname=f"{service.name}@{socket.gethostname()}-{os.getpid()}",
        pool_cls=get_implementation("threads"),
        concurrency=_CONCURRENCY,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    worker.start()
    engine.stop()
    telemetry.flush()
    log.info("stopped", exit_code=worker.exitcode or 0)
    sys.exit(worker.exitcode or 0)


class _Consumer(Consumer):  # type: ignore[misc]  # Celery is untyped
    """Without the 28 queues and second bindings of delayed delivery: what is due later waits in the jobs table."""

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc]  # Celery is untyped
        default_steps = tuple(step for step in Consumer.Blueprint.default_steps if "delayed_delivery" not in step)


def _register_tasks(app: Celery, engine: Engine) -> None:
    def apply_events(envelopes: Sequence[dict[str, Any]]) -> None:
        try:
            engine.run(engine.apply([Envelope.of_json(envelope) for envelope in envelopes]))
        except Exception as error:
            passing = isinstance(error, CancelledError) or is_outage(error)
            if not passing:
                log.error("message_refused", task=topology.APPLY_EVENTS, exc_info=True)
            raise Reject(type(error).__name__, requeue=passing) from error

    def runner(table: str) -> Callable[[Sequence[str]], None]:
        def run_rows(ids: Sequence[str]) -> None:
            try:
                engine.run(engine.work_on(table, [UUID(id) for id in ids]))
            except CancelledError:
                log.warning("chunk_stopped", count=len(ids))
            except Exception as error:
                # The message was only a hint: sweeper and dispatcher see to the rows.
                log.warning("chunk_interrupted", error=type(error).__name__, exc_info=not is_outage(error))

        return run_rows

    app.task(name=topology.APPLY_EVENTS)(apply_events)
    for table in engine.tables:
        app.task(name=topology.run_task(table))(runner(table))


def _leave_logging_alone(**_: Any) -> None:
    """That somebody listens to this signal is what keeps Celery from configuring loggers."""
