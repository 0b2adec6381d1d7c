"""Resend, through its official SDK. Whatever speaks the same wire at RESEND_API_URL is served alike."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson
import resend
from resend.exceptions import NoContentError, ResendError
from resend.http_client_async import AsyncHTTPClient

from services.notify.providers.answers import AcceptedBefore, Deferred, NotReached, NotSent, Rejected, Unclear
from services.notify.providers.gate import Gate
from services.notify.providers.mail import Attachment, Mail
from services.notify.providers.wire import TIMEOUT, retry_after

NAME = "resend"
# The tag that its webhooks bring back.
KEY_TAG = "delivery"
# Connections that are open at the same time.
MOST_AT_ONCE = 400


class ResendMail:
    """A MailProvider with an account of its own."""

    name = NAME
    # For 24 hours.
    remembers_keys = True

    def __init__(self, api_key: str, api_url: str, gate: Gate, *, timeout: float = TIMEOUT) -> None:
        self._api_key, self._api_url, self._client = api_key, api_url.rstrip("/"), _KeptConnections(timeout)
        self.gate = gate

    async def send(self, mail: Mail, key: str) -> str:
        params: resend.Emails.SendParams = {
            "from": mail.sender,
            "to": [mail.to],
            "subject": mail.subject,
            "text": mail.text,
            "html": mail.html,
            "headers": mail.other_headers,
            "tags": [{"name": KEY_TAG, "value": key}],
        }
        if mail.reply_to:
            params["reply_to"] = mail.reply_to
        if mail.attachments:
            params["attachments"] = [_attached(each) for each in mail.attachments]
        async with self.gate.passing():
            # The SDK keeps these in its module and reads them before it first waits, so accounts cannot get mixed up.
            resend.api_key, resend.api_url = self._api_key, self._api_url
            resend.default_async_http_client = self._client
            try:
                answer = await resend.Emails.send_async(params, {"idempotency_key": key})
                return str(answer["id"])
            except ResendError as error:
                raise _not_sent(error) from None
            except (NoContentError, KeyError, TypeError):
                raise Unclear("the mail provider answered nothing") from None

    async def close(self) -> None:
        """Ends the connections that are kept."""
        await self._client.close()


class _KeptConnections(AsyncHTTPClient):
    """The SDK's own client opens a connection for each call; this one keeps them. By aiohttp: of hundreds at once each
    call costs a tenth of httpx's."""

    def __init__(self, timeout: float) -> None:
        self._timeout = aiohttp.ClientTimeout(timeout)
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        json: dict[str, object] | list[object] | None = None,
        files: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
    ) -> tuple[bytes, int, Mapping[str, str]]:
        if self._session is None:
            # It belongs to the event loop that makes it.
            connector = aiohttp.TCPConnector(limit=MOST_AT_ONCE)
            self._session = aiohttp.ClientSession(timeout=self._timeout, connector=connector)
        try:
            # The bytes of a mail, by a faster encoder than the client's own.
            body, typed = orjson.dumps(json), {**headers, "Content-Type": "application/json"}
            async with self._session.request(method, url, headers=typed, data=body) as response:
                return await response.read(), response.status, response.headers
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise NotReached("the mail provider could not be reached") from None
        except (aiohttp.ClientError, TimeoutError):
            raise Unclear("the mail provider did not answer in time") from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _attached(file: Attachment) -> resend.Attachment:
    content = b64encode(file.content).decode()
    return {"filename": file.file_name, "content": content, "content_type": file.media_type}


def _not_sent(error: ResendError) -> NotSent:
    """What an error of the SDK means. Its message may quote the request, so only status and type are kept."""
    if isinstance(error.__context__, NotSent):
        return error.__context__
    status, kind = int(error.code), error.error_type
    reason = f"the mail provider answered {status} {kind}"
    if kind == "invalid_idempotent_request":
        return AcceptedBefore("accepted earlier with other words; the mail provider's id is not known")
    if status in (401, 403, 429):
        return Deferred(reason, retry_after(error.headers))
    if status >= 500 or kind == "concurrent_idempotent_requests":
        return Unclear(reason, retry_after(error.headers))
    return Rejected(reason)
