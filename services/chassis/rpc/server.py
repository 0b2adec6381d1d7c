"""Building, serving and draining a gRPC server."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from opentelemetry.instrumentation.grpc import aio_server_interceptor

from services.chassis.auth.tokens import TokenVerifier
from services.chassis.rpc.interceptors import PolicyInterceptor
from services.chassis.rpc.policy import read_methods
from services.chassis.rpc.stubs import Tls

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
MAX_CONCURRENT_RPCS = 1024
LONGEST_STREAM_MS = 300_000


@dataclass(frozen=True)
class Servicer:
    """One proto service and what implements it: `add` is its generated `add_…Servicer_to_server`."""

    descriptor: ServiceDescriptor
    add: Any
    implementation: Any


class GrpcServer:
    """A server with two ports: the mesh's (mTLS) and one for programs that bring a token (server TLS)."""

    def __init__(self, servicers: Sequence[Servicer], verifier: TokenVerifier, *, with_reflection: bool) -> None:
        """Raises PolicyError when a method of a servicer has no sound policy: such a server must not start."""
        methods = {}
        for servicer in servicers:
            methods.update(read_methods(servicer.descriptor))
        self._server = grpc.aio.server(
            interceptors=[aio_server_interceptor(), PolicyInterceptor(methods, verifier)],
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_connection_age_ms", 120_000),
                # As long as the longest stream may last: it goes on while new calls use a new connection.
                ("grpc.max_connection_age_grace_ms", LONGEST_STREAM_MS),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.so_reuseport", 0),
            ],
            maximum_concurrent_rpcs=MAX_CONCURRENT_RPCS,
        )
        names = []
        for servicer in servicers:
            servicer.add(servicer.implementation, self._server)
            names.append(servicer.descriptor.full_name)
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._names = ["", *names]
        if with_reflection:
            reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server)

    def listen(self, host: str, port: int, tls: Tls, *, mutual: bool) -> int:
        """Opens a port, 0 for any free one, and returns it. Raises RuntimeError when it is taken."""
        return self._server.add_secure_port(f"{host}:{port}", tls.server(mutual=mutual))

    async def start(self) -> None:
        await self._server.start()
        for name in self._names:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def drain(self, grace: float, notice: float) -> None:
        """Says NOT_SERVING, waits `notice` seconds for callers to see it, then lets calls end within `grace`."""
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(notice)
        await self._server.stop(grace)
