"""Server streams over HTTP: events for browsers, lines of JSON for programs, bytes as they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from gateway.caching import KEEP, VARY, is_known
from gateway.transcoding.bindings import Binding
from gateway.transcoding.encode import encode_error, encode_response
from gateway.transcoding.errors import HTTP_STATUS
from gateway.upstreams import status_of
from services.chassis.clock import monotonic

# Seconds without a message after which a stream of events shows that it lives.
HEARTBEAT = 15.0
# When a browser is to come back after a stream has ended, in milliseconds.
RECONNECT = 1000
# Seconds that a reader gets to take what it was sent when the call is over.
LAST_READ = 5.0

_END = object()


class Stream:
    """The answers of a call under way, of which the first has come. Whoever opens it closes it."""

    def __init__(self, call: Any, answers: AsyncIterator[Message], first: Any, ending: asyncio.Event) -> None:
        self._call, self._answers, self._first, self._ending = call, answers, first, ending
        # Content ETag that the service sent ahead of a blob, or empty.
        self.etag = ""

    @classmethod
    async def open(cls, call: Any, ending: asyncio.Event) -> Stream:
        """Waits for the first answer. Raises AioRpcError when the call is refused instead."""
        answers = aiter(call)
        try:
            stream = cls(call, answers, await anext(answers, _END), ending)
            metadata = dict(await call.initial_metadata() or ())
        except BaseException:
            call.cancel()
            raise
        stream.etag = str(metadata.get("etag", ""))
        return stream

    @property
    def first(self) -> Message | None:
        return None if self._first is _END else self._first

    def close(self) -> None:
        """Cancels the call unless it is over."""
        self._call.cancel()

    def when_over(self, do: Callable[[], None]) -> None:
        """Calls back once, however the stream ends."""
        self._call.add_done_callback(lambda _call: do())

    async def messages(self) -> AsyncIterator[Message | None]:
        """Every answer, and None whenever nothing has come for a while. Raises AioRpcError for a failure in between.

        Ends early, as if the stream were over, when the process is about to end.
        """
        if self._first is _END:
            return
        yield self._first
        ending = asyncio.create_task(self._ending.wait())
        following = self._following()
        try:
            while True:
                await asyncio.wait({following, ending}, timeout=HEARTBEAT, return_when=asyncio.FIRST_COMPLETED)
                if following.done():
                    if (message := following.result()) is _END:
                        return
                    yield message
                    following = self._following()
                elif ending.done():
                    return
                else:
                    yield None
        finally:
            ending.cancel()
            following.cancel()

    def _following(self) -> asyncio.Future[Any]:
        # A future of its own, since a read that is given up takes the call with it.
        following = asyncio.ensure_future(anext(self._answers, _END))
        # When the reader has gone, nobody asks how it ended.
        following.add_done_callback(lambda done: done.cancelled() or done.exception())
        return following


class StreamAnswer(StreamingResponse):
    """The HTTP side of a stream: however it ends, no call is left behind."""

    def __init__(self, stream: Stream, content: AsyncIterator[bytes], media_type: str, deadline: float) -> None:
        # Proxies that buffer would hold events back.
        super().__init__(content, headers={"X-Accel-Buffering": "no"}, media_type=media_type)
        self._stream, self._deadline = stream, deadline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(max(self._deadline - monotonic(), 0) + LAST_READ):
                await super().__call__(scope, receive, send)
        except (TimeoutError, grpc.aio.AioRpcError):
            pass  # the answer stays unfinished, which is how a reader learns that it is cut off
        finally:
            self._stream.close()


def answer(request: Request, binding: Binding, stream: Stream, deadline: float) -> Response:
    """The stream in the form that the request accepts."""
    headers = {}
    if binding.raw_response:
        content_type = encode_response(binding, stream.first)[1] if stream.first else "application/octet-stream"
        response = StreamAnswer(stream, _bytes(binding, stream), content_type, deadline)
        if stream.etag:
            headers = {"ETag": f'"{stream.etag}"', "Cache-Control": KEEP, "Vary": VARY}
    elif "text/event-stream" in request.headers.get("accept", ""):
        events = _events(binding, stream, request.headers.get("last-event-id", ""))
        response = StreamAnswer(stream, events, "text/event-stream", deadline)
    else:
        response = StreamAnswer(stream, _lines(binding, stream), "application/x-ndjson", deadline)
    response.headers.update(headers)
    known = "ETag" in headers and is_known(headers["ETag"], request.headers)
    if known or request.method == "HEAD":
        stream.close()
        return Response(status_code=304 if known else 200, headers=headers, media_type=response.media_type)
    return response


async def _bytes(binding: Binding, stream: Stream) -> AsyncIterator[bytes]:
    async for message in stream.messages():
        if message:
            yield encode_response(binding, message)[0]


async def _lines(binding: Binding, stream: Stream) -> AsyncIterator[bytes]:
    try:
        async for message in stream.messages():
            if message:
                yield encode_response(binding, message)[0] + b"\n"
    except grpc.aio.AioRpcError as error:
        yield _error(error) + b"\n"


async def _events(binding: Binding, stream: Stream, last_id: str) -> AsyncIterator[bytes]:
    """An answer's `event_id` is the event's; one that the reader has already is but a sign of life."""
    yield b"retry: %d\n\n" % RECONNECT
    try:
        async for message in stream.messages():
            event_id = str(getattr(message, "event_id", ""))
            if message is None or (event_id and event_id == last_id):
                yield b": heartbeat\n\n"
                continue
            last_id = event_id
            head = f"id: {event_id}\n".encode() if event_id else b""
            yield head + b"data: " + encode_response(binding, message)[0] + b"\n\n"
    except grpc.aio.AioRpcError as error:
        yield b"event: error\ndata: " + _error(error) + b"\n\n"


def _error(error: grpc.aio.AioRpcError) -> bytes:
    status = status_of(error)
    return encode_error(status, HTTP_STATUS.get(status.code, 500))
