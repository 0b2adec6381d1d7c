"""What a request carries: JSON whole and bounded, uploads piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

import grpc
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from gateway.transcoding.bindings import Binding
from gateway.transcoding.errors import HttpError

MAX_BODY = 1024 * 1024
# Seconds in which a whole JSON body, or the next piece of an upload, must have arrived.
BODY_TIMEOUT = 30.0
# Seconds for which the rest of a request is read after its answer.
LINGER = 2.0


async def read_body(request: Request, binding: Binding) -> bytes:
    """The whole body. Raises HttpError when it is too large, too slow, broken off or of another type than JSON."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY:
                    raise HttpError(
                        413,
                        grpc.StatusCode.INVALID_ARGUMENT,
                        "BODY_TOO_LARGE",
                        f"the body exceeds {MAX_BODY} bytes",
                    )
    except TimeoutError:
        raise _too_slow() from None
    except ClientDisconnect:
        raise _gone() from None
    if body and not binding.raw_request:
        _check_json(request.headers)
    return bytes(body)


async def pieces(request: Request) -> AsyncIterator[bytes]:
    """The body as it arrives; as much is held as the connection hands over at once. Raises HttpError."""
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                piece = await anext(stream, None)
        except TimeoutError:
            raise _too_slow() from None
        except ClientDisconnect:
            raise _gone() from None
        if piece is None:
            return
        if piece:
            yield piece


async def answer_unread(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers before the whole request was read, takes in some of the rest, and closes the connection.

    Closed at once, with bytes of the request unread, it would be reset, and the answer lost on its way.
    """
    response.headers["Connection"] = "close"

    async def send_and_linger(message: Message) -> None:
        if message["type"] == "http.response.start" or message.get("more_body", False):
            await send(message)
            return
        await send({**message, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                while (await receive()).get("more_body", False):
                    pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    await response(scope, receive, send_and_linger)


def has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


def _too_slow() -> HttpError:
    return HttpError(
        408,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "BODY_TOO_SLOW",
        f"the body took longer than {BODY_TIMEOUT:.0f} s",
    )


def _gone() -> HttpError:
    return HttpError(499, grpc.StatusCode.CANCELLED, "CLIENT_GONE", "the client went away")


def _check_json(headers: Mapping[str, str]) -> None:
    media_type, _, parameters = headers.get("content-type", "").lower().partition(";")
    charset = parameters.replace(" ", "").replace('"', "").removeprefix("charset=")
    if media_type.strip() != "application/json" or charset not in ("", "utf-8") or "content-encoding" in headers:
        raise HttpError(
            415,
            grpc.StatusCode.INVALID_ARGUMENT,
            "UNSUPPORTED_MEDIA_TYPE",
            "the body must be application/json in UTF-8, not compressed",
            {"Accept": "application/json"},
        )
