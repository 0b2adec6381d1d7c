"""Domain errors: raised by name where a rule says no, translated once, in the RPC interceptor."""

from collections.abc import Mapping

from grpc import StatusCode


class DomainError(Exception):
    """A refusal that the caller may read.

    `reason` is UPPER_SNAKE and stable (AIP-193 ErrorInfo); `metadata` holds what a program needs to react;
    `field` names the request field at fault.
    """

    code = StatusCode.INTERNAL

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        metadata: Mapping[str, str] | None = None,
        field: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.violations: list[tuple[str, str]] = [(field, message)] if field else []
        # Seconds after which a repeat may succeed.
        self.retry_after = retry_after


class InvalidArgument(DomainError):
    """A request field is wrong whatever the state of the system."""

    code = StatusCode.INVALID_ARGUMENT

    def __init__(self, field: str, message: str, *, reason: str = "INVALID_FIELD") -> None:
        super().__init__(f"{field}: {message}", reason=reason)
        self.violations = [(field, message)]

    @classmethod
    def of_fields(cls, violations: list[tuple[str, str]]) -> "InvalidArgument":
        """Several fields at once."""
        error = cls(*violations[0])
        error.violations = violations
        return error


class NotFound(DomainError):
    """It does not exist in this studio."""

    code = StatusCode.NOT_FOUND

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} not found", reason="NOT_FOUND", metadata={"resource": what})


class AlreadyExists(DomainError):
    """Something else is there already."""

    code = StatusCode.ALREADY_EXISTS


class FailedPrecondition(DomainError):
    """The state of the system says no."""

    code = StatusCode.FAILED_PRECONDITION


class Aborted(DomainError):
    """Someone else was faster; read again and retry."""

    code = StatusCode.ABORTED


class PermissionDenied(DomainError):
    """The caller may not, whether the thing exists or not."""

    code = StatusCode.PERMISSION_DENIED

    def __init__(self, message: str = "you may not do this", *, reason: str = "PERMISSION_DENIED") -> None:
        super().__init__(message, reason=reason)


class Unauthenticated(DomainError):
    """Nobody the server knows."""

    code = StatusCode.UNAUTHENTICATED


class ResourceExhausted(DomainError):
    """Too much; `retry_after` says when to come back."""

    code = StatusCode.RESOURCE_EXHAUSTED


class Unavailable(DomainError):
    """Something this depends on is away; retry."""

    code = StatusCode.UNAVAILABLE


def check_etag(given: str, current: str) -> None:
    """Raises Aborted when the caller sent an etag and the resource has moved on."""
    if given and given != current:
        raise Aborted("it was changed meanwhile; read it again", reason="ETAG_MISMATCH", metadata={"etag": current})
