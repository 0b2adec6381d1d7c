"""Accounts: a platform and the studios connected to it, with the state of their onboarding."""

import copy
from dataclasses import replace

from embedded.sandboxes.stripe.api import on
from embedded.sandboxes.stripe.merchant import Merchant, new_id
from embedded.sandboxes.stripe.wire import Object, Params, Refusal

CURRENCY = {"GB": "gbp", "US": "usd", "CA": "cad", "AU": "aud", "CH": "chf", "JP": "jpy", "SE": "sek", "DK": "dkk"}
DUE = ["business_profile.url", "external_account", "representative.first_name", "tos_acceptance.date"]
STATES = ("charges_enabled", "payouts_enabled", "details_submitted")


@on("GET", "/v1/account")
def current(merchant: Merchant, params: Params) -> Object:
    """The account that asks."""
    return merchant.need("account", merchant.id)


@on("POST", "/v1/accounts")
def create(merchant: Merchant, params: Params) -> Object:
    """Connects a new one, which must be onboarded before it takes money."""
    if merchant.connected:
        raise Refusal("Only platforms can create connected accounts.", status=403, code="platform_account_required")
    country = (params.text("country") or "US").upper()
    kind = params.choice("type", ("standard", "express", "custom"), None)
    body = account(new_id("acct"), merchant, country, ready=False)
    body |= {
        "controller": params.raw("controller") or body["controller"],
        "type": kind or ("none" if "controller" in params else "standard"),
        "_platform": merchant.id,
    }
    body["capabilities"] = dict.fromkeys(params.raw("capabilities") or {"card_payments": 1, "transfers": 1}, "inactive")
    body["default_currency"] = params.text("default_currency") or body["default_currency"]
    _write(body, params)
    merchant.store.add(body["id"], body)
    return body


@on("GET", "/v1/accounts/{id}")
def retrieve(merchant: Merchant, params: Params, id: str) -> Object:
    """One's own, or a connected one."""
    return reachable(merchant, id)


@on("POST", "/v1/accounts/{id}")
def update(merchant: Merchant, params: Params, id: str) -> Object:
    """Changes what a platform may change."""
    body = reachable(merchant, id)
    before = copy.deepcopy(body)
    _write(body, params)
    merchant.store.save(id, body)
    within(merchant, body).emit("account.updated", body, {k: v for k, v in before.items() if body[k] != v})
    return body


@on("GET", "/v1/accounts")
def listing(merchant: Merchant, params: Params) -> Object:
    """All connected ones, newest first."""
    where = "kind = 'account' AND json_extract(body, '$._platform') = ?"
    rows = merchant.store.rows(f"SELECT account FROM objects WHERE {where} ORDER BY number DESC", merchant.id)  # noqa: S608
    names = [row["account"] for row in rows]
    if (after := params.text("starting_after")) in names:
        names = names[names.index(after) + 1 :]
    limit = params.integer("limit", least=1) or 10
    found = [merchant.store.get(name, name) for name in names[:limit]]
    return {"object": "list", "data": found, "has_more": len(names) > limit, "url": "/v1/accounts"}


@on("POST", "/v1/account_links")
def link(merchant: Merchant, params: Params) -> Object:
    """Where a studio's owner is asked what Stripe must know."""
    body = reachable(merchant, params.needed("account"), "account")
    params.choice("type", ("account_onboarding", "account_update"))
    params.needed("type"), params.raw("collection_options"), params.text("collect")
    body["_return_url"], body["_refresh_url"] = params.needed("return_url"), params.needed("refresh_url")
    body["_link"] = new_id("alnk")[5:]
    merchant.store.save(body["id"], body)
    return {
        "object": "account_link",
        "created": merchant.now,
        "expires_at": merchant.now + 300,
        "url": f"{merchant.base_url}/onboarding/{body['id']}/{body['_link']}",
    }


def onboarded(merchant: Merchant, body: Object, states: Object) -> Object:
    """What Stripe thinks of an account now: `charges_enabled`, `payouts_enabled`, `details_submitted`."""
    before = {name: body[name] for name in ("requirements", "capabilities", *STATES)}
    body |= {name: bool(states.get(name, body[name])) for name in STATES}
    complete = body["charges_enabled"] and body["details_submitted"]
    due = [] if complete else DUE
    body["requirements"] = {
        **body["requirements"],
        "currently_due": due,
        "eventually_due": due,
        "past_due": due,
        "disabled_reason": None if complete else "requirements.past_due",
    }
    status = "active" if body["charges_enabled"] else "inactive"
    body["capabilities"] = dict.fromkeys(body["capabilities"], status)
    inside = within(merchant, body)
    inside.save(body)
    inside.forget("payout.daily", body["id"])
    if body["payouts_enabled"]:
        inside.after(86400, "payout.daily", body["id"])
    inside.emit("account.updated", body, {name: old for name, old in before.items() if body[name] != old})
    return body


def deauthorized(merchant: Merchant, body: Object) -> Object:
    """An account whose owner has taken the platform's access away."""
    within(merchant, body).emit("account.application.deauthorized", {"id": "ca_sandbox", "object": "application"})
    merchant.store.save(body["id"], body | {"_platform": None})
    return {"id": body["id"], "deauthorized": True}


def reachable(merchant: Merchant, identity: str, param: str = "id") -> Object:
    """An account that this one may look at: itself, or one connected to it. Raises Refusal."""
    body = merchant.store.get(identity, identity)
    if body is None or (identity != merchant.id and body["_platform"] != merchant.id):
        raise no_access(identity)
    return body


def no_access(identity: str) -> Refusal:
    """The answer for an account of somebody else, and for none at all."""
    message = (
        f"The provided key does not have access to account '{identity}' (or that account does not exist). "
        "Application access may have been revoked."
    )
    return Refusal(message, status=403, code="account_invalid")


def within(merchant: Merchant, body: Object) -> Merchant:
    """The same request, seen from inside an account."""
    return replace(merchant, id=body["id"])


def account(identity: str, merchant: Merchant, country: str, *, ready: bool) -> Object:
    """A new account; a platform is ready."""
    due = [] if ready else DUE
    return {
        "id": identity,
        "object": "account",
        "business_profile": {"mcc": None, "name": None, "support_email": None, "url": None},
        "business_type": None,
        "capabilities": {"card_payments": "active"} if ready else {},
        "charges_enabled": ready,
        "controller": {"type": "account" if ready else "application", "is_controller": not ready},
        "country": country,
        "created": merchant.now,
        "default_currency": CURRENCY.get(country, "eur"),
        "details_submitted": ready,
        "email": None,
        "external_accounts": {
            "object": "list",
            "data": [],
            "has_more": False,
            "url": f"/v1/accounts/{identity}/external_accounts",
        },
        "metadata": {},
        "payouts_enabled": ready,
        "requirements": {
            "alternatives": [],
            "current_deadline": None,
            "currently_due": due,
            "disabled_reason": None if ready else "requirements.past_due",
            "errors": [],
            "eventually_due": due,
            "past_due": due,
            "pending_verification": [],
        },
        "settings": {
            "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
            "card_payments": {"decline_on": {"avs_failure": False, "cvc_failure": False}},
            "dashboard": {"display_name": "Sandbox", "timezone": "Etc/UTC"},
            "payments": {"statement_descriptor": "POWERHOUSE SANDBOX"},
            "payouts": {"debit_negative_balances": True, "schedule": {"delay_days": 2, "interval": "daily"}},
        },
        "tos_acceptance": {"date": merchant.now if ready else None},
        "type": "standard",
        "_platform": None,
    }


def _write(body: Object, params: Params) -> None:
    body["metadata"] = params.metadata(body["metadata"])
    for name in ("email", "business_type"):
        if name in params:
            body[name] = params.text(name)
    body["business_profile"] = {**body["business_profile"], **(params.raw("business_profile") or {})}
    schedule = params.nested("settings").nested("payouts").nested("schedule")
    if "interval" in schedule:
        body["settings"]["payouts"]["schedule"]["interval"] = schedule.choice("interval", ("manual", "daily"))
