"""What identity's tests share: browsers with an address of their own, people, studios."""

import asyncio
import random
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
from google.rpc import error_details_pb2
from prometheus_client import REGISTRY

from gateway.upstreams import status_of
from powerhouse.identity.v1 import identity_service_pb2 as pb
from powerhouse.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from powerhouse.policy.v1.policy_pb2 import Role
from powerhouse.scheduling.v1.events_pb2 import StudioCreated
from services.chassis.auth.principal import Principal
from services.chassis.auth.tokens import TokenVerifier
from services.chassis.clock import real_now
from services.chassis.ids import NO_TENANT, new_id
from services.chassis.messaging.consumers import Event
from services.identity.consumers import consumers
from tests.support.services import Running, reason_of

PASSWORD = "long enough to pass"


def new_email() -> str:
    return f"someone-{uuid4().hex[:12]}@example.test"


def key() -> str:
    """An idempotency key."""
    return uuid4().hex


@dataclass
class Browser:
    """Somebody at the gateway, from an address that no other test throttles."""

    running: Running
    address: str = field(default_factory=lambda: str(_random_address()))

    @cached_property
    def _stub(self) -> IdentityServiceStub:
        return self.running.as_service(IdentityServiceStub, "gateway")

    def call(self, method: str, request: Any) -> Awaitable[Any]:
        answer: Awaitable[Any] = getattr(self._stub, method)(request, metadata=(("x-forwarded-for", self.address),))
        return answer

    async def sign_up(self, email: str | None = None, password: str = PASSWORD, name: str = "Ada") -> Any:
        return await self.call(
            "SignUp", pb.SignUpRequest(email=email or new_email(), password=password, display_name=name)
        )

    async def sign_in(self, email: str, password: str = PASSWORD) -> Any:
        return await self.call("SignIn", pb.SignInRequest(email=email, password=password))

    async def exchange(self, audience: str = "booking", **credential: str) -> Principal:
        """What the service `audience` makes of the token that a credential is exchanged for."""
        answer = await self.call("ExchangeToken", pb.ExchangeTokenRequest(audience=audience, **credential))
        return TokenVerifier(self.running.mesh.certificates.jwks, audience).verify(answer.token)


@dataclass
class Studio:
    """A studio with one owner."""

    running: Running
    owner: UUID
    id: UUID = field(default_factory=new_id)

    @property
    def name(self) -> str:
        return f"studios/{self.id}"

    def as_owner(self) -> Any:
        return self.acting(Role.ROLE_OWNER, self.owner)

    def acting(self, role: Any, account: UUID | None = None) -> Any:
        return self.running.as_account(IdentityServiceStub, account, {self.id: [role]})

    async def grant(self, account: UUID, role: int) -> UUID:
        """Gives a role past the RPCs and returns the id of its binding."""
        binding = new_id()
        await self.running.sql(
            "INSERT INTO role_bindings VALUES ($1, $2, $3, $4, now())", self.id, binding, account, role
        )
        return binding

    def binding(self, binding: UUID) -> str:
        return f"{self.name}/roleBindings/{binding}"


async def new_account(running: Running) -> UUID:
    answer = await Browser(running).sign_up()
    return UUID(answer.account.name.removeprefix("accounts/"))


async def new_studio(running: Running) -> Studio:
    """Made as in life: by scheduling's event."""
    studio = Studio(running, await new_account(running))
    await studio_created(running, studio)
    return studio


async def studio_created(running: Running, studio: Studio) -> None:
    """Scheduling's event arrives."""
    payload = StudioCreated(studio_id=str(studio.id), account_id=str(studio.owner))
    event = Event(new_id(), studio.id, "studio", studio.id, 1, real_now(), None, payload)
    consumer = consumers.get(StudioCreated.DESCRIPTOR.full_name)
    assert consumer is not None
    async with running.resources.database.transaction(studio.id, NO_TENANT) as tx:
        await consumer.handler(tx, event)


async def refused(call: Awaitable[Any]) -> grpc.aio.AioRpcError:
    """The error a call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def reason(call: Awaitable[Any]) -> tuple[str, str]:
    """Code and reason of the error a call ends with."""
    error = await refused(call)
    return error.code().name, reason_of(error)


async def reasons(calls: Iterable[Awaitable[Any]]) -> list[str]:
    """The reason of each of many calls at once, "" for those that succeed."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    return [reason_of(answer) if isinstance(answer, grpc.aio.AioRpcError) else "" for answer in answers]


def retry_after(error: grpc.aio.AioRpcError) -> float:
    """Seconds to wait that a refusal names."""
    info = error_details_pb2.RetryInfo()
    for detail in status_of(error).details:
        if detail.Unpack(info):
            return float(info.retry_delay.ToNanoseconds() / 1e9)
    raise AssertionError("no RetryInfo")


def verifications() -> float:
    """How many passwords were verified so far."""
    return REGISTRY.get_sample_value("powerhouse_password_hashes_total", {"operation": "verify"}) or 0


def _random_address() -> str:
    return ".".join(["10", *(str(random.randrange(256)) for _ in range(3))])
