"""What the providers tell later, signed as each of them signs, and posted to where webhooks arrive."""

import asyncio
import base64
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import httpx
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twilio.request_validator import RequestValidator

from embedded.sandboxes.answers import log
from embedded.sandboxes.faults import Faults
from embedded.sandboxes.messages import Message, Messages

# What happened -> how each provider calls it.
EVENTS: dict[str, dict[str, str]] = {
    "sent": {"resend": "email.sent", "sendgrid": "processed", "twilio": "sent"},
    "delivered": {"resend": "email.delivered", "sendgrid": "delivered", "twilio": "delivered"},
    "delayed": {"resend": "email.delivery_delayed", "sendgrid": "deferred"},
    "bounced": {"resend": "email.bounced", "sendgrid": "bounce", "twilio": "undelivered"},
    "complained": {"resend": "email.complained", "sendgrid": "spamreport"},
    "failed": {"resend": "email.failed", "sendgrid": "dropped", "twilio": "failed"},
}
# Seconds between attempts to be heard.
PAUSES = (0.5, 1, 2, 4, 8)


@dataclass(frozen=True)
class Post:
    """One signed request."""

    url: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Signatures:
    """The secrets that the receiver knows, or their public halves."""

    resend_secret: str = ""
    # PKCS8, DER, base64.
    sendgrid_private_key: str = ""
    twilio_account: str = ""
    twilio_token: str = ""

    def resend(self, url: str, body: bytes, *, event_id: str = "", timestamp: int = 0) -> Post:
        """As Svix signs."""
        event_id, timestamp = event_id or f"msg_{secrets.token_hex(12)}", timestamp or _now()
        key = base64.b64decode(self.resend_secret.removeprefix("whsec_"))
        signature = hmac.new(key, f"{event_id}.{timestamp}.".encode() + body, sha256).digest()
        headers = {
            "content-type": "application/json",
            "svix-id": event_id,
            "svix-timestamp": str(timestamp),
            "svix-signature": f"v1,{base64.b64encode(signature).decode()}",
        }
        return Post(url, headers, body)

    def sendgrid(self, url: str, body: bytes, *, timestamp: int = 0) -> Post:
        """As the signed event webhook does, by ECDSA."""
        timestamp = timestamp or _now()
        key = serialization.load_der_private_key(base64.b64decode(self.sendgrid_private_key), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        signature = key.sign(str(timestamp).encode() + body, ec.ECDSA(hashes.SHA256()))
        headers = {
            "content-type": "application/json",
            "x-twilio-email-event-webhook-signature": base64.b64encode(signature).decode(),
            "x-twilio-email-event-webhook-timestamp": str(timestamp),
        }
        return Post(url, headers, body)

    def twilio(self, url: str, form: dict[str, str]) -> Post:
        """Over the address and the form, with the account's token."""
        signature = RequestValidator(self.twilio_token).compute_signature(url, form)
        headers = {"content-type": "application/x-www-form-urlencoded", "x-twilio-signature": signature}
        return Post(url, headers, urlencode(form).encode())


class Webhooks:
    """Tells `base` (`https://studio.example/webhooks`) what becomes of messages, by itself or when told to."""

    def __init__(self, messages: Messages, faults: Faults, signatures: Signatures, base: str) -> None:
        self._messages, self._faults = messages, faults
        self._signatures, self._base = signatures, base.rstrip("/")
        self._client = httpx.AsyncClient(timeout=10)
        self._running: set[asyncio.Task[None]] = set()

    def follow(self, message: Message) -> None:
        """A message was accepted: it goes out and arrives, and the receiver hears of both in good weather."""
        if self._faults.happens("lose_webhooks", message["provider"]):
            return
        task = asyncio.get_running_loop().create_task(self._deliver(message))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def tell(self, message: Message, event: str) -> httpx.Response | None:
        """Sends one event about a message; None when its provider does not tell such things."""
        name = EVENTS[event].get(message["provider"])
        if name is None:
            return None
        self._messages.set_status(message["id"], name.removeprefix("email."))
        post = self.post(message, event)
        return await self._client.post(post.url, content=post.body, headers=post.headers)

    def post(self, message: Message, event: str) -> Post:
        """The signed request that tells it."""
        provider = message["provider"]
        name = EVENTS[event][provider]
        if provider == "resend":
            return self._signatures.resend(f"{self._base}/resend", json.dumps(_of_resend(message, name)).encode())
        if provider == "sendgrid":
            body = json.dumps([_of_sendgrid(message, name)]).encode()
            return self._signatures.sendgrid(f"{self._base}/sendgrid", body)
        return self._signatures.twilio(message["callback"] or "", self._of_twilio(message, name))

    async def write(self, sender: str, to: str, text: str) -> httpx.Response:
        """Somebody answers by SMS. Twilio keeps its own list of who wrote STOP."""
        word = text.strip().upper()
        if word in ("STOP", "STOPALL", "UNSUBSCRIBE", "END", "QUIT", "CANCEL", "REVOKE", "OPTOUT"):
            self._messages.unsubscribe(sender)
        if word in ("START", "YES", "UNSTOP"):
            self._messages.subscribe(sender)
        account, sid = self._signatures.twilio_account, f"SM{secrets.token_hex(16)}"
        form = {"MessageSid": sid, "SmsSid": sid, "AccountSid": account, "From": sender, "To": to, "Body": text}
        form |= {"NumMedia": "0", "NumSegments": "1", "SmsStatus": "received", "ApiVersion": "2010-04-01"}
        post = self._signatures.twilio(f"{self._base}/twilio/{account}", form)
        return await self._client.post(post.url, content=post.body, headers=post.headers)

    async def _deliver(self, message: Message) -> None:
        for event in ("sent", "delivered"):
            for pause in PAUSES:
                await asyncio.sleep(pause)
                try:
                    answer = await self.tell(message, event)
                except httpx.HTTPError:
                    continue
                if answer is None or answer.is_success:
                    break
                log("webhook_refused", id=message["id"], webhook=event, status=answer.status_code)

    def _of_twilio(self, message: Message, name: str) -> dict[str, str]:
        sid = message["id"]
        form = {"MessageSid": sid, "SmsSid": sid, "AccountSid": self._signatures.twilio_account}
        form |= {"From": message["from"], "To": message["to"][0], "MessageStatus": name, "SmsStatus": name}
        return (
            form | ({"ErrorCode": "30003"} if name in ("undelivered", "failed") else {}) | {"ApiVersion": "2010-04-01"}
        )


def _of_resend(message: Message, name: str) -> dict[str, Any]:
    data = {"email_id": message["id"], "created_at": message["create_time"]}
    data |= {field: message[field] for field in ("from", "to", "subject")}
    data["tags"] = {tag["name"]: tag["value"] for tag in message["tags"]}
    if name == "email.bounced":
        data["bounce"] = {"message": "The mailbox does not exist.", "type": "Permanent", "subType": "General"}
    if name == "email.failed":
        data["failed"] = {"reason": "reached_daily_quota"}
    return {"type": name, "created_at": datetime.now(UTC).isoformat(), "data": data}


def _of_sendgrid(message: Message, name: str) -> dict[str, Any]:
    event = {"email": message["to"][0], "timestamp": _now(), "event": name, "sg_event_id": secrets.token_urlsafe(16)}
    event |= {"sg_message_id": f"{message['id']}.recvd-sandbox-0"}
    event |= {tag["name"]: tag["value"] for tag in message["tags"]}
    if name == "bounce":
        event |= {"type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 The mailbox does not exist."}
    if name == "dropped":
        event |= {"reason": "Bounced Address"}
    return event


def _now() -> int:
    return int(datetime.now(UTC).timestamp())
