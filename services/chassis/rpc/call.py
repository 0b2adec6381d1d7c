"""The call being served: who, for which studio, under which key. Set by the interceptor, read where needed."""

from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from powerhouse.policy.v1.policy_pb2 import MethodPolicy
from services.chassis.auth.principal import Principal
from services.chassis.errors import PermissionDenied
from services.chassis.rpc.policy import Method, has_option


@dataclass(frozen=True, slots=True)
class Call:
    """One RPC in the hands of a servicer."""

    definition: Method
    principal: Principal
    # The studio the request names, or NO_TENANT.
    tenant: UUID
    # Empty for reads and for writes that need no key.
    request_id: str
    # SHA-256 of the request without its key.
    request_hash: bytes
    # Address of the caller, for throttling only; never logged.
    client_address: str

    @property
    def method(self) -> str:
        return self.definition.path

    @property
    def policy(self) -> MethodPolicy:
        return self.definition.policy

    @property
    def whole_studio(self) -> bool:
        """Whether the caller may touch every object of the studio; else only what is theirs (`own_roles`)."""
        return bool(self.principal.roles_in(self.tenant) & set(self.policy.roles))

    def account(self) -> UUID:
        """The signed-in person. Raises PermissionDenied for API keys and services, which are nobody's self."""
        if self.principal.account_id is None:
            raise PermissionDenied("this is for people, not for programs", reason="ACCOUNT_REQUIRED")
        return self.principal.account_id

    def parse_response(self, stored: bytes) -> Message:
        """The response a repeat answers, from its stored form."""
        return self.definition.response_class.FromString(stored)

    def without_secrets(self, response: Message) -> Message:
        """The response as it may be stored: fields marked `secret` are cleared."""
        copy = type(response)()
        copy.CopyFrom(response)
        _clear_secrets(copy)
        return copy


_current: ContextVar[Call] = ContextVar("powerhouse_call")


def current_call() -> Call:
    """The call being served. A LookupError outside of one is a programming error."""
    return _current.get()


def set_current_call(call: Call) -> None:
    """For the interceptor; each RPC runs in a context of its own."""
    _current.set(call)


def _clear_secrets(message: Message) -> None:
    for field, value in message.ListFields():
        if has_option(field, "secret"):
            message.ClearField(field.name)
        elif field.type == FieldDescriptor.TYPE_MESSAGE and not field.is_repeated:
            _clear_secrets(value)
