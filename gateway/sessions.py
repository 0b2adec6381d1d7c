"""Who calls: the session cookie or the API key, the CSRF token of a page, and the short tokens services accept."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import math
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

import grpc
from starlette.requests import Request

from gateway.upstreams import Metadata, status_of
from powerhouse.identity.v1.identity_service_pb2 import ExchangeTokenRequest
from powerhouse.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from services.chassis.clock import monotonic, real_now
from services.chassis.errors import PermissionDenied, Unauthenticated
from services.chassis.rpc.status import reason_of

COOKIE = "__Host-session"
CSRF_HEADER = "X-CSRF-Token"
# How long a browser may keep the cookie, in seconds; identity decides how long the session lives.
COOKIE_LIFE = 30 * 24 * 3600
# A token is replaced this many seconds before it expires.
EXPIRY_MARGIN = 5.0
# A refusal is believed at once when the token is younger than this; an older one may lack a role given since.
FRESH = 0.2
CACHED_CREDENTIALS = 10_000

_SAFE_METHODS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Credential:
    """What a caller showed. Never logged; `secret` goes nowhere but to identity."""

    secret: str
    # A session comes by cookie, so other sites can send it too; an API key cannot be sent by accident.
    is_session: bool

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(f"{self.is_session}:{self.secret}".encode()).digest()


def credential_of(request: Request) -> Credential | None:
    """The API key if there is one, else the session; None for a stranger.

    Raises Unauthenticated for an Authorization header that is no bearer token.
    """
    authorization = request.headers.get("authorization")
    if authorization is not None:
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Unauthenticated("the authorization must be a bearer API key", reason="API_KEY_INVALID")
        return Credential(key.strip(), is_session=False)
    session = request.cookies.get(COOKIE)
    return Credential(session, is_session=True) if session else None


class CsrfGuard:
    """Tells a page of ours from another site that makes the browser send our cookie."""

    def __init__(self, secret: str, origins: Collection[str]) -> None:
        """`origins`: ours, and those that may read our answers (CORS)."""
        self._key, self._origins = secret.encode(), frozenset(origins)

    def token(self, session: str) -> str:
        """The token that belongs to a session."""
        return hmac.new(self._key, b"csrf:" + session.encode(), hashlib.sha256).hexdigest()

    def check_origin(self, request: Request) -> None:
        """Raises PermissionDenied for a write that a browser says comes from another site."""
        origin = request.headers.get("origin")
        if request.method in _SAFE_METHODS or origin is None or origin in self._origins:
            return
        if urlsplit(origin).netloc != request.headers.get("host"):
            raise PermissionDenied("the request comes from another site", reason="ORIGIN_NOT_ALLOWED")

    def check_token(self, request: Request, session: str) -> None:
        """Raises PermissionDenied for a write without the token of its session."""
        given = request.headers.get(CSRF_HEADER, "")
        if request.method not in _SAFE_METHODS and not hmac.compare_digest(
            given.encode(), self.token(session).encode()
        ):
            raise PermissionDenied(
                f"send the {CSRF_HEADER} header that came with an earlier answer", reason="CSRF_TOKEN_INVALID"
            )


@dataclass(frozen=True, slots=True)
class Token:
    """A short token for one service. Times are of the monotonic clock."""

    value: str
    obtained: float
    stale_after: float


class Tokens:
    """Exchanges credentials for tokens and keeps them for their life; parallel calls share one exchange."""

    def __init__(self, identity: grpc.aio.Channel, capacity: int = CACHED_CREDENTIALS) -> None:
        self._identity = IdentityServiceStub(identity)
        self._capacity = capacity
        # Credential → audience → exchange, least recently used first.
        self._exchanges: OrderedDict[bytes, dict[str, asyncio.Task[Token]]] = OrderedDict()

    async def get(
        self, credential: Credential, audience: str, metadata: Metadata, younger_than: float = math.inf
    ) -> Token:
        """A token for one service, obtained less than `younger_than` seconds ago.

        Raises Unauthenticated when identity does not accept the credential, AioRpcError when it cannot say.
        """
        audiences = self._exchanges.setdefault(credential.digest, {})
        self._exchanges.move_to_end(credential.digest)
        exchange = audiences.get(audience)
        if exchange is None or _is_over(exchange, younger_than):
            exchange = audiences[audience] = asyncio.create_task(self._exchange(credential, audience, metadata))
        while len(self._exchanges) > self._capacity:
            self._exchanges.popitem(last=False)
        try:
            # A caller that goes away must not take the exchange from those who wait for it too.
            return await asyncio.shield(exchange)
        except Unauthenticated:
            self.forget(credential)
            raise

    def knows(self, credential: Credential) -> bool:
        """Whether identity accepted this credential, or is about to say."""
        return credential.digest in self._exchanges

    def forget(self, credential: Credential) -> None:
        """Drops every token of a credential."""
        self._exchanges.pop(credential.digest, None)

    async def _exchange(self, credential: Credential, audience: str, metadata: Metadata) -> Token:
        request = ExchangeTokenRequest(audience=audience)
        setattr(request, "session_token" if credential.is_session else "api_key", credential.secret)
        try:
            answer = await self._identity.ExchangeToken(request, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            # INVALID_ARGUMENT: it cannot even be one of ours.
            if error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.INVALID_ARGUMENT):
                raise Unauthenticated("sign in again", reason=_reason(error, credential)) from None
            raise
        now = monotonic()
        life = (answer.expire_time.ToDatetime(tzinfo=real_now().tzinfo) - real_now()).total_seconds()
        return Token(answer.token, obtained=now, stale_after=now + life - EXPIRY_MARGIN)


def session_cookie(session: str) -> str:
    """The Set-Cookie value that begins a session, or ends it when the session is empty."""
    life = COOKIE_LIFE if session else 0
    return f"{COOKIE}={session}; Path=/; Max-Age={life}; Secure; HttpOnly; SameSite=Lax"


def _is_over(exchange: asyncio.Task[Token], younger_than: float) -> bool:
    if not exchange.done():
        return False
    if exchange.cancelled() or exchange.exception() is not None:
        return True
    token, now = exchange.result(), monotonic()
    return token.stale_after <= now or token.obtained + younger_than <= now


def _reason(error: grpc.aio.AioRpcError, credential: Credential) -> str:
    if error.code() is grpc.StatusCode.UNAUTHENTICATED:
        return reason_of(status_of(error))
    return "SESSION_EXPIRED" if credential.is_session else "API_KEY_REVOKED"
