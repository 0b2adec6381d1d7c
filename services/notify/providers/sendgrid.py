"""SendGrid, through its official SDK, whose HTTP client is replaced by one that does not block."""

from base64 import b64encode
from email.utils import parseaddr
from typing import Any

import httpx
import python_http_client
from sendgrid import SendGridAPIClient

from services.notify.providers.answers import Deferred, NotSent, Rejected, Unclear
from services.notify.providers.gate import Gate
from services.notify.providers.mail import Attachment, Mail
from services.notify.providers.wire import TIMEOUT, reaching, retry_after

NAME = "sendgrid"
# The custom argument that its webhooks bring back.
KEY_ARGUMENT = "delivery"


class SendGridMail:
    """A MailProvider with an account of its own."""

    name = NAME
    remembers_keys = False

    def __init__(self, api_key: str, api_url: str, gate: Gate, *, timeout: float = TIMEOUT) -> None:
        self._sdk = SendGridAPIClient(api_key, host=api_url.rstrip("/"))
        self._sdk.client = self._connections = _Unblocked(self._sdk.client, timeout)
        self.gate = gate

    async def send(self, mail: Mail, key: str) -> str:
        async with self.gate.passing():
            answer: httpx.Response = await self._sdk.send(_body(mail, key))
            if answer.status_code == httpx.codes.ACCEPTED and (message_id := answer.headers.get("x-message-id")):
                return str(message_id)
            raise _not_sent(answer)

    async def close(self) -> None:
        """Ends the connections that are kept."""
        await self._connections.close()


class _Unblocked:
    """`client.mail.send.post(request_body=…)` as the SDK calls it, answered by a coroutine."""

    def __init__(self, blocking: python_http_client.Client, timeout: float) -> None:
        self._address = f"{blocking.host}/v3/mail/send"
        self._client = httpx.AsyncClient(timeout=timeout, headers=blocking.request_headers)
        self.mail = self.send = self

    async def post(self, request_body: dict[str, Any]) -> httpx.Response:
        with reaching("the mail provider"):
            return await self._client.post(self._address, json=request_body)

    async def close(self) -> None:
        await self._client.aclose()


def _body(mail: Mail, key: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "personalizations": [{"to": [{"email": mail.to}], "custom_args": {KEY_ARGUMENT: key}}],
        "from": _person(mail.sender),
        "subject": mail.subject,
        "content": [{"type": "text/plain", "value": mail.text}, {"type": "text/html", "value": mail.html}],
        "headers": mail.other_headers,
        # Links in our mails are secrets of their readers.
        "tracking_settings": {"click_tracking": {"enable": False}, "open_tracking": {"enable": False}},
    }
    if mail.reply_to:
        body["reply_to"] = _person(mail.reply_to)
    if mail.attachments:
        body["attachments"] = [_attached(each) for each in mail.attachments]
    return body


def _attached(file: Attachment) -> dict[str, str]:
    return {
        "content": b64encode(file.content).decode(),
        "filename": file.file_name,
        "type": file.media_type,
        "disposition": "attachment",
    }


def _person(text: str) -> dict[str, str]:
    name, address = parseaddr(text)
    return {"email": address, "name": name} if name else {"email": address}


def _not_sent(answer: httpx.Response) -> NotSent:
    reason = f"the mail provider answered {answer.status_code}"
    if answer.status_code in (401, 403, 429):
        return Deferred(reason, retry_after(answer.headers))
    # A success of another form comes from somebody in between, who may have passed the mail on.
    if answer.status_code >= 500 or answer.is_success:
        return Unclear(reason, retry_after(answer.headers))
    return Rejected(reason)
