"""Twilio, through its official SDK over our own connections. Whatever speaks the same wire at its address is served."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from services.chassis.telemetry import logger
from services.notify.providers.answers import Deferred, NotSent, Rejected, Unclear
from services.notify.providers.gate import Gate
from services.notify.providers.sms import Sms
from services.notify.providers.wire import TIMEOUT, reaching, retry_after

NAME = "twilio"
# What Twilio's error codes say about the number; all others are told by their number.
_REASONS = {
    21211: "not a phone number",
    21214: "the number cannot be reached",
    21217: "not a phone number",
    21408: "the number's country is not allowed in the SMS account",
    21610: "unsubscribed",
    21612: "the number cannot be reached",
    21614: "not a mobile number",
}
_TOO_MANY = 20429
# Its queue for the sender is full, or the account is suspended: nothing about this message.
_FOR_NOW = (21611, 20003, 30001, 30002)


class TwilioSms:
    """An SmsProvider with an account of its own."""

    name = NAME

    def __init__(
        self, account: str, auth_token: str, api_url: str, callback_url: str, gate: Gate, *, timeout: float = TIMEOUT
    ) -> None:
        """`callback_url`: where its webhooks arrive; what becomes of a message goes to `…/deliveries/<key>`."""
        self._callback_url, self.gate = callback_url, gate
        self._connections = _OwnConnections(api_url, timeout)
        self._sdk = Client(account, auth_token, http_client=self._connections)

    async def send(self, sms: Sms, key: str) -> str:
        async with self.gate.passing():
            try:
                message = await self._sdk.messages.create_async(
                    to=sms.to,
                    from_=sms.sender,
                    body=sms.text,
                    status_callback=f"{self._callback_url}/deliveries/{key}",
                )
            except TwilioRestException as error:
                raise _not_sent(error) from None
            except (TwilioException, ValueError, KeyError, TypeError, AttributeError):
                raise Unclear("the SMS provider's answer cannot be read") from None
            if not message.sid:
                raise Unclear("the SMS provider's answer cannot be read")
            return str(message.sid)

    async def find(self, sms: Sms, since: datetime) -> Sequence[str]:
        async with self.gate.passing():
            try:
                taken = await self._sdk.messages.list_async(to=sms.to, from_=sms.sender, date_sent_after=since)
            except TwilioRestException as error:
                raise _not_sent(error) from None
            except (TwilioException, ValueError, KeyError, TypeError, AttributeError):
                raise Unclear("the SMS provider's answer cannot be read") from None
        return [str(message.sid) for message in reversed(taken) if message.body == sms.text]

    async def close(self) -> None:
        """Ends the connections that are kept."""
        await self._connections.close()


class _OwnConnections(AsyncHttpClient):  # type: ignore[misc]  # the SDK has no types
    """Sends the SDK's requests to the configured address; what HTTP alone decides never gets back to the SDK."""

    def __init__(self, api_url: str, timeout: float) -> None:
        super().__init__(logger(__name__), True, timeout)
        self._base = httpx.URL(api_url)
        self._client = httpx.AsyncClient(timeout=timeout)

    async def request(
        self,
        method: str,
        uri: str,
        params: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # the SDK's signature
        allow_redirects: bool = False,
    ) -> Response:
        with reaching("the SMS provider"):
            answer = await self._client.request(
                method,
                self._base.join(_target(uri)),
                params=_given(params),
                data=_given(data),
                headers=headers,
                auth=auth,
            )
        reason = f"the SMS provider answered {answer.status_code}"
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise Deferred(reason, retry_after(answer.headers))
        if answer.is_server_error:
            raise Unclear(reason, retry_after(answer.headers))
        return Response(answer.status_code, answer.text, answer.headers)

    async def close(self) -> None:
        await self._client.aclose()


def _target(uri: str) -> str:
    parts = urlsplit(uri)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _given(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return dict(values) if values else None


def _not_sent(error: TwilioRestException) -> NotSent:
    """What a refusal means. Its message may quote the number, so only the code is kept."""
    code = int(error.code or error.status)
    if code == _TOO_MANY or code in _FOR_NOW or error.status in (401, 403):
        return Deferred(f"the SMS provider answered {code}")
    return Rejected(_REASONS.get(code, f"the SMS provider answered {code}"))
