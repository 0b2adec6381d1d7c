"""A service in the test's own process: real gRPC over TLS, real PostgreSQL, a clock the test holds."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import grpc
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from embedded.certificates import Certificates
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis import config
from services.chassis.auth.principal import Principal
from services.chassis.auth.tokens import TokenSigner, TokenVerifier
from services.chassis.db.database import Database
from services.chassis.db.paging import Pager
from services.chassis.db.urls import database_name, service_url
from services.chassis.ids import new_id
from services.chassis.migrate import migrate
from services.chassis.resources import Resources
from services.chassis.rpc.server import GrpcServer
from services.chassis.rpc.status import DETAILS_KEY
from services.chassis.rpc.stubs import Stubs, Tls
from services.chassis.service import Service
from tests.support.templates import copy_template, keep_template

StubT = TypeVar("StubT")


class HeldClock:
    """Business time that stands still until the test moves it."""

    def __init__(self, now: datetime | None = None) -> None:
        self.instant = now or datetime.now(UTC).replace(microsecond=0)

    def now(self) -> datetime:
        return self.instant

    def move(self, by: timedelta) -> None:
        self.instant += by


@dataclass
class Mesh:
    """Services that run in this process and know each other's addresses."""

    admin_url: str
    certificates: Certificates
    clock: HeldClock = field(default_factory=HeldClock)
    targets: dict[str, str] = field(default_factory=dict)

    @asynccontextmanager
    async def running(self, service: Service, extra: Mapping[str, str] | None = None) -> AsyncIterator["Running"]:
        """Migrates the service's database and serves it on a free port. `extra` adds to its environment."""
        environ = {
            "POWERHOUSE_DATABASE_URL": self.admin_url,
            "POWERHOUSE_BROKER_URL": "memory://",
            "POWERHOUSE_TLS_DIR": str(self.certificates.tls(service.name)),
            "POWERHOUSE_TOKEN_JWKS_FILE": str(self.certificates.jwks),
            "POWERHOUSE_TOKEN_PRIVATE_KEY_FILE": str(self.certificates.token_key),
            "POWERHOUSE_SECRET_FILE": str(self.certificates.secret(service.name)),
            "POWERHOUSE_PERSON_KEYS_FILE": str(self.certificates.person_keys),
            "RESEND_API_KEY": "re_test",
            "STRIPE_API_KEY": "sk_test_nobody",
            "STRIPE_PUBLISHABLE_KEY": "pk_test_nobody",
            "STRIPE_WEBHOOK_SECRETS": "whsec_nobody",
            # Nobody listens there.
            "STRIPE_API_URL": "http://127.0.0.1:9",
            **(extra or {}),
        }
        settings = config.load(service.settings, environ)
        await _migrated(service.name, service.folder, self.admin_url)
        tls = Tls(settings.tls_dir)
        resources = Resources(
            settings=settings,
            clock=self.clock,
            database=Database(service_url(service.name, "app", environ), self.clock),
            stubs=Stubs(self.targets, tls),
            pager=Pager(settings.secret),
        )
        verifier = TokenVerifier(settings.token_jwks_file, service.name)
        server = GrpcServer(service.servicers(resources), verifier, with_reflection=False)
        port = server.listen("127.0.0.1", 0, tls, mutual=True)
        public_port = server.listen("127.0.0.1", 0, tls, mutual=False)
        await server.start()
        self.targets[service.name] = f"127.0.0.1:{port}"
        running = Running(self, service, resources, port, public_port)
        try:
            yield running
        finally:
            await running.close()
            await server.drain(1, 0)
            await resources.close()


@dataclass
class Running:
    """One running service and the callers a test makes up."""

    mesh: Mesh
    service: Service
    resources: Resources
    port: int
    public_port: int
    _channels: list[grpc.aio.Channel] = field(default_factory=list)
    _pools: dict[str, asyncpg.Pool] = field(default_factory=dict)

    def as_account(
        self,
        stub: Callable[[grpc.aio.Channel], StubT],
        account: UUID | None = None,
        roles: Mapping[UUID, Iterable["Role.ValueType"]] | None = None,
    ) -> StubT:
        """A stub that calls through the gateway's certificate with the token of an account and its roles."""
        held = {tenant: frozenset(int(role) for role in listed) for tenant, listed in (roles or {}).items()}
        return self.as_principal(stub, Principal(account_id=account or new_id(), roles=held))

    def as_principal(self, stub: Callable[[grpc.aio.Channel], StubT], principal: Principal) -> StubT:
        """The same for any principal: an API key, an account with a session."""
        return self._stub(stub, "gateway", _Bearer(self, principal))

    def as_service(self, stub: Callable[[grpc.aio.Channel], StubT], name: str) -> StubT:
        """A stub that calls as a service of the mesh, known by its certificate alone."""
        return self._stub(stub, name, None)

    def anonymous(self, stub: Callable[[grpc.aio.Channel], StubT]) -> StubT:
        """A stub that brings no token, over the public port."""
        authority = self.mesh.certificates.authority.read_bytes()
        channel = grpc.aio.secure_channel(
            f"127.0.0.1:{self.public_port}",
            grpc.ssl_channel_credentials(authority),
            options=[("grpc.ssl_target_name_override", self.service.name), ("grpc.use_local_subchannel_pool", 1)],
        )
        self._channels.append(channel)
        return stub(channel)

    def token(self, principal: Principal) -> str:
        """A token that this service accepts."""
        key_id = json.loads(self.mesh.certificates.jwks.read_text())["keys"][0]["kid"]
        signer = TokenSigner(self.mesh.certificates.token_key.read_bytes(), key_id)
        return signer.sign(principal, self.service.name)[0]

    async def sql(self, statement: str, *args: Any, role: str = "admin") -> list[asyncpg.Record]:
        """Runs SQL with the app code bypassed: as `admin` (sees everything) or `app` (row level security holds)."""
        if role == "admin":
            url = f"{self.mesh.admin_url}/{database_name(self.service.name)}"
        else:
            url = service_url(self.service.name, role, {"POWERHOUSE_DATABASE_URL": self.mesh.admin_url})
        if url not in self._pools:
            # A connection costs more than most statements. What one leaves in its session is reset.
            self._pools[url] = asyncpg.create_pool(url, min_size=0, statement_cache_size=0)
        return list(await (await self._pools[url]).fetch(statement, *args))

    async def is_held_up(self) -> bool:
        """Whether somebody in this service's database waits for another's lock."""
        query = "SELECT FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'"
        return bool(await self.sql(query, database_name(self.service.name)))

    async def events(self, message_type: type[Message], tenant: UUID) -> list[Any]:
        """Payloads of that type that this service has published for a studio, in order."""
        rows = await self.sql(
            "SELECT payload::text FROM outbox WHERE type = $1 AND tenant_id = $2 ORDER BY create_time",
            message_type.DESCRIPTOR.full_name,
            tenant,
        )
        return [ParseDict(json.loads(row["payload"]), message_type()) for row in rows]

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()
        for pool in self._pools.values():
            pool.terminate()

    def _stub(self, stub: Callable[[grpc.aio.Channel], StubT], certificate: str, bearer: "_Bearer | None") -> StubT:
        channel = grpc.aio.secure_channel(
            f"127.0.0.1:{self.port}",
            Tls(self.mesh.certificates.tls(certificate)).client(),
            options=[("grpc.ssl_target_name_override", self.service.name), ("grpc.use_local_subchannel_pool", 1)],
            interceptors=[bearer, _StreamBearer(bearer), _UploadBearer(bearer)] if bearer else None,
        )
        self._channels.append(channel)
        return stub(channel)


class _Bearer(grpc.aio.UnaryUnaryClientInterceptor):
    """Adds a fresh token to each call."""

    def __init__(self, running: Running, principal: Principal) -> None:
        self._running, self._principal = running, principal

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return await continuation(self.sign(details), request)

    def sign(self, details: Any) -> grpc.aio.ClientCallDetails:
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        metadata.add("authorization", f"Bearer {self._running.token(self._principal)}")
        return grpc.aio.ClientCallDetails(
            details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
        )


class _StreamBearer(grpc.aio.UnaryStreamClientInterceptor):
    """The same for streams; gRPC takes one kind of call from an interceptor."""

    def __init__(self, bearer: _Bearer) -> None:
        self._bearer = bearer

    async def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        return await continuation(self._bearer.sign(details), request)


class _UploadBearer(grpc.aio.StreamUnaryClientInterceptor):
    """The same for uploads."""

    def __init__(self, bearer: _Bearer) -> None:
        self._bearer = bearer

    async def intercept_stream_unary(self, continuation: Any, details: Any, requests: Any) -> Any:
        return await continuation(self._bearer.sign(details), requests)


def together(*stubs: Callable[[grpc.aio.Channel], Any]) -> Callable[[grpc.aio.Channel], Any]:
    """One stub with the methods of several: all that a service serves."""
    return lambda channel: SimpleNamespace(
        **{name: method for stub in stubs for name, method in vars(stub(channel)).items()}
    )


_done: set[tuple[str, str]] = set()


async def _migrated(service: str, folder: Path, admin_url: str) -> None:
    """Migrates once per server and test process; in a thread, since Alembic runs a loop of its own."""
    if (service, admin_url) in _done:
        return
    await copy_template(admin_url, service, folder)
    os.environ["POWERHOUSE_DATABASE_URL"] = admin_url
    try:
        await asyncio.to_thread(migrate, service, folder)
    finally:
        del os.environ["POWERHOUSE_DATABASE_URL"]
    await keep_template(admin_url, service, folder)
    _done.add((service, admin_url))


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """The ErrorInfo reason of a refusal."""
    return str(_info(error).reason)


def metadata_of(error: grpc.aio.AioRpcError) -> dict[str, str]:
    """What a program is told beside the reason."""
    return dict(_info(error).metadata)


def fields_of(error: grpc.aio.AioRpcError) -> list[str]:
    """The request fields that a refusal names."""
    bad = error_details_pb2.BadRequest()
    for detail in _status(error).details:
        if detail.Unpack(bad):
            return [violation.field for violation in bad.field_violations]
    return []


def _info(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    """Empty when there is none."""
    info = error_details_pb2.ErrorInfo()
    for detail in _status(error).details:
        if detail.Unpack(info):
            break
    return info


def _status(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY:
            return status_pb2.Status.FromString(value)
    return status_pb2.Status()
