"""Resend's webhooks, signed by Svix's scheme."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import resend

from services.notify.models import Outcome
from services.notify.providers.resend import KEY_TAG
from services.notify.providers.webhooks import DeliveryNews, Event, News, Webhook, check_age, forged, malformed, words

# Seconds; the SDK allows as many.
TOLERANCE = 300
_OUTCOMES = {
    "email.sent": None,
    "email.delivered": Outcome.DELIVERED,
    "email.bounced": Outcome.BOUNCED,
    "email.complained": Outcome.COMPLAINED,
    "email.failed": Outcome.FAILED,
    "email.suppressed": Outcome.FAILED,
}


class ResendWebhooks:
    """A WebhookReader. While one secret replaces another both are known."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = secrets

    def open(self, webhook: Webhook) -> Sequence[Event]:
        headers = {name: webhook.header(f"svix-{name}") for name in ("id", "timestamp", "signature")}
        check_age(headers["timestamp"], TOLERANCE)
        payload = self._verified(webhook.body, headers)
        if not isinstance(payload, dict) or not isinstance(payload.get("data"), dict):
            raise malformed("is no event of Resend")
        return [Event(account="", external_id=headers["id"], payload=payload)]

    def answer(self, webhook: Webhook) -> str:
        return ""

    def read(self, payload: dict[str, Any]) -> News | None:
        name, data = payload.get("type"), payload["data"]
        if name not in _OUTCOMES:
            return None
        outcome = _OUTCOMES[name]
        bounce = data.get("bounce") or {}
        address = _first(data.get("to"))
        return DeliveryNews(
            key=_key(data.get("tags")),
            provider_message_id=str(data.get("email_id", "")),
            outcome=outcome,
            reason=_reason(name, bounce, data),
            at=_time(payload.get("created_at")),
            dead_address=address if outcome == Outcome.BOUNCED and bounce.get("type") == "Permanent" else "",
            unwilling_address=address if outcome == Outcome.COMPLAINED else "",
        )

    def _verified(self, body: bytes, headers: dict[str, str]) -> object:
        for secret in self._secrets:
            try:
                return resend.Webhooks.verify(
                    {"payload": body.decode(), "headers": headers, "webhook_secret": secret}  # type: ignore[typeddict-item]
                )
            except ValueError:
                continue
        raise forged()


def _key(tags: object) -> str:
    """Tags are told as an object, and as a list where they are sent."""
    if isinstance(tags, list):
        tags = {tag.get("name"): tag.get("value") for tag in tags if isinstance(tag, dict)}
    return str(tags.get(KEY_TAG, "")) if isinstance(tags, dict) else ""


def _reason(name: str, bounce: dict[str, Any], data: dict[str, Any]) -> str:
    if name == "email.bounced":
        return f"bounced: {words(bounce.get('type'))} {words(bounce.get('subType'))}".strip(": ")
    if name in ("email.failed", "email.suppressed"):
        told = data.get("failed") or data.get("suppressed") or {}
        return f"failed: {words(told.get('reason') or told.get('type'))}".strip(": ")
    return "called spam by its reader" if name == "email.complained" else ""


def _first(to: object) -> str:
    return str(to[0]) if isinstance(to, list) and to else ""


def _time(text: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at if at.tzinfo else None
