"""Stripe, through its official SDK. Whatever speaks the same wire at STRIPE_API_URL is served alike."""

import json
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime
from typing import Any, TypeVar

import stripe

from services.chassis.clock import real_now
from services.payments.providers.card_gateway import (
    Account,
    Away,
    BadSignature,
    BalanceLine,
    Charge,
    Intent,
    MadeDispute,
    MadePayout,
    MadeRefund,
    Refused,
    Told,
)
from services.payments.providers.currencies import from_provider, to_provider

# Seconds one call may take.
TIMEOUT = 20.0
# Seconds a signature may be old, or ahead of our clock.
TOLERANCE = 300
# What we call our payments in Stripe's metadata.
REFERENCE = "powerhouse_payment"

T = TypeVar("T")


class StripeGateway:
    """A CardGateway with one platform key."""

    def __init__(self, api_key: str, api_url: str, webhook_secrets: list[str], *, timeout: float = TIMEOUT) -> None:
        self._secrets = webhook_secrets
        self._client = stripe.StripeClient(
            api_key,
            base_addresses={"api": api_url.rstrip("/")},
            http_client=stripe.HTTPXClient(timeout=timeout, allow_sync_methods=False),
            # A repeat is ours to decide: it comes with the key that was stored.
            max_network_retries=0,
        )

    async def open_account(self, key: str, *, currency: str, country: str) -> Account:
        made = await _ask(
            self._client.v1.accounts.create_async(
                {
                    "country": country,
                    "default_currency": currency.lower(),
                    "controller": {
                        "fees": {"payer": "account"},
                        "losses": {"payments": "stripe"},
                        "stripe_dashboard": {"type": "full"},
                    },
                    "capabilities": {"card_payments": {"requested": True}, "transfers": {"requested": True}},
                },
                {"idempotency_key": key},
            )
        )
        return _account(made.to_dict())

    async def get_account(self, account: str) -> Account:
        if account:
            found = await _ask(self._client.v1.accounts.retrieve_async(account))
        else:
            found = await _ask(self._client.v1.accounts.retrieve_current_async())
        return _account(found.to_dict(), own_key=not account)

    async def onboarding_link(self, account: str, *, return_url: str) -> tuple[str, datetime]:
        link = await _ask(
            self._client.v1.account_links.create_async(
                {"account": account, "type": "account_onboarding", "return_url": return_url, "refresh_url": return_url}
            )
        )
        return link.url, _time(link.expires_at)

    async def create_intent(self, account: str, key: str, *, amount: int, currency: str, reference: str) -> Intent:
        made = await _ask(
            self._client.v1.payment_intents.create_async(
                {
                    "amount": to_provider(amount, currency),
                    "currency": currency.lower(),
                    "automatic_payment_methods": {"enabled": True},
                    "metadata": {REFERENCE: reference},
                    "expand": ["latest_charge"],
                },
                _on(account, key),
            )
        )
        return self.intent_of(made.to_dict())

    async def get_intent(self, account: str, intent: str) -> Intent:
        found = await _ask(
            self._client.v1.payment_intents.retrieve_async(intent, {"expand": ["latest_charge"]}, _on(account))
        )
        return self.intent_of(found.to_dict())

    async def cancel_intent(self, account: str, intent: str) -> Intent:
        try:
            await _ask(self._client.v1.payment_intents.cancel_async(intent, {}, _on(account)))
        except Refused as refusal:
            if refusal.code != "payment_intent_unexpected_state":
                raise
        return await self.get_intent(account, intent)

    async def refund(self, account: str, key: str, *, intent: str, amount: int, currency: str) -> MadeRefund:
        made = await _ask(
            self._client.v1.refunds.create_async(
                {
                    "payment_intent": intent,
                    "amount": to_provider(amount, currency),
                    "metadata": {REFERENCE: key},
                },
                _on(account, key),
            )
        )
        return _refund(made.to_dict())

    async def get_refund(self, account: str, refund: str) -> MadeRefund:
        return _refund((await _ask(self._client.v1.refunds.retrieve_async(refund, {}, _on(account)))).to_dict())

    async def find_refund(self, account: str, intent: str, reference: str) -> MadeRefund | None:
        found = await _ask(self._client.v1.refunds.list_async({"payment_intent": intent, "limit": 100}, _on(account)))
        async for refund in _each(found):
            if (refund.get("metadata") or {}).get(REFERENCE) == reference:
                return _refund(refund)
        return None

    async def get_dispute(self, account: str, dispute: str) -> MadeDispute:
        found = (await _ask(self._client.v1.disputes.retrieve_async(dispute, {}, _on(account)))).to_dict()
        due = (found.get("evidence_details") or {}).get("due_by")
        currency = found["currency"].upper()
        return MadeDispute(
            external_id=found["id"],
            intent=_id(found.get("payment_intent")),
            amount_minor=from_provider(found["amount"], currency),
            currency_code=currency,
            status=found["status"],
            reason=found["reason"],
            due_time=_time(due) if due else None,
        )

    async def get_payout(self, account: str, payout: str) -> MadePayout:
        found = (await _ask(self._client.v1.payouts.retrieve_async(payout, {}, _on(account)))).to_dict()
        currency = found["currency"].upper()
        return MadePayout(
            external_id=found["id"],
            amount_minor=from_provider(found["amount"], currency),
            currency_code=currency,
            status=found["status"],
            arrival_time=_time(found["arrival_date"]),
        )

    async def intent_of_charge(self, account: str, charge: str) -> str:
        found = await _ask(self._client.v1.charges.retrieve_async(charge, {}, _on(account)))
        return _id(found.to_dict().get("payment_intent"))

    async def method_of_charge(self, account: str, charge: str) -> str:
        found = await _ask(self._client.v1.charges.retrieve_async(charge, {}, _on(account)))
        details = found.to_dict().get("payment_method_details") or {}
        kind = str(details.get("type") or "")
        method = details.get(kind) or {}
        return f"{method.get('brand') or kind} {method.get('last4') or ''}".strip()

    async def balance_lines(self, account: str, since: datetime) -> AsyncIterator[BalanceLine]:
        found = await _ask(
            self._client.v1.balance_transactions.list_async(
                {"created": {"gte": int(since.timestamp())}, "limit": 100}, _on(account)
            )
        )
        async for line in _each(found):
            currency = line["currency"].upper()
            yield BalanceLine(
                external_id=line["id"],
                category=line["reporting_category"],
                source=_id(line.get("source")),
                amount_minor=from_provider(line["amount"], currency),
                fee_minor=from_provider(line["fee"], currency),
                currency_code=currency,
                create_time=_time(line["created"]),
            )

    def verify(self, body: bytes, signature: str) -> Told:
        if not any(self._signed(body, signature, secret) for secret in self._secrets):
            raise BadSignature
        try:
            return _told(json.loads(body))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise BadSignature from None

    def _signed(self, body: bytes, signature: str, secret: str) -> bool:
        try:
            stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE)
        except (stripe.SignatureVerificationError, UnicodeDecodeError):
            return False
        # The SDK looks back only.
        made = next(int(part[2:]) for part in signature.split(",") if part.startswith("t="))
        return made <= real_now().timestamp() + TOLERANCE

    async def events(self, account: str, since: datetime) -> AsyncIterator[Told]:
        found = await _ask(
            self._client.v1.events.list_async({"created": {"gte": int(since.timestamp())}, "limit": 100}, _on(account))
        )
        async for event in _each(found):
            yield _told({**event, "account": account})

    def intent_of(self, payload: dict[str, Any]) -> Intent:
        currency = payload["currency"].upper()
        return Intent(
            external_id=payload["id"],
            reference=(payload.get("metadata") or {}).get(REFERENCE, ""),
            client_secret=payload.get("client_secret") or "",
            status=payload["status"],
            received_minor=from_provider(payload.get("amount_received") or 0, currency),
            currency_code=currency,
            charge=_charge(payload),
        )


async def _ask(call: Awaitable[T]) -> T:
    """Awaits a call of the SDK and says what its errors mean. Their texts may quote a request: codes alone are kept."""
    try:
        return await call
    except stripe.RateLimitError as error:
        raise Away("too many calls") from error
    except (stripe.CardError, stripe.InvalidRequestError, stripe.PermissionError) as error:
        # In flight under the same key: the outcome will be known.
        if error.http_status == 409:
            raise Away("the same call is under way") from error
        raise Refused(f"the provider answered {error.http_status} {error.code}", error.code or "") from error
    except stripe.StripeError as error:
        raise Away(f"the provider answered {error.http_status or 'nothing'}") from error


async def _each(page: Any) -> AsyncIterator[dict[str, Any]]:
    """Everything of a list, page by page."""
    while True:
        for item in page.data:
            yield item.to_dict()
        if not page.has_more:
            return
        page = await _ask(page.next_page_async())


def _on(account: str, key: str = "") -> Any:
    options = {"stripe_account": account, "idempotency_key": key}
    return {name: value for name, value in options.items() if value}


def _account(found: dict[str, Any], *, own_key: bool = False) -> Account:
    requirements = found.get("requirements") or {}
    return Account(
        external_id="" if own_key else found["id"],
        charges_enabled=bool(found.get("charges_enabled")),
        payouts_enabled=bool(found.get("payouts_enabled")),
        requirements=tuple(sorted({*(requirements.get("currently_due") or ()), *(requirements.get("past_due") or ())})),
    )


def _charge(intent: dict[str, Any]) -> Charge | None:
    """The latest decided try: of what failed the intent has the error, with the id of its charge."""
    latest, error = intent.get("latest_charge"), intent.get("last_payment_error")
    if intent["status"] == "succeeded":
        return Charge(_id(latest), intent["id"], True, "", "")
    if error:
        made = error.get("charge") or _id(latest)
        return Charge(made, intent["id"], False, error.get("code") or "", error.get("decline_code") or "")
    return None


def _refund(found: dict[str, Any]) -> MadeRefund:
    currency = found["currency"].upper()
    return MadeRefund(
        external_id=found["id"],
        intent=_id(found.get("payment_intent")),
        reference=(found.get("metadata") or {}).get(REFERENCE, ""),
        amount_minor=from_provider(found["amount"], currency),
        currency_code=currency,
        status=found["status"],
        failure=found.get("failure_reason") or "",
    )


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _id(reference: Any) -> str:
    """Of what is an id, or expanded."""
    return str(reference["id"]) if isinstance(reference, dict) else str(reference or "")


def _told(event: dict[str, Any]) -> Told:
    return Told(
        external_account=event.get("account") or "",
        external_id=str(event["id"]),
        type=str(event["type"]),
        payload=dict(_storable(event["data"]["object"])),
        create_time=_time(event["created"]),
    )


def _storable(value: Any) -> Any:
    """The same without what no database text can hold: NUL, and halves of characters."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\0", "")
    if isinstance(value, dict):
        return {_storable(name): _storable(each) for name, each in value.items()}
    return [_storable(each) for each in value] if isinstance(value, list) else value
