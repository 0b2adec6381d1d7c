"""What a reader may keep, and telling one that what they have is still true."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache

from google.protobuf.descriptor import Descriptor
from starlette.requests import Request
from starlette.responses import Response

from services.chassis.rpc.policy import has_option

# May be kept by the browser alone, and asked about before each use.
KEEP = "private, no-cache"
VARY = "Authorization, Cookie"
_PERSONAL = ("sensitive", "secret", "session_cookie")


@cache
def is_personal(message: Descriptor, seen: frozenset[Descriptor] = frozenset()) -> bool:
    """Whether some field of the message, or of one inside it, is personal or secret: such answers are not kept."""
    return any(
        any(has_option(field, option) for option in _PERSONAL)
        or (field.message_type not in seen | {message, None} and is_personal(field.message_type, seen | {message}))
        for field in message.fields
    )


def conditional(request: Request, response: Response, *, personal: bool) -> Response:
    """The answer to a GET with its ETag, or 304 when its reader has it already.

    The ETag is that of the whole text. The `etag` of a resource will not do: it says nothing of what is shown with it,
    such as the credits a client has left.
    """
    headers = {"ETag": f'W/"{hashlib.blake2b(response.body, digest_size=12).hexdigest()}"', "Vary": VARY}
    if not personal:
        headers["Cache-Control"] = KEEP
    response.headers.update(headers)
    if not is_known(headers["ETag"], request.headers):
        return response
    known = Response(status_code=304)
    known.raw_headers += [pair for pair in response.raw_headers if pair[0] not in (b"content-length", b"content-type")]
    return known


def is_known(etag: str, headers: Mapping[str, str]) -> bool:
    """Whether the request says by If-None-Match that its sender has this ETag already."""
    given = [entry.strip().removeprefix("W/") for entry in headers.get("if-none-match", "").split(",")]
    return etag.removeprefix("W/") in given or given == ["*"]
