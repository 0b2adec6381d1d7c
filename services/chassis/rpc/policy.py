"""Method policies, read once from the descriptors. A method without one keeps its server from starting."""

from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from powerhouse.policy.v1 import policy_pb2
from powerhouse.policy.v1.policy_pb2 import MethodPolicy
from services.chassis.errors import InvalidArgument
from services.chassis.ids import parse_name

DEFAULT_DEADLINE_MS = 5000


class PolicyError(Exception):
    """A method's policy is missing or contradicts its messages. Its server must not start."""


@dataclass(frozen=True)
class Method:
    """One RPC with its policy and what follows from it."""

    path: str
    policy: MethodPolicy
    response_class: type[Message]
    # Where the request names its studio, as field names from the outside in: ("name",) or ("room", "name"); or nowhere.
    tenant_field: tuple[str, ...]
    server_streaming: bool
    client_streaming: bool

    @property
    def deadline(self) -> float:
        """Seconds the whole call may take."""
        return (self.policy.deadline_ms or DEFAULT_DEADLINE_MS) / 1000

    @property
    def needs_key(self) -> bool:
        return self.policy.idempotency == MethodPolicy.REQUEST_ID

    def tenant(self, request: Message) -> UUID:
        """The studio that a STUDIO request names. Raises InvalidArgument naming the field."""
        value: Any = request
        for field in self.tenant_field:
            value = getattr(value, field)
        head = "/".join(str(value).split("/")[:2])
        try:
            return parse_name(head, "studios/*", "")[0]
        except InvalidArgument:
            raise InvalidArgument(
                ".".join(self.tenant_field), "must begin with studios/{studio}", reason="MALFORMED_NAME"
            ) from None


def read_methods(service: ServiceDescriptor) -> dict[str, Method]:
    """The methods of a service by their path. Raises PolicyError for one without a sound policy."""
    return {method.path: method for method in (_read(descriptor) for descriptor in service.methods)}


@cache
def has_option(field: FieldDescriptor, option: str) -> bool:
    """Whether a field carries one of the policy's field options: `sensitive`, `secret`, `session_cookie`."""
    return bool(field.GetOptions().Extensions[getattr(policy_pb2, option)])


def _read(descriptor: MethodDescriptor) -> Method:
    path = f"/{descriptor.containing_service.full_name}/{descriptor.name}"
    policy = descriptor.GetOptions().Extensions[policy_pb2.method]
    request, response = descriptor.input_type, descriptor.output_type
    if request is None or response is None:
        raise PolicyError(f"{path} has no messages")
    if policy.scope == MethodPolicy.SCOPE_UNSPECIFIED:
        raise PolicyError(f"{path} has no policy")
    if policy.idempotency == MethodPolicy.IDEMPOTENCY_UNSPECIFIED:
        raise PolicyError(f"{path} does not say whether it may be repeated")
    if policy.idempotency == MethodPolicy.REQUEST_ID and "request_id" not in request.fields_by_name:
        raise PolicyError(f"{path} wants an idempotency key but its request has no request_id")
    if policy.scope == MethodPolicy.SYSTEM and not policy.callers:
        raise PolicyError(f"{path} is for services but lists none")
    if policy.scope == MethodPolicy.STUDIO and not (policy.roles or policy.own_roles):
        raise PolicyError(f"{path} is of a studio but no role may call it")
    return Method(
        path=path,
        policy=policy,
        response_class=GetMessageClass(response),
        tenant_field=_tenant_field(policy, path, request),
        server_streaming=descriptor.server_streaming,
        client_streaming=descriptor.client_streaming,
    )


def _tenant_field(policy: MethodPolicy, path: str, request: Descriptor) -> tuple[str, ...]:
    if policy.scope == MethodPolicy.SYSTEM:
        return ("parent",) if "parent" in request.fields_by_name else ()
    if policy.scope != MethodPolicy.STUDIO:
        return ()
    for name in ("name", "parent"):
        if name in request.fields_by_name:
            return (name,)
    for field in request.fields:
        if field.message_type is not None and "name" in field.message_type.fields_by_name:
            return (field.name, "name")
    first = request.fields[0] if request.fields else None
    if first is not None and first.type == FieldDescriptor.TYPE_STRING:
        return (first.name,)
    raise PolicyError(f"{path} is of a studio but its request names none")
