"""The control address: what tests, and people who try things, can make happen."""

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from embedded.sandboxes.stripe import accounts, disputes, events, payouts, refunds
from embedded.sandboxes.stripe.faults import Faults
from embedded.sandboxes.stripe.keys import Keys
from embedded.sandboxes.stripe.merchant import Merchant, new_id, public
from embedded.sandboxes.stripe.store import Store
from embedded.sandboxes.stripe.timers import MerchantAt, fire, run_due
from embedded.sandboxes.stripe.wire import Object, Refusal


def control_routes(
    store: Store, faults: Faults, keys: Keys, merchant_at: MerchantAt, now: Callable[[], int]
) -> list[Route]:
    """Everything under /sandbox. JSON in and out; refusals in Stripe's error form."""

    def changing(path: str, change: Callable[[Merchant, Object, str], Any]) -> Route:
        """A route that does something in the name of `account`, in one transaction."""

        async def answer(request: Request) -> Response:
            body = await _json(request)
            merchant = merchant_at(str(body.get("account", "")), now(), None)
            with store.transaction():
                return JSONResponse(change(merchant, body, request.path_params.get("id", "")))

        return Route(path, _guarded(answer), methods=["POST"])

    async def alive(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def get_faults(request: Request) -> Response:
        return JSONResponse(faults.shown())

    async def put_faults(request: Request) -> Response:
        faults.set(await _json(request))
        return JSONResponse(faults.shown())

    async def effects(request: Request) -> Response:
        query = request.query_params
        return JSONResponse(keys.effects(query.get("account"), query.get("key")))

    async def deliveries(request: Request) -> Response:
        query = request.query_params
        sql = (
            "SELECT * FROM deliveries WHERE account = coalesce(?, account) AND event = coalesce(?, event) "
            "ORDER BY number"
        )
        rows = store.rows(sql, query.get("account"), query.get("event"))
        return JSONResponse({"deliveries": [dict(row) for row in rows]})

    async def hurry(request: Request) -> Response:
        """Does now what is to be due within so many seconds, of one account or thing or of all; not what it brings."""
        body = await _json(request)
        instant, done = now(), 0
        run_due(store, merchant_at, instant)
        until, account, what = instant + int(body.get("within", 10)), body.get("account"), body.get("id")
        sql = (
            "SELECT * FROM timers WHERE clock IS NULL AND due_at <= ? AND account = coalesce(?, account)"
            " AND id = coalesce(?, id) ORDER BY due_at, number"
        )
        for row in store.rows(sql, until, account, what):
            with store.transaction():
                done += fire(store, merchant_at, row, instant)
        return JSONResponse({"done": done})

    return [
        Route("/healthz", alive),
        Route("/readyz", alive),
        Route("/sandbox/faults", get_faults, methods=["GET"]),
        Route("/sandbox/faults", _guarded(put_faults), methods=["PUT"]),
        Route("/sandbox/effects", effects, methods=["GET"]),
        Route("/sandbox/deliveries", deliveries, methods=["GET"]),
        Route("/sandbox/timers", _guarded(hurry), methods=["POST"]),
        changing("/sandbox/disputes", _dispute),
        changing("/sandbox/disputes/{id}", _decide),
        changing("/sandbox/refunds/{id}/fail", _fail_refund),
        changing("/sandbox/payouts", _pay_out),
        changing("/sandbox/payouts/{id}/fail", _fail_payout),
        changing("/sandbox/accounts/{id}", _onboard),
        changing("/sandbox/accounts/{id}/deauthorize", _deauthorize),
        changing("/sandbox/webhook_endpoints/{id}/roll", _roll),
        changing("/sandbox/events/{id}/resend", _resend),
    ]


def _dispute(merchant: Merchant, body: Object, _: str) -> Object:
    charge = merchant.need("charge", body["charge"], "charge")
    reason = body.get("reason", "fraudulent")
    return public(disputes.opened(merchant, charge, reason, body.get("amount"), bool(body.get("inquiry"))))


def _decide(merchant: Merchant, body: Object, identity: str) -> Object:
    dispute = merchant.need("dispute", identity)
    if dispute["status"] in ("won", "lost", "warning_closed"):
        raise Refusal("This dispute is already closed.")
    return public(disputes.decided(merchant, dispute, won=body["outcome"] == "won"))


def _fail_refund(merchant: Merchant, body: Object, identity: str) -> Object:
    return public(refunds.failed(merchant, identity, body.get("reason", "expired_or_canceled_card")))


def _pay_out(merchant: Merchant, body: Object, _: str) -> Object:
    return {"payouts": [public(one) for one in payouts.pay_all(merchant)]}


def _fail_payout(merchant: Merchant, body: Object, identity: str) -> Object:
    return public(payouts.failed(merchant, identity))


def _onboard(merchant: Merchant, body: Object, identity: str) -> Object:
    own = merchant.store.get(identity, identity)
    if own is None:
        raise accounts.no_access(identity)
    platform = merchant if own["_platform"] is None else _as(merchant, own["_platform"])
    return public(accounts.onboarded(platform, own, {name: body[name] for name in accounts.STATES if name in body}))


def _deauthorize(merchant: Merchant, body: Object, identity: str) -> Object:
    own = merchant.store.get(identity, identity)
    if own is None or own["_platform"] is None:
        raise accounts.no_access(identity)
    return accounts.deauthorized(_as(merchant, own["_platform"]), own)


def _roll(merchant: Merchant, body: Object, identity: str) -> Object:
    endpoint = merchant.need("webhook_endpoint", identity)
    secret = str(body.get("secret") or f"whsec_{new_id('x')[2:]}")
    merchant.save(events.rolled(endpoint, secret, time.time() + float(body.get("expires_in", 0))))
    return {"id": identity, "secret": secret}


def _resend(merchant: Merchant, body: Object, identity: str) -> Object:
    merchant.need("event", identity)
    sql = (
        "INSERT INTO deliveries (account, event, owner, endpoint, due_at) "
        "SELECT DISTINCT account, event, owner, endpoint, ? FROM deliveries WHERE account = ? AND event = ?"
    )
    return {"resent": merchant.store.run(sql, time.time(), merchant.id, identity)}


def _as(merchant: Merchant, platform: str) -> Merchant:
    return replace(merchant, id=platform, platform=platform)


def _guarded(answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def guarded(request: Request) -> Response:
        try:
            return await answer(request)
        except Refusal as refusal:
            return JSONResponse({"error": refusal.error}, refusal.status)
        except (KeyError, TypeError, ValueError) as error:
            return JSONResponse({"error": {"message": f"Not understood: {error!r}"}}, 422)

    return guarded


async def _json(request: Request) -> Object:
    body = json.loads(await request.body() or b"{}")
    if not isinstance(body, dict):
        raise ValueError("a JSON object is wanted")
    return body
