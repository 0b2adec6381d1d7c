"""RPCs on behalf of a caller: with their token, once more when it may be older than their role."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from gateway.sessions import FRESH, Credential, Token, Tokens
from gateway.streams import Stream
from gateway.transcoding.bindings import Binding
from gateway.transcoding.errors import HttpError
from gateway.upstreams import Metadata, Route
from powerhouse.policy.v1.policy_pb2 import MethodPolicy
from services.chassis.clock import monotonic

T = TypeVar("T")

_STALE_TOKEN = (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)


class Calls:
    """The ways to call a method. All raise AioRpcError, and Unauthenticated for a credential that is none."""

    def __init__(self, tokens: Tokens, ending: asyncio.Event) -> None:
        """`ending` is set when the process is about to end, and ends all streams."""
        self._tokens, self._ending = tokens, ending

    async def unary(
        self, route: Route, message: Message, credential: Credential | None, metadata: Metadata, deadline: float
    ) -> Message:
        """One request, one answer. `deadline` is of the monotonic clock."""

        async def attempt(metadata: Metadata) -> Message:
            answer: Message = await route.call(message, metadata=metadata, timeout=_left(deadline))
            return answer

        return await self._with_token(route, credential, metadata, attempt)

    async def stream(
        self, route: Route, message: Message, credential: Credential | None, metadata: Metadata, deadline: float
    ) -> Stream:
        """One request, many answers. Returns when the first has come, so that an early refusal is still an error."""

        async def attempt(metadata: Metadata) -> Stream:
            call = route.call(message, metadata=metadata, timeout=_left(deadline))
            return await Stream.open(call, self._ending)

        return await self._with_token(route, credential, metadata, attempt)

    async def upload(
        self,
        route: Route,
        message: Message,
        pieces: AsyncIterator[bytes],
        binding: Binding,
        credential: Credential | None,
        metadata: Metadata,
        deadline: float,
    ) -> Message:
        """Many requests, one answer: `message` says what is uploaded, those after it hold the pieces.

        An empty one says that this was all: a service cannot tell a cancelled call from one that has sent all.
        What has been read cannot be sent again, so there is no second attempt: a fresh token goes first.
        """
        if credential:
            metadata = _bearer(metadata, await self._tokens.get(credential, route.audience, metadata, FRESH))
        broken: list[HttpError] = []

        async def requests() -> AsyncIterator[Message]:
            yield message
            try:
                async for piece in pieces:
                    yield _piece(binding, piece)
            except HttpError as error:
                broken.append(error)
                raise  # which makes gRPC cancel the call
            yield _piece(binding, b"")

        try:
            answer: Message = await route.call(requests(), metadata=metadata, timeout=_left(deadline))
        except asyncio.CancelledError:
            if broken:
                raise broken[0] from None
            raise
        return answer

    async def _with_token(
        self,
        route: Route,
        credential: Credential | None,
        metadata: Metadata,
        attempt: Callable[[Metadata], Awaitable[T]],
    ) -> T:
        if credential is None:
            return await attempt(metadata)
        # Outside a studio nothing is refused to a token without its role; the answer would just leave the studio out.
        age = FRESH if route.method.policy.scope == MethodPolicy.ACCOUNT else math.inf
        token = await self._tokens.get(credential, route.audience, metadata, age)
        try:
            return await attempt(_bearer(metadata, token))
        except grpc.aio.AioRpcError as error:
            # A role given a moment ago works at once: an older token may not know it yet.
            if error.code() not in _STALE_TOKEN or monotonic() - token.obtained < FRESH:
                raise
        self._tokens.forget(credential)
        token = await self._tokens.get(credential, route.audience, metadata)
        return await attempt(_bearer(metadata, token))


def _bearer(metadata: Metadata, token: Token) -> Metadata:
    return (*metadata, ("authorization", f"Bearer {token.value}"))


def _left(deadline: float) -> float:
    return max(deadline - monotonic(), 0)


def _piece(binding: Binding, data: bytes) -> Message:
    message: Message = binding.request_class()
    raw: Any = getattr(message, binding.body) if binding.body else message
    raw.data = data
    return message
