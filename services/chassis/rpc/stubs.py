"""Channels to other services: mTLS, deadline from the method's policy, retry of what may be repeated, round robin."""

import json
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from opentelemetry.instrumentation.grpc import aio_client_interceptors

from powerhouse.policy.v1 import policy_pb2
from services.chassis.rpc.policy import Method, read_methods
from services.chassis.rpc.uploads import Stopping

StubT = TypeVar("StubT")


class Tls:
    """This process's certificate and the mesh's authority, from one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @cached_property
    def authority(self) -> bytes:
        return (self._directory / "ca.pem").read_bytes()

    @cached_property
    def certificate(self) -> bytes:
        return (self._directory / "cert.pem").read_bytes()

    @cached_property
    def key(self) -> bytes:
        return (self._directory / "key.pem").read_bytes()

    def server(self, *, mutual: bool) -> grpc.ServerCredentials:
        """Credentials of a server port; `mutual` demands a certificate of the mesh from the caller."""
        return grpc.ssl_server_credentials(
            [(self.key, self.certificate)], self.authority if mutual else None, require_client_auth=mutual
        )

    def client(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(self.authority, self.key, self.certificate)


def open_channel(contracts: Sequence[ServiceDescriptor], name: str, target: str, tls: Tls) -> grpc.aio.Channel:
    """A channel to the service called `name` in its certificate. Calls without a deadline get the method's own."""
    methods = {path: method for contract in contracts for path, method in read_methods(contract).items()}
    return grpc.aio.secure_channel(
        target,
        tls.client(),
        options=[
            ("grpc.ssl_target_name_override", name),
            ("grpc.service_config", json.dumps(_service_config(methods))),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.use_local_subchannel_pool", 1),
        ],
        interceptors=[*aio_client_interceptors(), _Deadline(methods), Stopping()],
    )


class Stubs:
    """Stubs of other services, opened when first used and closed together."""

    def __init__(self, targets: dict[str, str], tls: Tls) -> None:
        self._targets, self._tls = targets, tls
        self._channels: dict[str, grpc.aio.Channel] = {}

    def get(self, stub: Callable[[grpc.aio.Channel], StubT], service: ServiceDescriptor, name: str) -> StubT:
        """A stub of `service` at the service called `name`: `stubs.get(BookingServiceStub, DESCRIPTOR, "booking")`."""
        key = f"{name}/{service.full_name}"
        if key not in self._channels:
            self._channels[key] = open_channel([service], name, self._targets[name], self._tls)
        return stub(self._channels[key])

    async def close(self) -> None:
        for channel in self._channels.values():
            await channel.close()
        self._channels.clear()


class _Deadline(grpc.aio.UnaryUnaryClientInterceptor):
    """A call without a deadline is a call that can hang: it gets the one its policy names."""

    def __init__(self, methods: dict[str, Method]) -> None:
        self._methods = methods

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        if details.timeout is None:
            path = details.method.decode() if isinstance(details.method, bytes) else details.method
            details = grpc.aio.ClientCallDetails(
                details.method,
                self._methods[path].deadline,
                details.metadata,
                details.credentials,
                details.wait_for_ready,
            )
        return await continuation(details, request)


def _service_config(methods: dict[str, Method]) -> dict[str, Any]:
    """Round robin, and retry of UNAVAILABLE for reads and for writes that carry a key.

    Not `timeout`: in Python it is off by up to a second (grpc/grpc#34547).
    """
    repeatable = [
        dict(zip(("service", "method"), path[1:].split("/"), strict=True))
        for path, method in methods.items()
        if method.policy.idempotency in (policy_pb2.MethodPolicy.READ, policy_pb2.MethodPolicy.REQUEST_ID)
    ]
    retry = {
        "maxAttempts": 4,
        "initialBackoff": "0.05s",
        "maxBackoff": "1s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    config: dict[str, Any] = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "retryThrottling": {"maxTokens": 20, "tokenRatio": 0.1},
    }
    if repeatable:
        config["methodConfig"] = [{"name": repeatable, "retryPolicy": retry}]
    return config
