"""Blobs that come in as a stream of requests, each with a piece of a `google.api.HttpBody`."""

from collections.abc import AsyncIterator
from typing import Any, TypeVar

from google.protobuf.message import Message

from services.chassis.errors import Aborted

Request = TypeVar("Request", bound=Message)


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
