"""Resend's wire."""

import hmac
import json
import mimetypes
import uuid
from datetime import timedelta
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from embedded.sandboxes.answers import ADDRESS, Refusal, decoded, log
from embedded.sandboxes.faults import Faults
from embedded.sandboxes.messages import Attachment, KeyReused, Message, Messages, everyone, listed

# Of a mail with its files in base64, by the provider's documentation.
LARGEST = 40 * 2**20
KEY_LIFETIME = timedelta(hours=24)
_WEATHER = {429: ("rate_limit_exceeded", "Too many requests."), 500: ("application_error", "Something went wrong.")}


class ResendSandbox:
    """`key` is the only API key it accepts."""

    def __init__(self, messages: Messages, faults: Faults, key: str) -> None:
        self._messages, self._faults, self._key = messages, faults, key

    def routes(self) -> list[Route]:
        return [
            Route("/emails", self.send, methods=["POST"]),
            Route("/emails/{id}", self.get, methods=["GET"]),
        ]

    async def send(self, request: Request) -> Response:
        """`POST /emails`."""
        self._authenticate(request)
        body = await _json(request)
        key = request.headers.get("idempotency-key")
        if key is not None and not 1 <= len(key) <= 256:
            raise _refusal(400, "invalid_idempotency_key", "The key must be between 1-256 chars.")
        _validate(body)
        attachments = _attachments(body.pop("attachments", None))

        def accept() -> Response:
            try:
                made = str(uuid.uuid4())
                message_id = self._messages.accept(
                    made, "email", "resend", body, key, attachments=attachments, remembers=KEY_LIFETIME
                )
            except KeyReused:
                reused = "Same idempotency key used with a different request payload."
                raise _refusal(409, "invalid_idempotent_request", reused) from None
            log("mail_accepted", provider="resend", id=message_id)
            return JSONResponse({"id": message_id})

        return await self._faults.around("resend", accept, _bad_weather)

    async def get(self, request: Request) -> Response:
        """`GET /emails/{id}`."""
        self._authenticate(request)
        message = self._messages.get(request.path_params["id"])
        if message is None:
            raise _refusal(404, "not_found", "Email not found")
        shown = ("id", "to", "from", "subject", "html", "text", "cc", "bcc", "reply_to", "tags")
        story = {"object": "email", "created_at": message["create_time"], "last_event": message["status"]}
        return JSONResponse(story | {name: message[name] for name in shown})

    def _authenticate(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise _refusal(401, "missing_api_key", "Missing API key in the authorization header.")
        if not self._key or not hmac.compare_digest(token.encode(), self._key.encode()):
            raise _refusal(403, "invalid_api_key", "API key is invalid")


def _validate(body: Message) -> None:
    for name in ("from", "to", "subject"):
        if not body.get(name):
            raise _refusal(422, "missing_required_field", f"Missing `{name}` field.")
    if not isinstance(body.get("html"), str) and not isinstance(body.get("text"), str):
        raise _refusal(422, "missing_required_field", "Missing `html` or `text` field.")
    senders = {"from": [body["from"]], "to": everyone(body), "reply_to": listed(body.get("reply_to"))}
    for name, values in senders.items():
        if not all(isinstance(value, str) and ADDRESS.fullmatch(value.strip()) for value in values):
            form = "The email address needs to follow the `email@example.com` or `Name <email@example.com>` format."
            raise _refusal(422, "validation_error", f"Invalid `{name}` field. {form}")
    if len(listed(body["to"])) > 50:
        raise _refusal(422, "validation_error", "Too many recipients: at most 50 in `to`.")
    if not isinstance(body["subject"], str) or not isinstance(body.get("headers") or {}, dict):
        raise _refusal(422, "validation_error", "`subject` must be a string and `headers` an object.")


def _attachments(given: object) -> list[Attachment]:
    """Of a mail; a file that the provider is to fetch from somewhere has no bytes here."""
    attachments: list[Attachment] = []
    if not isinstance(given or [], list):
        raise _refusal(422, "validation_error", "`attachments` must be a list.")
    for each in cast(list[Any], given or []):
        content = decoded(each.get("content")) if isinstance(each, dict) else None
        if content is None:
            raise _refusal(422, "invalid_attachment", "Attachment must have either a `content` or `path`.")
        name, media_type = each.get("filename"), each.get("content_type")
        if not isinstance(name, str) or not name:
            raise _refusal(422, "invalid_attachment", "Attachment must have a `filename`.")
        guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
        attachments.append(Attachment(name, str(media_type or guessed), content))
    return attachments


async def _json(request: Request) -> dict[str, Any]:
    raw = await request.body()
    if len(raw) > LARGEST:
        raise _refusal(422, "validation_error", "The email is larger than 40MB.")
    try:
        body = json.loads(raw)
    except ValueError:
        raise _refusal(400, "validation_error", "The request body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise _refusal(422, "validation_error", "The request body must be a JSON object.")
    return body


def _refusal(status: int, name: str, message: str) -> Refusal:
    return Refusal(status, {"statusCode": status, "name": name, "message": message})


def _bad_weather(status: int, headers: dict[str, str]) -> Response:
    name, message = _WEATHER[status]
    return JSONResponse({"statusCode": status, "name": name, "message": message}, status, headers)
