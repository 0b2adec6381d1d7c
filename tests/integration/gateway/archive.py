"""A service of streams behind a gateway that listens on a real socket."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import uvicorn
from google.protobuf.message_factory import GetMessageClass

from embedded.certificates import Certificates
from gateway.app import create_app
from gateway.protocol import BoundedProtocol
from gateway.settings import Settings
from gateway.upstreams import SERVICES, Upstreams
from services.chassis import config
from services.chassis.auth.tokens import TokenVerifier
from services.chassis.errors import FailedPrecondition, InvalidArgument
from services.chassis.rpc.server import GrpcServer, Servicer
from services.chassis.rpc.stubs import Tls, open_channel
from services.chassis.rpc.uploads import pieces
from tests.integration.gateway.house import gateway_environ
from tests.support.protos import compile_proto

ARCHIVE = compile_proto(Path(__file__).parents[2] / "support" / "archive.proto").services_by_name["Archive"]
PIECE = bytes(range(256)) * 256
MAX_SCAN = 3 * 1024 * 1024
METHODS = {method.name: method for method in ARCHIVE.methods}


@dataclass
class Archive:
    """Counts the calls that are under way."""

    running: int = 0
    sent: int = 0
    received: int = 0
    uploaded: list[str] = field(default_factory=list)

    async def watch_shelf(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self.running += 1
        try:
            response: Any = GetMessageClass(METHODS["WatchShelf"].output_type)
            for number in range(request.count):
                self.sent += 1
                yield response(note={"text": "ä\n", "number": number}, event_id=f"v{number}")
                await asyncio.sleep(request.gap_ms / 1000)
            await self._end(request.end)
        finally:
            self.running -= 1

    async def download_scan(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self.running += 1
        try:
            if request.end == "etag":
                await context.send_initial_metadata((("etag", "abc"),))
            body: Any = GetMessageClass(METHODS["DownloadScan"].output_type)
            for number in range(request.pieces):
                self.sent += 1
                yield body(content_type="image/png" if number == 0 else "", data=PIECE)
            await self._end(request.end)
        finally:
            self.running -= 1

    async def upload_scan(self, requests: AsyncIterator[Any], context: Any) -> Any:
        self.running += 1
        try:
            first = await anext(requests)
            size = messages = 0
            async for piece in pieces(requests, "scan"):
                messages += 1
                self.received = size = size + len(piece)
                if size > MAX_SCAN:
                    raise InvalidArgument("scan", "is too large", reason="SCAN_TOO_LARGE")
            self.uploaded.append(first.name)
            scan: Any = GetMessageClass(METHODS["UploadScan"].output_type)
            return scan(name=first.name, size=size, content_type=first.scan.content_type, messages=messages)
        finally:
            self.running -= 1

    async def _end(self, how: str) -> None:
        if how == "fail":
            raise FailedPrecondition("the shelf fell over", reason="SHELF_GONE")
        if how == "hang":
            await asyncio.sleep(60)

    def add(self, _implementation: Any, server: grpc.aio.Server) -> None:
        kinds = {
            "WatchShelf": (grpc.unary_stream_rpc_method_handler, self.watch_shelf),
            "DownloadScan": (grpc.unary_stream_rpc_method_handler, self.download_scan),
            "UploadScan": (grpc.stream_unary_rpc_method_handler, self.upload_scan),
        }
        handlers = {
            name: handler(
                behaviour,
                request_deserializer=GetMessageClass(METHODS[name].input_type).FromString,
                response_serializer=GetMessageClass(METHODS[name].output_type).SerializeToString,
            )
            for name, (handler, behaviour) in kinds.items()
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(ARCHIVE.full_name, handlers),))

    async def rested(self) -> None:
        """Waits until no call is left."""
        async with asyncio.timeout(30):
            while self.running:  # noqa: ASYNC110 - what is watched is a counter
                await asyncio.sleep(0.02)


@dataclass
class Open:
    """The gateway, the service and a client."""

    archive: Archive
    upstreams: Upstreams
    client: httpx.AsyncClient
    port: int


@asynccontextmanager
async def open_archive(certificates: Certificates) -> AsyncIterator[Open]:
    """The service borrows a certificate."""
    archive = Archive()
    servicer = Servicer(ARCHIVE, archive.add, archive)
    server = GrpcServer([servicer], TokenVerifier(certificates.jwks, "identity"), with_reflection=False)
    target = f"127.0.0.1:{server.listen('127.0.0.1', 0, Tls(certificates.tls('identity')), mutual=True)}"
    await server.start()
    channels = {"identity": open_channel([ARCHIVE], "identity", target, Tls(certificates.tls("gateway")))}
    upstreams = Upstreams(channels, {"identity": [ARCHIVE]})
    settings = config.load(Settings, gateway_environ(certificates, dict.fromkeys(SERVICES, target)))
    async with (
        served(settings, upstreams) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        yield Open(archive, upstreams, client, port)
    await server.drain(0, 0)


@asynccontextmanager
async def served(settings: Settings, upstreams: Upstreams, port: int = 0) -> AsyncIterator[int]:
    """The gateway in this process, on a free port unless one is named. It ends as the process would."""
    server = uvicorn.Server(
        uvicorn.Config(create_app(settings, upstreams), http=BoundedProtocol, log_config=None, lifespan="off")
    )
    with socket.create_server(("127.0.0.1", port)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            upstreams.ending.set()
            server.should_exit = True
            await serving
            await upstreams.close()
