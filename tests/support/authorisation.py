"""Who may call what, spelled out a second time: from the policies alone, without the interceptor's code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from gateway.openapi.examples import Examples
from gateway.openapi.resources import Resources, example_id, snake_case
from gateway.openapi.schemas import Use
from gateway.transcoding.bindings import bindings
from powerhouse.policy.v1 import policy_pb2
from powerhouse.policy.v1.policy_pb2 import MethodPolicy, Role
from services.chassis.auth.principal import Principal
from services.chassis.ids import new_id
from tests.support.contracts import messages

OWN, FOREIGN = UUID(example_id("studio")), UUID(example_id("another studio"))
RESOURCES = Resources(messages())
EXAMPLES = Examples(RESOURCES)

ALL, THEIRS, YES, NO, UNKNOWN, MISSING = "all", "own", "yes", "-", "401", "404"
LEGEND = f"""\
# Who may call which method. Written by tests/contract/test_authorisation_matrix.py from the policies in protos/;
# a change here is a change of who may do what: review it as such.
#   {ALL}  every object of the studio           {YES}  allowed, no studio is named
#   {THEIRS}  only what is the caller's own        {NO}    PERMISSION_DENIED
#   {MISSING}  NOT_FOUND, refused, or an empty list {UNKNOWN}  UNAUTHENTICATED
# "own studio": the caller has the role in the studio that the request names. "foreign studio": in another one.
# "foreign object": the request names the caller's studio but the id of another studio's object.
# An API key (here an owner's) is nobody's self: it is never a client."""


@dataclass(frozen=True)
class Caller:
    """A column: someone with a role in `OWN`, or a service."""

    name: str
    role: int = 0
    is_account: bool = False
    principal: Principal = field(default_factory=Principal)


def _account(name: str, role: int) -> Caller:
    roles = {OWN: frozenset({role})} if role != Role.ROLE_CLIENT else {}
    return Caller(name, role, True, Principal(account_id=new_id(), roles=roles))


CALLERS = (
    _account("owner", Role.ROLE_OWNER),
    _account("manager", Role.ROLE_MANAGER),
    _account("desk", Role.ROLE_FRONT_DESK),
    _account("instructor", Role.ROLE_INSTRUCTOR),
    _account("client", Role.ROLE_CLIENT),
    Caller(
        "api key",
        Role.ROLE_OWNER,
        principal=Principal(api_key_id=new_id(), roles={OWN: frozenset({int(Role.ROLE_OWNER)})}),
    ),
    Caller("nobody"),
    *(
        Caller(name, principal=Principal(service=name))
        for name in ("gateway", "identity", "scheduling", "booking", "notify", "payments")
    ),
)


def policy_of(method: MethodDescriptor) -> MethodPolicy:
    policy: MethodPolicy = method.GetOptions().Extensions[policy_pb2.method]
    return policy


def targets(method: MethodDescriptor) -> tuple[str, ...]:
    """The rows of a method."""
    if policy_of(method).scope != MethodPolicy.STUDIO:
        return ("",)
    rows = ("own studio", "foreign studio")
    return (*rows, "foreign object") if objects_of(method) else rows


def expected(method: MethodDescriptor, caller: Caller, target: str) -> str:
    """What a call comes to."""
    policy = policy_of(method)
    if policy.scope == MethodPolicy.PUBLIC:
        return YES
    if policy.scope == MethodPolicy.SYSTEM:
        return YES if caller.principal.service in policy.callers else NO
    if not caller.role:
        return UNKNOWN
    if policy.scope == MethodPolicy.ACCOUNT:
        return YES if caller.is_account else NO
    held = {caller.role} if target != "foreign studio" else set()
    held |= {Role.ROLE_CLIENT} if caller.is_account else set()
    allowed = ALL if held & set(policy.roles) else THEIRS if held & set(policy.own_roles) else NO
    return MISSING if target == "foreign object" and allowed != NO else allowed


def table(methods: list[MethodDescriptor]) -> str:
    """The matrix as text."""
    width = max(len(method.name) for method in methods) + 2
    lines = [LEGEND]
    service = ""
    for method in methods:
        if method.containing_service.full_name != service:
            service = method.containing_service.full_name
            header = " ".join(f"{caller.name:>10}" for caller in CALLERS)
            lines += ["", service, f"{'':{width}}{'':16}{header}"]
        for number, target in enumerate(targets(method)):
            cells = " ".join(f"{expected(method, caller, target):>10}" for caller in CALLERS)
            lines.append(f"{'' if number else method.name:{width}}{target:16}{cells}")
    return "\n".join(lines) + "\n"


def objects_of(method: MethodDescriptor) -> list[str]:
    """Names of resources below a studio that a request of this method refers to, in the examples' studio."""
    return sorted({name for name in _names(example_of(method)) if name.count("/") > 2})


def example_of(method: MethodDescriptor) -> Any:
    """A whole request as JSON; names and ids are those of the examples, what the path sets included."""
    example = EXAMPLES.message(method.input_type, Use.REQUEST)
    for binding in (each for each in bindings(method.containing_service) if each.method.name == method.name):
        path, _ = RESOURCES.path(binding)
        segments = re.sub(r"\{(\w+)\}", lambda match: example_id(snake_case(match[1])), path).strip("/").split("/")
        for variable in binding.template.variables:
            owner, leaf = example, method.input_type.fields_by_name[variable.field[0]]
            for name in variable.field[1:]:
                assert leaf.message_type
                owner, leaf = owner[leaf.json_name], leaf.message_type.fields_by_name[name]
            owner[leaf.json_name] = "/".join(segments[variable.start : variable.end]).partition(":")[0]
    # The first page, from now on; an update of what its resource holds.
    for optional in ("pageToken", "startTime", "endTime", "updateMask"):
        example.pop(optional, None)
    if "request_id" in method.input_type.fields_by_name:
        example["requestId"] = str(new_id())
    return example


def request(method: MethodDescriptor, rename: Callable[[str], str]) -> Message:
    """A request whose every resource name went through `rename`."""
    return ParseDict(_renamed(example_of(method), rename), GetMessageClass(method.input_type)())


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _names(item)
    elif isinstance(value, str) and value.startswith("studios/"):
        yield value


def _renamed(value: Any, rename: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(item, rename) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, rename) for item in value]
    return rename(value) if isinstance(value, str) and value.startswith("studios/") else value
