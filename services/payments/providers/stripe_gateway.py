"""Stripe, through its official SDK. Whatever speaks the same wire at STRIPE_API_URL is served alike."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import stripe

from services.chassis.clock import real_now
from services.payments.providers.card_gateway import (
    Account,
    BadSignature,
    BalanceLine,
    Charge,
    Intent,
    MadeDispute,
    MadePayout,
    MadeRefund,
    Refused,
    SavedCard,
    Setup,
    Told,
)
from services.payments.providers.currencies import from_provider, to_provider
from services.payments.providers.stripe_calls import (
    REFERENCE,
    TIMEOUT,
    ask,
    card_of,
    each_of,
    id_of,
    options_of,
    stripe_client,
    time_of,
)

# Seconds a signature may be old, or ahead of our clock.
TOLERANCE = 300
# What we call our clients in Stripe's metadata, and the card that a new one replaces.
CLIENT, REPLACES = "powerhouse_client", "powerhouse_replaces"
# Of which it is known days later whether they came: docs.stripe.com/payments/payment-methods, "delayed notification".
SLOW = (
    *("acss_debit", "au_becs_debit", "bacs_debit", "boleto", "customer_balance", "konbini", "multibanco"),
    *("nz_bank_account", "oxxo", "payto", "sepa_debit", "us_bank_account"),
)
# By Stripe's names.
WALLETS = ("apple_pay", "google_pay")


class StripeGateway:
    """A CardGateway with one platform key."""

    def __init__(self, api_key: str, api_url: str, webhook_secrets: list[str], *, timeout: float = TIMEOUT) -> None:
        self._secrets = webhook_secrets
        self._client = stripe_client(api_key, api_url, timeout)

    async def open_account(self, key: str, *, currency: str, country: str) -> Account:
        made = await ask(
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
            found = await ask(self._client.v1.accounts.retrieve_async(account))
        else:
            found = await ask(self._client.v1.accounts.retrieve_current_async())
        return _account(found.to_dict(), own_key=not account)

    async def onboarding_link(self, account: str, *, return_url: str) -> tuple[str, datetime]:
        link = await ask(
            self._client.v1.account_links.create_async(
                {"account": account, "type": "account_onboarding", "return_url": return_url, "refresh_url": return_url}
            )
        )
        return link.url, time_of(link.expires_at)

    async def register_domain(self, account: str, domain: str) -> tuple[str, ...]:
        # Each connected account has its own: docs.stripe.com/payments/payment-methods/pmd-registration.
        domains, options = self._client.v1.payment_method_domains, options_of(account)
        known = await ask(domains.list_async({"domain_name": domain}, options))
        if known.data:
            # Its wallets may have become inactive since.
            told = await ask(domains.validate_async(known.data[0].id, {}, options))
        else:
            told = await ask(domains.create_async({"domain_name": domain}, options))
        found = told.to_dict()
        return tuple(wallet for wallet in WALLETS if found["enabled"] and found[wallet]["status"] == "active")

    async def create_intent(
        self, account: str, key: str, *, amount: int, currency: str, reference: str, at_once: bool
    ) -> Intent:
        wanted: Any = {
            "amount": to_provider(amount, currency),
            "currency": currency.lower(),
            "automatic_payment_methods": {"enabled": True},
            "metadata": {REFERENCE: reference},
            "expand": ["latest_charge"],
        }
        if at_once:
            wanted["excluded_payment_method_types"] = list(SLOW)
        made = await ask(self._client.v1.payment_intents.create_async(wanted, options_of(account, key)))
        return self.intent_of(made.to_dict())

    async def get_intent(self, account: str, intent: str) -> Intent:
        found = await ask(
            self._client.v1.payment_intents.retrieve_async(intent, {"expand": ["latest_charge"]}, options_of(account))
        )
        return self.intent_of(found.to_dict())

    async def prepare_intent(self, account: str, intent: str, *, customer: str, save: bool, card: str) -> Intent:
        changes: Any = {"customer": customer, "expand": ["latest_charge"]}
        changes["setup_future_usage"] = "off_session" if save else ""
        if card:
            changes["payment_method"] = card
        return self.intent_of(
            (await ask(self._client.v1.payment_intents.update_async(intent, changes, options_of(account)))).to_dict()
        )

    async def charge_intent(self, account: str, intent: str, key: str, *, customer: str, card: str) -> Intent:
        try:
            await ask(self._client.v1.payment_intents.update_async(intent, {"customer": customer}, options_of(account)))
            await ask(
                self._client.v1.payment_intents.confirm_async(
                    intent, {"payment_method": card, "off_session": True}, options_of(account, key)
                )
            )
        except Refused:
            # Declined, paid meanwhile, given up: the intent says which.
            pass
        return await self.get_intent(account, intent)

    async def create_customer(self, account: str, key: str, *, reference: str) -> str:
        wanted: Any = {"metadata": {CLIENT: reference}}
        made = await ask(self._client.v1.customers.create_async(wanted, options_of(account, key)))
        return made.id

    async def delete_customer(self, account: str, customer: str) -> None:
        await ask(self._client.v1.customers.delete_async(customer, {}, options_of(account)))

    async def create_setup(self, account: str, key: str, *, customer: str, replaces: str) -> Setup:
        wanted: Any = {"customer": customer, "usage": "off_session", "payment_method_types": ["card"]}
        if replaces:
            wanted["metadata"] = {REPLACES: replaces}
        made = await ask(self._client.v1.setup_intents.create_async(wanted, options_of(account, key)))
        return Setup(account, made.client_secret or "")

    async def saved_cards(self, account: str, customer: str) -> list[SavedCard]:
        wanted: Any = {"type": "card", "limit": 100}
        call = self._client.v1.customers.payment_methods.list_async(customer, wanted, options_of(account))
        found = await ask(call)
        return [card_of(each) async for each in each_of(found)]

    async def default_card(self, account: str, customer: str) -> str:
        found = (await ask(self._client.v1.customers.retrieve_async(customer, {}, options_of(account)))).to_dict()
        return id_of((found.get("invoice_settings") or {}).get("default_payment_method"))

    async def set_default_card(self, account: str, customer: str, card: str) -> None:
        changes: Any = {"invoice_settings": {"default_payment_method": card}}
        await ask(self._client.v1.customers.update_async(customer, changes, options_of(account)))

    async def detach_card(self, account: str, card: str) -> None:
        await ask(self._client.v1.payment_methods.detach_async(card, {}, options_of(account)))

    async def cancel_intent(self, account: str, intent: str) -> Intent:
        try:
            await ask(self._client.v1.payment_intents.cancel_async(intent, {}, options_of(account)))
        except Refused as refusal:
            if refusal.code != "payment_intent_unexpected_state":
                raise
        return await self.get_intent(account, intent)

    async def refund(self, account: str, key: str, *, intent: str, amount: int, currency: str) -> MadeRefund:
        made = await ask(
            self._client.v1.refunds.create_async(
                {
                    "payment_intent": intent,
                    "amount": to_provider(amount, currency),
                    "metadata": {REFERENCE: key},
                },
                options_of(account, key),
            )
        )
        return _refund(made.to_dict())

    async def get_refund(self, account: str, refund: str) -> MadeRefund:
        return _refund((await ask(self._client.v1.refunds.retrieve_async(refund, {}, options_of(account)))).to_dict())

    async def find_refund(self, account: str, intent: str, reference: str) -> MadeRefund | None:
        wanted: Any = {"payment_intent": intent, "limit": 100}
        found = await ask(self._client.v1.refunds.list_async(wanted, options_of(account)))
        async for refund in each_of(found):
            if (refund.get("metadata") or {}).get(REFERENCE) == reference:
                return _refund(refund)
        return None

    async def get_dispute(self, account: str, dispute: str) -> MadeDispute:
        found = (await ask(self._client.v1.disputes.retrieve_async(dispute, {}, options_of(account)))).to_dict()
        due = (found.get("evidence_details") or {}).get("due_by")
        currency = found["currency"].upper()
        return MadeDispute(
            external_id=found["id"],
            intent=id_of(found.get("payment_intent")),
            amount_minor=from_provider(found["amount"], currency),
            currency_code=currency,
            status=found["status"],
            reason=found["reason"],
            due_time=time_of(due) if due else None,
        )

    async def get_payout(self, account: str, payout: str) -> MadePayout:
        found = (await ask(self._client.v1.payouts.retrieve_async(payout, {}, options_of(account)))).to_dict()
        currency = found["currency"].upper()
        return MadePayout(
            external_id=found["id"],
            amount_minor=from_provider(found["amount"], currency),
            currency_code=currency,
            status=found["status"],
            arrival_time=time_of(found["arrival_date"]),
        )

    async def intent_of_charge(self, account: str, charge: str) -> str:
        found = await ask(self._client.v1.charges.retrieve_async(charge, {}, options_of(account)))
        return id_of(found.to_dict().get("payment_intent"))

    async def method_of_charge(self, account: str, charge: str) -> str:
        found = await ask(self._client.v1.charges.retrieve_async(charge, {}, options_of(account)))
        details = found.to_dict().get("payment_method_details") or {}
        kind = str(details.get("type") or "")
        method = details.get(kind) or {}
        wallet = (method.get("wallet") or {}).get("type")
        return f"{wallet or method.get('brand') or kind} {method.get('last4') or ''}".strip()

    async def balance_lines(self, account: str, since: datetime) -> AsyncIterator[BalanceLine]:
        found = await ask(
            self._client.v1.balance_transactions.list_async(
                {"created": {"gte": int(since.timestamp())}, "limit": 100}, options_of(account)
            )
        )
        async for line in each_of(found):
            currency = line["currency"].upper()
            yield BalanceLine(
                external_id=line["id"],
                category=line["reporting_category"],
                source=id_of(line.get("source")),
                amount_minor=from_provider(line["amount"], currency),
                fee_minor=from_provider(line["fee"], currency),
                currency_code=currency,
                create_time=time_of(line["created"]),
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
        wanted: Any = {"created": {"gte": int(since.timestamp())}, "limit": 100}
        found = await ask(self._client.v1.events.list_async(wanted, options_of(account)))
        async for event in each_of(found):
            yield _told({**event, "account": account})

    def card_of(self, payload: dict[str, Any]) -> tuple[str, str, str]:
        replaces = (payload.get("metadata") or {}).get(REPLACES, "")
        card = payload["id"] if payload["object"] == "payment_method" else id_of(payload.get("payment_method"))
        return id_of(payload.get("customer")), card, replaces

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
            saves=bool(payload.get("setup_future_usage")),
        )


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
        return Charge(id_of(latest), intent["id"], True, "", "")
    if error:
        made = error.get("charge") or id_of(latest)
        return Charge(made, intent["id"], False, error.get("code") or "", error.get("decline_code") or "")
    return None


def _refund(found: dict[str, Any]) -> MadeRefund:
    currency = found["currency"].upper()
    return MadeRefund(
        external_id=found["id"],
        intent=id_of(found.get("payment_intent")),
        reference=(found.get("metadata") or {}).get(REFERENCE, ""),
        amount_minor=from_provider(found["amount"], currency),
        currency_code=currency,
        status=found["status"],
        failure=found.get("failure_reason") or "",
    )


def _told(event: dict[str, Any]) -> Told:
    return Told(
        external_account=event.get("account") or "",
        external_id=str(event["id"]),
        type=str(event["type"]),
        payload=dict(_storable(event["data"]["object"])),
        create_time=time_of(event["created"]),
    )


def _storable(value: Any) -> Any:
    """The same without what no database text can hold: NUL, and halves of characters; decimals as on the wire."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\0", "")
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        return {_storable(name): _storable(each) for name, each in value.items()}
    return [_storable(each) for each in value] if isinstance(value, list) else value
