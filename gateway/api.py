"""The API: one HTTP request, one RPC."""

from __future__ import annotations

import re
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message as ASGIMessage
from starlette.types import Receive, Scope, Send

from gateway import streams
from gateway.bodies import answer_unread, has_body, pieces, read_body
from gateway.caching import conditional, is_personal
from gateway.calls import Calls
from gateway.observe import REQUEST_ID, ROUTE
from gateway.rate_limits import RateLimit, StreamLimit, neighbourhood
from gateway.sessions import (
    CSRF_HEADER,
    Credential,
    CsrfGuard,
    Tokens,
    credential_of,
    session_cookie,
)
from gateway.transcoding.bindings import Binding, Match
from gateway.transcoding.decode import decode_request
from gateway.transcoding.encode import encode_error, encode_response
from gateway.transcoding.errors import HTTP_STATUS, HttpError
from gateway.upstreams import Route, Upstreams, status_of
from powerhouse.policy.v1.policy_pb2 import MethodPolicy
from services.chassis.clock import monotonic
from services.chassis.errors import DomainError, InvalidArgument, Unauthenticated
from services.chassis.rpc.policy import has_option
from services.chassis.rpc.status import to_status

MAX_TARGET = 8 * 1024
MAX_HEADERS = 32 * 1024

# Credentials are for the gateway alone.
_NOT_PASSED_ON = frozenset({"authorization", "cookie"})
_SECONDS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")


class Api:
    """The ASGI application behind every annotated path."""

    def __init__(
        self,
        upstreams: Upstreams,
        tokens: Tokens,
        csrf: CsrfGuard,
        *,
        strangers: RateLimit,
        callers: RateLimit,
        senders: RateLimit,
        public_origin: str,
        behind_proxy: bool,
    ) -> None:
        """`strangers` limits an address, `callers` a credential, `senders` an address that sends signed requests.

        `behind_proxy`: a proxy of ours adds the caller's address as the last X-Forwarded-For entry.
        """
        self._upstreams, self._tokens, self._csrf, self._behind_proxy = upstreams, tokens, csrf, behind_proxy
        self._strangers, self._callers, self._senders, self._streams = strangers, callers, senders, StreamLimit()
        self._public_origin = public_origin
        self._calls = Calls(tokens, upstreams.ending)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body_read = False

        async def noted_receive() -> ASGIMessage:
            nonlocal body_read
            message = await receive()
            body_read = body_read or not message.get("more_body", False)
            return message

        request = Request(scope, noted_receive)
        try:
            response = await self._answer(request)
        except DomainError as error:
            response = error_response(to_status(error), error)
            if isinstance(error, Unauthenticated) and "cookie" in request.headers:
                response.headers.append("Set-Cookie", session_cookie(""))
        except grpc.aio.AioRpcError as error:
            response = error_response(status_of(error))
        if body_read or not has_body(request):
            await response(scope, receive, send)
        else:
            await answer_unread(response, scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        match = self._match(request)
        binding, route = match.binding, self._upstreams.route(match.binding)
        credential = self._admit(request, binding, route)
        deadline = monotonic() + _timeout(request, route)
        body = b"" if binding.is_upload else await read_body(request, binding)
        message = decode_request(match, request.scope["query_string"], body, request.headers.get("content-type", ""))
        if binding.is_signed:
            _fill_head(message, binding, request, self._public_origin)
        if route.method.needs_key:
            _set_request_id(message, request.headers.get("idempotency-key", ""))
        metadata = (("x-request-id", request.scope[REQUEST_ID]), ("x-forwarded-for", self._address(request)))
        if binding.is_stream:
            give_back = self._streams.take(credential.digest if credential else neighbourhood(self._address(request)))
            try:
                stream = await self._calls.stream(route, message, credential, metadata, deadline)
            except BaseException:
                give_back()
                raise
            stream.when_over(give_back)
            return streams.answer(request, binding, stream, deadline)
        if binding.is_upload:
            uploaded = pieces(request)
            answer = await self._calls.upload(route, message, uploaded, binding, credential, metadata, deadline)
        else:
            answer = await self._calls.unary(route, message, credential, metadata, deadline)
        return self._render(request, binding, answer, credential)

    def _match(self, request: Request) -> Match:
        raw_path: bytes = request.scope["raw_path"]
        if len(raw_path) + len(request.scope["query_string"]) > MAX_TARGET:
            raise HttpError(
                414, grpc.StatusCode.INVALID_ARGUMENT, "URI_TOO_LONG", f"path and query exceed {MAX_TARGET} bytes"
            )
        if sum(len(name) + len(value) for name, value in request.headers.raw) > MAX_HEADERS:
            raise HttpError(
                431, grpc.StatusCode.INVALID_ARGUMENT, "HEADERS_TOO_LARGE", f"the headers exceed {MAX_HEADERS} bytes"
            )
        try:
            match = self._upstreams.router.match(request.method, raw_path)
        except ValueError as error:
            raise InvalidArgument("path", str(error)) from None
        if isinstance(match, Match):
            request.scope[ROUTE] = match.binding.path
            return match
        if not match:
            raise HttpError(404, grpc.StatusCode.NOT_FOUND, "NO_SUCH_PATH", "there is nothing at this path")
        allow = ", ".join(sorted(match))
        raise HttpError(
            405,
            grpc.StatusCode.UNIMPLEMENTED,
            "METHOD_NOT_ALLOWED",
            f"this path allows {allow}",
            {"Allow": allow},
        )

    def _admit(self, request: Request, binding: Binding, route: Route) -> Credential | None:
        """Who calls, once it is sure that no other site makes them; None for a method open to all."""
        stranger = neighbourhood(self._address(request))
        if route.method.policy.scope == MethodPolicy.PUBLIC:
            (self._senders if binding.is_signed else self._strangers).take(stranger)
            self._csrf.check_origin(request)
            return None
        credential = credential_of(request)
        if credential is None:
            raise Unauthenticated("sign in first", reason="NOT_SIGNED_IN")
        if self._tokens.knows(credential):
            self._callers.take(credential.digest)
        else:
            # Anyone can make up credentials, and each costs a look at identity.
            self._strangers.take(stranger)
        if credential.is_session:
            self._csrf.check_origin(request)
            self._csrf.check_token(request, credential.secret)
        return credential

    def _address(self, request: Request) -> str:
        hops = request.headers.get("x-forwarded-for", "").split(",") if self._behind_proxy else []
        peer = request.client.host if request.client else ""
        return (hops[-1].strip() if hops else "") or peer

    def _render(self, request: Request, binding: Binding, message: Message, credential: Credential | None) -> Response:
        hidden = frozenset(f.name for f in message.DESCRIPTOR.fields if has_option(f, "session_cookie"))
        body, content_type = encode_response(binding, message, hidden)
        response = Response(body, media_type=content_type)
        session = credential.secret if credential and credential.is_session else ""
        for name in hidden:
            session = getattr(message, name)
            response.headers.append("Set-Cookie", session_cookie(session))
            if credential and not session:
                self._tokens.forget(credential)
        if session:
            response.headers[CSRF_HEADER] = self._csrf.token(session)
        if binding.http_method == "GET":
            return conditional(request, response, personal=is_personal(binding.method.output_type))
        return response


def error_response(status: status_pb2.Status, error: DomainError | None = None) -> Response:
    """A status as HTTP; `error` is the refusal of the gateway's own that it came from."""
    http_status, headers = HTTP_STATUS.get(status.code, 500), dict[str, str]()
    if isinstance(error, HttpError):
        http_status, headers = error.http_status, error.headers
    if status.code == code_pb2.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    retry = error_details_pb2.RetryInfo()
    if any(detail.Unpack(retry) for detail in status.details):
        headers["Retry-After"] = str(max(1, -(-retry.retry_delay.ToMilliseconds() // 1000)))
    return Response(encode_error(status, http_status), http_status, headers, "application/json")


def _timeout(request: Request, route: Route) -> float:
    """Seconds this call may take: what the caller gives it, at most what the method's policy does."""
    given = request.headers.get("x-request-timeout")
    if given is None:
        return route.method.deadline
    if not _SECONDS.fullmatch(given) or float(given) == 0:
        raise InvalidArgument("X-Request-Timeout", "must be a number of seconds")
    return min(float(given), route.method.deadline)


def _fill_head(message: Any, binding: Binding, request: Request, public_origin: str) -> None:
    """The request's headers, and its address as the sender knows it: behind a proxy `Host` may say anything."""
    for name, value in request.headers.items():
        if name not in _NOT_PASSED_ON:
            headers = getattr(message, binding.headers_field)
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    query = request.scope["query_string"].decode("latin-1")
    path = request.scope["raw_path"].decode("latin-1")
    setattr(message, binding.url_field, f"{public_origin}{path}{'?' if query else ''}{query}")


def _set_request_id(message: Any, key: str) -> None:
    """Takes over the Idempotency-Key; without one the service asks for it, as it does with every caller."""
    if key and message.request_id and key != message.request_id:
        raise InvalidArgument("request_id", "differs from the Idempotency-Key header")
    message.request_id = key or message.request_id
