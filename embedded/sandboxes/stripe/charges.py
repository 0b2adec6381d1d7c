"""Charges, and the balance transaction that each brings."""

from dataclasses import replace

from embedded.sandboxes.stripe.api import collection, included, listed, on, readable, timer
from embedded.sandboxes.stripe.merchant import Merchant, new_id
from embedded.sandboxes.stripe.methods import NOBODY, card_of
from embedded.sandboxes.stripe.money import fee
from embedded.sandboxes.stripe.wire import Object, Params

# When the balance transaction of an asynchronous capture is there, and when its money is.
SETTLES_AFTER, AVAILABLE_AFTER = 1, 2 * 86400
DISPUTED_AFTER = 2

readable("/v1/charges", "charge")


@on("POST", "/v1/charges/{id}")
def update(merchant: Merchant, params: Params, id: str) -> Object:
    """Changes what is written on a charge."""
    body = merchant.need("charge", id)
    body["metadata"] = params.metadata(body["metadata"])
    for name in ("description", "receipt_email"):
        if name in params:
            body[name] = params.text(name)
    merchant.save(body)
    merchant.emit("charge.updated", body)
    return body


@included("charge", "refunds")
def refunds(merchant: Merchant, body: Object) -> Object:
    """What went back."""
    found = merchant.find("refund", "json_extract(body, '$.charge') = ?", body["id"])
    return collection(found[::-1], f"/v1/charges/{body['id']}/refunds")


@on("GET", "/v1/charges/{id}/refunds")
def refunds_of(merchant: Merchant, params: Params, id: str) -> Object:
    """What went back, by pages."""
    merchant.need("charge", id, "charge")
    where = "json_extract(body, '$.charge') = ?"
    return listed(merchant, params, "refund", f"/v1/charges/{id}/refunds", (), where, (id,))


def charge(merchant: Merchant, intent: Object, method: Object, declined: tuple[str, str, str] | None) -> Object:
    """One attempt to take an intent's money; `declined` is code, decline code and message."""
    captured = intent["capture_method"] != "manual" and declined is None
    billing = method["billing_details"] or NOBODY
    body: Object = {
        "id": new_id("ch" if method["type"] == "card" else "py"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if captured else 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": billing,
        "calculated_statement_descriptor": intent["statement_descriptor"] or "POWERHOUSE SANDBOX",
        "captured": captured,
        "created": merchant.now,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": declined[0] if declined else None,
        "failure_message": declined[2] if declined else None,
        "fraud_details": {},
        "livemode": False,
        "metadata": intent["metadata"],
        "on_behalf_of": None,
        "outcome": _outcome(declined),
        "paid": declined is None,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": _details(intent, method),
        "receipt_email": intent["receipt_email"],
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": intent["shipping"],
        "source_transfer": None,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": "failed" if declined else "succeeded",
        "transfer_data": None,
        "transfer_group": None,
    }
    if declined is None:
        body["receipt_url"] = f"{merchant.base_url}/#{body['id']}"
    return merchant.add(body)


def settle_later(merchant: Merchant, body: Object, capture_method: str) -> None:
    """Books a captured charge: at once, or as Stripe does by default, a moment later."""
    card = card_of(merchant.need("payment_method", body["payment_method"]))
    if capture_method == "automatic_async" and merchant.clock is None:
        merchant.after(SETTLES_AFTER, "charge.settle", body["id"])
    else:
        settled(merchant, body)
    if card and card.dispute:
        merchant.after(DISPUTED_AFTER, "dispute.open", body["id"])


@timer("charge.settle")
def settle(merchant: Merchant, identity: str) -> None:
    """The balance transaction arrives."""
    body = merchant.need("charge", identity)
    if body["balance_transaction"] is None:
        settled(merchant, body)
        # It happens by itself, whoever may have been in a hurry.
        replace(merchant, request=None, key=None).emit("charge.updated", body, {"balance_transaction": None})


def settled(merchant: Merchant, body: Object) -> Object:
    """A charge with its balance transaction."""
    if body["balance_transaction"] is None:
        card = card_of(merchant.need("payment_method", body["payment_method"]))
        amount = body["amount_captured"]
        body["balance_transaction"] = book(
            merchant,
            "charge" if body["id"].startswith("ch_") else "payment",
            body,
            amount,
            fee(amount, body["currency"]),
            category="charge",
            available=merchant.now + (0 if card and card.available_at_once else AVAILABLE_AFTER),
        )["id"]
        merchant.save(body)
    return body


def book(
    merchant: Merchant,
    kind: str,
    source: Object,
    amount: int,
    taken: int = 0,
    *,
    available: int | None = None,
    category: str | None = None,
    description: str | None = None,
) -> Object:
    """A balance transaction: what came or went, less the fee."""
    details = {"amount": taken, "currency": source["currency"], "type": "stripe_fee", "application": None}
    when = merchant.now if available is None else available
    body: Object = {
        "id": new_id("txn"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": when,
        "balance_type": "payments",
        "created": merchant.now,
        "currency": source["currency"],
        "description": description or source.get("description"),
        "exchange_rate": None,
        "fee": taken,
        "fee_details": [{**details, "description": "Stripe processing fees"}] if taken else [],
        "net": amount - taken,
        "reporting_category": category or kind,
        "source": source["id"],
        "status": "available" if when <= merchant.now else "pending",
        "type": kind,
        "_payout": None,
    }
    merchant.add(body)
    if body["status"] == "pending":
        merchant.at(when, "balance.available", body["id"])
    return body


@timer("balance.available")
def became_available(merchant: Merchant, identity: str) -> None:
    """Pending money can be paid out."""
    body = merchant.need("balance_transaction", identity)
    body["status"] = "available"
    merchant.save(body)


def _outcome(declined: tuple[str, str, str] | None) -> Object:
    if declined is None:
        return {
            "advice_code": None,
            "network_advice_code": None,
            "network_decline_code": None,
            "network_status": "approved_by_network",
            "reason": None,
            "risk_level": "normal",
            "risk_score": 20,
            "seller_message": "Payment complete.",
            "type": "authorized",
        }
    return {
        "advice_code": "try_again_later" if declined[1] != "expired_card" else "confirm_card_data",
        "network_advice_code": None,
        "network_decline_code": "05",
        "network_status": "declined_by_network",
        "reason": declined[1],
        "risk_level": "normal",
        "risk_score": 20,
        "seller_message": "The bank did not approve the payment.",
        "type": "issuer_declined",
    }


def _details(intent: Object, method: Object) -> Object:
    if method["type"] != "card":
        return {"type": "us_bank_account", "us_bank_account": {**method["us_bank_account"], "payment_reference": None}}
    card = {name: method["card"][name] for name in ("brand", "checks", "country", "exp_month", "exp_year", "last4")}
    authenticated = {"authentication_flow": "challenge", "result": "authenticated", "version": "2.2.0"}
    more = {
        "amount_authorized": intent["amount"],
        "fingerprint": method["card"]["fingerprint"],
        "funding": method["card"]["funding"],
        "network": method["card"]["brand"],
        "three_d_secure": authenticated if intent.get("_authenticated") else None,
        "wallet": method["card"]["wallet"],
    }
    return {"type": "card", "card": card | more}
