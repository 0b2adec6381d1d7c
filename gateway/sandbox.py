"""The embedded run's sandboxes of message providers, shown under /sandbox of the gateway."""

from __future__ import annotations

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

TIMEOUT = 5.0
_PASSED_BACK = ("content-type", "content-security-policy", "cache-control")


def sandbox_routes(base_url: str) -> list[Route]:
    """Routes that pass requests on, without the caller's cookies and keys."""
    client = httpx.AsyncClient(base_url=base_url, timeout=TIMEOUT)

    async def forward(request: Request) -> Response:
        try:
            answer = await client.request(
                request.method,
                httpx.URL(path=request.url.path, query=request.scope["query_string"]),
                content=await request.body(),
                headers={"content-type": request.headers.get("content-type", "application/json")},
            )
        except httpx.HTTPError:
            return Response("the sandbox is not running\n", 502, media_type="text/plain")
        headers = {name: answer.headers[name] for name in _PASSED_BACK if name in answer.headers}
        return Response(answer.content, answer.status_code, headers)

    methods = ["GET", "PUT", "POST"]
    return [Route("/sandbox", forward, methods=methods), Route("/sandbox/{path:path}", forward, methods=methods)]
