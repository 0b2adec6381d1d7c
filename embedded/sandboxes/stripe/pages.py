"""The pages that stand in for Payment Element, a bank's 3-D Secure window, Stripe's onboarding and its dashboard."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from embedded.sandboxes.stripe import accounts, attempts, payment_method_domains, setup_intents
from embedded.sandboxes.stripe.cards import CARDS
from embedded.sandboxes.stripe.merchant import Merchant
from embedded.sandboxes.stripe.money import shown
from embedded.sandboxes.stripe.store import Store
from embedded.sandboxes.stripe.timers import MerchantAt
from embedded.sandboxes.stripe.wire import Object, Refusal

PAGE = Path(__file__).parent / "page"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)
HEADERS = {"content-security-policy": POLICY, "cache-control": "no-store", "referrer-policy": "no-referrer"}
ASSETS = (
    *("stripe.css", "stripe.js", "cards.js", "element.js", "elements.js"),
    *("authenticate.js", "onboarding.js", "overview.js"),
)


def page_routes(
    store: Store, merchant_at: MerchantAt, now: Callable[[], int], publishable: dict[str, str]
) -> list[Route]:
    """Pages and what their scripts ask; who knows an intent's client secret may see and confirm that intent."""

    def intent_of(secret: str) -> tuple[Merchant, Object]:
        identity = secret.partition("_secret_")[0]
        row = store.row("SELECT account FROM objects WHERE id = ?", identity)
        body = store.get(row["account"], identity) if row else None
        if row is None or body is None or body.get("client_secret") != secret:
            raise Refusal("This payment link is not known.", status=404)
        return merchant_at(row["account"], now(), None).of(body), body

    async def state(request: Request) -> Response:
        try:
            merchant, body = intent_of(request.path_params["secret"])
        except Refusal as refusal:
            return JSONResponse({"error": refusal.error}, refusal.status)
        offered = payment_method_domains.wallets(merchant, request.query_params.get("domain", ""))
        shown_methods = _shown(merchant, body, offered)
        return JSONResponse(shown_methods | {"key": publishable[merchant.platform]}, headers=HEADERS)

    async def authenticate(request: Request) -> Response:
        succeeded = (await request.json()).get("outcome") == "succeed"
        try:
            merchant, body = intent_of(request.path_params["secret"])
            with store.transaction():
                if body["status"] != "requires_action":
                    raise Refusal(f"There is nothing to authenticate: the status is {body['status']}.")
                back = ((body["next_action"] or {}).get("redirect_to_url") or {}).get("return_url")
                answered = attempts if body["object"] == "payment_intent" else setup_intents
                try:
                    body = answered.authenticated(merchant, body, succeeded)
                except Refusal as refusal:
                    if not refusal.kept:
                        raise
                    body = merchant.need(body["object"], body["id"])
        except Refusal as refusal:
            return JSONResponse({"error": refusal.error}, refusal.status)
        return JSONResponse({"status": body["status"], "redirect": back and _returning(back, body)})

    async def onboard(request: Request) -> Response:
        identity, link = request.path_params["account"], request.path_params["link"]
        body = store.get(identity, identity)
        if body is None or body.get("_link") != link:
            return JSONResponse({"error": {"message": "This link is not valid any more."}}, 404)
        if request.method == "GET":
            return JSONResponse({"account": identity, "name": body["business_profile"]["name"], "email": body["email"]})
        merchant = merchant_at(body["_platform"], now(), None)
        with store.transaction():
            accounts.onboarded(merchant, body | {"_link": None}, dict.fromkeys(accounts.STATES, True))
        return JSONResponse({"redirect": body["_return_url"]})

    async def overview(request: Request) -> Response:
        rows = store.rows("SELECT account, body FROM objects WHERE kind = 'event' ORDER BY number DESC LIMIT 100")
        return JSONResponse({"events": [_line(row["account"], row["body"]) for row in rows]}, headers=HEADERS)

    return [
        Route("/", _page("overview.html")),
        Route("/overview", overview),
        *(Route(f"/page/{name}", _page(name)) for name in ASSETS),
        Route("/v3/stripe.js", _page("v3.js")),
        Route("/elements/authenticate/{secret}", _page("authenticate.html"), methods=["GET"]),
        Route("/elements/authenticate/{secret}", authenticate, methods=["POST"]),
        Route("/elements/{secret}", _page("elements.html"), methods=["GET"]),
        Route("/elements/{secret}/element", _page("element.html"), methods=["GET"]),
        Route("/elements/{secret}/state", state, methods=["GET"]),
        Route("/onboarding/{account}/{link}", _page("onboarding.html"), methods=["GET"]),
        Route("/onboarding/{account}/{link}/state", onboard, methods=["GET", "POST"]),
    ]


def _shown(merchant: Merchant, body: Object, wallets: frozenset[str]) -> Object:
    error = body.get("last_payment_error") or body.get("last_setup_error") or {}
    methods = merchant.find("payment_method", "customer = ?", body["customer"]) if body["customer"] else []
    return {
        "id": body["id"],
        "object": body["object"],
        "account": merchant.id,
        "status": body["status"],
        "amount": shown(body["amount"], body["currency"]) if "amount" in body else None,
        "currency": body.get("currency", "").upper(),
        "description": body["description"],
        "declined": error.get("message"),
        "saved": [{"id": one["id"], "label": _label(one)} for one in methods],
        "cards": [
            {
                "id": name,
                "label": card.label,
                "last4": card.last4,
                "asks": card.asks != "never",
                "fails": bool(card.code),
                "wallet": bool(card.wallet),
            }
            for name, card in CARDS.items()
            if card.label and (not card.wallet or card.wallet in wallets)
        ],
    }


def _label(method: Object) -> str:
    if method["type"] == "card":
        return f"{method['card']['brand'].title()} ending in {method['card']['last4']}"
    return f"Bank account ending in {method['us_bank_account']['last4']}"


def _returning(address: str, body: Object) -> str:
    """Where a browser goes after the bank's window, as Stripe tells it."""
    kind = body["object"]
    told = {
        kind: body["id"],
        f"{kind}_client_secret": body["client_secret"],
        "redirect_status": "failed" if body["status"] == "requires_payment_method" else "succeeded",
    }
    parts = urlsplit(address)
    return urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), *told.items()])))


def _line(account: str, text: str) -> Object:
    event = json.loads(text)
    body = event["data"]["object"]
    amount = body.get("amount", body.get("amount_due"))
    return {
        "id": event["id"],
        "account": account,
        "created": event["created"],
        "type": event["type"],
        "about": body.get("id"),
        "status": body.get("status"),
        "amount": shown(amount, body["currency"]) if isinstance(amount, int) and body.get("currency") else None,
        "pending": event["pending_webhooks"],
    }


def _page(name: str) -> Any:
    async def answer(request: Request) -> Response:
        return FileResponse(PAGE / name, headers=HEADERS)

    return answer
