"""The gateway as a process: real sockets, real signals."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from services.chassis.clock import monotonic
from tests.integration.gateway.house import BOOKINGS, STUDIO, House


@dataclass
class Gateway:
    process: asyncio.subprocess.Process
    port: int


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps the spans it is sent."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    async def Export(self, request: Any, context: Any) -> trace_service_pb2.ExportTraceServiceResponse:
        self.spans += [span for resource in request.resource_spans for s in resource.scope_spans for span in s.spans]
        return trace_service_pb2.ExportTraceServiceResponse()


@asynccontextmanager
async def _gateway(house: House, **extra: str) -> AsyncIterator[Gateway]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = {**os.environ, **house.environ, "POWERHOUSE_PORT": str(port), **extra}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", env=environ, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(60):
            while not await _open(port):  # noqa: ASYNC110 - another process has no Event for us
                await asyncio.sleep(0.05)
        yield Gateway(process, port)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _open(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def _raw(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    return answer


async def test_a_running_request_ends_before_the_process_does(house: House) -> None:
    house.sign_in("key-1")
    headers = {"authorization": "Bearer key-1", "idempotency-key": "k", "x-request-timeout": "1"}
    async with _gateway(house) as gateway:
        url = f"http://127.0.0.1:{gateway.port}{BOOKINGS}"
        async with httpx.AsyncClient(timeout=60) as client:
            body = {"classSession": "x", "spot": "slow"}
            running = asyncio.create_task(client.post(url, json=body, headers=headers))
            await asyncio.wait_for(house.booking.arrived.wait(), 30)
            gateway.process.send_signal(signal.SIGTERM)
            assert (await running).status_code == 504
        output, _ = await asyncio.wait_for(gateway.process.communicate(), 30)
        assert gateway.process.returncode == 0
    lines = [json.loads(line) for line in output.splitlines()]
    assert all({"time", "level", "service", "process", "event"} <= line.keys() for line in lines)
    [request] = [line for line in lines if line["event"] == "request"]
    assert request["route"] == "/v1/{parent=studios/*}/bookings"
    assert (request["status"], request["method"]) == (504, "POST")
    assert "key-1" not in str(output)
    assert BOOKINGS not in str(output)


async def test_a_stream_does_not_hold_up_the_end_of_the_process(house: House) -> None:
    house.sign_in("key-1")
    headers = {"authorization": "Bearer key-1", "accept": "text/event-stream"}
    async with _gateway(house) as gateway:
        url = f"http://127.0.0.1:{gateway.port}/v1/studios/{STUDIO}/classSessions/1:watch"
        async with httpx.AsyncClient(timeout=60) as client, client.stream("GET", url, headers=headers) as answer:
            text = answer.aiter_text()
            started = monotonic()
            assert "id: v1" in await anext(text) + await anext(text)
            gateway.process.send_signal(signal.SIGTERM)
            assert [part async for part in text] == []
        await asyncio.wait_for(gateway.process.wait(), 30)
        assert monotonic() - started < 5
        assert gateway.process.returncode == 0


async def test_broken_http_is_answered_and_leaves_no_stuck_call(house: House) -> None:
    async with _gateway(house) as gateway:
        fields = "Host: x\r\nConnection: close\r\nAuthorization: Bearer k\r\nContent-Type: application/json\r\n"
        head = f"POST {BOOKINGS} HTTP/1.1\r\n{fields}".encode()
        assert b" 400 " in await _raw(gateway.port, b"NONSENSE\r\n\r\n")
        assert b" 401 " in await _raw(gateway.port, head + b"Content-Length: 2\r\n\r\n{}")
        house.sign_in("k")
        endless = b"Transfer-Encoding: chunked\r\n\r\n"
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        assert b" 413 " in await _raw(gateway.port, head + endless + chunk * 17)
        assert not house.booking.requests


async def test_a_trace_goes_on_through_the_gateway(house: House) -> None:
    house.sign_in("key-1")
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    headers = {
        "authorization": "Bearer key-1",
        "idempotency-key": "k",
        "traceparent": f"00-{trace_id}-b7ad6b7169203331-01",
    }
    collector = Collector()
    server = grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    async with _gateway(house, POWERHOUSE_OTLP_ENDPOINT=endpoint) as gateway:
        url = f"http://127.0.0.1:{gateway.port}{BOOKINGS}"
        async with httpx.AsyncClient(timeout=60) as client:
            assert (await client.post(url, json={"classSession": "x"}, headers=headers)).status_code == 200
        gateway.process.send_signal(signal.SIGTERM)
        output, _ = await asyncio.wait_for(gateway.process.communicate(), 30)
    await server.stop(0)
    assert house.booking.metadata["traceparent"].split("-")[1] == trace_id
    [request] = [line for line in map(json.loads, output.splitlines()) if line["event"] == "request"]
    assert request["trace_id"] == trace_id
    spans = {span.name: span for span in collector.spans}
    entry = spans["POST /v1/{parent=studios/*}/bookings"]
    call = spans["/powerhouse.booking.v1.BookingService/CreateBooking"]
    assert {span.trace_id.hex() for span in spans.values()} == {trace_id}
    assert call.parent_span_id == entry.span_id
