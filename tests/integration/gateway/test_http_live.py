"""A class watched in a browser, through the real booking service, while parts of the house go down and come back."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx

from embedded.certificates import Certificates
from embedded.processes import free_port
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
from tests.integration.booking.house import BookingStub, House
from tests.integration.gateway.archive import served
from tests.integration.gateway.house import Identity, gateway_environ
from tests.support.services import Mesh, Running


class Reader:
    """What an EventSource does: reads events, remembers the last id, comes back when the stream ends."""

    def __init__(self, path: str, headers: dict[str, str]) -> None:
        self._path, self._headers = path, {**headers, "accept": "text/event-stream"}
        self.last_id = ""
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.connections = 0

    async def run(self, port: int) -> None:
        """Until cancelled."""
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            while True:
                try:
                    async with client.stream("GET", self._path, headers=self._sent()) as answer:
                        if answer.status_code == 200:
                            self.connections += 1
                            await self._read(answer)
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.1)

    def _sent(self) -> dict[str, str]:
        return {**self._headers, "last-event-id": self.last_id} if self.last_id else self._headers

    async def _read(self, answer: httpx.Response) -> None:
        event: dict[str, str] = {}
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if line:
                event[name] = value
            elif "data" in event and "event" not in event:
                self.last_id = event["id"]
                self.events.put_nowait(json.loads(event["data"]))
                event = {}
            else:
                event = {}

    async def next(self) -> dict[str, Any]:
        return await asyncio.wait_for(self.events.get(), 60)


@asynccontextmanager
async def _booking_server(certificates: Certificates, running: Running, port: int) -> AsyncIterator[None]:
    verifier = TokenVerifier(certificates.jwks, "booking")
    server = GrpcServer(SERVICE.servicers(running.resources), verifier, with_reflection=False)
    server.listen("127.0.0.1", port, Tls(certificates.tls("booking")), mutual=True)
    await server.start()
    yield
    await server.drain(0, 0)


async def test_a_watch_survives_a_restart_of_booking_and_of_the_gateway(
    postgres_url: str, certificates: Certificates
) -> None:
    key_id = json.loads(certificates.jwks.read_text())["keys"][0]["kid"]
    identity = Identity(TokenSigner(certificates.token_key.read_bytes(), key_id))  # type: ignore[abstract]  # as in house
    identity.credentials["key-1"] = Principal(account_id=new_id())
    tls = Tls(certificates.tls("gateway"))
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(Mesh(postgres_url, certificates).running(SERVICE))
        tenant = new_id()
        house = House(running, tenant, running.as_account(BookingStub, roles={tenant: [Role.ROLE_FRONT_DESK]}))
        session = await house.plan()
        clients = [await house.add_client(name) for name in ("Ada", "Bea", "Cleo")]

        identity_server = GrpcServer(
            [
                Servicer(
                    *SERVICES["identity"], identity_service_pb2_grpc.add_IdentityServiceServicer_to_server, identity
                )
            ],
            TokenVerifier(certificates.jwks, "identity"),
            with_reflection=False,
        )
        identity_port = identity_server.listen("127.0.0.1", 0, Tls(certificates.tls("identity")), mutual=True)
        await identity_server.start()
        stack.push_async_callback(identity_server.drain, 0, 0)

        port, http_port = free_port(), free_port()
        targets = {"identity": f"127.0.0.1:{identity_port}", "booking": f"127.0.0.1:{port}"}
        settings = config.load(Settings, gateway_environ(certificates, dict.fromkeys(SERVICES, "x:1") | targets))

        def connected() -> Upstreams:
            channels = {name: open_channel(SERVICES[name], name, target, tls) for name, target in targets.items()}
            return Upstreams(channels, {name: SERVICES[name] for name in targets})

        reader = Reader(f"/v1/{session}:watch", {"authorization": "Bearer key-1"})
        reading = asyncio.create_task(reader.run(http_port))
        stack.callback(reading.cancel)

        async with _booking_server(certificates, running, port):
            async with served(settings, connected(), http_port):
                assert (await reader.next())["freePlaces"] == 8
                await house.book(session, clients[0])
                assert (await reader.next())["freePlaces"] == 7
            # No gateway: what happens meanwhile is told by the next one, and what has not changed is not.
            await house.book(session, clients[1])
            async with served(settings, connected(), http_port):
                assert (await reader.next())["freePlaces"] == 6
        upstreams = connected()
        async with served(settings, upstreams, http_port):
            async with _booking_server(certificates, running, port):
                await _until(lambda: reader.connections >= 3)
            # No booking service: as before.
            await house.book(session, clients[2])
            async with _booking_server(certificates, running, port):
                assert (await reader.next())["freePlaces"] == 5
            assert reader.events.empty()


async def _until(seen: Any) -> None:
    async with asyncio.timeout(60):
        while not seen():  # noqa: ASYNC110 - what is watched is a counter
            await asyncio.sleep(0.02)
