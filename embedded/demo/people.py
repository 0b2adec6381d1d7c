"""People of the demo: they sign up and call the services' RPCs with tokens of their own, as every program may."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar
from uuid import NAMESPACE_URL, uuid5

import grpc
from google.protobuf.message import Message

from embedded.demo.data import DOMAIN
from powerhouse.booking.v1 import (
    booking_service_pb2,
    client_service_pb2,
    credit_service_pb2,
    waitlist_service_pb2,
)
from powerhouse.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from powerhouse.booking.v1.client_service_pb2_grpc import ClientServiceStub
from powerhouse.booking.v1.credit_service_pb2_grpc import CreditServiceStub
from powerhouse.booking.v1.waitlist_service_pb2_grpc import WaitlistServiceStub
from powerhouse.identity.v1 import identity_service_pb2
from powerhouse.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from powerhouse.notify.v1 import sender_service_pb2
from powerhouse.notify.v1.sender_service_pb2_grpc import SenderServiceStub
from powerhouse.payments.v1 import (
    catalogue_service_pb2,
    membership_service_pb2,
    merchant_service_pb2,
    receipt_service_pb2,
)
from powerhouse.payments.v1.catalogue_service_pb2_grpc import CatalogueServiceStub
from powerhouse.payments.v1.membership_service_pb2_grpc import MembershipServiceStub
from powerhouse.payments.v1.merchant_service_pb2_grpc import MerchantServiceStub
from powerhouse.payments.v1.receipt_service_pb2_grpc import ReceiptServiceStub
from powerhouse.scheduling.v1 import class_schedule_service_pb2, generation_service_pb2, scheduling_service_pb2
from powerhouse.scheduling.v1.class_schedule_service_pb2_grpc import ClassScheduleServiceStub
from powerhouse.scheduling.v1.generation_service_pb2_grpc import GenerationServiceStub
from powerhouse.scheduling.v1.scheduling_service_pb2_grpc import SchedulingServiceStub
from services.chassis.config import targets
from services.chassis.rpc.stubs import Stubs, Tls

PASSWORD = "powerhouse-demo"  # noqa: S105 - printed at each start, of studios that do not exist
# Calls in flight at once at each service: enough to keep two cores busy, too few to make anyone wait in a queue.
PARALLEL = 8
# Seconds that an event may take from one service to another, and between two looks.
PATIENCE, PAUSE = 60.0, 0.1
TOKEN_LIFE = timedelta(seconds=40)

R = TypeVar("R")


class Mesh:
    """Stubs of the services, and no more than PARALLEL calls at once at each."""

    def __init__(self, tls_dir: Path) -> None:
        self._stubs = stubs = Stubs(targets(), Tls(tls_dir))
        self.identity = stubs.get(
            IdentityServiceStub, identity_service_pb2.DESCRIPTOR.services_by_name["IdentityService"], "identity"
        )
        self.scheduling = stubs.get(
            SchedulingServiceStub,
            scheduling_service_pb2.DESCRIPTOR.services_by_name["SchedulingService"],
            "scheduling",
        )
        self.class_schedules = stubs.get(
            ClassScheduleServiceStub,
            class_schedule_service_pb2.DESCRIPTOR.services_by_name["ClassScheduleService"],
            "scheduling",
        )
        self.generation = stubs.get(
            GenerationServiceStub,
            generation_service_pb2.DESCRIPTOR.services_by_name["GenerationService"],
            "scheduling",
        )
        self.booking = stubs.get(
            BookingServiceStub, booking_service_pb2.DESCRIPTOR.services_by_name["BookingService"], "booking"
        )
        self.clients = stubs.get(
            ClientServiceStub, client_service_pb2.DESCRIPTOR.services_by_name["ClientService"], "booking"
        )
        self.credits = stubs.get(
            CreditServiceStub, credit_service_pb2.DESCRIPTOR.services_by_name["CreditService"], "booking"
        )
        self.waitlist = stubs.get(
            WaitlistServiceStub, waitlist_service_pb2.DESCRIPTOR.services_by_name["WaitlistService"], "booking"
        )
        self.senders = stubs.get(
            SenderServiceStub, sender_service_pb2.DESCRIPTOR.services_by_name["SenderService"], "notify"
        )
        self.merchants = stubs.get(
            MerchantServiceStub, merchant_service_pb2.DESCRIPTOR.services_by_name["MerchantService"], "payments"
        )
        self.catalogue = stubs.get(
            CatalogueServiceStub, catalogue_service_pb2.DESCRIPTOR.services_by_name["CatalogueService"], "payments"
        )
        self.memberships = stubs.get(
            MembershipServiceStub, membership_service_pb2.DESCRIPTOR.services_by_name["MembershipService"], "payments"
        )
        self.receipts = stubs.get(
            ReceiptServiceStub, receipt_service_pb2.DESCRIPTOR.services_by_name["ReceiptService"], "payments"
        )
        names = ("identity", "scheduling", "booking", "notify", "payments")
        self.slots = {name: asyncio.Semaphore(PARALLEL) for name in names}

    async def close(self) -> None:
        await self._stubs.close()


class Person:
    """Someone signed in."""

    def __init__(self, mesh: Mesh, email: str, session: identity_service_pb2.SessionResponse) -> None:
        self.email, self.account = email, session.account.name
        self._mesh, self._session_token = mesh, session.session_token
        self._tokens: dict[str, tuple[str, datetime]] = {}

    @classmethod
    async def enter(cls, mesh: Mesh, login: str, display_name: str) -> "Person":
        """Signs up, or signs in when an earlier load got so far."""
        email = f"{login}@{DOMAIN}"
        try:
            session = await mesh.identity.SignUp(
                identity_service_pb2.SignUpRequest(email=email, password=PASSWORD, display_name=display_name)
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                raise
            session = await mesh.identity.SignIn(identity_service_pb2.SignInRequest(email=email, password=PASSWORD))
        return cls(mesh, email, session)

    async def call(self, method: Callable[..., Awaitable[R]], request: Message) -> R:
        """One RPC in this person's name; a write carries a key made from its content."""
        service = request.DESCRIPTOR.file.package.split(".")[1]
        if "request_id" in request.DESCRIPTOR.fields_by_name:
            content = (
                f"{self.email} {request.DESCRIPTOR.full_name} {request.SerializeToString(deterministic=True).hex()}"
            )
            setattr(request, "request_id", uuid5(NAMESPACE_URL, content).hex)  # noqa: B010 - of any message type
        async with self._mesh.slots[service]:
            token = await self._token(service)
            return await method(request, metadata=(("authorization", f"Bearer {token}"),))

    def forget_tokens(self) -> None:
        """The next call brings a token with today's roles."""
        self._tokens.clear()

    async def _token(self, audience: str) -> str:
        token, fresh_until = self._tokens.get(audience, ("", datetime.min.replace(tzinfo=UTC)))
        if fresh_until <= datetime.now(UTC):
            answer = await self._mesh.identity.ExchangeToken(
                identity_service_pb2.ExchangeTokenRequest(session_token=self._session_token, audience=audience)
            )
            token = answer.token
            self._tokens[audience] = (token, datetime.now(UTC) + TOKEN_LIFE)
        return token


async def eventually(look: Callable[[], Awaitable[R | None]], what: str) -> R:
    """Looks until there is something to see. Raises TimeoutError that says what was missing."""
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                seen = await look()
                if seen is not None:
                    return seen
                await asyncio.sleep(PAUSE)
    except TimeoutError:
        raise TimeoutError(f"{what} did not come within {PATIENCE:.0f} s") from None
