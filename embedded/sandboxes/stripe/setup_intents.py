"""SetupIntents: a method saved for later, without a payment."""

from embedded.sandboxes.stripe.api import listed, on
from embedded.sandboxes.stripe.attempts import NOT_AUTHENTICATED
from embedded.sandboxes.stripe.intents import OPEN, choose, known, method_types
from embedded.sandboxes.stripe.merchant import Merchant, new_id, public
from embedded.sandboxes.stripe.methods import attach_to, card_of
from embedded.sandboxes.stripe.wire import Declined, Object, Params, Refusal


@on("POST", "/v1/setup_intents")
def create(merchant: Merchant, params: Params) -> Object:
    """Creates one, and confirms it at once if told so."""
    customer = params.text("customer")
    if customer:
        merchant.customer(customer)
    automatic, types = method_types(params)
    identity = new_id("seti")
    body: Object = {
        "id": identity,
        "object": "setup_intent",
        "application": None,
        "automatic_payment_methods": automatic,
        "cancellation_reason": None,
        "client_secret": f"{identity}_secret_{new_id('x')[2:]}",
        "created": merchant.now,
        "customer": customer,
        "description": params.text("description"),
        "flow_directions": None,
        "last_setup_error": None,
        "latest_attempt": None,
        "livemode": False,
        "mandate": None,
        "metadata": params.metadata(),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_options": params.raw("payment_method_options")
        or {"card": {"mandate_options": None, "network": None, "request_three_d_secure": "automatic"}},
        "payment_method_types": types,
        "single_use_mandate": None,
        "status": "requires_payment_method",
        "usage": params.choice("usage", ("off_session", "on_session"), "off_session"),
    }
    choose(merchant, body, params)
    confirm_now = params.flag("confirm")
    merchant.add(body)
    merchant.emit("setup_intent.created", body)
    return _confirmed(merchant, body, params) if confirm_now else body


@on("GET", "/v1/setup_intents/{id}", publishable=True)
def retrieve(merchant: Merchant, params: Params, id: str) -> Object:
    """One; a browser needs its client secret."""
    return known(merchant, "setup_intent", params, id)


@on("GET", "/v1/setup_intents")
def listing(merchant: Merchant, params: Params) -> Object:
    """All."""
    return listed(merchant, params, "setup_intent", "/v1/setup_intents", ("customer", "payment_method"))


@on("POST", "/v1/setup_intents/{id}")
def update(merchant: Merchant, params: Params, id: str) -> Object:
    """Changes one that is still open."""
    body = merchant.need("setup_intent", id, "intent")
    _must(body, "updated")
    body["metadata"] = params.metadata(body["metadata"])
    if "description" in params:
        body["description"] = params.text("description")
    if customer := params.text("customer"):
        body["customer"] = merchant.customer(customer)["id"]
    choose(merchant, body, params)
    return merchant.save(body)


@on("POST", "/v1/setup_intents/{id}/confirm", publishable=True)
def confirm(merchant: Merchant, params: Params, id: str) -> Object:
    """Tries to save the method."""
    body = known(merchant, "setup_intent", params, id)
    _must(body, "confirmed")
    choose(merchant, body, params)
    return _confirmed(merchant, body, params)


@on("POST", "/v1/setup_intents/{id}/cancel")
def cancel(merchant: Merchant, params: Params, id: str) -> Object:
    """Gives one up."""
    body = merchant.need("setup_intent", id, "intent")
    _must(body, "canceled")
    reason = params.choice("cancellation_reason", ("abandoned", "duplicate", "requested_by_customer"), None)
    body |= {"status": "canceled", "cancellation_reason": reason, "next_action": None}
    merchant.save(body)
    merchant.emit("setup_intent.canceled", body)
    return body


def authenticated(merchant: Merchant, body: Object, succeeded: bool) -> Object:
    """What the person did in the bank's window."""
    method = merchant.need("payment_method", body["payment_method"])
    body["next_action"] = None
    if succeeded:
        return _saved(merchant, body, method)
    error = {
        "code": "setup_intent_authentication_failure",
        "message": NOT_AUTHENTICATED,
        "type": "invalid_request_error",
    }
    return _failed(merchant, body, method, error)


def _confirmed(merchant: Merchant, body: Object, params: Params) -> Object:
    if body["payment_method"] is None:
        message = "You cannot confirm this SetupIntent because it's missing a payment method."
        raise Refusal(message, code="setup_intent_unexpected_state", setup_intent=public(body))
    params.raw("mandate_data"), params.flag("use_stripe_sdk")
    return_url = params.text("return_url")
    automatic = body["automatic_payment_methods"]
    if automatic and automatic["allow_redirects"] == "always" and not return_url:
        raise Refusal(
            "This SetupIntent may redirect your customer, so you must provide a `return_url`.", param="return_url"
        )
    method = merchant.need("payment_method", body["payment_method"])
    card = card_of(method)
    body |= {"last_setup_error": None, "next_action": None}
    if card and card.code and not card.attaches:
        error = {"code": card.code, "decline_code": card.decline_code, "message": card.message, "type": "card_error"}
        _failed(merchant, body, method, error)
        raise Declined(
            card.message,
            kept=True,
            code=card.code,
            decline_code=card.decline_code,
            setup_intent=public(body),
            payment_method=public(method),
        )
    if card and card.asks in ("always", "unless_set_up"):
        url = f"{merchant.base_url}/elements/authenticate/{body['client_secret']}"
        body["status"] = "requires_action"
        body["next_action"] = (
            {"type": "redirect_to_url", "redirect_to_url": {"return_url": return_url, "url": url}}
            if return_url
            else {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": url}}
        )
        merchant.save(body)
        merchant.emit("setup_intent.requires_action", body)
        return body
    return _saved(merchant, body, method)


def _saved(merchant: Merchant, body: Object, method: Object) -> Object:
    if body["customer"]:
        method = attach_to(merchant, method["id"], body["customer"])
    method["_set_up"] = body["usage"] == "off_session"
    method["_spent"] = method["customer"] is None
    merchant.save(method)
    body["status"] = "succeeded"
    merchant.save(body)
    merchant.emit("setup_intent.succeeded", body)
    return body


def _failed(merchant: Merchant, body: Object, method: Object, error: Object) -> Object:
    body |= {"status": "requires_payment_method", "payment_method": None, "next_action": None}
    body["last_setup_error"] = {**error, "payment_method": public(method)}
    merchant.save(body)
    merchant.emit("setup_intent.setup_failed", body)
    return body


def _must(body: Object, done: str) -> None:
    if body["status"] not in OPEN:
        message = f"This SetupIntent could not be {done} because it has a status of {body['status']}."
        raise Refusal(message, code="setup_intent_unexpected_state", setup_intent=public(body))
