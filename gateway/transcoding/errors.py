"""Refusals that only HTTP can express, and how gRPC codes read as HTTP statuses."""

from __future__ import annotations

from collections.abc import Mapping

from grpc import StatusCode

from services.chassis.errors import DomainError

# Number of the code → HTTP, as grpc-gateway maps it; 499 is "the client closed the request".
HTTP_STATUS: Mapping[int, int] = {
    code.value[0]: http_status
    for code, http_status in {
        StatusCode.OK: 200,
        StatusCode.CANCELLED: 499,
        StatusCode.UNKNOWN: 500,
        StatusCode.INVALID_ARGUMENT: 400,
        StatusCode.DEADLINE_EXCEEDED: 504,
        StatusCode.NOT_FOUND: 404,
        StatusCode.ALREADY_EXISTS: 409,
        StatusCode.PERMISSION_DENIED: 403,
        StatusCode.UNAUTHENTICATED: 401,
        StatusCode.RESOURCE_EXHAUSTED: 429,
        StatusCode.FAILED_PRECONDITION: 400,
        StatusCode.ABORTED: 409,
        StatusCode.OUT_OF_RANGE: 400,
        StatusCode.UNIMPLEMENTED: 501,
        StatusCode.INTERNAL: 500,
        StatusCode.UNAVAILABLE: 503,
        StatusCode.DATA_LOSS: 500,
    }.items()
}


class HttpError(DomainError):
    """A refusal whose HTTP status says more than its gRPC code does."""

    def __init__(
        self,
        http_status: int,
        code: StatusCode,
        reason: str,
        message: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, reason=reason)
        self.http_status, self.code, self.headers = http_status, code, dict(headers or {})
