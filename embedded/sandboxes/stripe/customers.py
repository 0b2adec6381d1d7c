"""Customers."""

from embedded.sandboxes.stripe.api import collection, included, listed, on
from embedded.sandboxes.stripe.merchant import Merchant, new_id
from embedded.sandboxes.stripe.methods import attach_to, detach_from
from embedded.sandboxes.stripe.subscriptions import end_all
from embedded.sandboxes.stripe.wire import Object, Params, Refusal

TEXTS = ("name", "email", "phone", "description")


@on("POST", "/v1/customers")
def create(merchant: Merchant, params: Params) -> Object:
    """Creates one, with a payment method attached if it is given."""
    clock = params.text("test_clock")
    merchant = merchant.of({"test_clock": clock})
    body: Object = {
        "id": new_id("cus"),
        "object": "customer",
        "address": params.raw("address"),
        "balance": 0,
        "created": merchant.now,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "email": None,
        "invoice_prefix": new_id("")[2:10].upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": params.texts("preferred_locales"),
        "shipping": params.raw("shipping"),
        "tax_exempt": params.choice("tax_exempt", ("none", "exempt", "reverse"), "none"),
        "test_clock": clock,
    }
    merchant.add(body)
    if method := params.text("payment_method"):
        attach_to(merchant, method, body["id"])
    _change(merchant, body, params)
    merchant.save(body)
    merchant.emit("customer.created", body)
    return body


@on("GET", "/v1/customers/{id}")
def retrieve(merchant: Merchant, params: Params, id: str) -> Object:
    """One, of which a deleted one leaves three fields."""
    return merchant.need("customer", id)


@on("POST", "/v1/customers/{id}")
def update(merchant: Merchant, params: Params, id: str) -> Object:
    """Changes one."""
    body = merchant.customer(id, "id")
    before = {**body, "invoice_settings": {**body["invoice_settings"]}}
    for name in ("address", "shipping"):
        if name in params:
            body[name] = params.raw(name)
    _change(merchant, body, params)
    merchant.save(body)
    merchant.emit("customer.updated", body, {name: old for name, old in before.items() if body[name] != old})
    return body


@on("DELETE", "/v1/customers/{id}")
def delete(merchant: Merchant, params: Params, id: str) -> Object:
    """Deletes one: its subscriptions end, its payment methods are detached."""
    body = merchant.customer(id, "id")
    end_all(merchant, id)
    detach_from(merchant, id)
    merchant.emit("customer.deleted", body)
    return merchant.save({"id": id, "object": "customer", "deleted": True})


@on("GET", "/v1/customers")
def listing(merchant: Merchant, params: Params) -> Object:
    """All that were not deleted."""
    where = "json_extract(body, '$.deleted') IS NULL"
    return listed(merchant, params, "customer", "/v1/customers", ("email", "test_clock"), where)


def _change(merchant: Merchant, body: Object, params: Params) -> None:
    for name in TEXTS:
        if name in params:
            body[name] = params.text(name)
    body["metadata"] = params.metadata(body["metadata"])
    settings = params.nested("invoice_settings")
    if "default_payment_method" in settings:
        method = settings.text("default_payment_method")
        if method is not None:
            owned = merchant.get(method)
            if owned is None or owned.get("customer") != body["id"]:
                message = f"No such PaymentMethod: '{method}'; it must be attached to the customer."
                raise Refusal(message, code="resource_missing", param="invoice_settings[default_payment_method]")
        body["invoice_settings"]["default_payment_method"] = method


@included("customer", "subscriptions")
def subscriptions(merchant: Merchant, body: Object) -> Object:
    """What it is subscribed to."""
    running = "customer = ? AND json_extract(body, '$.status') NOT IN ('canceled', 'incomplete_expired')"
    return collection(merchant.find("subscription", running, body["id"]), f"/v1/customers/{body['id']}/subscriptions")


@on("POST", "/v1/customer_sessions")
def session(merchant: Merchant, params: Params) -> Object:
    """A secret with which Payment Element shows a customer's saved methods."""
    customer = merchant.customer(params.needed("customer"))
    components = params.raw("components")
    if not components:
        raise Refusal("Missing required param: components.", code="parameter_missing", param="components")
    return {
        "object": "customer_session",
        "client_secret": f"cuss_secret_{new_id('x')[2:]}",
        "components": components,
        "created": merchant.now,
        "customer": customer["id"],
        "expires_at": merchant.now + 1800,
        "livemode": False,
    }
