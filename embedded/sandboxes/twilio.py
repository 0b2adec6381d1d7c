"""Twilio's wire: the Messages resource. Numbers that Twilio itself reserves for tests are refused as there."""

import base64
import hmac
import re
import secrets
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from embedded.sandboxes.answers import Refusal, log
from embedded.sandboxes.faults import Faults
from embedded.sandboxes.messages import Message, Messages

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_REFUSED = {
    "+15005550001": (21211, "The 'To' number is not a valid phone number."),
    "+15005550002": (21612, "The 'To' phone number is not currently reachable."),
    "+15005550003": (21408, "Permission to send an SMS has not been enabled for the region."),
    "+15005550004": (21610, "Attempt to send to unsubscribed recipient"),
    "+15005550008": (21611, "This 'From' number has exceeded the maximum number of queued messages"),
    "+15005550009": (21614, "'To' number is not a valid mobile number"),
}
_WEATHER = {429: (20429, "Too Many Requests"), 500: (20500, "Internal Server Error")}
_BASE = "/2010-04-01/Accounts/{account}/Messages"
LONGEST = 1600


class TwilioSandbox:
    """One account with its token."""

    def __init__(self, messages: Messages, faults: Faults, account: str, token: str) -> None:
        self._messages, self._faults, self._account, self._token = messages, faults, account, token

    def routes(self) -> list[Route]:
        return [
            Route(f"{_BASE}.json", self.create, methods=["POST"]),
            Route(f"{_BASE}.json", self.list, methods=["GET"]),
            Route(f"{_BASE}/{{sid}}.json", self.fetch, methods=["GET"]),
        ]

    async def create(self, request: Request) -> Response:
        """Takes a message: 201 with the resource."""
        self._authenticate(request)
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        sender, to, text = form.get("From", ""), form.get("To", ""), form.get("Body", "")
        if not to:
            raise _refusal(400, 21604, "A 'To' phone number is required.")
        if not sender:
            raise _refusal(400, 21603, "A 'From' phone number is required.")
        if not text:
            raise _refusal(400, 21602, "Message body is required.")
        if len(text) > LONGEST:
            raise _refusal(400, 21617, "The concatenated message body exceeds the 1600 character limit.")
        if not _E164.fullmatch(to):
            raise _refusal(400, 21211, f"The 'To' number {to} is not a valid phone number.")
        if to in _REFUSED:
            raise _refusal(400, *_REFUSED[to])
        if self._messages.is_unsubscribed(to):
            raise _refusal(400, *_REFUSED["+15005550004"])
        callback = form.get("StatusCallback")

        def accept() -> Response:
            sid = f"SM{secrets.token_hex(16)}"
            key = callback.rstrip("/").rpartition("/")[2] if callback else None
            body = {"from": sender, "to": [to], "text": text}
            self._messages.accept(sid, "sms", "twilio", body, key, callback=callback)
            log("sms_accepted", provider="twilio", id=sid)
            stored = self._messages.get(sid)
            assert stored
            return JSONResponse(self._resource(stored), 201)

        return await self._faults.around("twilio", accept, _bad_weather)

    async def fetch(self, request: Request) -> Response:
        """One message."""
        self._authenticate(request)
        message = self._messages.get(request.path_params["sid"])
        if message is None or message["provider"] != "twilio":
            raise _refusal(404, 20404, "The requested resource was not found")
        return JSONResponse(self._resource(message))

    async def list(self, request: Request) -> Response:
        """Messages, newest first; by To, From and DateSent (exact day, `<` and `>` inclusive), in pages."""
        self._authenticate(request)
        query = dict(request.query_params)

        def list_page() -> Response:
            found = [message for message in self._messages.of_provider("twilio") if _matches(message, query)]
            size, page = min(int(query.get("PageSize", 50)), 1000), int(query.get("Page", 0))
            shown = found[page * size : (page + 1) * size]
            path = _BASE.format(account=self._account) + ".json"

            def uri(number: int) -> str:
                return f"{path}?{urlencode({**query, 'PageSize': size, 'Page': number})}"

            return JSONResponse(
                {
                    "messages": [self._resource(message) for message in shown],
                    "page": page,
                    "page_size": size,
                    "start": page * size,
                    "end": page * size + max(len(shown) - 1, 0),
                    "uri": uri(page),
                    "first_page_uri": uri(0),
                    "previous_page_uri": uri(page - 1) if page else None,
                    "next_page_uri": uri(page + 1) if len(found) > (page + 1) * size else None,
                }
            )

        return await self._faults.around("twilio", list_page, _bad_weather)

    def _authenticate(self, request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Basic ")
        wanted = base64.b64encode(f"{self._account}:{self._token}".encode()).decode()
        path_is_ours = request.path_params["account"] == self._account
        if not (self._token and path_is_ours and hmac.compare_digest(given.encode(), wanted.encode())):
            raise _refusal(401, 20003, "Authenticate")

    def _resource(self, message: Message) -> dict[str, Any]:
        sid, sent = message["id"], format_datetime(_time(message))
        failed = message["status"] in ("undelivered", "failed")
        return {
            "sid": sid,
            "account_sid": self._account,
            "api_version": "2010-04-01",
            "body": message["text"],
            "date_created": sent,
            "date_sent": sent,
            "date_updated": sent,
            "direction": "outbound-api",
            "error_code": 30003 if failed else None,
            "error_message": "Unreachable destination handset" if failed else None,
            "from": message["from"],
            "messaging_service_sid": None,
            "num_media": "0",
            "num_segments": "1",
            "price": None,
            "price_unit": "USD",
            "status": message["status"],
            "subresource_uris": {},
            "to": message["to"][0],
            "uri": f"{_BASE.format(account=self._account)}/{sid}.json",
        }


def _matches(message: Message, query: dict[str, str]) -> bool:
    if query.get("To", message["to"][0]) != message["to"][0] or query.get("From", message["from"]) != message["from"]:
        return False
    time = _time(message)
    exact = query.get("DateSent")
    since, until = query.get("DateSent>"), query.get("DateSent<")
    return (
        (exact is None or time.date().isoformat() == exact[:10])
        and (since is None or time >= _parsed(since))
        and (until is None or time <= _parsed(until))
    )


def _parsed(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).replace(tzinfo=UTC)
    except ValueError:
        raise _refusal(400, 20001, "DateSent is not a date") from None


def _time(message: Message) -> datetime:
    """As Twilio knows it: to the second."""
    return datetime.fromisoformat(message["create_time"]).replace(microsecond=0)


def _refusal(status: int, code: int, message: str) -> Refusal:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return Refusal(status, {"code": code, "message": message, "more_info": more, "status": status})


def _bad_weather(status: int, headers: dict[str, str]) -> Response:
    return JSONResponse(_refusal(status, *_WEATHER[status]).body, status, headers)
