"""Every method says who may call it; a server with one that does not must not start."""

import pytest
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from embedded.certificates import Certificates
from powerhouse.policy.v1 import policy_pb2
from powerhouse.policy.v1.policy_pb2 import MethodPolicy
from services.chassis.auth.tokens import TokenVerifier
from services.chassis.rpc.policy import PolicyError, read_methods
from services.chassis.rpc.server import GrpcServer, Servicer
from tests.support.contracts import comments, messages, methods, services

# The synchronous edges of the house (ARCHITECTURE.md) and the background ones (feed, snapshots). Nothing else may call.
EDGES = {
    ("notify", "booking"),
    ("payments", "booking"),
    ("notify", "identity"),
    ("notify", "payments"),
    ("booking", "scheduling"),
    ("scheduling", "booking"),
}


@pytest.mark.parametrize("service", services(), ids=lambda service: service.full_name)
def test_every_method_has_a_sound_policy(service: ServiceDescriptor) -> None:
    assert len(read_methods(service)) == len(service.methods)


def _service(options: MethodPolicy | None, request_fields: tuple[str, ...] = ("name",)) -> ServiceDescriptor:
    """A service with one method, made for this test in a pool of its own."""
    pool = descriptor_pool.DescriptorPool()
    for file in (descriptor_pb2.DESCRIPTOR, policy_pb2.DESCRIPTOR):
        copy = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(copy)
        pool.Add(copy)
    proto = descriptor_pb2.FileDescriptorProto(
        name="trial.proto", package="trial.v1", syntax="proto3", dependency=[policy_pb2.DESCRIPTOR.name]
    )
    message = proto.message_type.add(name="TrialRequest")
    for number, field in enumerate(request_fields, 1):
        message.field.add(
            name=field,
            number=number,
            label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
            type=descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
        )
    method = proto.service.add(name="TrialService").method.add(
        name="Try", input_type=".trial.v1.TrialRequest", output_type=".trial.v1.TrialRequest"
    )
    if options is not None:
        method.options.Extensions[policy_pb2.method].CopyFrom(options)
    pool.Add(proto)
    return pool.FindServiceByName("trial.v1.TrialService")


READ = MethodPolicy.READ
UNSOUND = {
    "has no policy": (None, ("name",)),
    "does not say whether it may be repeated": (MethodPolicy(scope=MethodPolicy.PUBLIC), ("name",)),
    "its request has no request_id": (
        MethodPolicy(scope=MethodPolicy.ACCOUNT, idempotency=MethodPolicy.REQUEST_ID),
        ("name",),
    ),
    "is for services but lists none": (MethodPolicy(scope=MethodPolicy.SYSTEM, idempotency=READ), ("name",)),
    "no role may call it": (MethodPolicy(scope=MethodPolicy.STUDIO, idempotency=READ), ("name",)),
    "its request names none": (
        MethodPolicy(scope=MethodPolicy.STUDIO, idempotency=READ, roles=[policy_pb2.ROLE_OWNER]),
        (),
    ),
}


@pytest.mark.parametrize(("why", "options", "fields"), [(why, *case) for why, case in UNSOUND.items()], ids=UNSOUND)
def test_a_server_with_an_unsound_method_refuses_to_start(
    why: str, options: MethodPolicy | None, fields: tuple[str, ...], certificates: Certificates
) -> None:
    servicer = Servicer(_service(options, fields), lambda implementation, server: None, None)
    verifier = TokenVerifier(certificates.jwks, "trial")
    with pytest.raises(PolicyError, match=f"TrialService/Try.*{why}"):
        GrpcServer([servicer], verifier, with_reflection=False)


def _callers(method: MethodDescriptor) -> list[str]:
    return list(method.GetOptions().Extensions[policy_pb2.method].callers)


def test_services_call_each_other_only_along_the_edges_of_the_house() -> None:
    for method in methods():
        owner = method.containing_service.full_name.split(".")[1]
        if owner == "events":  # the feed: subscriber to owner, in the background
            continue
        for caller in _callers(method):
            assert (caller, owner) in EDGES, f"{caller} may not call {method.full_name}"


def test_methods_for_services_have_no_door_in_the_gateway() -> None:
    for method in methods():
        if method.GetOptions().Extensions[policy_pb2.method].scope == MethodPolicy.SYSTEM:
            assert not method.GetOptions().HasExtension(annotations_pb2.http), method.full_name


def test_few_methods_are_callable_without_identity() -> None:
    public = sorted(
        method.name
        for method in methods()
        if method.GetOptions().Extensions[policy_pb2.method].scope == MethodPolicy.PUBLIC
    )
    assert public == [
        "DownloadCalendar",
        "ExchangeToken",
        "OpenPreferences",
        "ReceiveProviderEvents",
        "ReceiveStripeEvent",
        "RequestPasswordReset",
        "ResetPassword",
        "SavePreferences",
        "ShowUnsubscribe",
        "SignIn",
        "SignUp",
        "Unsubscribe",
    ]


def test_lists_are_paged() -> None:
    for method in methods():
        if not method.name.startswith("List"):
            continue
        assert {"page_size", "page_token"} <= set(method.input_type.fields_by_name), method.full_name
        assert "next_page_token" in method.output_type.fields_by_name, method.full_name


def test_updates_have_a_mask_and_their_resource_an_etag() -> None:
    for method in methods():
        if not method.name.startswith("Update"):
            continue
        assert "update_mask" in method.input_type.fields_by_name, method.full_name
        assert "etag" in method.output_type.fields_by_name, method.full_name


def test_events_carry_nothing_personal() -> None:
    for message in messages():
        if not message.file.name.endswith("events.proto"):
            continue
        for field in message.fields:
            assert not field.GetOptions().Extensions[policy_pb2.sensitive], f"{message.full_name}.{field.name}"
            assert field.name not in {"email", "phone", "client_display_name"}, f"{message.full_name}.{field.name}"


def test_each_method_says_what_it_does() -> None:
    undocumented = [method.full_name for method in methods() if not comments().get(method.full_name)]
    assert undocumented == []
