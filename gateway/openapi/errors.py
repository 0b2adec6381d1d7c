"""Refusals: AIP-193's error as a schema, and which of them a method names in its comment."""

from __future__ import annotations

import re
from collections.abc import Callable

from google.rpc import code_pb2

from gateway.openapi.rules import Json
from gateway.transcoding.bindings import Binding
from gateway.transcoding.errors import HTTP_STATUS
from powerhouse.policy.v1.policy_pb2 import MethodPolicy
from services.chassis.rpc.policy import Method
from services.chassis.rpc.status import DOMAIN

# Status → reasons, in the order in which a comment names them. A status may have none.
Reasons = dict[str, list[str]]

_WORD = re.compile(r"\b[A-Z][A-Z_]{3,}\b|\.(?=\s|$)")
_AS_OTHER = re.compile(r"(?:[Ee]rrors of|\bas) ([A-Z][A-Za-z]+)")
_ANYWHERE = """Any other failure.

Of the request as such: `NO_SUCH_PATH`, `METHOD_NOT_ALLOWED`, `UNSUPPORTED_MEDIA_TYPE`, `BODY_TOO_LARGE`,
`BODY_TOO_SLOW`, `URI_TOO_LONG`, `HEADERS_TOO_LARGE`.

`UNAVAILABLE` (`DEPENDENCY_UNAVAILABLE`) and `DEADLINE_EXCEEDED` may be tried again with the same `Idempotency-Key`."""
# OK is the first.
_STATUSES = [value.name for value in code_pb2.Code.DESCRIPTOR.values]
_TYPE = "type.googleapis.com/google.rpc."


def named_reasons(comment: str, comment_of: Callable[[str], str], seen: frozenset[str] = frozenset()) -> Reasons:
    """What a comment names: `ABORTED/ETAG_MISMATCH`, `FAILED_PRECONDITION with NO_CREDIT, SESSION_FULL; NOT_FOUND`.

    "Errors of X" and "as X" bring in what method X of the service names; `comment_of` knows its comment.
    """
    reasons: Reasons = {}
    status = ""
    for word in _WORD.findall(comment):
        if word in _STATUSES:
            status = word
            reasons.setdefault(word, [])
        elif word == ".":
            status = ""
        elif status and word not in reasons[status]:
            reasons[status].append(word)
    for other in _AS_OTHER.findall(comment):
        if other not in seen:
            merge(reasons, named_reasons(comment_of(other), comment_of, seen | {other}))
    return reasons


def common_reasons(binding: Binding, method: Method) -> Reasons:
    """What any method of this form and policy may answer."""
    policy, http_method, fields = method.policy, binding.http_method, binding.method.input_type.fields_by_name
    reasons: Reasons = {"INVALID_ARGUMENT": ["INVALID_FIELD"]}
    if "page_token" in fields:
        reasons["INVALID_ARGUMENT"].append("INVALID_PAGE_TOKEN")
    if "update_mask" in fields:
        reasons["INVALID_ARGUMENT"] += ["UNKNOWN_FIELD", "FIELD_NOT_MUTABLE"]
    if "etag" in fields or "update_mask" in fields:
        reasons["ABORTED"] = ["ETAG_MISMATCH"]
    if method.tenant_field:
        reasons["INVALID_ARGUMENT"].append("MALFORMED_NAME")
    if method.tenant_field not in ((), ("parent",)):
        reasons["NOT_FOUND"] = []
    if method.needs_key:
        reasons["INVALID_ARGUMENT"] += ["IDEMPOTENCY_KEY_REQUIRED", "IDEMPOTENCY_KEY_REUSED"]
    denied = [] if http_method == "GET" else ["ORIGIN_NOT_ALLOWED"]
    if policy.scope != MethodPolicy.PUBLIC:
        reasons["UNAUTHENTICATED"] = ["NOT_SIGNED_IN", "SESSION_EXPIRED", "API_KEY_INVALID", "API_KEY_REVOKED"]
        denied += [] if http_method == "GET" else ["CSRF_TOKEN_INVALID"]
        denied.append("ROLE_REQUIRED" if policy.scope == MethodPolicy.STUDIO else "ACCOUNT_REQUIRED")
    if denied:
        reasons["PERMISSION_DENIED"] = denied
    return reasons


def merge(reasons: Reasons, more: Reasons) -> None:
    """Adds reasons that are not there yet."""
    for status, names in more.items():
        known = reasons.setdefault(status, [])
        known += [name for name in names if name not in known]


def error_responses(reasons: Reasons, examples: dict[str, Json]) -> dict[str, Json]:
    """Responses by HTTP status; an example of each reason is added to `examples` and referred to."""
    by_http: dict[int, Reasons] = {}
    for status, names in reasons.items():
        by_http.setdefault(HTTP_STATUS[code_pb2.Code.Value(status)], {})[status] = names
    responses = {}
    for http_status, group in sorted(by_http.items()):
        lines, references = [], {}
        for status, names in group.items():
            lines.append(f"`{status}`" + (f": {', '.join(f'`{name}`' for name in names)}" if names else ""))
            for name in names or [status]:
                # One reason may come with two statuses; the second example then says which.
                key = name if examples.get(name, {}).get("summary", status) == status else f"{status}.{name}"
                examples.setdefault(key, {"summary": status, "value": _example(http_status, status, name)})
                references[key] = {"$ref": f"#/components/examples/{key}"}
        content = {"schema": {"$ref": "#/components/schemas/Error"}, "examples": references}
        responses[str(http_status)] = {
            "description": "\n\n".join(lines),
            "headers": _headers(http_status),
            "content": {"application/json": content},
        }
    return responses


def default_response() -> Json:
    """Every answer that belongs to no method: limits of the gateway, a part that is away."""
    return {
        "description": _ANYWHERE,
        "headers": _headers(503),
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Error"},
                "example": _example(503, "UNAVAILABLE", "DEPENDENCY_UNAVAILABLE"),
            }
        },
    }


def error_schema() -> Json:
    """AIP-193 over HTTP."""
    text = {"type": "string"}

    def detail(name: str, properties: Json, required: list[str]) -> Json:
        return {
            "title": name,
            "type": "object",
            "properties": {"@type": {"const": _TYPE + name}, **properties},
            "required": ["@type", *required],
        }

    violation = {"type": "object", "properties": {"field": text, "description": text}}
    details = [
        detail(
            "ErrorInfo",
            {
                "reason": {**text, "description": "Stable and meant for programs."},
                "domain": {"const": DOMAIN},
                "metadata": {"type": "object", "additionalProperties": text},
            },
            ["reason", "domain"],
        ),
        detail("BadRequest", {"fieldViolations": {"type": "array", "items": violation}}, ["fieldViolations"]),
        detail("RetryInfo", {"retryDelay": {**text, "description": "Seconds, like `1s`."}}, ["retryDelay"]),
    ]
    error = {
        "type": "object",
        "properties": {
            "code": {"type": "integer", "description": "The HTTP status."},
            "status": {"type": "string", "enum": _STATUSES[1:]},
            "message": {**text, "description": "For people; it may change."},
            "details": {
                "type": "array",
                "description": "Begins with an `ErrorInfo` when the refusal has a reason.",
                "items": {"anyOf": details},
            },
        },
        "required": ["code", "status", "message", "details"],
    }
    return {
        "type": "object",
        "description": "A refusal, as AIP-193 has it.",
        "properties": {"error": error},
        "required": ["error"],
    }


def _headers(http_status: int) -> Json:
    names = ["X-Request-Id", "Retry-After"] if http_status in (429, 503) else ["X-Request-Id"]
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _example(http_status: int, status: str, reason: str) -> Json:
    message = reason.replace("_", " ").lower()
    details: list[Json] = [{"@type": f"{_TYPE}ErrorInfo", "reason": reason, "domain": DOMAIN}]
    if reason == "INVALID_FIELD":
        message = "page_size: must be a whole number"
        violation = {"field": "page_size", "description": "must be a whole number"}
        details.append({"@type": f"{_TYPE}BadRequest", "fieldViolations": [violation]})
    if http_status in (429, 503):
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": "1s"})
    return {"error": {"code": http_status, "status": status, "message": message, "details": details}}
