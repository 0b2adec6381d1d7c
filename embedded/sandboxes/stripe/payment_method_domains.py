"""Payment method domains: where an account's payment form may offer wallets."""

from embedded.sandboxes.stripe.api import listed, on
from embedded.sandboxes.stripe.merchant import Merchant, new_id
from embedded.sandboxes.stripe.wire import Object, Params

PATH = "/v1/payment_method_domains"
KIND = "payment_method_domain"
METHODS = ("amazon_pay", "apple_pay", "google_pay", "klarna", "link", "paypal")


@on("POST", PATH)
def create(merchant: Merchant, params: Params) -> Object:
    """Registers a domain; one that is registered is answered as it is."""
    domain, enabled = params.needed("domain_name"), params.flag("enabled", True)
    for known in merchant.find(KIND, "json_extract(body, '$.domain_name') = ?", domain):
        return known
    body: Object = {
        "id": new_id("pmd"),
        "object": KIND,
        **{method: {"status": "active"} for method in METHODS},
        "created": merchant.now,
        "domain_name": domain,
        "enabled": enabled,
        "livemode": False,
    }
    return merchant.add(body)


@on("GET", f"{PATH}/{{id}}")
def retrieve(merchant: Merchant, params: Params, id: str) -> Object:
    """One."""
    return merchant.need(KIND, id)


@on("POST", f"{PATH}/{{id}}")
def update(merchant: Merchant, params: Params, id: str) -> Object:
    """Turns one on or off."""
    body = merchant.need(KIND, id)
    return merchant.save(body | {"enabled": params.flag("enabled", body["enabled"])})


@on("POST", f"{PATH}/{{id}}/validate")
def validate(merchant: Merchant, params: Params, id: str) -> Object:
    """Looks at it again; here there is nothing to see."""
    return merchant.need(KIND, id)


@on("GET", PATH)
def listing(merchant: Merchant, params: Params) -> Object:
    """All of an account, or the one of that name."""
    return listed(merchant, params, KIND, PATH, ("domain_name", "enabled"))


def wallets(merchant: Merchant, domain: str) -> frozenset[str]:
    """What the form may offer there."""
    where = "json_extract(body, '$.domain_name') = ? AND json_extract(body, '$.enabled')"
    return frozenset(METHODS) if merchant.find(KIND, where, domain) else frozenset()
