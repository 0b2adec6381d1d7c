"""What every HTTP request gets: an id, a span, a metric, a log line, and the headers that keep browsers safe."""

from __future__ import annotations

import re
import uuid

from opentelemetry.trace import SpanKind
from prometheus_client import Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.chassis import telemetry
from services.chassis.clock import monotonic

# Keys in the ASGI scope.
REQUEST_ID = "powerhouse.request_id"
# The route's template, set by whoever finds it: the only form of a path that logs, metrics and traces may hold.
ROUTE = "powerhouse.route"

HTTP_SECONDS = Histogram(
    "powerhouse_http_seconds",
    "Time until the answer to an HTTP request begins",
    ("method", "route", "status"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUEST_ID_FORM = re.compile(r"[A-Za-z0-9._-]{1,64}")
log = telemetry.logger(__name__)


class Observed:
    """Wraps the whole application."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._headers = dict(SECURITY_HEADERS)
        if https:
            self._headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        scope[REQUEST_ID] = request_id = given if _REQUEST_ID_FORM.fullmatch(given) else uuid.uuid4().hex
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        started, status = monotonic(), 500
        answered: float | None = None

        async def send_with_headers(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], monotonic()
                response = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    response.setdefault(name, value)
                response["X-Request-Id"] = request_id
            await send(message)

        with telemetry.span(method, traceparent=headers.get("traceparent"), kind=SpanKind.SERVER) as span:
            try:
                await self._app(scope, receive, send_with_headers)
            finally:
                route = scope.get(ROUTE, "unmatched")
                span.update_name(f"{method} {route}")
                span.set_attributes(
                    {"http.request.method": method, "http.route": route, "http.response.status_code": status}
                )
                seconds = monotonic() - started
                # A stream lasts as long as it is read; how soon it began is what can be too slow.
                HTTP_SECONDS.labels(method, route, str(status)).observe((answered or monotonic()) - started)
                log.info(
                    "request",
                    method=method,
                    route=route,
                    status=status,
                    ms=round(seconds * 1000, 1),
                    request_id=request_id,
                )
