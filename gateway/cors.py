"""Which other sites' pages may call the API. They send an API key: our cookie is never theirs to send."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
# Of a request, beyond what any page may send.
SENT = (
    *("Authorization", "Content-Type", "Idempotency-Key", "If-None-Match"),
    *("Last-Event-ID", "Traceparent", "X-Request-Id", "X-Request-Timeout"),
)
# Of an answer, beyond what any page may read.
READ = ("ETag", "Retry-After", "X-Request-Id")
# Seconds for which a browser need not ask again.
MAX_AGE = 600


def with_cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Answers preflight requests, and lets pages of these origins read what they are answered."""
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_headers=SENT,
        expose_headers=READ,
        max_age=MAX_AGE,
    )
