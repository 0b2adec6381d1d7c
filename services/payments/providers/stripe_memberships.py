"""Memberships at Stripe: subscriptions of one price, whose invoices are collected by Stripe's schedule."""

from datetime import datetime
from typing import Any

import stripe

from services.payments.providers.card_gateway import Refused
from services.payments.providers.currencies import from_provider, to_provider
from services.payments.providers.membership_gateway import Invoice, Subscription
from services.payments.providers.stripe_calls import REFERENCE, ask, card_of, id_of, options_of, time_of

# Of what happens to an invoice only this changes anything here.
_TELLING = (
    *("invoice.paid", "invoice.payment_failed", "invoice.payment_action_required"),
    *("invoice.voided", "invoice.marked_uncollectible"),
)
_INVOICE: Any = {"expand": ["confirmation_secret", "payments"]}
_SUBSCRIPTION: Any = {"expand": ["default_payment_method"]}


class StripeMemberships:
    """A MembershipGateway on a client of the SDK."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self._v1 = client.v1

    async def create_price(
        self, account: str, key: str, *, name: str, amount: int, currency: str, interval: str, interval_count: int
    ) -> str:
        wanted: Any = {
            "currency": currency.lower(),
            "unit_amount": to_provider(amount, currency),
            "recurring": {"interval": interval, "interval_count": interval_count},
            "product_data": {"name": name},
        }
        return (await ask(self._v1.prices.create_async(wanted, options_of(account, key)))).id

    async def create_coupon(
        self, account: str, key: str, *, coupon: str, name: str, amount: int, currency: str
    ) -> None:
        wanted: Any = {
            "id": coupon,
            "name": name,
            "amount_off": to_provider(amount, currency),
            "currency": currency.lower(),
            "duration": "once",
        }
        try:
            await ask(self._v1.coupons.create_async(wanted, options_of(account, key)))
        except Refused as refused:
            if refused.code != "resource_already_exists":
                raise

    async def subscribe(
        self, account: str, key: str, *, customer: str, price: str, coupon: str, reference: str
    ) -> Subscription:
        wanted: Any = {
            "customer": customer,
            "items": [{"price": price}],
            "payment_behavior": "default_incomplete",
            "payment_settings": {"save_default_payment_method": "on_subscription"},
            "metadata": {REFERENCE: reference},
            **_SUBSCRIPTION,
        }
        if coupon:
            wanted["discounts"] = [{"coupon": coupon}]
        return _subscription(await ask(self._v1.subscriptions.create_async(wanted, options_of(account, key))))

    async def get_subscription(self, account: str, subscription: str) -> Subscription:
        call = self._v1.subscriptions.retrieve_async(subscription, _SUBSCRIPTION, options_of(account))
        return _subscription(await ask(call))

    async def create_setup(self, account: str, key: str, *, customer: str, reference: str) -> str:
        wanted: Any = {
            "customer": customer,
            "usage": "off_session",
            "payment_method_types": ["card"],
            "metadata": {REFERENCE: reference},
        }
        return (await ask(self._v1.setup_intents.create_async(wanted, options_of(account, key)))).client_secret or ""

    async def get_invoice(self, account: str, invoice: str) -> Invoice:
        found: Any = await ask(self._v1.invoices.retrieve_async(invoice, _INVOICE, options_of(account)))
        return _invoice(found.to_dict())

    async def open_invoices(self, account: str, subscription: str) -> list[str]:
        wanted: Any = {"subscription": subscription, "status": "open", "limit": 100}
        found = await ask(self._v1.invoices.list_async(wanted, options_of(account)))
        return [str(each.id) for each in reversed(found.data)]

    async def invoice_of_intent(self, account: str, intent: str) -> str:
        wanted: Any = {"payment": {"type": "payment_intent", "payment_intent": intent}}
        found = await ask(self._v1.invoice_payments.list_async(wanted, options_of(account)))
        return id_of(found.data[0].to_dict()["invoice"]) if found.data else ""

    async def void_invoice(self, account: str, invoice: str) -> None:
        try:
            await ask(self._v1.invoices.void_invoice_async(invoice, {}, options_of(account)))
        except Refused:
            # Paid or voided meanwhile.
            return

    async def pay_invoice(self, account: str, invoice: str) -> None:
        await ask(self._v1.invoices.pay_async(invoice, {}, options_of(account)))

    async def set_card(self, account: str, subscription: str, card: str) -> Subscription:
        return await self._update(account, subscription, {"default_payment_method": card})

    async def cancel_at_period_end(self, account: str, subscription: str, *, cancel: bool) -> Subscription:
        return await self._update(account, subscription, {"cancel_at_period_end": cancel})

    async def cancel_now(self, account: str, subscription: str) -> Subscription:
        try:
            call = self._v1.subscriptions.cancel_async(subscription, _SUBSCRIPTION, options_of(account))
            return _subscription(await ask(call))
        except Refused:
            found = await self.get_subscription(account, subscription)
            if found.status not in ("canceled", "incomplete_expired"):
                raise
            return found

    async def pause(self, account: str, subscription: str, until: datetime | None) -> Subscription:
        wanted: dict[str, Any] = {"behavior": "void"}
        if until is not None:
            wanted["resumes_at"] = int(until.timestamp())
        return await self._update(account, subscription, {"pause_collection": wanted})

    async def resume(self, account: str, subscription: str) -> Subscription:
        return await self._update(account, subscription, {"pause_collection": ""})

    async def preview_price(self, account: str, subscription: Subscription, price: str, at: datetime) -> int:
        details = {
            "items": [{"id": subscription.item, "price": price}],
            "proration_behavior": "always_invoice",
            "proration_date": int(at.timestamp()),
        }
        wanted: Any = {"subscription": subscription.external_id, "subscription_details": details}
        found = await ask(self._v1.invoices.create_preview_async(wanted, options_of(account)))
        return from_provider(found.total, found.currency.upper())

    async def change_price(
        self, account: str, key: str, subscription: Subscription, price: str, at: datetime | None
    ) -> Subscription:
        wanted: dict[str, Any] = {"items": [{"id": subscription.item, "price": price}]}
        if at is None:
            wanted["proration_behavior"] = "none"
        else:
            wanted |= {
                "proration_behavior": "always_invoice",
                "proration_date": int(at.timestamp()),
                "payment_behavior": "error_if_incomplete",
            }
        return await self._update(account, subscription.external_id, wanted, key)

    def setup_in(self, payload: dict[str, Any]) -> str:
        return str((payload.get("metadata") or {}).get(REFERENCE, ""))

    def subscription_in(self, kind: str, payload: dict[str, Any]) -> tuple[str, str]:
        if kind.startswith("customer.subscription."):
            return str(payload["id"]), ""
        return (_subscription_of(payload), str(payload["id"])) if kind in _TELLING else ("", "")

    async def _update(self, account: str, subscription: str, wanted: Any, key: str = "") -> Subscription:
        call = self._v1.subscriptions.update_async(subscription, wanted | _SUBSCRIPTION, options_of(account, key))
        return _subscription(await ask(call))


def _subscription(found: stripe.Subscription) -> Subscription:
    told: dict[str, Any] = found.to_dict()
    # Ours have one; what the studio made by hand may have more.
    item = told["items"]["data"][0]
    pause = told.get("pause_collection") or {}
    method = told.get("default_payment_method")
    return Subscription(
        external_id=told["id"],
        reference=(told.get("metadata") or {}).get(REFERENCE, ""),
        status=told["status"],
        unpaid=(told.get("cancellation_details") or {}).get("reason") == "payment_failed",
        price=id_of(item["price"]),
        item=item["id"],
        period_start=time_of(item["current_period_start"]),
        period_end=time_of(item["current_period_end"]),
        cancel_at_period_end=bool(told.get("cancel_at_period_end")),
        paused=bool(pause),
        resume_time=time_of(pause["resumes_at"]) if pause.get("resumes_at") else None,
        latest_invoice=id_of(told.get("latest_invoice")),
        # What was taken from its customer pays nothing any more.
        card=card_of(method) if method and method.get("customer") else None,
    )


def _invoice(found: dict[str, Any]) -> Invoice:
    currency, lines = found["currency"].upper(), found["lines"]["data"]
    # Of a change: what is given back for the old price comes with what the new one costs.
    new = next((line for line in lines if line["amount"] >= 0), lines[0])
    old = next((line for line in lines if line["amount"] < 0), None)
    paid_by = sorted((found.get("payments") or {}).get("data", ()), key=lambda each: not each.get("is_default"))
    payments = [each["payment"] for each in paid_by]
    retry = found.get("next_payment_attempt")
    return Invoice(
        external_id=found["id"],
        subscription=_subscription_of(found),
        status=found["status"],
        total_minor=from_provider(found["total"], currency),
        currency_code=currency,
        first=found.get("billing_reason") == "subscription_create",
        price=_price_of(new),
        old_price=_price_of(old) if old else "",
        start=time_of(new["period"]["start"]),
        end=time_of(new["period"]["end"]),
        attempts=found.get("attempt_count") or 0,
        next_attempt_time=time_of(retry) if retry else None,
        intent=next((id_of(each["payment_intent"]) for each in payments if each.get("payment_intent")), ""),
        client_secret=(found.get("confirmation_secret") or {}).get("client_secret", ""),
    )


def _subscription_of(invoice: dict[str, Any]) -> str:
    return id_of(((invoice.get("parent") or {}).get("subscription_details") or {}).get("subscription"))


def _price_of(line: dict[str, Any]) -> str:
    return id_of(((line.get("pricing") or {}).get("price_details") or {}).get("price"))
