"""gRPC as light as wrk is for HTTP: unary calls of one method over one connection, their answers counted, not read.

`grpc.aio` spends a third of a millisecond on a call, which on a few cores would be measured along with the server.
"""

import asyncio
import ssl
from pathlib import Path
from typing import Any

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_ACK = _END_STREAM = 1
_END_HEADERS = 4
_LARGEST_WINDOW = 2**31 - 1
_FIRST_WINDOW = 2**16 - 1
# No table, so that every header comes as it is: HEADER_TABLE_SIZE 0. And windows that never fill: INITIAL_WINDOW_SIZE.
_OUR_SETTINGS = b"\0\1" + (0).to_bytes(4, "big") + b"\0\4" + _LARGEST_WINDOW.to_bytes(4, "big")
_OK = b"grpc-status\x010"


class Failed(Exception):
    """A call that did not end with OK."""


class Connection(asyncio.Protocol):
    """One connection to `path` (`/package.Service/Method`) of a server that calls itself `authority`."""

    def __init__(self, authority: str, path: str) -> None:
        # :method POST, :scheme https, :path, :authority, content-type, te (RFC 7541, none of them indexed).
        self._headers = (
            b"\x83\x87\x04" + _text(path) + b"\x01" + _text(authority)
            + b"\x0f\x10" + _text("application/grpc") + b"\0" + _text("te") + _text("trailers")
        )  # fmt: skip
        self._next_stream = 1
        self._calls: dict[int, asyncio.Future[None]] = {}
        self._unread = b""
        self._transport: Any = None

    def call(self, message: bytes, authorization: str) -> asyncio.Future[None]:
        """Sends a call; the future is done when the call has ended, with Failed unless it was OK."""
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        future = self._calls[stream] = asyncio.get_running_loop().create_future()
        # authorization
        headers = self._headers + b"\x0f\x08" + _text(authorization)
        body = b"\0" + len(message).to_bytes(4, "big") + message
        self._transport.write(
            _frame(_HEADERS, _END_HEADERS, stream, headers) + _frame(_DATA, _END_STREAM, stream, body)
        )
        return future

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        window = (_LARGEST_WINDOW - _FIRST_WINDOW).to_bytes(4, "big")
        self._transport.write(_PREFACE + _frame(_SETTINGS, 0, 0, _OUR_SETTINGS) + _frame(_WINDOW_UPDATE, 0, 0, window))

    def data_received(self, data: bytes) -> None:
        received, start = self._unread + data, 0
        while len(received) >= (body := start + 9):
            end = body + int.from_bytes(received[start : start + 3], "big")
            if len(received) < end:
                break
            stream = int.from_bytes(received[start + 5 : body], "big")
            self._take(received[start + 3], received[start + 4], stream, received[body:end])
            start = end
        self._unread = received[start:]

    def connection_lost(self, error: Exception | None) -> None:
        for future in self._calls.values():
            future.set_exception(Failed(f"the connection ended: {error}"))

    def _take(self, kind: int, flags: int, stream: int, body: bytes) -> None:
        if kind in (_SETTINGS, _PING) and not flags & _ACK:
            self._transport.write(_frame(kind, _ACK, 0, body if kind == _PING else b""))
        elif kind == _HEADERS and flags & _END_STREAM and _OK in body:
            self._calls.pop(stream).set_result(None)
        elif kind in (_HEADERS, _RESET, _GOAWAY) and (flags & _END_STREAM or kind != _HEADERS):
            for future in [self._calls.pop(stream)] if stream else self._calls.values():
                future.set_exception(Failed(repr(body)))


async def connect(target: str, authority: str, path: str, tls_dir: Path) -> Connection:
    """Connects with the certificate in `tls_dir`, trusting the authority beside it."""
    context = ssl.create_default_context(cafile=tls_dir / "ca.pem")
    context.load_cert_chain(tls_dir / "cert.pem", tls_dir / "key.pem")
    context.set_alpn_protocols(["h2"])
    host, port = target.split(":")
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: Connection(authority, path), host, int(port), ssl=context, server_hostname=authority
    )
    return connection


def _frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + body


def _text(value: str) -> bytes:
    """A string of HPACK, not compressed: its length as an integer with a prefix of seven bits, then itself."""
    length = len(value)
    if length < 127:
        return bytes((length,)) + value.encode()
    coded, length = bytearray((127,)), length - 127
    while length >= 128:
        coded.append(length % 128 + 128)
        length //= 128
    coded.append(length)
    return bytes(coded) + value.encode()
