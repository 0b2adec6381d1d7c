"""The whole document: paths, tags, components, and how to sign in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FileDescriptor, ServiceDescriptor

from gateway.openapi.errors import error_schema
from gateway.openapi.operations import Operations
from gateway.openapi.resources import Resources
from gateway.openapi.rules import Json
from gateway.openapi.schemas import Schemas
from gateway.sessions import COOKIE, CSRF_HEADER
from gateway.transcoding.bindings import Binding
from services.chassis.rpc.policy import read_methods

_INTRODUCTION = f"""Every action of a Pilates studio, as JSON over HTTP. The same calls are served by gRPC.

**Signing in.** A page calls `POST /v1/accounts:signIn`, which sets the cookie `{COOKIE}` and answers with the header
`{CSRF_HEADER}`; every write by cookie sends that token back in the header of the same name. A program sends
`Authorization: Bearer <API key>` instead, a key that an owner made with `POST /v1/studios/{{studio}}/apiKeys`.

**By curl**, `-c jar` keeps the cookie, `-b jar` sends it, `-D -` shows the token; a key needs neither. Each operation
of this page can be copied as a call of curl.

**Names** are addresses: what is named `studios/1/rooms/2` is found at `/v1/studios/1/rooms/2`.

**Writes** carry an `Idempotency-Key`. **PATCH** changes the fields its body holds, or those of `updateMask`.
**Lists** answer a `nextPageToken`, to be sent back as `pageToken`; it is empty on the last page.
**Etags**: a write that sends the `etag` it read is refused with `ETAG_MISMATCH` when somebody else was faster.
**Reads** have the header `ETag`; sent back as `If-None-Match` it turns an answer that would be the same into a 304
without a body. `Cache-Control` says `no-store` where an answer is personal, else `private, no-cache`.

Times are RFC 3339 with an offset, 64-bit integers are strings, unknown fields and parameters are refused by name.
`X-Request-Timeout` (seconds) shortens a call; `X-Request-Id` is taken over and answered."""


def openapi(bindings: Iterable[Binding], comments: Mapping[str, str]) -> Json:
    """The document for these routes. `comments`: see `read_comments`."""
    bindings = list(bindings)
    services = list({binding.method.containing_service.full_name: binding for binding in bindings}.values())
    files = _files(binding.method.containing_service.file for binding in services)
    messages = [message for file in files for message in _messages(file.message_types_by_name.values())]
    schemas = Schemas(comments, [*messages, *_enums(files, messages)])
    operations = Operations(schemas, Resources(messages))
    methods = {
        path: method for binding in services for path, method in read_methods(binding.method.containing_service).items()
    }
    # Answers first: they have the plain names.
    answers = [operations.answer(binding, methods[binding.rpc]) for binding in bindings]
    schemas.components["Error"] = error_schema()
    paths: dict[str, Json] = {}
    for binding, operation_id, answer in zip(bindings, _operation_ids(bindings), answers, strict=True):
        service = binding.method.containing_service
        path, operation = operations.operation(binding, methods[binding.rpc], operation_id, _tag(service))
        operation["responses"] = {"200": answer, **operation["responses"]}
        paths.setdefault(path, {})[binding.http_method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Powerhouse", "version": "1", "description": _INTRODUCTION},
        "servers": [{"url": "/"}],
        "tags": [
            {"name": _tag(service), "description": comments.get(service.full_name, "")}
            for service in (binding.method.containing_service for binding in services)
        ],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.components.items())),
            "examples": dict(sorted(operations.error_examples.items())),
            "headers": _HEADERS,
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


_TEXT: Any = {"type": "string"}
_HEADERS: Json = {
    "X-Request-Id": {"description": "Names the call in our logs and traces.", "schema": _TEXT},
    CSRF_HEADER: {"description": "To be sent back with every write by cookie.", "schema": _TEXT},
    "ETag": {
        "description": "Names this very answer; `If-None-Match` asks whether it would be the same again.",
        "required": True,
        "schema": _TEXT,
    },
    "Set-Cookie": {"description": f"`{COOKIE}`, the session.", "schema": _TEXT},
    "Retry-After": {"description": "Seconds after which a repeat may succeed.", "schema": {"type": "integer"}},
}
_SECURITY_SCHEMES: Json = {
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "Set by signing in or up."},
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": CSRF_HEADER,
        "description": "With the session, for every write: the token that came with an earlier answer.",
    },
    "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key of a studio, with one role in it."},
}


def _tag(service: ServiceDescriptor) -> str:
    return service.name.removesuffix("Service") or service.name


def _operation_ids(bindings: list[Binding]) -> Iterator[str]:
    """The RPC's name; with its service's where two share it, numbered where it has several paths."""
    owners: dict[str, set[str]] = {}
    for binding in bindings:
        owners.setdefault(binding.method.name, set()).add(binding.rpc)
    seen: dict[str, int] = {}
    for binding in bindings:
        service, name = binding.method.containing_service, binding.method.name
        unique = name if len(owners[name]) == 1 else f"{_tag(service)}_{name}"
        seen[binding.rpc] = seen.get(binding.rpc, 0) + 1
        yield unique if seen[binding.rpc] == 1 else f"{unique}_{seen[binding.rpc]}"


def _files(roots: Iterable[FileDescriptor]) -> list[FileDescriptor]:
    """The files and all they import."""
    found: dict[str, FileDescriptor] = {}
    pending = list(roots)
    while pending:
        file = pending.pop()
        if file.name not in found:
            found[file.name] = file
            pending += file.dependencies
    return [found[name] for name in sorted(found)]


def _messages(messages: Iterable[Descriptor]) -> Iterator[Descriptor]:
    for message in messages:
        yield message
        yield from _messages(message.nested_types)


def _enums(files: list[FileDescriptor], messages: list[Descriptor]) -> Iterator[EnumDescriptor]:
    for file in files:
        yield from file.enum_types_by_name.values()
    for message in messages:
        yield from message.enum_types
