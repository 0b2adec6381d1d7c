"""A mail provider that sends nothing: Resend's wire on this machine, with a page to read what would have been sent.

`python -m embedded.sandboxes.mail --port 8025 --directory var/mail`, the accepted key in RESEND_API_KEY.
`PUT /sandbox/faults` makes it misbehave: {"accept_then_500": 2, "slow": {"count": 1, "seconds": 3}}; it replaces
the faults set before. `GET /sandbox/messages?to=&limit=` lists what was accepted.
"""

import argparse
import asyncio
import hmac
import json
import os
import re
import signal
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from embedded.sandboxes.messages import KeyReused, Message, Messages, everyone, listed

Fault = Literal["accept_then_500", "accept_then_close", "reject_500", "reject_429", "slow"]
PAGE = Path(__file__).parent / "page"
ADDRESS = re.compile(r"[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+|[^<>]*<[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+>")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "img-src data:; frame-src 'self'; base-uri 'none'; form-action 'none'"
)


@dataclass
class Knob:
    """How often a fault still happens, and for how long (`slow`: delay; `reject_429`: Retry-After)."""

    count: int = 0
    seconds: float = 1


class Refusal(Exception):
    """An answer in Resend's error form."""

    def __init__(self, status: int, name: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.name, self.message, self.headers = status, name, message, headers


class CutOff(Response):
    """An answer that never arrives: the connection closes after the head."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Promises a body and leaves, upon which uvicorn closes the connection."""
        headers = [(b"content-type", b"application/json"), (b"content-length", b"64")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})


class MailSandbox:
    """The provider's endpoints over one store of messages. `key` is the only API key it accepts."""

    def __init__(self, messages: Messages, key: str) -> None:
        self._messages = messages
        self._key = key
        self._faults: dict[str, Knob] = {}

    def application(self) -> Starlette:
        """The ASGI application."""
        routes = [
            Route("/emails", self.send, methods=["POST"]),
            Route("/emails/{id}", self.get, methods=["GET"]),
            Route("/sandbox/messages", self.list_messages, methods=["GET"]),
            Route("/sandbox/faults", self.get_faults, methods=["GET"]),
            Route("/sandbox/faults", self.set_faults, methods=["PUT"]),
            Route("/sandbox", _page("page.html"), methods=["GET"]),
            Route("/sandbox/page.css", _page("page.css"), methods=["GET"]),
            Route("/sandbox/page.js", _page("page.js"), methods=["GET"]),
            Route("/healthz", _alive, methods=["GET"]),
            Route("/readyz", _alive, methods=["GET"]),
        ]
        return Starlette(routes=routes, exception_handlers={Refusal: _refused})

    async def send(self, request: Request) -> Response:
        """`POST /emails`."""
        self._authenticate(request)
        body = await _json(request)
        key = request.headers.get("idempotency-key")
        if key is not None and not 1 <= len(key) <= 256:
            raise Refusal(400, "invalid_idempotency_key", "The key must be between 1-256 chars.")
        _validate(body)
        if slow := self._happens("slow"):
            await asyncio.sleep(slow.seconds)
        if rate := self._happens("reject_429"):
            wait = {"retry-after": str(max(1, round(rate.seconds)))}
            raise Refusal(429, "rate_limit_exceeded", "Too many requests. Please limit the number of requests.", wait)
        if self._happens("reject_500"):
            raise Refusal(500, "application_error", "Something went wrong (nothing was accepted).")
        try:
            message_id = self._messages.accept(body, key)
        except KeyReused:
            reused = "Same idempotency key used with a different request payload."
            raise Refusal(409, "invalid_idempotent_request", reused) from None
        _log("mail_accepted", id=message_id)
        if self._happens("accept_then_500"):
            raise Refusal(500, "application_error", "Something went wrong (the mail was accepted).")
        if self._happens("accept_then_close"):
            return CutOff()
        return JSONResponse({"id": message_id})

    async def get(self, request: Request) -> Response:
        """`GET /emails/{id}`."""
        self._authenticate(request)
        message = self._messages.get(request.path_params["id"])
        if message is None:
            raise Refusal(404, "not_found", "Email not found")
        shown = ("id", "to", "from", "subject", "html", "text", "cc", "bcc", "reply_to", "tags")
        story = {"object": "email", "created_at": message["create_time"], "last_event": "delivered"}
        return JSONResponse(story | {name: message[name] for name in shown})

    async def list_messages(self, request: Request) -> Response:
        """`GET /sandbox/messages?to=&limit=`: newest first, 50 unless told, at most 500."""
        limit = request.query_params.get("limit", "50")
        if not limit.isdigit() or not 1 <= int(limit) <= 500:
            raise Refusal(422, "validation_error", "`limit` must be a number from 1 to 500.")
        messages = self._messages.newest(request.query_params.get("to") or None, int(limit))
        return JSONResponse({"messages": messages}, headers={"cache-control": "no-store"})

    async def get_faults(self, request: Request) -> Response:
        """`GET /sandbox/faults`: what will still go wrong."""
        return JSONResponse({name: vars(knob) for name, knob in self._faults.items() if knob.count})

    async def set_faults(self, request: Request) -> Response:
        """`PUT /sandbox/faults`: {"<fault>": count} or {"<fault>": {"count": n, "seconds": s}}; {} is good weather."""
        body = await _json(request)
        try:
            self._faults = {name: _knob(name, value) for name, value in body.items()}
        except (TypeError, ValueError) as error:
            raise Refusal(422, "validation_error", str(error)) from None
        return await self.get_faults(request)

    def _authenticate(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refusal(401, "missing_api_key", "Missing API key in the authorization header.")
        if not hmac.compare_digest(token.encode(), self._key.encode()):
            raise Refusal(403, "invalid_api_key", "API key is invalid")

    def _happens(self, fault: Fault) -> Knob | None:
        knob = self._faults.get(fault)
        if knob is None or knob.count == 0:
            return None
        knob.count -= 1
        return knob


def _validate(body: Message) -> None:
    for name in ("from", "to", "subject"):
        if not body.get(name):
            raise Refusal(422, "missing_required_field", f"Missing `{name}` field.")
    if not isinstance(body.get("html"), str) and not isinstance(body.get("text"), str):
        raise Refusal(422, "missing_required_field", "Missing `html` or `text` field.")
    senders = {"from": [body["from"]], "to": everyone(body), "reply_to": listed(body.get("reply_to"))}
    for name, values in senders.items():
        if not all(isinstance(value, str) and ADDRESS.fullmatch(value.strip()) for value in values):
            form = "The email address needs to follow the `email@example.com` or `Name <email@example.com>` format."
            raise Refusal(422, "validation_error", f"Invalid `{name}` field. {form}")
    if len(listed(body["to"])) > 50:
        raise Refusal(422, "validation_error", "Too many recipients: at most 50 in `to`.")
    if not isinstance(body["subject"], str) or not isinstance(body.get("headers") or {}, dict):
        raise Refusal(422, "validation_error", "`subject` must be a string and `headers` an object.")


def _knob(name: str, value: object) -> Knob:
    if name not in get_args(Fault):
        raise ValueError(f"Unknown fault `{name}`; there are {', '.join(get_args(Fault))}.")
    settings: dict[str, Any] = value if isinstance(value, dict) else {"count": value}
    knob = Knob(**settings)
    if not isinstance(knob.count, int) or knob.count < 0 or not 0 <= knob.seconds <= 600:
        raise ValueError(f"`{name}` wants a count of 0 or more, and seconds from 0 to 600.")
    return knob


async def _json(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise Refusal(400, "validation_error", "The request body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise Refusal(422, "validation_error", "The request body must be a JSON object.")
    return body


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    body = {"statusCode": error.status, "name": error.name, "message": error.message}
    return JSONResponse(body, error.status, headers=error.headers)


async def _alive(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _page(name: str) -> Any:
    async def answer(request: Request) -> Response:
        return FileResponse(PAGE / name, headers={"content-security-policy": POLICY, "cache-control": "no-cache"})

    return answer


def _log(event: str, **fields: object) -> None:
    head = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "level": "info", "service": "mail"}
    print(json.dumps(head | {"process": "sandbox", "event": event} | fields), flush=True)


def main() -> None:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m embedded.sandboxes.mail")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    arguments = parser.parse_args()
    key = os.environ.get("RESEND_API_KEY")
    if not key:
        sys.exit("RESEND_API_KEY is empty: the mail sandbox needs the key that its callers will show.")
    application = MailSandbox(Messages(arguments.directory), key).application()
    _log("listening", port=arguments.port)
    # uvicorn drains and then raises the signal once more, for the handler that was there before.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    uvicorn.run(
        application,
        host="127.0.0.1",
        port=arguments.port,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
