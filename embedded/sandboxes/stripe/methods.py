"""Payment methods: test cards and bank accounts, attached to a customer or used once."""

from datetime import UTC, datetime

from embedded.sandboxes.stripe.api import listed, on
from embedded.sandboxes.stripe.cards import BANKS, CARDS, TOKENS, Card, bank_details, card_details
from embedded.sandboxes.stripe.merchant import Merchant, new_id
from embedded.sandboxes.stripe.wire import Declined, Object, Params, Refusal, missing

NOBODY: Object = {"address": None, "email": None, "name": None, "phone": None, "tax_id": None}
EMPTY_ADDRESS = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
USED = (
    "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment or was detached "
    "from a Customer. It may not be used again. To use a PaymentMethod multiple times, you must attach it to a "
    "Customer first."
)


@on("POST", "/v1/payment_methods", publishable=True)
def create(merchant: Merchant, params: Params) -> Object:
    """Creates one from a test token; a number of a card is never taken."""
    kind = params.choice("type", ("card", "us_bank_account"), None)
    if kind is None:
        raise Refusal("Missing required param: type.", code="parameter_missing", param="type")
    details = params.nested(kind)
    if "number" in details:
        raise Refusal(
            "Sending credit card numbers directly to the Stripe API is generally unsafe. "
            "We suggest you use test tokens that map to the test card you are using.",
            status=402,
            kind="invalid_request_error",
            param="card[number]",
        )
    if kind == "card":
        token = details.needed("token")
        if token not in TOKENS:
            raise missing("token", token, "card[token]")
        return _made(merchant, TOKENS[token], params)
    params.raw("us_bank_account")
    details.raw("account_number"), details.raw("routing_number"), details.raw("account_holder_type")
    return _made(merchant, "pm_usBankAccount_success", params)


@on("GET", "/v1/payment_methods/{id}")
def retrieve(merchant: Merchant, params: Params, id: str) -> Object:
    """One; a test name makes one."""
    return usable(merchant, id, "id")


@on("POST", "/v1/payment_methods/{id}")
def update(merchant: Merchant, params: Params, id: str) -> Object:
    """Changes metadata and billing details, of an attached one."""
    body = merchant.need("payment_method", id)
    if body["customer"] is None:
        raise Refusal("You must save this PaymentMethod to a customer before you can update it.")
    body["metadata"] = params.metadata(body["metadata"])
    body["billing_details"] = _billing(params, body["billing_details"])
    merchant.save(body)
    merchant.emit("payment_method.updated", body)
    return body


@on("POST", "/v1/payment_methods/{id}/attach")
def attach(merchant: Merchant, params: Params, id: str) -> Object:
    """Attaches one to a customer."""
    return attach_to(merchant, id, params.needed("customer"))


@on("POST", "/v1/payment_methods/{id}/detach")
def detach(merchant: Merchant, params: Params, id: str) -> Object:
    """Detaches one for good."""
    body = merchant.need("payment_method", id)
    if body["customer"] is None:
        raise Refusal("The payment method you provided is not attached to a customer so detachment is impossible.")
    return _detached(merchant, body)


@on("GET", "/v1/payment_methods")
def listing(merchant: Merchant, params: Params) -> Object:
    """Those of a customer."""
    customer = merchant.customer(params.needed("customer"))["id"]
    return listed(merchant, params, "payment_method", "/v1/payment_methods", ("type",), "customer = ?", (customer,))


@on("GET", "/v1/customers/{customer}/payment_methods")
def of_customer(merchant: Merchant, params: Params, customer: str) -> Object:
    """Those of a customer."""
    url = f"/v1/customers/{merchant.customer(customer)['id']}/payment_methods"
    return listed(merchant, params, "payment_method", url, ("type",), "customer = ?", (customer,))


@on("GET", "/v1/customers/{customer}/payment_methods/{id}")
def one_of_customer(merchant: Merchant, params: Params, customer: str, id: str) -> Object:
    """One of a customer's."""
    body = merchant.need("payment_method", id, "payment_method")
    if body["customer"] != merchant.customer(customer)["id"]:
        raise missing("PaymentMethod", id, "payment_method")
    return body


def usable(merchant: Merchant, name: str, param: str = "payment_method") -> Object:
    """A payment method; each use of a test name makes another. Raises Refusal."""
    if name in CARDS or name in BANKS:
        return _made(merchant, name, None)
    return merchant.need("payment_method", name, param)


def attach_to(merchant: Merchant, name: str, customer: str) -> Object:
    """Saves a method for a customer. Raises Refusal, and Declined for cards that their bank refuses then."""
    owner = merchant.customer(customer)
    body = usable(merchant, name)
    card = card_of(body)
    if body["customer"] not in (None, owner["id"]):
        raise Refusal("The payment method you provided has already been attached to a customer.")
    if body["_spent"]:
        raise Refusal(USED, code="payment_method_unexpected_state")
    if card and card.code and not card.attaches:
        raise Declined(card.message, code=card.code, decline_code=card.decline_code)
    if body["customer"] is None:
        body["customer"] = owner["id"]
        merchant.save(body)
        merchant.emit("payment_method.attached", body)
    return body


def detach_from(merchant: Merchant, customer: str) -> None:
    """Takes all methods from a customer."""
    for body in merchant.find("payment_method", "customer = ?", customer):
        _detached(merchant, body)


def card_of(body: Object) -> Card | None:
    """How a payment method behaves, if it is a card."""
    return CARDS.get(body["_name"])


def _detached(merchant: Merchant, body: Object) -> Object:
    customer, body["customer"], body["_spent"] = body["customer"], None, True
    merchant.save(body)
    merchant.emit("payment_method.detached", body, {"customer": customer})
    owner = merchant.get(customer)
    if owner and not owner.get("deleted") and owner["invoice_settings"]["default_payment_method"] == body["id"]:
        owner["invoice_settings"]["default_payment_method"] = None
        merchant.save(owner)
    return body


def _made(merchant: Merchant, name: str, params: Params | None) -> Object:
    kind = "card" if name in CARDS else "us_bank_account"
    year = datetime.fromtimestamp(merchant.now, UTC).year
    body: Object = {
        "id": new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": params.text("allow_redisplay", "unspecified") if params else "unspecified",
        "billing_details": _billing(params, {**NOBODY, "address": {**EMPTY_ADDRESS}}),
        kind: card_details(CARDS[name], year) if kind == "card" else bank_details(),
        "created": merchant.now,
        "customer": None,
        "livemode": False,
        "metadata": params.metadata() if params else {},
        "type": kind,
        "_name": name,
        "_set_up": False,
        "_spent": False,
    }
    return merchant.add(body)


def _billing(params: Params | None, now: Object) -> Object:
    given = params.raw("billing_details") if params else None
    if not given:
        return now
    address = {**(now["address"] or EMPTY_ADDRESS), **given.get("address", {})}
    return {**now, **given, "address": address}
