"""Domain errors as google.rpc.Status (AIP-193): one ErrorInfo, field violations, retry delay."""

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from services.chassis.errors import DomainError

DOMAIN = "powerhouse.studio"
DETAILS_KEY = "grpc-status-details-bin"


def to_status(error: DomainError) -> status_pb2.Status:
    """The status that a domain error becomes on the wire."""
    details: list[Message] = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)]
    if error.violations:
        details.append(
            error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(field=field, description=text)
                    for field, text in error.violations
                ]
            )
        )
    if error.retry_after is not None:
        delay = Duration()
        delay.FromNanoseconds(int(error.retry_after * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    code: int = error.code.value[0]
    return status_pb2.Status(code=code, message=error.message, details=[_pack(detail) for detail in details])


def reason_of(status: status_pb2.Status) -> str:
    """The ErrorInfo reason in a status, or its code's name when there is none."""
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info):
            return str(info.reason)
    return next((code.name for code in StatusCode if code.value[0] == status.code), "UNKNOWN")


def _pack(message: Message) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed
