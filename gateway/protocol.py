"""HTTP/1.1 connections, with bounds on what uvicorn leaves open: how long and how large a request's head may be."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import grpc
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.bodies import LINGER
from gateway.transcoding.encode import encode_error
from gateway.transcoding.errors import HttpError
from services.chassis.rpc.status import to_status

# Bytes of request line and headers that are held before they are complete; api.py has finer limits for whole ones.
MAX_HEAD = 64 * 1024
# Seconds in which a connection must bring the head of a request that it began, or of its first one.
HEAD_TIMEOUT = 10.0


class BoundedProtocol(HttpToolsProtocol):
    """Refuses heads that have no end, in bytes or in time, and says in our form what is wrong."""

    _head_bytes = 0
    _in_head = False
    _refused = False
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD:
                self._refuse(431, "HEADERS_TOO_LARGE", f"request line and headers exceed {MAX_HEAD} bytes")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes, self._in_head = 0, True
        self._start_timer()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "MALFORMED_HTTP", "this is not HTTP/1.1")

    def _start_timer(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(
            HEAD_TIMEOUT, self._refuse, 408, "HEADERS_TOO_SLOW", f"the headers took longer than {HEAD_TIMEOUT:.0f} s"
        )

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _refuse(self, http_status: int, reason: str, message: str) -> None:
        if self._refused or self.transport.is_closing():
            return
        running = self.cycle if self.cycle and not self.cycle.response_complete else None
        answering = running is not None and (running.response_started or len(self.pipeline) > 0)
        if answering or (http_status == 408 and not self._in_head):
            # Another answer is on its way, or nothing was asked.
            self.transport.close()
            return
        if running:
            # It waits for a body that has no sound end, and shall not answer too.
            running.disconnected = True
            running.message_event.set()
        error = HttpError(http_status, grpc.StatusCode.INVALID_ARGUMENT, reason, message)
        body = encode_error(to_status(error), http_status)
        head = [
            f"HTTP/1.1 {http_status} {HTTPStatus(http_status).phrase}",
            "Content-Type: application/json",
            "X-Content-Type-Options: nosniff",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        self.transport.write("\r\n".join([*head, "", ""]).encode() + body)
        self.transport.write_eof()
        # Closed at once, with bytes unread, the connection would be reset, and the answer lost on its way.
        self._refused = True
        self._timer = self.loop.call_later(LINGER, self.transport.close)
