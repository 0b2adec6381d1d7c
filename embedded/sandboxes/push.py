"""A push service and its browsers: takes what is sent by web push, and can read it, since it holds the browsers' keys.

`POST /sandbox/push` makes a browser that listens and answers its subscription; `DELETE /sandbox/push/{id}` ends it.
"""

import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode

import http_ece
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from embedded.sandboxes.answers import Refusal, log
from embedded.sandboxes.faults import Faults
from embedded.sandboxes.messages import Messages

LARGEST = 4096


class PushSandbox:
    """Browsers live in the store, so a restart forgets none."""

    def __init__(self, messages: Messages, faults: Faults) -> None:
        self._messages, self._faults = messages, faults

    def routes(self) -> list[Route]:
        return [
            Route("/push/{browser}", self.send, methods=["POST"]),
            Route("/sandbox/push", self.listen, methods=["POST"]),
            Route("/sandbox/push/{browser}", self.leave, methods=["DELETE"]),
        ]

    async def listen(self, request: Request) -> Response:
        """A browser's subscription, as its Push API gives it."""
        key, auth, browser = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(16), secrets.token_urlsafe(16)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._messages.add_browser(browser, pem.decode(), auth.hex())
        point = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        keys = {"p256dh": _encoded(point), "auth": _encoded(auth)}
        return JSONResponse({"endpoint": f"{_origin(request)}/push/{browser}", "keys": keys})

    async def leave(self, request: Request) -> Response:
        """The browser listens no more."""
        self._messages.remove_browser(request.path_params["browser"])
        return Response(status_code=204)

    async def send(self, request: Request) -> Response:
        """Takes a notification for a browser."""
        browser = request.path_params["browser"]
        keys = self._messages.browser(browser)
        if keys is None:
            raise Refusal(410, {"reason": "ExpiredSubscription"})
        _check_signature(request)
        body, topic = await request.body(), request.headers.get("topic")
        if not request.headers.get("ttl", "").isdigit() or request.headers.get("content-encoding") != "aes128gcm":
            raise Refusal(400, {"reason": "TTL and aes128gcm are required"})
        if len(body) > LARGEST:
            raise Refusal(413, {"reason": "PayloadTooLarge"})
        words = _read(body, *keys)
        shown = {
            "from": "web push",
            "to": [browser],
            "subject": words["title"],
            "text": words["body"],
            "link": words["link"],
            "headers": {"TTL": request.headers["ttl"], "Topic": topic or ""},
        }

        def accept() -> Response:
            message_id = self._messages.accept(secrets.token_hex(16), "push", "push", shown, topic)
            log("push_accepted", id=message_id)
            return Response(status_code=201, headers={"location": f"{_origin(request)}/push/messages/{message_id}"})

        return await self._faults.around("push", accept, _bad_weather)


def _check_signature(request: Request) -> None:
    """VAPID: `vapid t=<token>, k=<public key>`."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    try:
        point = urlsafe_b64decode(parts["k"] + "==")
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        claims = jwt.decode(parts["t"], key, ["ES256"], audience=_origin(request), options={"require": ["exp", "sub"]})
    except (KeyError, ValueError, jwt.InvalidTokenError):
        raise Refusal(403, {"reason": "BadJwtToken"}) from None
    if scheme.lower() != "vapid" or not claims["sub"].startswith(("mailto:", "https:")):
        raise Refusal(403, {"reason": "BadJwtToken"})


def _read(body: bytes, private_key: str, auth: str) -> dict[str, str]:
    key = serialization.load_pem_private_key(private_key.encode(), None)
    try:
        words: dict[str, str] = json.loads(http_ece.decrypt(body, private_key=key, auth_secret=bytes.fromhex(auth)))
    except (ValueError, http_ece.ECEException):
        raise Refusal(400, {"reason": "the browser cannot read it"}) from None
    return words


def _origin(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _encoded(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _bad_weather(status: int, headers: dict[str, str]) -> Response:
    return JSONResponse({"reason": "bad weather"}, status, headers)
