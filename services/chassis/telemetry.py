"""Sight: JSON logs with trace ids, Prometheus metrics, OpenTelemetry traces. Nothing personal in any of them."""

import logging
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

import orjson
import structlog
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import Counter, Gauge, Histogram

tracer = trace.get_tracer("powerhouse")
_w3c = TraceContextTextMapPropagator()

_FLUSH_MS = 1000
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

RPC_SECONDS = Histogram("powerhouse_rpc_seconds", "Time to answer an RPC", ("method", "code"), buckets=_SECONDS)
JOB_SECONDS = Histogram("powerhouse_job_seconds", "Time to run a job", ("kind", "outcome"), buckets=_SECONDS)
JOB_LATENESS = Histogram(
    "powerhouse_job_lateness_seconds", "Start of a job after it was due", ("kind",), buckets=_SECONDS
)
EVENTS_PUBLISHED = Counter("powerhouse_events_published_total", "Events confirmed by the broker", ("type",))
EVENTS_APPLIED = Counter("powerhouse_events_applied_total", "Events that had their effect here", ("type",))
EVENTS_HEALED = Counter("powerhouse_events_healed_total", "Events the feed check had to pull", ("source",))
DEAD_LETTERS = Counter("powerhouse_dead_letters_total", "Events parked after their effect failed", ("type",))
RELAY_LAG = Gauge("powerhouse_relay_lag_seconds", "Age of the oldest unpublished event")
QUEUE_AGE = Gauge("powerhouse_queue_age_seconds", "How overdue the oldest queued job is")
POOL_IN_USE = Gauge("powerhouse_db_pool_in_use", "Database connections checked out")
VIOLATIONS = Gauge("powerhouse_invariant_violations", "Rows that break what must always hold", ("name",))
HOT_POOL_IN_USE = Gauge("powerhouse_db_hot_pool_in_use", "Connections running a hot-path statement")


def setup(service: str, process: str, otlp_endpoint: str | None, *, sample_ratio: float = 1.0) -> None:
    """Starts logging and tracing of this process. Call once, before anything that logs."""
    _setup_logging(service, process)
    if otlp_endpoint:
        provider = TracerProvider(
            resource=Resource.create({"service.name": service, "service.instance.id": process}),
            sampler=ParentBased(TraceIdRatioBased(sample_ratio)),
            shutdown_on_exit=False,  # it would wait for a dead collector
        )
        provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint=otlp_endpoint, insecure=True), schedule_delay_millis=500)
        )
        trace.set_tracer_provider(provider)
        propagate.set_global_textmap(_w3c)


def flush() -> None:
    """Sends the spans that are still held back, if the collector takes them soon. Call before the process ends."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.force_flush(_FLUSH_MS)


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger: `log.info("relay_published", count=3)`. Values are ids, counts and names, never personal data."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(name)
    return logger


def current_traceparent() -> str | None:
    """W3C traceparent of the current span, to travel in an outbox or job row."""
    carrier: dict[str, str] = {}
    _w3c.inject(carrier)
    return carrier.get("traceparent")


@contextmanager
def span(
    name: str,
    *,
    traceparent: str | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, str | int] | None = None,
) -> Iterator[trace.Span]:
    """A span, as a child of the one that `traceparent` names when given: so a trace crosses outbox, broker and jobs."""
    context = _w3c.extract({"traceparent": traceparent}) if traceparent else None
    with tracer.start_as_current_span(name, context=context, kind=kind, attributes=dict(attributes or {})) as current:
        yield current


def _setup_logging(service: str, process: str) -> None:
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _add_origin(service, process),
        _add_trace,
        _add_exception,
    ]
    # Straight to the descriptor: a line for each call is a tenth of what a call costs when it goes through `logging`.
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=orjson.dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.BytesLoggerFactory(open(1, "wb", closefd=False)),  # noqa: SIM115 - for ever
        cache_logger_on_first_use=True,
    )
    # What libraries log.
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(sort_keys=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for noisy in ("httpx", "celery.worker.strategy", "celery.app.trace", "uvicorn.access", "kombu", "amqp"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # The span of a stream whose reader has left is ended in another task, which it takes for an error.
    logging.getLogger("opentelemetry.context").setLevel(logging.CRITICAL)


def _add_origin(service: str, process: str) -> structlog.typing.Processor:
    def add(_logger: Any, _method: str, record: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        record["service"], record["process"] = service, process
        return record

    return add


def _add_exception(_logger: Any, _method: str, record: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Where an error came from, without its text: that may hold what a person typed."""
    error = record.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    elif isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)
        record["error_type"] = f"{type(error).__module__}.{type(error).__qualname__}"
        record["error_at"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-12:]]
    return record


def _add_trace(_logger: Any, _method: str, record: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        record["trace_id"] = trace.format_trace_id(context.trace_id)
    return record
