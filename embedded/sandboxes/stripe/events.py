"""The list of events, and the endpoints that they are told to."""

from embedded.sandboxes.stripe.api import listed, on
from embedded.sandboxes.stripe.merchant import Merchant, new_id
from embedded.sandboxes.stripe.wire import API_VERSION, Object, Params, Refusal

# Newer first; a rolled secret signs beside its successor until its time is over.
Secrets = list[dict[str, float | str | None]]


@on("GET", "/v1/events/{id}")
def retrieve(merchant: Merchant, params: Params, id: str) -> Object:
    """One."""
    return merchant.need("event", id)


@on("GET", "/v1/events")
def listing(merchant: Merchant, params: Params) -> Object:
    """Those of 30 days, by type (`*` as its end), time, and whether they reached all their endpoints."""
    kinds = params.texts("types")
    if kinds and "type" in params:
        raise Refusal("You may only specify one of these parameters: type, types.", code="parameters_exclusive")
    if one := params.text("type"):
        kinds = [one]
    where = f"created > {merchant.now - 30 * 86400}"
    if kinds:
        where += (
            f" AND ({' OR '.join(['json_extract(body, ' + chr(39) + '$.type' + chr(39) + ') GLOB ?'] * len(kinds))})"
        )
    if "delivery_success" in params:
        told = "NOT" if params.flag("delivery_success") else ""
        lost = "SELECT event FROM deliveries WHERE deliveries.event = objects.id AND state <> 'delivered'"
        where += f" AND {told} EXISTS ({lost})"
    return listed(merchant, params, "event", "/v1/events", (), where, tuple(kinds))


@on("POST", "/v1/webhook_endpoints")
def create(merchant: Merchant, params: Params) -> Object:
    """Registers one; its secret is told this once."""
    url, kinds = params.needed("url"), params.texts("enabled_events")
    if not url.startswith(("http://", "https://")):
        raise Refusal(
            "Invalid URL: An explicit scheme (such as https) must be provided.", code="url_invalid", param="url"
        )
    if not kinds:
        raise Refusal("Missing required param: enabled_events.", code="parameter_missing", param="enabled_events")
    connect = params.flag("connect")
    if connect and merchant.connected:
        raise Refusal("Only platforms can listen to connected accounts.", param="connect")
    if (version := params.text("api_version")) not in (None, API_VERSION):
        raise Refusal(f"Invalid API version: {version}", param="api_version")
    body = endpoint(merchant, url, kinds, f"whsec_{new_id('x')[2:]}", connect)
    body |= {"description": params.text("description"), "metadata": params.metadata()}
    merchant.add(body)
    return {**body, "secret": body["_secrets"][0]["secret"]}


@on("GET", "/v1/webhook_endpoints/{id}")
def retrieve_endpoint(merchant: Merchant, params: Params, id: str) -> Object:
    """One, without its secret."""
    return merchant.need("webhook_endpoint", id)


@on("GET", "/v1/webhook_endpoints")
def list_endpoints(merchant: Merchant, params: Params) -> Object:
    """All."""
    return listed(merchant, params, "webhook_endpoint", "/v1/webhook_endpoints")


@on("POST", "/v1/webhook_endpoints/{id}")
def update(merchant: Merchant, params: Params, id: str) -> Object:
    """Changes one."""
    body = merchant.need("webhook_endpoint", id)
    body["metadata"] = params.metadata(body["metadata"])
    body["url"] = params.text("url", body["url"])
    body["enabled_events"] = params.texts("enabled_events") or body["enabled_events"]
    if "disabled" in params:
        body["status"] = "disabled" if params.flag("disabled") else "enabled"
    if "description" in params:
        body["description"] = params.text("description")
    return merchant.save(body)


@on("DELETE", "/v1/webhook_endpoints/{id}")
def delete(merchant: Merchant, params: Params, id: str) -> Object:
    """Forgets one and what was still to be told to it."""
    merchant.need("webhook_endpoint", id)
    merchant.store.run("UPDATE deliveries SET state = 'failed' WHERE endpoint = ? AND state = 'pending'", id)
    merchant.store.remove(merchant.id, id)
    return {"id": id, "object": "webhook_endpoint", "deleted": True}


def endpoint(merchant: Merchant, url: str, kinds: list[str], secret: str, connect: bool) -> Object:
    """A new endpoint, not stored yet."""
    return {
        "id": new_id("we"),
        "object": "webhook_endpoint",
        "api_version": None,
        "application": None,
        "created": merchant.now,
        "description": None,
        "enabled_events": kinds,
        "livemode": False,
        "metadata": {},
        "status": "enabled",
        "url": url,
        "_connect": connect,
        "_owner": merchant.id,
        "_secrets": [{"secret": secret, "until": None}],
    }


def rolled(body: Object, secret: str, until: float) -> Object:
    """An endpoint with a new secret beside the old one, which lives until then."""
    for old in body["_secrets"]:
        old["until"] = min(until, old["until"] or until)
    body["_secrets"].insert(0, {"secret": secret, "until": None})
    return body
