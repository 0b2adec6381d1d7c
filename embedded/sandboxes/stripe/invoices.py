"""Invoices: drawn up, finalised, paid or not, tried again by a schedule."""

from embedded.sandboxes.stripe.api import TIMERS, collection, included, listed, on, timer
from embedded.sandboxes.stripe.attempts import attempt, checked_method
from embedded.sandboxes.stripe.intents import canceled, made
from embedded.sandboxes.stripe.merchant import Merchant, new_id
from embedded.sandboxes.stripe.wire import Declined, Object, Params, Refusal

FINALISED_AFTER = 3600
# After the first failure, and after each that follows; then the subscription ends.
RETRIES = (3 * 86400, 5 * 86400, 7 * 86400)
FILTERS = ("customer", "status", "collection_method")


@on("GET", "/v1/invoice_payments/{id}")
def retrieve_payment(merchant: Merchant, params: Params, id: str) -> Object:
    """One attempt to pay."""
    return merchant.need("invoice_payment", id)


@on("GET", "/v1/invoice_payments")
def list_payments(merchant: Merchant, params: Params) -> Object:
    """Which invoice a PaymentIntent pays, and the other way round."""
    of, where, values = params.nested("payment"), "1", tuple[str, ...]()
    of.choice("type", ("payment_intent",))
    if intent := of.text("payment_intent"):
        where, values = "json_extract(body, '$.payment.payment_intent') = ?", (intent,)
    url = "/v1/invoice_payments"
    return listed(merchant, params, "invoice_payment", url, ("invoice", "status"), where, values)


@on("GET", "/v1/invoices/{id}")
def retrieve(merchant: Merchant, params: Params, id: str) -> Object:
    """One."""
    return merchant.need("invoice", id)


@on("GET", "/v1/invoices")
def listing(merchant: Merchant, params: Params) -> Object:
    """All, of a customer or a subscription."""
    where, values = "1", tuple[str, ...]()
    if subscription := params.text("subscription"):
        where, values = "json_extract(body, '$.parent.subscription_details.subscription') = ?", (subscription,)
    return listed(merchant, params, "invoice", "/v1/invoices", FILTERS, where, values)


@on("GET", "/v1/invoices/{id}/lines")
def lines(merchant: Merchant, params: Params, id: str) -> Object:
    """Its lines."""
    params.integer("limit")
    return collection(merchant.need("invoice", id)["lines"]["data"], f"/v1/invoices/{id}/lines")


@on("POST", "/v1/invoices/{id}")
def update(merchant: Merchant, params: Params, id: str) -> Object:
    """Changes metadata and how it is collected."""
    body = merchant.need("invoice", id)
    body["metadata"] = params.metadata(body["metadata"])
    body["auto_advance"] = params.flag("auto_advance", body["auto_advance"])
    if "description" in params:
        body["description"] = params.text("description")
    merchant.save(body)
    merchant.emit("invoice.updated", body)
    return body


@on("POST", "/v1/invoices/{id}/finalize")
def finalize(merchant: Merchant, params: Params, id: str) -> Object:
    """Makes a draft an open invoice."""
    body = merchant.need("invoice", id)
    params.flag("auto_advance")
    if body["status"] != "draft":
        raise Refusal("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
    return finalised(merchant.of(body), body)


@on("POST", "/v1/invoices/{id}/pay")
def pay(merchant: Merchant, params: Params, id: str) -> Object:
    """Tries to be paid now. Raises Declined."""
    body = merchant.need("invoice", id)
    merchant = merchant.of(body)
    if body["status"] == "draft":
        body = finalised(merchant, body)
    if body["status"] != "open":
        raise Refusal(f"Invoice is already {body['status']}.", code="invoice_not_editable")
    method, off_session = params.text("payment_method"), params.flag("off_session", True)
    if params.flag("paid_out_of_band"):
        return _paid(merchant, body, None)
    declined = collect(merchant, body, method, off_session=off_session)
    if declined:
        raise declined
    return merchant.need("invoice", id)


@on("POST", "/v1/invoices/{id}/void")
def void(merchant: Merchant, params: Params, id: str) -> Object:
    """Takes one back."""
    return voided(merchant, merchant.need("invoice", id))


@on("POST", "/v1/invoices/{id}/mark_uncollectible")
def mark_uncollectible(merchant: Merchant, params: Params, id: str) -> Object:
    """Gives one up."""
    body = merchant.need("invoice", id)
    if body["status"] != "open":
        raise Refusal("Only open invoices can be marked uncollectible.")
    return given_up(merchant, body)


@included("invoice", "payments")
def payments(merchant: Merchant, body: Object) -> Object:
    """The attempts to pay it."""
    found = merchant.find("invoice_payment", "json_extract(body, '$.invoice') = ?", body["id"])
    return collection(found, "/v1/invoice_payments")


@included("invoice", "confirmation_secret")
def confirmation_secret(merchant: Merchant, body: Object) -> Object | None:
    """With what a browser pays it."""
    if body["_intent"] is None:
        return None
    return {
        "client_secret": merchant.need("payment_intent", body["_intent"])["client_secret"],
        "type": "payment_intent",
    }


def stored(merchant: Merchant, body: Object, *, finalises: bool = True) -> Object:
    """A draft that others may see; it finalises itself an hour later."""
    if finalises:
        body["automatically_finalizes_at"] = merchant.now + FINALISED_AFTER
        merchant.after(FINALISED_AFTER, "invoice.finalise", body["id"])
    for name in body["discounts"]:
        discount = merchant.need("discount", name)
        if discount["_once"]:
            merchant.save(discount | {"end": merchant.now})
    merchant.add(body)
    merchant.emit("invoice.created", body)
    return body


@timer("invoice.finalise")
def finalise_and_collect(merchant: Merchant, identity: str) -> None:
    """The hour is over."""
    body = merchant.need("invoice", identity)
    if body["status"] == "draft" and body["auto_advance"]:
        body = finalised(merchant, body)
        if body["status"] == "open":
            collect(merchant, body)


@timer("invoice.retry")
def retry(merchant: Merchant, identity: str) -> None:
    """The schedule says to try again."""
    body = merchant.need("invoice", identity)
    if body["status"] == "open" and body["auto_advance"]:
        collect(merchant, body)


def finalised(merchant: Merchant, body: Object) -> Object:
    """An open invoice; what a balance covers is paid at once."""
    customer = merchant.need("customer", body["customer"])
    number = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04d}"
    body |= {"status": "open", "number": number, "effective_at": merchant.now, "automatically_finalizes_at": None}
    body["status_transitions"]["finalized_at"] = merchant.now
    due = max(0, body["total"] + customer["balance"])
    body |= {"starting_balance": customer["balance"], "amount_due": due, "amount_remaining": due}
    # A credit is used up as far as it goes; an invoice below zero adds to it.
    body["ending_balance"] = min(0, body["total"] + customer["balance"]) if customer["balance"] <= 0 else 0
    customer |= {"balance": body["ending_balance"], "next_invoice_sequence": customer["next_invoice_sequence"] + 1}
    merchant.save(customer)
    if body["amount_due"]:
        intent = made(merchant, body["amount_due"], body["currency"], body["customer"])
        described = (
            "Subscription creation" if body["billing_reason"] == "subscription_create" else "Subscription update"
        )
        intent |= {"description": described, "setup_future_usage": "off_session", "_invoice": body["id"]}
        merchant.add(intent)
        merchant.emit("payment_intent.created", intent)
        body["_intent"] = intent["id"]
        merchant.add(_payment(merchant, body, intent))
    merchant.save(body)
    merchant.emit("invoice.finalized", body)
    return body if body["amount_due"] else _paid(merchant, body, None)


def collect(merchant: Merchant, body: Object, named: str | None = None, *, off_session: bool = True) -> Declined | None:
    """Tries to take what an open invoice is due; says how it was declined."""
    method = named or default_method(merchant, body)
    intent = merchant.need("payment_intent", body["_intent"])
    if method is None:
        TIMERS["invoice.payment"](merchant, body["id"])
        return Declined("This customer has no attached payment source or default payment method.", code="missing")
    intent["payment_method"] = checked_method(merchant, intent, method)["id"]
    try:
        attempt(merchant, intent, off_session=off_session)
    except Declined as declined:
        return declined
    return None


def default_method(merchant: Merchant, body: Object) -> str | None:
    """With what an invoice is paid: its subscription's method, or else its customer's."""
    subscription = merchant.get(_subscription(body) or "")
    customer = merchant.need("customer", body["customer"])
    own = subscription["default_payment_method"] if subscription else None
    method: str | None = own or customer["invoice_settings"]["default_payment_method"]
    return method


@timer("invoice.payment")
def payment_changed(merchant: Merchant, identity: str) -> None:
    """Its PaymentIntent has come somewhere, or could not be tried."""
    body = merchant.need("invoice", identity)
    intent = merchant.need("payment_intent", body["_intent"])
    if body["status"] not in ("open", "uncollectible") or intent["status"] == "processing":
        return
    if intent["status"] == "succeeded":
        _paid(merchant, body, intent)
        return
    body |= {"attempted": True, "attempt_count": body["attempt_count"] + 1}
    retries = RETRIES[body["attempt_count"] - 1 : body["attempt_count"]]
    first = body["billing_reason"] == "subscription_create"
    merchant.forget("invoice.retry", identity)
    body["next_payment_attempt"] = merchant.now + retries[0] if retries and not first else None
    if body["next_payment_attempt"]:
        merchant.at(body["next_payment_attempt"], "invoice.retry", identity)
    elif not first:
        body["auto_advance"] = False
    merchant.save(body)
    if intent["status"] == "requires_action":
        merchant.emit("invoice.payment_action_required", body)
    merchant.emit("invoice.payment_failed", body)
    if subscription := _subscription(body):
        TIMERS["subscription.unpaid" if body["next_payment_attempt"] or first else "subscription.given_up"](
            merchant, subscription
        )


def voided(merchant: Merchant, body: Object) -> Object:
    """An invoice that was taken back."""
    if body["status"] not in ("open", "uncollectible", "draft"):
        raise Refusal(f"You can only pass in open or uncollectible invoices. This invoice is {body['status']}.")
    body |= {"status": "void", "amount_remaining": 0, "next_payment_attempt": None, "auto_advance": False}
    body["status_transitions"]["voided_at"] = merchant.now
    merchant.save(body)
    _cancel_intent(merchant, body, "void_invoice")
    merchant.emit("invoice.voided", body)
    return body


def given_up(merchant: Merchant, body: Object) -> Object:
    """An invoice that nobody expects to be paid."""
    body |= {"status": "uncollectible", "next_payment_attempt": None}
    body["status_transitions"]["marked_uncollectible_at"] = merchant.now
    merchant.save(body)
    merchant.emit("invoice.marked_uncollectible", body)
    return body


def _paid(merchant: Merchant, body: Object, intent: Object | None) -> Object:
    body |= {"status": "paid", "amount_paid": body["amount_due"] if intent else 0, "amount_remaining": 0}
    body |= {"attempted": True, "next_payment_attempt": None}
    body["attempt_count"] += 1 if intent else 0
    body["status_transitions"]["paid_at"] = merchant.now
    merchant.save(body)
    merchant.forget("invoice.retry", body["id"])
    if intent:
        (payment,) = merchant.find("invoice_payment", "json_extract(body, '$.invoice') = ?", body["id"])
        payment |= {"status": "paid", "amount_paid": body["amount_paid"]}
        payment["status_transitions"]["paid_at"] = merchant.now
        merchant.save(payment)
        merchant.emit("invoice_payment.paid", payment)
    else:
        _cancel_intent(merchant, body, "automatic")
    merchant.emit("invoice.paid", body)
    merchant.emit("invoice.payment_succeeded", body)
    if subscription := _subscription(body):
        TIMERS["subscription.paid"](merchant, subscription)
    return body


def _payment(merchant: Merchant, body: Object, intent: Object) -> Object:
    return {
        "id": new_id("inpay"),
        "object": "invoice_payment",
        "amount_paid": None,
        "amount_requested": body["amount_due"],
        "created": merchant.now,
        "currency": body["currency"],
        "invoice": body["id"],
        "is_default": True,
        "livemode": False,
        "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
        "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }


def _cancel_intent(merchant: Merchant, body: Object, reason: str) -> None:
    intent = merchant.get(body["_intent"] or "")
    if intent and intent["status"] not in ("succeeded", "canceled"):
        canceled(merchant, intent, reason)


def _subscription(body: Object) -> str | None:
    return body["parent"]["subscription_details"]["subscription"] if body["parent"] else None
