"""SendGrid's event webhook, signed by ECDSA. One request tells of many messages."""

import binascii
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sendgrid.helpers.eventwebhook import EventWebhook

from services.notify.models import Outcome
from services.notify.providers.sendgrid import KEY_ARGUMENT
from services.notify.providers.webhooks import DeliveryNews, Event, News, Webhook, check_age, forged, malformed, words

# Seconds. It repeats a webhook for a day and does not say whether it signs anew; what comes twice is known by its id.
TOLERANCE = 25 * 3600
_OUTCOMES = {
    "processed": None,
    "delivered": Outcome.DELIVERED,
    "bounce": Outcome.BOUNCED,
    "dropped": Outcome.FAILED,
    "spamreport": Outcome.COMPLAINED,
    # It arrived, and its reader wants no more.
    "unsubscribe": Outcome.DELIVERED,
    "group_unsubscribe": Outcome.DELIVERED,
}
_UNWILLING = ("spamreport", "unsubscribe", "group_unsubscribe")


class SendGridWebhooks:
    """A WebhookReader. While one key replaces another both are known."""

    def __init__(self, public_keys: Sequence[str]) -> None:
        self._verifiers = [EventWebhook(key) for key in public_keys]

    def open(self, webhook: Webhook) -> Sequence[Event]:
        timestamp = webhook.header("x-twilio-email-event-webhook-timestamp")
        check_age(timestamp, TOLERANCE)
        signature = webhook.header("x-twilio-email-event-webhook-signature")
        if not any(_is_signed(verifier, webhook.body, signature, timestamp) for verifier in self._verifiers):
            raise forged()
        try:
            told: list[dict[str, Any]] = json.loads(webhook.body)
            events = [Event(account="", external_id=str(event["sg_event_id"]), payload=event) for event in told]
        except (ValueError, KeyError, TypeError):
            raise malformed("is no list of SendGrid's events") from None
        if not events:
            raise malformed("tells nothing")
        return events

    def answer(self, webhook: Webhook) -> str:
        return ""

    def read(self, payload: dict[str, Any]) -> News | None:
        name = payload.get("event")
        if name not in _OUTCOMES:
            return None
        outcome, address = _OUTCOMES[name], str(payload.get("email", ""))
        return DeliveryNews(
            key=str(payload.get(KEY_ARGUMENT, "")),
            # The rest of the id tells which of its machines it was.
            provider_message_id=str(payload.get("sg_message_id", "")).partition(".")[0],
            outcome=outcome,
            reason=_reason(name, payload),
            at=_time(payload.get("timestamp")),
            # "blocked" is a refusal of the day, "bounce" one for good.
            dead_address=address if name == "bounce" and payload.get("type") == "bounce" else "",
            unwilling_address=address if name in _UNWILLING else "",
        )


def _is_signed(verifier: EventWebhook, body: bytes, signature: str, timestamp: str) -> bool:
    try:
        return bool(verifier.verify_signature(body.decode(), signature, timestamp))
    except (binascii.Error, ValueError):
        return False


def _reason(name: str, payload: dict[str, Any]) -> str:
    if name == "bounce":
        return f"{words(payload.get('type')) or 'bounced'}: {words(payload.get('status'))}".strip(": ")
    if name == "dropped":
        return f"failed: {words(payload.get('reason'))}".strip(": ")
    return "called spam by its reader" if name == "spamreport" else ""


def _time(timestamp: object) -> datetime | None:
    return datetime.fromtimestamp(timestamp, UTC) if isinstance(timestamp, int) else None
