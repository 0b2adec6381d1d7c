"""Who may call what: the whole matrix as a file to review, held against the interceptor and against real services."""

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import MessageToJson
from grpc import StatusCode

from embedded.certificates import Certificates
from powerhouse.policy.v1 import policy_pb2
from powerhouse.policy.v1.policy_pb2 import MethodPolicy, Role
from services.chassis.auth.principal import Principal
from services.chassis.errors import PermissionDenied, Unauthenticated
from services.chassis.ids import new_id
from services.chassis.rpc.interceptors import admit
from services.chassis.rpc.policy import Method, read_methods
from tests.support.authorisation import (
    ALL,
    CALLERS,
    FOREIGN,
    NO,
    OWN,
    THEIRS,
    UNKNOWN,
    YES,
    Caller,
    expected,
    objects_of,
    policy_of,
    request,
    table,
    targets,
)
from tests.support.contracts import methods
from tests.support.estate import Estate, Holding, build, open_estate
from tests.support.services import Mesh, reason_of

GOLDEN = Path(__file__).parent / "authorisation_matrix.txt"
METHODS = methods()
OF_STUDIOS = [method for method in METHODS if policy_of(method).scope == MethodPolicy.STUDIO]
WITH_OBJECTS = [method for method in OF_STUDIOS if objects_of(method)]
# A stranger becomes a client of a studio by this call: the one write that is open to every account.
OPEN_WRITES = {"JoinStudio"}
# How a request for what is not the caller's ends, when it is not an empty list.
REFUSALS = {StatusCode.NOT_FOUND, StatusCode.PERMISSION_DENIED}
REASONS = {"FOREIGN_RESOURCE", "SESSION_NOT_KNOWN_YET", "ACCOUNT_REQUIRED", "CLIENT_REQUIRED"}


def _id(method: MethodDescriptor) -> str:
    return str(method.name)


def test_the_matrix_is_the_reviewed_one() -> None:
    """To accept a change: `python -m tests.contract.test_authorisation_matrix`, then review the difference."""
    assert table(METHODS) == GOLDEN.read_text(), f"who may do what has changed; see {GOLDEN.name}"


def _definition(method: MethodDescriptor) -> Method:
    service = method.containing_service
    return read_methods(service)[f"/{service.full_name}/{method.name}"]


def _admitted(method: MethodDescriptor, caller: Caller, target: str) -> str:
    """What the interceptor makes of a sound request."""
    studio = f"studios/{FOREIGN if target == 'foreign studio' else OWN}"
    message = request(method, lambda name: re.sub(r"^studios/[^/]+", studio, name))
    try:
        call = admit(_definition(method), message, caller.principal, "")
    except PermissionDenied:
        return NO
    except Unauthenticated:
        return UNKNOWN
    if policy_of(method).scope != MethodPolicy.STUDIO:
        return YES
    return ALL if call.whole_studio else THEIRS


@pytest.mark.parametrize("method", METHODS, ids=_id)
def test_the_interceptor_admits_whom_the_matrix_does(method: MethodDescriptor) -> None:
    for target in ("own studio", "foreign studio") if method in OF_STUDIOS else ("",):
        for caller in CALLERS:
            assert _admitted(method, caller, target) == expected(method, caller, target), f"{caller.name}, {target}"


def test_a_method_that_nobody_reviewed_turns_the_matrix_red() -> None:
    """The negative control: a contract with one method more is not the reviewed one, nor is one with another role."""
    pool = descriptor_pool.DescriptorPool()
    for file in (descriptor_pb2.DESCRIPTOR, policy_pb2.DESCRIPTOR):
        copy = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(copy)
        pool.Add(copy)
    proto = descriptor_pb2.FileDescriptorProto(
        name="trial.proto", package="powerhouse.trial.v1", syntax="proto3", dependency=[policy_pb2.DESCRIPTOR.name]
    )
    field = proto.message_type.add(name="TrialRequest").field.add(name="parent", number=1)
    field.label, field.type = field.LABEL_OPTIONAL, field.TYPE_STRING
    service = proto.service.add(name="TrialService")
    for name, roles in (("Try", [Role.ROLE_OWNER]), ("TryMore", [Role.ROLE_OWNER, Role.ROLE_INSTRUCTOR])):
        method = service.method.add(name=name, input_type=".powerhouse.trial.v1.TrialRequest")
        method.output_type = method.input_type
        method.options.Extensions[policy_pb2.method].CopyFrom(
            MethodPolicy(scope=MethodPolicy.STUDIO, roles=roles, idempotency=MethodPolicy.READ)
        )
    pool.Add(proto)
    one, more = pool.FindServiceByName("powerhouse.trial.v1.TrialService").methods
    assert table([*METHODS, one]) != GOLDEN.read_text()
    assert table([one]).replace("Try ", "TryMore ") != table([more])


@pytest.fixture(scope="module")
async def estate(postgres_url: str, certificates: Certificates) -> AsyncIterator[Estate]:
    async with open_estate(Mesh(postgres_url, certificates)) as running:
        yield running


@pytest.fixture(scope="module")
async def own(estate: Estate) -> Holding:
    return await build(estate)


@pytest.fixture(scope="module")
async def foreign(estate: Estate) -> Holding:
    """The other studio; whoever tries must leave it as it was."""
    holding = await build(estate)
    holding.contents = await estate.contents(holding.tenant)
    return holding


def _names_of(holding: Holding) -> Callable[[str], str]:
    """Turns the names of an example into those of a real studio."""
    return lambda name: _object(holding, name) if name.count("/") > 2 else _in(holding, name)


def _in(holding: Holding, name: str) -> str:
    return re.sub(r"^studios/[^/]+", holding.name, name)


def _object(holding: Holding, name: str) -> str:
    """Fails for a kind of object that the estate has none of: a new resource needs one in `tests/support/estate.py`."""
    _, _, collection, _, *rest = name.split("/")
    # Not so for cards, which are the provider's.
    if len(rest) > 1 and rest[0] != "paymentMethods":
        return holding.objects[rest[0]]
    return "/".join([holding.objects[collection], *rest])


async def _outcome(estate: Estate, principal: Principal, method: MethodDescriptor, message: Any) -> Any:
    """The answer, or the error."""
    try:
        return await estate.call(principal, method, message)
    except grpc.aio.AioRpcError as error:
        return error


def _assert_nothing_given(outcome: Any, foreign: Holding) -> None:
    """A refusal, or an answer that holds nothing of the other studio."""
    if isinstance(outcome, grpc.aio.AioRpcError):
        assert outcome.code() in REFUSALS or reason_of(outcome) in REASONS, outcome
        return
    text = MessageToJson(outcome)
    held = [str(foreign.tenant), *(name.rpartition("/")[2] for name in foreign.objects.values())]
    assert [each for each in held if each in text] == []


@pytest.mark.parametrize("method", [m for m in OF_STUDIOS if m.name not in OPEN_WRITES], ids=_id)
async def test_another_studio_answers_only_what_is_open_to_all(
    method: MethodDescriptor, estate: Estate, own: Holding, foreign: Holding
) -> None:
    owner = next(caller for caller in CALLERS if caller.name == "owner")
    outcome = await _outcome(estate, own.owner, method, request(method, _names_of(foreign)))
    admitted = expected(method, owner, "foreign studio")
    if admitted == NO:
        assert outcome.code() is StatusCode.PERMISSION_DENIED
    elif admitted == THEIRS:
        _assert_nothing_given(outcome, foreign)
    else:
        assert policy_of(method).idempotency == MethodPolicy.READ
        assert not isinstance(outcome, grpc.aio.AioRpcError)


@pytest.mark.parametrize("method", WITH_OBJECTS, ids=_id)
async def test_an_object_of_another_studio_is_not_there(
    method: MethodDescriptor, estate: Estate, own: Holding, foreign: Holding
) -> None:
    """Under the caller's own studio, and by its full name beside the caller's own studio."""
    for smuggled in (lambda name: _in(own, _object(foreign, name)), lambda name: _object(foreign, name)):
        for target in objects_of(method):
            message = request(method, lambda name: smuggled(name) if name == target else _names_of(own)(name))  # noqa: B023
            if _definition(method).tenant(message) == own.tenant:
                _assert_nothing_given(await _outcome(estate, own.owner, method, message), foreign)


@pytest.mark.parametrize("method", [m for m in WITH_OBJECTS if policy_of(m).own_roles], ids=_id)
async def test_what_is_not_the_callers_own_is_not_there(
    method: MethodDescriptor, estate: Estate, own: Holding, foreign: Holding
) -> None:
    """A role that only reaches its own objects, held by somebody who has none."""
    for role in policy_of(method).own_roles:
        somebody = Principal(account_id=new_id(), roles={own.tenant: frozenset({int(role)})})
        outcome = await _outcome(estate, somebody, method, request(method, _names_of(own)))
        _assert_nothing_given(outcome, own)


async def test_nothing_of_the_other_studio_has_changed(estate: Estate, foreign: Holding) -> None:
    """After all of the above, in every table of every service."""
    assert await estate.contents(foreign.tenant) == foreign.contents
    assert len([digest for digest in foreign.contents.values() if digest != "None"]) > 15


# First those for which a client must be the owner's own: others change whose it is.
@pytest.mark.parametrize("method", sorted(OF_STUDIOS, key=lambda m: bool(policy_of(m).roles)), ids=_id)
async def test_the_owner_reaches_all_of_their_own(
    method: MethodDescriptor, estate: Estate, own: Holding, foreign: Holding
) -> None:
    """The negative control of the above: the same requests are sound. Last, since they change what is there.

    First what is for clients alone, while the owner is one.
    """
    outcome = await _outcome(estate, own.owner, method, request(method, _names_of(own)))
    if isinstance(outcome, grpc.aio.AioRpcError):
        assert outcome.code() not in {*REFUSALS, StatusCode.UNAUTHENTICATED, StatusCode.INVALID_ARGUMENT}, outcome
        assert reason_of(outcome) not in REASONS


def test_every_row_has_its_case() -> None:
    """Each kind of target is tried: a method with objects or own roles cannot slip out of the parameters above."""
    for method in METHODS:
        assert ("foreign object" in targets(method)) == (method in WITH_OBJECTS)
        assert bool(policy_of(method).own_roles) <= (method in OF_STUDIOS)


if __name__ == "__main__":
    GOLDEN.write_text(table(METHODS))
