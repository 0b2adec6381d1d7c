"""A gateway over real gRPC servers whose answers a test decides: the gateway is what is tested here."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import httpx
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from embedded.certificates import Certificates
from gateway.app import create_app
from gateway.settings import Settings
from gateway.upstreams import SERVICES, Upstreams
from powerhouse.booking.v1 import (
    booking_pb2,
    booking_service_pb2_grpc,
    calendar_service_pb2_grpc,
    client_package_pb2,
    client_service_pb2,
    client_service_pb2_grpc,
    credit_service_pb2_grpc,
    fee_service_pb2_grpc,
)
from powerhouse.booking.v1 import booking_service_pb2 as pb
from powerhouse.identity.v1 import identity_service_pb2, identity_service_pb2_grpc
from services.chassis import config
from services.chassis.auth.principal import Principal
from services.chassis.auth.tokens import TokenSigner, TokenVerifier
from services.chassis.errors import FailedPrecondition, ResourceExhausted, Unauthenticated
from services.chassis.ids import new_id
from services.chassis.rpc.codec import to_timestamp
from services.chassis.rpc.server import GrpcServer, Servicer
from services.chassis.rpc.stubs import Tls, open_channel
from tests.support.protos import compile_proto

STUDIO = new_id()
BOOKINGS = f"/v1/studios/{STUDIO}/bookings"
LIBRARY = compile_proto(Path(__file__).parents[2] / "support" / "library.proto").services_by_name["Library"]


@dataclass
class Identity(identity_service_pb2_grpc.IdentityServiceServicer):
    """Knows the sessions and API keys a test puts in."""

    signer: TokenSigner
    credentials: dict[str, Principal] = field(default_factory=dict)
    # Audiences, in the order they were asked for.
    exchanges: list[str] = field(default_factory=list)

    async def SignIn(self, request: Any, context: Any) -> identity_service_pb2.SessionResponse:
        if request.password != "right":
            raise Unauthenticated("wrong e-mail or password", reason="WRONG_CREDENTIALS")
        self.credentials["session-1"] = Principal(account_id=new_id())
        return identity_service_pb2.SessionResponse(session_token="session-1")

    async def SignOut(self, request: Any, context: Any) -> identity_service_pb2.SessionResponse:
        self.credentials.clear()
        return identity_service_pb2.SessionResponse()

    async def GetMyAccount(self, request: Any, context: Any) -> identity_service_pb2.GetMyAccountResponse:
        return identity_service_pb2.GetMyAccountResponse()

    async def ExchangeToken(self, request: Any, context: Any) -> identity_service_pb2.ExchangeTokenResponse:
        self.exchanges.append(request.audience)
        await asyncio.sleep(0.02)
        principal = self.credentials.get(request.session_token or request.api_key)
        if principal is None:
            raise Unauthenticated("sign in again", reason="SESSION_EXPIRED")
        token, expire = self.signer.sign(principal, request.audience)
        return identity_service_pb2.ExchangeTokenResponse(token=token, expire_time=to_timestamp(expire))


@dataclass
class Booking(booking_service_pb2_grpc.BookingServiceServicer):
    """Records what arrives, and fails as the wanted spot says."""

    requests: list[Any] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    time_left: float = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    sessions: pb.ListBookableSessionsResponse = field(default_factory=pb.ListBookableSessionsResponse)

    async def ListBookableSessions(self, request: Any, context: Any) -> pb.ListBookableSessionsResponse:
        return self.sessions

    async def CreateBooking(self, request: Any, context: Any) -> booking_pb2.Booking:
        self.requests.append(request)
        self.arrived.set()
        self.metadata = dict(context.invocation_metadata())
        self.time_left = context.time_remaining()
        match request.booking.spot:
            case "full":
                raise FailedPrecondition("it is full", reason="SESSION_FULL", metadata={"capacity": "8"})
            case "busy":
                raise ResourceExhausted("too many", reason="TOO_MANY_ATTEMPTS", retry_after=1.5)
            case "broken":
                raise RuntimeError("the password is hunter2")
            case "slow":
                await asyncio.sleep(10)
        return booking_pb2.Booking(name=f"{request.parent}/bookings/1", policy_version=2**60)

    async def WatchClassSession(self, request: Any, context: Any) -> AsyncIterator[pb.WatchClassSessionResponse]:
        yield pb.WatchClassSessionResponse(event_id="v1")
        await asyncio.sleep(60)


class Clients(client_service_pb2_grpc.ClientServiceServicer):
    """A studio without any."""

    async def ListClients(self, request: Any, context: Any) -> client_service_pb2.ListClientsResponse:
        return client_service_pb2.ListClientsResponse()


class Credits(credit_service_pb2_grpc.CreditServiceServicer):
    """Answers the reason it got."""

    async def GrantClientPackage(self, request: Any, context: Any) -> client_package_pb2.ClientPackage:
        return client_package_pb2.ClientPackage(reason=request.client_package.reason)


class Library:
    """Answers raw bodies with what it got."""

    async def upload_cover(self, request: Any, context: Any) -> Message:
        cover: Message = request.cover
        return cover

    def add(self, _implementation: Any, server: grpc.aio.Server) -> None:
        method = LIBRARY.methods_by_name["UploadCover"]
        handler = grpc.unary_unary_rpc_method_handler(
            self.upload_cover,
            request_deserializer=GetMessageClass(method.input_type).FromString,
            response_serializer=GetMessageClass(method.output_type).SerializeToString,
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(LIBRARY.full_name, {"UploadCover": handler}),)
        )


@dataclass
class House:
    """The gateway and what stands behind it."""

    client: httpx.AsyncClient
    settings: Settings
    identity: Identity
    booking: Booking
    servers: dict[str, GrpcServer]
    channels: dict[str, grpc.aio.Channel]
    environ: dict[str, str]

    def sign_in(self, session: str = "session-1", **roles: Any) -> dict[str, str]:
        """Headers of a browser that holds this session."""
        self.identity.credentials[session] = Principal(account_id=new_id(), **roles)
        return {"cookie": f"__Host-session={session}"}

    def own_studio(self, session: str, role: int) -> None:
        """Gives the account of a session a role in the studio."""
        account: UUID | None = self.identity.credentials[session].account_id
        self.identity.credentials[session] = Principal(account_id=account, roles={STUDIO: frozenset({role})})

    async def csrf(self, headers: dict[str, str]) -> dict[str, str]:
        """The same headers with the CSRF token that a page would send."""
        answer = await self.client.get("/v1/accounts/me", headers=headers)
        return {**headers, "x-csrf-token": answer.headers["x-csrf-token"]}


def gateway_environ(certificates: Certificates, targets: Mapping[str, str]) -> dict[str, str]:
    """What a gateway needs to start."""
    return {
        "POWERHOUSE_TLS_DIR": str(certificates.tls("gateway")),
        "POWERHOUSE_SECRET_FILE": str(certificates.secret("gateway")),
        "POWERHOUSE_PUBLIC_URL": "https://studio.example",
        **{f"POWERHOUSE_{name.upper()}_TARGET": target for name, target in targets.items()},
    }


@asynccontextmanager
async def open_house(certificates: Certificates, extra: Mapping[str, str] | None = None) -> AsyncIterator[House]:
    """A gateway with an identity, a booking and a foreign library behind it."""
    key_id = json.loads(certificates.jwks.read_text())["keys"][0]["kid"]
    signer = TokenSigner(certificates.token_key.read_bytes(), key_id)
    identity = Identity(signer)  # type: ignore[abstract]  # what a test does not need stays UNIMPLEMENTED
    booking, clients, library = Booking(), Clients(), Library()  # type: ignore[abstract]  # the same
    calendars = calendar_service_pb2_grpc.CalendarServiceServicer()  # type: ignore[abstract]  # the same
    credits, fees = Credits(), fee_service_pb2_grpc.FeeServiceServicer()  # type: ignore[abstract]  # the same
    # What else booking serves is in nobody's way.
    served_by_booking = {
        "BookingService": (booking_service_pb2_grpc.add_BookingServiceServicer_to_server, booking),
        "ClientService": (client_service_pb2_grpc.add_ClientServiceServicer_to_server, clients),
        "CalendarService": (calendar_service_pb2_grpc.add_CalendarServiceServicer_to_server, calendars),
        "CreditService": (credit_service_pb2_grpc.add_CreditServiceServicer_to_server, credits),
        "FeeService": (fee_service_pb2_grpc.add_FeeServiceServicer_to_server, fees),
    }
    servicers = {
        "identity": [
            Servicer(*SERVICES["identity"], identity_service_pb2_grpc.add_IdentityServiceServicer_to_server, identity)
        ],
        "booking": [
            Servicer(contract, *served_by_booking[contract.name])
            for contract in SERVICES["booking"]
            if contract.name in served_by_booking
        ],
        # The library borrows a certificate.
        "notify": [Servicer(LIBRARY, library.add, library)],
    }
    contracts = {name: [servicer.descriptor for servicer in served] for name, served in servicers.items()}
    gateway_tls = Tls(certificates.tls("gateway"))
    servers, channels, targets = {}, {}, {}
    for name, served in servicers.items():
        servers[name] = GrpcServer(served, TokenVerifier(certificates.jwks, name), with_reflection=False)
        targets[name] = f"127.0.0.1:{servers[name].listen('127.0.0.1', 0, Tls(certificates.tls(name)), mutual=True)}"
        await servers[name].start()
        channels[name] = open_channel(contracts[name], name, targets[name], gateway_tls)

    environ = gateway_environ(certificates, {name: targets.get(name, targets["booking"]) for name in SERVICES})
    environ |= extra or {}
    settings = config.load(Settings, environ)
    upstreams = Upstreams(channels, contracts)
    transport = httpx.ASGITransport(create_app(settings, upstreams))
    async with httpx.AsyncClient(transport=transport, base_url="https://studio.example") as client:
        yield House(client, settings, identity, booking, servers, channels, environ)
    await upstreams.close()
    await asyncio.gather(*(server.drain(0, 0) for server in servers.values()))
