"""An OTLP receiver in the test's process: the spans that all parts of the product send."""

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


@dataclass(frozen=True)
class SeenSpan:
    """One span: which service sent it, what it did, whose child it is."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, str]


@dataclass
class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
    """Collects spans; `endpoint` is what POWERHOUSE_OTLP_ENDPOINT is set to."""

    endpoint: str = ""
    spans: list[SeenSpan] = field(default_factory=list)

    def Export(self, request: Any, context: Any) -> Any:
        for resource in request.resource_spans:
            service = next(a.value.string_value for a in resource.resource.attributes if a.key == "service.name")
            for scope in resource.scope_spans:
                self.spans.extend(
                    SeenSpan(
                        service=service,
                        name=span.name,
                        trace_id=span.trace_id.hex(),
                        span_id=span.span_id.hex(),
                        parent_id=span.parent_span_id.hex(),
                        attributes={a.key: str(a.value) for a in span.attributes},
                    )
                    for span in scope.spans
                )
        return trace_service_pb2.ExportTraceServiceResponse()

    def traces(self) -> dict[str, list[SeenSpan]]:
        """Spans by trace."""
        grouped: dict[str, list[SeenSpan]] = defaultdict(list)
        for span in list(self.spans):
            grouped[span.trace_id].append(span)
        return grouped


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port."""
    receiver = Receiver()
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(receiver, server)
    receiver.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield receiver
    finally:
        server.stop(1)
