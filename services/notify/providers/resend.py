"""Resend, through its official SDK. Whatever speaks the same wire at RESEND_API_URL is served alike."""

from collections.abc import Mapping
from typing import Any

import httpx
import resend
from resend.exceptions import NoContentError, ResendError
from resend.http_client_async import AsyncHTTPClient

from services.notify.providers.mail import AcceptedBefore, Deferred, Mail, NotSent, Rejected, Unclear

# Seconds one call may take; longer than the provider's worst day, shorter than anyone's patience.
TIMEOUT = 10.0
LONGEST_PAUSE = 3600.0


class ResendMail:
    """A MailProvider with an account of its own."""

    def __init__(self, api_key: str, api_url: str, *, timeout: float = TIMEOUT) -> None:
        self._api_key, self._api_url, self._client = api_key, api_url.rstrip("/"), _KeptConnections(timeout)

    async def send(self, mail: Mail, idempotency_key: str) -> str:
        params: resend.Emails.SendParams = {
            "from": mail.sender,
            "to": [mail.to],
            "subject": mail.subject,
            "text": mail.text,
            "html": mail.html,
        }
        # The SDK keeps these in its module and reads them before it first waits, so accounts cannot get mixed up.
        resend.api_key, resend.api_url = self._api_key, self._api_url
        resend.default_async_http_client = self._client
        try:
            answer = await resend.Emails.send_async(params, {"idempotency_key": idempotency_key})
        except ResendError as error:
            raise _not_sent(error) from None
        except NoContentError:
            raise Unclear("the mail provider answered nothing") from None
        return str(answer["id"])


class _KeptConnections(AsyncHTTPClient):
    """The SDK's own client opens a connection for each call; this one keeps them."""

    def __init__(self, timeout: float) -> None:
        self._client = httpx.AsyncClient(timeout=timeout)

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        json: dict[str, object] | list[object] | None = None,
        files: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
    ) -> tuple[bytes, int, Mapping[str, str]]:
        response = await self._client.request(method, url, headers=headers, json=json, files=files, data=data)
        return response.content, response.status_code, response.headers


def _not_sent(error: ResendError) -> NotSent:
    """What an error of the SDK means. Its message may quote the request, so only status and type are kept."""
    status, kind = int(error.code), error.error_type
    if kind == "HttpClientError":
        return Unclear("the mail provider could not be reached or did not answer in time")
    reason = f"the mail provider answered {status} {kind}"
    if kind == "invalid_idempotent_request":
        return AcceptedBefore("accepted earlier with other words; the mail provider's id is not known")
    if status in (401, 403, 429):
        return Deferred(reason, _retry_after(error.headers))
    if status >= 500 or kind == "concurrent_idempotent_requests":
        return Unclear(reason, _retry_after(error.headers))
    return Rejected(reason)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds; the HTTP-date form is not used by this provider."""
    value = {name.lower(): text for name, text in headers.items()}.get("retry-after", "")
    return min(float(value), LONGEST_PAUSE) if value.isdecimal() else None
