"""Reads whose answer has an ETag: what `gateway/caching.py` and `gateway/streams.py` do with it."""

from __future__ import annotations

from gateway.openapi.rules import Json
from gateway.transcoding.bindings import Binding

PARAMETER: Json = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The `ETag` of the answer the caller has, or several, separated by commas. When it would be the same"
    " again, it is a 304 without a body.",
    "schema": {"type": "string"},
}
ANSWER_HEADERS: Json = {"ETag": {"$ref": "#/components/headers/ETag"}}
# Whether a streamed blob has an ETag is for its service to say.
_OPTIONAL_HEADERS: Json = {
    "ETag": {"description": "Names the content, if the service gave it a name.", "schema": {"type": "string"}}
}
NOT_MODIFIED: Json = {
    "description": "What the caller has by `If-None-Match` is still true.",
    "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}, **ANSWER_HEADERS},
}


def answer_headers(binding: Binding) -> Json:
    """What a success has beside the usual headers; empty for what nobody may ask about again."""
    if not is_conditional(binding):
        return {}
    return _OPTIONAL_HEADERS if binding.is_stream else ANSWER_HEADERS


def is_conditional(binding: Binding) -> bool:
    """Whether a reader may ask by If-None-Match: any read, but for streams of many messages."""
    return binding.http_method == "GET" and (binding.raw_response or not binding.is_stream)
