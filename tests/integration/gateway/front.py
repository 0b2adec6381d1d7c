"""The gateway on a socket before the real booking service; who signs in is whom a test puts in."""

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx

from embedded.certificates import Certificates
from gateway.settings import Settings
from gateway.upstreams import SERVICES, Upstreams
from powerhouse.identity.v1 import identity_service_pb2_grpc
from powerhouse.policy.v1.policy_pb2 import Role
from services.booking.service import SERVICE
from services.chassis import config
from services.chassis.auth.principal import Principal
from services.chassis.auth.tokens import TokenSigner, TokenVerifier
from services.chassis.ids import new_id
from services.chassis.rpc.server import GrpcServer, Servicer
from services.chassis.rpc.stubs import Tls, open_channel
from tests.integration.booking.house import BookingStub, House, key
from tests.integration.gateway.archive import served
from tests.integration.gateway.house import Identity, gateway_environ
from tests.support.services import Mesh

# Nothing is encrypted, but a client would make one of its own.
_TLS = ssl.create_default_context()


@dataclass
class Front:
    """A studio of the booking service, and how people reach it over HTTP."""

    house: House
    identity: Identity
    url: str

    def sign_in(self, account: UUID, *roles: "Role.ValueType") -> dict[str, str]:
        """Headers of an account that has these roles in the studio."""
        held = {self.house.tenant: frozenset(int(role) for role in roles)} if roles else {}
        self.identity.credentials[str(account)] = Principal(account_id=account, roles=held)
        return {"authorization": f"Bearer {account}"}

    @asynccontextmanager
    async def visitor(self, account: UUID, *roles: "Role.ValueType") -> AsyncIterator["Visitor"]:
        """A connection of an account that has these roles in the studio; without any it is a client's."""
        held = {self.house.tenant: frozenset(int(role) for role in roles)} if roles else {}
        self.identity.credentials[str(account)] = Principal(account_id=account, roles=held)
        headers = {"authorization": f"Bearer {account}"}
        # A pool for each: one pool looks at all of its connections whenever one of them moves.
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60, verify=_TLS) as client:
            yield Visitor(self.house, client)


@dataclass
class Visitor:
    """Somebody with a browser."""

    house: House
    client: httpx.AsyncClient

    async def get(self, name: str) -> httpx.Response:
        return await self.client.get(f"/v1/{name}")

    async def post(self, name: str, body: Mapping[str, Any]) -> httpx.Response:
        """A write with a key of its own."""
        return await self.client.post(f"/v1/{name}", json=dict(body), headers={"idempotency-key": key()})

    async def book(self, session: str, **booking: Any) -> str:
        """`BOOKED`, or status and reason of the refusal."""
        answer = await self.post(f"{self.house.name}/bookings", {"classSession": session, **booking})
        return "BOOKED" if answer.status_code == 200 else f"{answer.status_code} {reason_of(answer)}"


def reason_of(answer: httpx.Response) -> str:
    """The reason in an error of the API, or its code."""
    error = answer.json()["error"]
    return next((str(each["reason"]) for each in error["details"] if "reason" in each), error["status"])


@asynccontextmanager
async def open_front(postgres_url: str, certificates: Certificates) -> AsyncIterator[Front]:
    """Serves all three. Nobody is limited: here one address stands for a thousand people."""
    key_id = json.loads(certificates.jwks.read_text())["keys"][0]["kid"]
    identity = Identity(TokenSigner(certificates.token_key.read_bytes(), key_id))  # type: ignore[abstract]  # as in house
    add = identity_service_pb2_grpc.add_IdentityServiceServicer_to_server
    servicers = [Servicer(contract, add, identity) for contract in SERVICES["identity"]]
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(Mesh(postgres_url, certificates).running(SERVICE))
        tenant = new_id()
        house = House(running, tenant, running.as_account(BookingStub, roles={tenant: [Role.ROLE_FRONT_DESK]}))
        server = GrpcServer(servicers, TokenVerifier(certificates.jwks, "identity"), with_reflection=False)
        port = server.listen("127.0.0.1", 0, Tls(certificates.tls("identity")), mutual=True)
        await server.start()
        stack.push_async_callback(server.drain, 0, 0)
        targets = {"identity": f"127.0.0.1:{port}", "booking": f"127.0.0.1:{running.port}"}
        tls = Tls(certificates.tls("gateway"))
        channels = {name: open_channel(SERVICES[name], name, target, tls) for name, target in targets.items()}
        environ = gateway_environ(certificates, dict.fromkeys(SERVICES, "x:1") | targets)
        unlimited = {"POWERHOUSE_RATE_LIMIT": "0", "POWERHOUSE_PUBLIC_RATE_LIMIT": "0"}
        settings = config.load(Settings, environ | unlimited)
        upstreams = Upstreams(channels, {name: SERVICES[name] for name in targets})
        http_port = await stack.enter_async_context(served(settings, upstreams))
        yield Front(house, identity, f"http://127.0.0.1:{http_port}")
