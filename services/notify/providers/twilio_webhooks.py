"""Twilio's webhooks: what became of a message, and what people write. Signed over the address and the form.

The signature has no time: a webhook that comes again is known by its id, for as long as these are kept.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from twilio.request_validator import (
    SIGNATURE_HEADER,
    SIGNATURE_SETTINGS_HEADER,
    RequestValidator,
    get_signature_algorithm,
)

from services.notify.models import Outcome
from services.notify.providers.webhooks import DeliveryNews, Event, InboundSms, News, Webhook, forged, malformed

# Twilio's own words in English; with these it stops or starts sending to the number by itself.
STOP = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "END", "QUIT", "CANCEL", "REVOKE", "OPTOUT"})
START = frozenset({"START", "YES", "UNSTOP"})
HELP = frozenset({"HELP", "INFO"})
_HELP_TEXT = "Messages about your classes, from your studio. Reply STOP to get no more, START to get them again."
_NOTHING = '<?xml version="1.0" encoding="UTF-8"?><Response></Response>'
_OUTCOMES = {
    "accepted": None,
    "scheduled": None,
    "queued": None,
    "sending": None,
    "sent": None,
    "delivered": Outcome.DELIVERED,
    "read": Outcome.DELIVERED,
    "undelivered": Outcome.BOUNCED,
    "failed": Outcome.FAILED,
    "canceled": Outcome.FAILED,
}
_REASONS = {
    "30003": "the phone is off or out of reach",
    "30004": "blocked by the recipient",
    "30005": "the number does not exist",
    "30006": "not a mobile number",
    "30007": "filtered by the carrier",
    "21610": "unsubscribed",
}
# Of these nothing will ever arrive.
_DEAD = ("30005", "30006")


class TwilioWebhooks:
    """A WebhookReader for one account. While one token replaces another both are known.

    Of the address only what was signed is believed: `<callback_url>` and, for a status, `/deliveries/<key>` behind it.
    """

    def __init__(self, account: str, tokens: Sequence[str], callback_url: str) -> None:
        self._account, self._callback_url = account, callback_url
        self._validators = [RequestValidator(token) for token in tokens]

    def open(self, webhook: Webhook) -> Sequence[Event]:
        form = self._verified(webhook)
        if form.get("AccountSid") != self._account or not form.get("MessageSid"):
            raise malformed("is no webhook of this account's messages")
        key = self._key(webhook.url)
        what = form.get("MessageStatus", "") if key else "received"
        payload = {**form, "key": key}
        return [Event(account=self._account, external_id=f"{form['MessageSid']}:{what}", payload=payload)]

    def answer(self, webhook: Webhook) -> str:
        form = _form(webhook.body)
        # Where Twilio answers such words itself, it says so.
        if form.get("OptOutType") or _word(form) not in HELP:
            return _NOTHING
        return _NOTHING.replace("</Response>", f"<Message>{_HELP_TEXT}</Message></Response>")

    def read(self, payload: dict[str, Any]) -> News | None:
        if not payload["key"]:
            granted = {**dict.fromkeys(STOP, False), **dict.fromkeys(START, True)}.get(_word(payload))
            return InboundSms(sender=str(payload.get("From", "")), to=str(payload.get("To", "")), granted=granted)
        status, code = payload.get("MessageStatus"), str(payload.get("ErrorCode", ""))
        if status not in _OUTCOMES:
            return None
        outcome = _OUTCOMES[status]
        failed = outcome in (Outcome.BOUNCED, Outcome.FAILED)
        return DeliveryNews(
            key=payload["key"],
            provider_message_id=payload["MessageSid"],
            outcome=outcome,
            reason=_REASONS.get(code, f"{status} {code}".strip()) if failed else "",
            dead_address=str(payload.get("To", "")) if code in _DEAD else "",
        )

    def _verified(self, webhook: Webhook) -> dict[str, str]:
        signature = webhook.header(SIGNATURE_HEADER.lower())
        algorithm = get_signature_algorithm(webhook.header(SIGNATURE_SETTINGS_HEADER.lower()))
        form = _form(webhook.body)
        ours = webhook.url.startswith(self._callback_url)
        if not ours or not any(each.validate(webhook.url, form, signature, algorithm) for each in self._validators):
            raise forged()
        return form

    def _key(self, url: str) -> str:
        path = urlsplit(url.removeprefix(self._callback_url)).path
        return path.removeprefix("/deliveries/") if path.startswith("/deliveries/") else ""


def _form(body: bytes) -> dict[str, str]:
    """Twilio gives no name twice; what does is not signed by it."""
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=200)
    except ValueError:
        raise forged() from None
    return {name: values[0] for name, values in fields.items() if len(values) == 1}


def _word(form: Mapping[str, Any]) -> str:
    return str(form.get("Body", "")).strip().upper()
