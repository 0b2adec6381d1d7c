"""Blobs that come in as a stream of requests, each with a piece of a `google.api.HttpBody`."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from services.chassis.errors import Aborted

Request = TypeVar("Request", bound=Message)

# Seconds that a caller has to stop.
_PATIENCE = 2.0


async def pieces(requests: AsyncIterator[Request], field: str) -> AsyncIterator[bytes]:
    """The data after the first request, which said what the upload is for.

    The last request is empty, and only that makes an upload whole: to a server, a caller that broke off looks like one
    that has sent all. Raises Aborted when it is missing.
    """
    async for request in requests:
        body: Any = getattr(request, field)
        if not body.data:
            return
        yield body.data
    raise Aborted("the upload broke off", reason="UPLOAD_BROKEN_OFF")


async def end_early(requests: AsyncIterator[Message], context: Any) -> None:
    """Before an upload is refused: asks the caller to stop, and waits until it has or its time is up.

    A piece that is sent after the status fails, and grpc.aio then tells the caller of that and not of the status
    (grpc/grpc#36066). So initial metadata goes ahead; `Stopping` ends its requests when it comes.
    """
    try:
        async with asyncio.timeout(_PATIENCE):
            await context.send_initial_metadata(())
            async for _ in requests:
                pass
    except TimeoutError:
        # It does not listen, and will learn what it can.
        pass


class Stopping(grpc.aio.StreamUnaryClientInterceptor):
    """Stops sending an upload when its service has begun to answer. The innermost of a channel's interceptors."""

    async def intercept_stream_unary(self, continuation: Any, details: Any, requests: Any) -> Any:
        answering = asyncio.Event()

        async def until_answered() -> AsyncIterator[Message]:
            answered = asyncio.create_task(answering.wait())
            upcoming = None
            try:
                while True:
                    upcoming = asyncio.ensure_future(anext(requests))
                    await asyncio.wait({upcoming, answered}, return_when=asyncio.FIRST_COMPLETED)
                    if answering.is_set():
                        return
                    try:
                        yield upcoming.result()
                    except StopAsyncIteration:
                        return
            finally:
                answered.cancel()
                if upcoming:
                    upcoming.cancel()

        call = await continuation(details, until_answered())
        watching = asyncio.create_task(_watch(call, answering))
        call.add_done_callback(lambda _: watching.cancel())
        return call


async def _watch(call: Any, answering: asyncio.Event) -> None:
    await call.initial_metadata()
    answering.set()
