"""One attempt at a payment: whether the bank asks the person, and what it says."""

from embedded.sandboxes.stripe.api import TIMERS, timer
from embedded.sandboxes.stripe.cards import BANKS, MESSAGES, Card
from embedded.sandboxes.stripe.charges import charge, settle_later
from embedded.sandboxes.stripe.merchant import Merchant, public
from embedded.sandboxes.stripe.methods import USED, attach_to, card_of, usable
from embedded.sandboxes.stripe.wire import Declined, Object, Refusal

BANK_DEBIT_TAKES = 4 * 86400
AUTHENTICATION = ("authentication_required", "authentication_required")
NOT_AUTHENTICATED = (
    "We are unable to authenticate your payment method. Please choose a different payment method and try again."
)


def checked_method(merchant: Merchant, intent: Object, name: str) -> Object:
    """A method that may be used for an intent. Raises Refusal."""
    body = usable(merchant, name)
    owner = body["customer"]
    if owner is not None and owner != intent["customer"]:
        if intent["customer"] is None:
            message = (
                f"The provided PaymentMethod ({body['id']}) belongs to a Customer. Please include the Customer in the "
                "`customer` parameter."
            )
        else:
            message = f"The provided PaymentMethod ({body['id']}) does not belong to the Customer of this intent."
        raise Refusal(message, code="payment_method_unexpected_state", param="payment_method")
    if owner is None and body["_spent"]:
        raise Refusal(USED, code="payment_method_unexpected_state", param="payment_method")
    if body["type"] not in intent["payment_method_types"]:
        message = (
            f"The PaymentMethod provided ({body['type']}) is not allowed for this {intent['object']}. Please attach a "
            f"PaymentMethod of one of the following types: {', '.join(intent['payment_method_types'])}."
        )
        raise Refusal(message, code=f"{intent['object']}_incompatible_payment_method", param="payment_method")
    return body


def attempt(merchant: Merchant, intent: Object, *, off_session: bool = False, never_asks: bool = False) -> Object:
    """Confirms an intent that has a payment method. Raises Declined after noting why."""
    if not merchant.need("account", merchant.id)["charges_enabled"]:
        message = "Your account cannot currently make live charges: it has not been onboarded."
        raise Refusal(message, code="account_invalid")
    method = merchant.need("payment_method", intent["payment_method"])
    card = card_of(method)
    intent |= {"last_payment_error": None, "next_action": None}
    if card is None:
        return _debit(merchant, intent, method)
    options = (intent["payment_method_options"] or {}).get("card", {})
    if _asks(card, method, off_session, options.get("request_three_d_secure")):
        # A renewal whose bank wants the person waits for them; any other payment in their absence is declined.
        if never_asks or (off_session and not intent["_invoice"]):
            return _declined(merchant, intent, method, (*AUTHENTICATION, MESSAGES["authentication_required"]))
        return _action(merchant, intent)
    return _taken(merchant, intent, method, card)


def authenticated(merchant: Merchant, intent: Object, succeeded: bool) -> Object:
    """What the person did in the bank's window. Raises Declined after noting why."""
    method = merchant.need("payment_method", intent["payment_method"])
    intent["next_action"] = None
    if not succeeded:
        code = "payment_intent_authentication_failure"
        _failed(merchant, intent, method, {"code": code, "message": NOT_AUTHENTICATED, "type": "invalid_request_error"})
        return intent
    intent["_authenticated"] = True
    card = card_of(method)
    assert card is not None
    return _taken(merchant, intent, method, card)


def _taken(merchant: Merchant, intent: Object, method: Object, card: Card) -> Object:
    if card.code:
        return _declined(merchant, intent, method, (card.code, card.decline_code or "", card.message))
    body = charge(merchant, intent, method, None)
    _keep(merchant, intent, method)
    intent["latest_charge"] = body["id"]
    manual = intent["capture_method"] == "manual"
    if manual:
        intent |= {"status": "requires_capture", "amount_capturable": intent["amount"]}
    else:
        intent |= {"status": "succeeded", "amount_received": intent["amount"]}
        settle_later(merchant, body, intent["capture_method"])
    merchant.save(intent)
    merchant.emit("charge.succeeded", merchant.need("charge", body["id"]))
    merchant.emit("payment_intent.amount_capturable_updated" if manual else "payment_intent.succeeded", intent)
    _tell_invoice(merchant, intent)
    return intent


def _declined(merchant: Merchant, intent: Object, method: Object, why: tuple[str, str, str]) -> Object:
    code, decline_code, message = why
    body = charge(merchant, intent, method, why)
    intent["latest_charge"] = body["id"]
    merchant.emit("charge.failed", body)
    error: Object = {
        "advice_code": body["outcome"]["advice_code"],
        "charge": body["id"],
        "code": code,
        "decline_code": decline_code,
        "doc_url": f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}",
        "message": message,
        "network_decline_code": "05",
        "type": "card_error",
    }
    _failed(merchant, intent, method, error)
    more = {name: error[name] for name in ("advice_code", "charge", "code", "decline_code", "doc_url")}
    raise Declined(message, kept=True, **more, payment_intent=public(intent), payment_method=public(method))


def _failed(merchant: Merchant, intent: Object, method: Object, error: Object) -> None:
    intent |= {"status": "requires_payment_method", "payment_method": None, "next_action": None}
    intent["last_payment_error"] = {**error, "payment_method": public(method)}
    merchant.save(intent)
    merchant.emit("payment_intent.payment_failed", intent)
    _tell_invoice(merchant, intent)


def _action(merchant: Merchant, intent: Object) -> Object:
    url = f"{merchant.base_url}/elements/authenticate/{intent['client_secret']}"
    if return_url := intent.get("_return_url"):
        intent["next_action"] = {"type": "redirect_to_url", "redirect_to_url": {"return_url": return_url, "url": url}}
    else:
        sdk = {"type": "three_d_secure_redirect", "stripe_js": url, "source": intent["id"]}
        intent["next_action"] = {"type": "use_stripe_sdk", "use_stripe_sdk": sdk}
    intent["status"] = "requires_action"
    merchant.save(intent)
    merchant.emit("payment_intent.requires_action", intent)
    _tell_invoice(merchant, intent)
    return intent


def _keep(merchant: Merchant, intent: Object, method: Object) -> None:
    """Saves the method for its customer if that was asked for; one used without a customer is spent."""
    if intent["setup_future_usage"] and intent["customer"] and method["customer"] is None:
        attach_to(merchant, method["id"], intent["customer"])
        method |= merchant.need("payment_method", method["id"])
    if intent["setup_future_usage"] == "off_session":
        method["_set_up"] = True
    if method["customer"] is None:
        method["_spent"] = True
    merchant.save(method)


def _asks(card: Card, method: Object, off_session: bool, wish: str | None) -> bool:
    if card.asks == "always":
        return True
    if card.asks == "unless_set_up":
        return not (off_session and method["_set_up"])
    if card.asks == "is_set_up":
        return not off_session
    return card.asks == "optional" and wish in ("any", "challenge")


def _debit(merchant: Merchant, intent: Object, method: Object) -> Object:
    """A bank debit: days pass before it is known."""
    _keep(merchant, intent, method)
    intent |= {"status": "processing", "processing": {"type": "us_bank_account"}}
    merchant.save(intent)
    merchant.emit("payment_intent.processing", intent)
    merchant.after(BANK_DEBIT_TAKES, "intent.debit", intent["id"])
    return intent


@timer("intent.debit")
def debited(merchant: Merchant, identity: str) -> None:
    """The bank has answered."""
    intent = merchant.need("payment_intent", identity)
    method = merchant.need("payment_method", intent["payment_method"])
    intent["processing"] = None
    refused = BANKS[method["_name"]]
    if refused:
        try:
            _declined(
                merchant, intent, method, ("payment_method_provider_decline", refused, "The bank refused the debit.")
            )
        except Declined:
            return
    body = charge(merchant, intent, method, None)
    intent |= {"latest_charge": body["id"], "status": "succeeded", "amount_received": intent["amount"]}
    merchant.save(intent)
    settle_later(merchant, body, "automatic")
    merchant.emit("charge.succeeded", merchant.need("charge", body["id"]))
    merchant.emit("payment_intent.succeeded", intent)
    _tell_invoice(merchant, intent)


def _tell_invoice(merchant: Merchant, intent: Object) -> None:
    if intent["_invoice"]:
        TIMERS["invoice.payment"](merchant, intent["_invoice"])
