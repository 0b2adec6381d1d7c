"""The embedded run's sandboxes: messages under /sandbox of the gateway, payments under /sandbox/stripe/."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from services.chassis import telemetry

log = telemetry.logger(__name__)

TIMEOUT = 30.0
# A kept connection may be closed by the sandbox in the moment that the next request goes out on it.
NONE_KEPT = httpx.Limits(max_keepalive_connections=0)
STRIPE = "/sandbox/stripe"
_PASSED_BACK = ("content-type", "content-security-policy", "cache-control")


def sandbox_routes(base_url: str) -> list[Route]:
    """The sandboxes of message providers, which have the same paths themselves."""
    forward = _forwarding(base_url, "")
    methods = ["GET", "PUT", "POST"]
    return [Route("/sandbox", forward, methods=methods), Route("/sandbox/{path:path}", forward, methods=methods)]


def stripe_routes(base_url: str) -> list[Route]:
    """The payment form, the bank's window, the onboarding and the overview of the Stripe sandbox."""

    async def enter(request: Request) -> Response:
        return RedirectResponse(f"{STRIPE}/")

    forward = _forwarding(base_url, STRIPE)
    return [Route(STRIPE, enter), Route(f"{STRIPE}/{{path:path}}", forward, methods=["GET", "POST"])]


def _forwarding(base_url: str, prefix: str) -> Callable[[Request], Awaitable[Response]]:
    """Passes requests on, without the caller's cookies and keys."""
    client = httpx.AsyncClient(base_url=base_url, timeout=TIMEOUT, limits=NONE_KEPT)

    async def forward(request: Request) -> Response:
        try:
            answer = await client.request(
                request.method,
                httpx.URL(path=request.url.path.removeprefix(prefix), query=request.scope["query_string"]),
                content=await request.body(),
                headers={"content-type": request.headers.get("content-type", "application/json")},
            )
        except httpx.HTTPError as error:
            log.warning("sandbox_not_reached", error=type(error).__name__)
            return Response("the sandbox is not running\n", 502, media_type="text/plain")
        headers = {name: answer.headers[name] for name in _PASSED_BACK if name in answer.headers}
        return Response(answer.content, answer.status_code, headers)

    return forward
