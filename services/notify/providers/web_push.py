"""Web push with VAPID (RFC 8030, 8291, 8292): encrypted for the browser, signed by us, brought by its vendor."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid
from pywebpush import WebPusher, WebPushException

from services.chassis.clock import real_now
from services.notify.providers.answers import Deferred, NotSent, Rejected, Unclear
from services.notify.providers.gate import Gate
from services.notify.providers.push import Push, SubscriptionGone
from services.notify.providers.wire import TIMEOUT, reaching, retry_after

NAME = "web_push"
# Seconds for which a signature holds; the standard allows a day.
SIGNATURE_LIFETIME = 12 * 3600
_ENCODING = "aes128gcm"


class WebPush:
    """A PushProvider. Browsers tell us where to send to, so only addresses of known push services are called."""

    name = NAME

    def __init__(
        self, private_key: str, contact: str, services: Mapping[str, Gate], *, timeout: float = TIMEOUT
    ) -> None:
        """`private_key`: base64url, of P-256. `services`: a gate by origin; `https://*.host` has all hosts below it."""
        self._vapid, self._contact, self._services = Vapid.from_string(private_key), contact, services
        self._client = httpx.AsyncClient(timeout=timeout)

    @property
    def public_key(self) -> str:
        point = self._vapid.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return urlsafe_b64encode(point).rstrip(b"=").decode()

    def reaches(self, endpoint: str) -> bool:
        return self._gate(_origin(endpoint)) is not None

    async def send(self, push: Push, key: str) -> str:
        origin = _origin(push.to.endpoint)
        gate = self._gate(origin)
        if gate is None:
            raise Rejected("the address is of no push service we know")
        # The delivery's own half of the key: 32 characters are what a topic may have.
        topic = key.rpartition("-")[2]
        words = {"title": push.title, "body": push.text, "link": push.link, "tag": topic}
        keys = {"p256dh": push.to.p256dh, "auth": push.to.auth}
        try:
            pusher = WebPusher({"endpoint": push.to.endpoint, "keys": keys})
            body: bytes = pusher.encode(json.dumps(words).encode(), _ENCODING)["body"]
        except (WebPushException, ValueError, TypeError, IndexError):
            raise Rejected("the browser's keys are none") from None
        expires = int(real_now().timestamp()) + SIGNATURE_LIFETIME
        headers = {
            **self._vapid.sign({"aud": origin, "sub": self._contact, "exp": expires}),
            "Content-Encoding": _ENCODING,
            "TTL": str(push.lifetime),
            "Topic": topic,
            "Urgency": "high",
        }
        async with gate.passing():
            with reaching("the push service"):
                answer = await self._client.post(push.to.endpoint, content=body, headers=headers)
            if answer.status_code in (httpx.codes.OK, httpx.codes.CREATED, httpx.codes.ACCEPTED):
                return str(answer.headers.get("location", ""))
            raise _not_sent(answer)

    async def close(self) -> None:
        """Ends the connections that are kept."""
        await self._client.aclose()

    def _gate(self, origin: str) -> Gate | None:
        """None for an address of nobody we know."""
        above = origin.replace("https://", "https://*.", 1)
        for known, gate in self._services.items():
            if origin == known or (known.startswith("https://*.") and above.endswith(known.removeprefix("https://*"))):
                return gate
        return None


def _origin(endpoint: str) -> str:
    try:
        parts = urlsplit(endpoint)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.hostname}{port}"


def _not_sent(answer: httpx.Response) -> NotSent:
    reason = f"the push service answered {answer.status_code}"
    if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
        return SubscriptionGone("the browser listens no more")
    if answer.status_code in (401, 403, 429):
        return Deferred(reason, retry_after(answer.headers))
    if answer.is_server_error or answer.is_redirect or answer.is_success:
        return Unclear(reason, retry_after(answer.headers))
    return Rejected(reason)
