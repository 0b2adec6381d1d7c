"""What the sandboxes' endpoints share: refusals, JSON bodies, addresses, log lines."""

import binascii
import json
import re
from base64 import b64decode
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

ADDRESS = re.compile(r"[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+|[^<>]*<[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+>")


class Refusal(Exception):
    """An answer in the provider's own error form."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.status, self.body = status, body


async def refused(request: Request, error: Exception) -> Response:
    """The exception handler of `Refusal`."""
    assert isinstance(error, Refusal)
    return JSONResponse(error.body, error.status)


async def json_object(request: Request) -> dict[str, Any] | None:
    """The request's body, None when it is no JSON object."""
    try:
        body = json.loads(await request.body())
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def decoded(content: object) -> bytes | None:
    """The bytes of a base64 text; None for what is none, or is empty."""
    if not isinstance(content, str):
        return None
    try:
        return b64decode(content, validate=True) or None
    except (binascii.Error, ValueError):
        return None


def log(event: str, **fields: object) -> None:
    """One line, as the services write it. Nothing personal."""
    head = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "level": "info", "service": "sandbox"}
    print(json.dumps(head | {"process": "sandbox", "event": event} | fields), flush=True)
