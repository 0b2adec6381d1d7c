"""PaymentIntents: from the wish to be paid to the charge."""

from embedded.sandboxes.stripe.api import listed, on
from embedded.sandboxes.stripe.attempts import attempt, checked_method
from embedded.sandboxes.stripe.charges import settled
from embedded.sandboxes.stripe.merchant import Merchant, new_id
from embedded.sandboxes.stripe.methods import create as new_method
from embedded.sandboxes.stripe.money import chargeable, currency, shown
from embedded.sandboxes.stripe.wire import Object, Params, Refusal

OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
CAPTURES = ("automatic", "automatic_async", "manual")
REASONS = ("abandoned", "duplicate", "fraudulent", "requested_by_customer")
RETURN_URL = (
    "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of these "
    "payment methods might redirect your customer off of your page, you must provide a `return_url`. If you don't want "
    "to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and "
    "`automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment Intents."
)


@on("POST", "/v1/payment_intents")
def create(merchant: Merchant, params: Params) -> Object:
    """Creates one, and confirms it at once if told so."""
    code = currency(params.needed("currency"))
    amount = chargeable(params.integer("amount", least=1) or _no_amount(), code)
    customer = params.text("customer")
    if customer:
        merchant = merchant.of(merchant.customer(customer))
    automatic, types = method_types(params)
    body = made(merchant, amount, code, customer)
    body |= {
        "automatic_payment_methods": automatic,
        "payment_method_types": types,
        "capture_method": params.choice("capture_method", CAPTURES, "automatic_async"),
        "confirmation_method": params.choice("confirmation_method", ("automatic", "manual"), "automatic"),
        "payment_method_options": params.raw("payment_method_options")
        or {"card": {"request_three_d_secure": "automatic"}},
    }
    _write(merchant, body, params)
    confirm_now, off_session = params.flag("confirm"), params.text("off_session")
    if not confirm_now and off_session:
        raise Refusal("You can only set `off_session` when `confirm` is true.", param="off_session")
    merchant.add(body)
    merchant.emit("payment_intent.created", body)
    return _confirmed(merchant, body, params) if confirm_now else body


@on("GET", "/v1/payment_intents/{id}", publishable=True)
def retrieve(merchant: Merchant, params: Params, id: str) -> Object:
    """One; a browser needs its client secret."""
    return known(merchant, "payment_intent", params, id)


@on("GET", "/v1/payment_intents")
def listing(merchant: Merchant, params: Params) -> Object:
    """All."""
    return listed(merchant, params, "payment_intent", "/v1/payment_intents", ("customer",))


@on("POST", "/v1/payment_intents/{id}")
def update(merchant: Merchant, params: Params, id: str) -> Object:
    """Changes one that nothing was paid for yet; metadata and description always."""
    body = merchant.need("payment_intent", id, "intent")
    if any(name in params for name in ("amount", "currency", "payment_method", "customer")):
        _must(body, OPEN, "updated")
    if "currency" in params:
        body["currency"] = currency(params.needed("currency"))
    if (amount := params.integer("amount", least=1)) is not None:
        body["amount"] = chargeable(amount, body["currency"])
    if customer := params.text("customer"):
        body["customer"] = merchant.customer(customer)["id"]
    _write(merchant, body, params)
    return merchant.save(body)


@on("POST", "/v1/payment_intents/{id}/confirm", publishable=True)
def confirm(merchant: Merchant, params: Params, id: str) -> Object:
    """Tries to take the money."""
    body = known(merchant, "payment_intent", params, id)
    if not merchant.secret and "off_session" in params:
        raise Refusal("The parameter `off_session` cannot be passed with a publishable key.", param="off_session")
    _must(body, OPEN, "confirmed")
    choose(merchant, body, params)
    return _confirmed(merchant.of(body), body, params)


@on("POST", "/v1/payment_intents/{id}/capture")
def capture(merchant: Merchant, params: Params, id: str) -> Object:
    """Takes what was authorised, or a part of it; the rest is let go."""
    body = merchant.need("payment_intent", id, "intent")
    _must(body, ("requires_capture",), "captured")
    body["metadata"] = params.metadata(body["metadata"])
    amount = params.integer("amount_to_capture", least=1) or body["amount_capturable"]
    if amount > body["amount_capturable"]:
        message = (
            f"The amount_to_capture ({shown(amount, body['currency'])}) is greater than the amount that can be "
            f"captured ({shown(body['amount_capturable'], body['currency'])})."
        )
        raise Refusal(message, code="amount_too_large", param="amount_to_capture")
    charge = merchant.need("charge", body["latest_charge"])
    charge |= {"captured": True, "amount_captured": amount, "amount_refunded": charge["amount"] - amount}
    merchant.save(charge)
    settled(merchant, charge)
    body |= {"status": "succeeded", "amount_received": amount, "amount_capturable": 0}
    merchant.save(body)
    merchant.emit("charge.captured", charge)
    merchant.emit("payment_intent.succeeded", body)
    return body


@on("POST", "/v1/payment_intents/{id}/cancel")
def cancel(merchant: Merchant, params: Params, id: str) -> Object:
    """Gives one up; what was authorised is let go."""
    body = merchant.need("payment_intent", id, "intent")
    _must(body, (*OPEN, "requires_capture"), "canceled")
    return canceled(merchant, body, params.choice("cancellation_reason", REASONS, None))


def canceled(merchant: Merchant, body: Object, reason: str | None) -> Object:
    """An intent that was given up."""
    if body["status"] == "requires_capture":
        charge = merchant.need("charge", body["latest_charge"])
        charge |= {"amount_refunded": charge["amount"], "refunded": True}
        merchant.save(charge)
        merchant.emit("charge.refunded", charge)
    body |= {"status": "canceled", "canceled_at": merchant.now, "cancellation_reason": reason}
    body |= {"next_action": None, "amount_capturable": 0}
    merchant.save(body)
    merchant.emit("payment_intent.canceled", body)
    return body


def made(merchant: Merchant, amount: int, code: str, customer: str | None) -> Object:
    """A new intent, not stored yet."""
    identity = new_id("pi")
    return {
        "id": identity,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": f"{identity}_secret_{new_id('x')[2:]}",
        "confirmation_method": "automatic",
        "created": merchant.now,
        "currency": code,
        "customer": customer,
        "description": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
        "_clock": merchant.clock,
        "_invoice": None,
    }


def method_types(params: Params) -> tuple[Object | None, list[str]]:
    """What may be paid with: named types, or what the account takes."""
    types = params.texts("payment_method_types")
    automatic = params.nested("automatic_payment_methods")
    if types and "enabled" in automatic:
        message = "You may only specify one of these parameters: automatic_payment_methods, payment_method_types."
        raise Refusal(message, code="parameters_exclusive")
    for kind in types:
        if kind not in ("card", "us_bank_account", "link"):
            message = f'The payment method type "{kind}" is invalid.'
            raise Refusal(message, code="payment_intent_invalid_parameter", param="payment_method_types")
    enabled, excluded = automatic.flag("enabled", True), params.texts("excluded_payment_method_types")
    redirects = automatic.choice("allow_redirects", ("always", "never"), "always")
    if types or not enabled:
        return None, types or ["card"]
    taken = [kind for kind in ("card", "us_bank_account") if kind not in excluded]
    return {"enabled": True, "allow_redirects": redirects}, taken


def known(merchant: Merchant, kind: str, params: Params, identity: str) -> Object:
    """An intent; who comes with a publishable key must know its secret. Raises Refusal."""
    body = merchant.need(kind, identity, "intent")
    secret = params.text("client_secret")
    if secret is None and not merchant.secret:
        raise Refusal("Missing required param: client_secret.", code="parameter_missing", param="client_secret")
    if secret is not None and secret != body["client_secret"]:
        message = "The client_secret provided does not match any associated PaymentIntent on this account."
        raise Refusal(
            message.replace("PaymentIntent", "SetupIntent" if kind == "setup_intent" else "PaymentIntent"),
            code=f"{kind}_invalid_parameter",
            param="client_secret",
        )
    return body


def choose(merchant: Merchant, body: Object, params: Params) -> None:
    """Takes the method that is named, or described, if one is."""
    name = params.text("payment_method")
    if name is None and "payment_method_data" in params:
        name = new_method(merchant, params.nested("payment_method_data"))["id"]
    if name is not None:
        body["payment_method"] = checked_method(merchant, body, name)["id"]
        if body["status"] == "requires_payment_method":
            body["status"] = "requires_confirmation"


def _confirmed(merchant: Merchant, body: Object, params: Params) -> Object:
    off_session = params.text("off_session") in ("true", "one_off", "recurring")
    for name in ("receipt_email", "setup_future_usage"):
        if name in params:
            body[name] = params.text(name)
    if "payment_method_options" in params:
        body["payment_method_options"] = params.raw("payment_method_options")
    params.raw("mandate_data"), params.flag("use_stripe_sdk")
    if body["payment_method"] is None:
        message = (
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the "
            "PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a "
            "payment method or ConfirmationToken."
        )
        raise Refusal(message, code="payment_intent_unexpected_state", payment_intent=body)
    return_url = params.text("return_url")
    automatic = body["automatic_payment_methods"]
    if automatic and automatic["allow_redirects"] == "always" and not return_url and not off_session:
        raise Refusal(RETURN_URL, param="return_url")
    body["_return_url"] = return_url
    return attempt(merchant, body, off_session=off_session, never_asks=params.flag("error_on_requires_action"))


def _write(merchant: Merchant, body: Object, params: Params) -> None:
    body["metadata"] = params.metadata(body["metadata"])
    for name in ("description", "receipt_email", "statement_descriptor", "statement_descriptor_suffix"):
        if name in params:
            body[name] = params.text(name)
    if "setup_future_usage" in params:
        body["setup_future_usage"] = params.choice("setup_future_usage", ("on_session", "off_session"), None)
    if "shipping" in params:
        body["shipping"] = params.raw("shipping")
    choose(merchant, body, params)


def _must(body: Object, states: tuple[str, ...], done: str) -> None:
    if body["status"] not in states:
        message = (
            f"This PaymentIntent's status is {body['status']}, but it must be {' or '.join(states)} to be {done}."
            if done == "canceled"
            else f"This PaymentIntent could not be {done} because it has a status of {body['status']}. Only a "
            f"PaymentIntent with one of the following statuses may be {done}: {', '.join(states)}."
        )
        raise Refusal(message, code="payment_intent_unexpected_state", payment_intent=body)


def _no_amount() -> int:
    raise Refusal("Missing required param: amount.", code="parameter_missing", param="amount")
