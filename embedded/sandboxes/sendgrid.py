"""SendGrid's wire: mail/send of version 3."""

import hmac
import re
import secrets
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from embedded.sandboxes.answers import ADDRESS, Refusal, decoded, json_object, log
from embedded.sandboxes.faults import Faults
from embedded.sandboxes.messages import Attachment, Message, Messages

# Headers that have fields of their own.
RESERVED = {"to", "from", "subject", "reply-to", "cc", "bcc", "content-type", "content-transfer-encoding", "received"}
# Of a request, by the provider's documentation.
LARGEST = 30 * 2**20
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")
_WEATHER = {429: "too many requests", 500: "Internal Server Error"}


class SendGridSandbox:
    """`key` is the only API key it accepts."""

    def __init__(self, messages: Messages, faults: Faults, key: str) -> None:
        self._messages, self._faults, self._key = messages, faults, key

    def routes(self) -> list[Route]:
        return [Route("/v3/mail/send", self.send, methods=["POST"])]

    async def send(self, request: Request) -> Response:
        """`POST /v3/mail/send`: 202, nothing in the body, the id in a header."""
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not self._key or not hmac.compare_digest(given.encode(), self._key.encode()):
            raise _refusal(401, "The provided authorization grant is invalid, expired, or revoked")
        body = await json_object(request)
        if body is None:
            raise _refusal(400, "Bad Request")
        if len(await request.body()) > LARGEST:
            raise _refusal(413, "The message is larger than 30MB.")
        (message, key), attachments = _read(body), _attachments(body.get("attachments"))

        def accept() -> Response:
            made = secrets.token_urlsafe(16)
            message_id = self._messages.accept(made, "email", "sendgrid", message, key, attachments=attachments)
            log("mail_accepted", provider="sendgrid", id=message_id)
            return Response(status_code=202, headers={"x-message-id": message_id})

        return await self._faults.around("sendgrid", accept, _bad_weather)


def _read(body: dict[str, Any]) -> tuple[Message, str | None]:
    """The mail of a request to one person, and its key."""
    try:
        [person] = body["personalizations"]
        to = [str(each["email"]) for each in person["to"]]
        sender, subject = body["from"], body["subject"]
        content = {part["type"]: part["value"] for part in body["content"]}
    except (KeyError, TypeError, ValueError):
        needed = "personalizations (one), their to, from, subject and content are required"
        raise _refusal(400, needed) from None
    for address, field in [*((each, "personalizations.0.to.0.email") for each in to), (sender["email"], "from.email")]:
        if not ADDRESS.fullmatch(address) or "<" in address:
            raise _refusal(400, "Does not contain a valid address.", field)
    headers = {**(body.get("headers") or {}), **(person.get("headers") or {})}
    if reserved := RESERVED & {name.lower() for name in headers}:
        raise _refusal(400, f"The headers {', '.join(sorted(reserved))} are reserved.", "headers")
    if not to or not subject or not content:
        raise _refusal(400, "The to array, the subject and the content are required.")
    key = (person.get("custom_args") or {}).get("delivery")
    name = sender.get("name")
    message = {
        "from": f"{name} <{sender['email']}>" if name else sender["email"],
        "to": to,
        "subject": subject,
        "text": content.get("text/plain"),
        "html": content.get("text/html"),
        "reply_to": (body.get("reply_to") or {}).get("email"),
        "headers": headers,
        "tags": [{"name": name, "value": value} for name, value in (person.get("custom_args") or {}).items()],
    }
    return message, key


def _attachments(given: Any) -> list[Attachment]:
    attachments: list[Attachment] = []
    for position, each in enumerate(given or []):
        field = f"attachments.{position}"
        if not isinstance(each, dict):
            raise _refusal(400, "Bad Request", field)
        content, name, media_type = decoded(each.get("content")), each.get("filename"), each.get("type", "text/plain")
        if content is None:
            raise _refusal(400, "The attachment content must be base64 encoded.", f"{field}.content")
        if not isinstance(name, str) or not name:
            raise _refusal(400, "The attachment filename is required.", f"{field}.filename")
        if not isinstance(media_type, str) or not _MEDIA_TYPE.fullmatch(media_type):
            raise _refusal(400, "The attachment type must be a MIME type without parameters.", f"{field}.type")
        if each.get("disposition", "attachment") not in ("attachment", "inline"):
            raise _refusal(400, "The attachment disposition must be inline or attachment.", f"{field}.disposition")
        attachments.append(Attachment(name, media_type, content))
    return attachments


def _refusal(status: int, message: str, field: str | None = None) -> Refusal:
    return Refusal(status, {"errors": [{"message": message, "field": field, "help": None}]})


def _bad_weather(status: int, headers: dict[str, str]) -> Response:
    return JSONResponse({"errors": [{"message": _WEATHER[status], "field": None, "help": None}]}, status, headers)
