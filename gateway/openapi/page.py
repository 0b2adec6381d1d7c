"""`/openapi.json` and the API reference at `/docs`, which is made from it in the browser."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import orjson
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from gateway.observe import ROUTE
from gateway.openapi.comments import read_comments
from gateway.openapi.document import openapi
from gateway.transcoding.bindings import Binding
from powerhouse.policy.v1 import policy_pb2

DOCS = Path(__file__).parents[1] / "docs"
ASSETS = ("reference.css", "reference.js", "schema.js", "session.js", "trial.js", "dom.js")
# Generated beside the messages: all contracts with their comments.
IMAGE = Path(policy_pb2.__file__).parents[3] / "image.binpb"


def reference_routes(bindings: Iterable[Binding]) -> list[Route]:
    """The document is made once, here. Raises FileNotFoundError when the contracts were not generated."""
    document = orjson.dumps(openapi(bindings, read_comments(IMAGE.read_bytes())))

    async def serve_document(request: Request) -> Response:
        request.scope[ROUTE] = request.url.path
        return Response(document, media_type="application/json")

    async def serve_page(request: Request) -> Response:
        path = request.scope[ROUTE] = request.url.path
        return FileResponse(DOCS / ("index.html" if path == "/docs" else path.removeprefix("/docs/")))

    return [
        Route("/openapi.json", serve_document),
        Route("/docs", serve_page),
        *(Route(f"/docs/{asset}", serve_page) for asset in ASSETS),
    ]
