"""The HTTP face: who asks, in whose name, under which key, and what goes wrong on purpose."""

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from embedded.sandboxes.stripe import (  # noqa: F401 - each registers its calls
    accounts,
    catalogue,
    customers,
    disputes,
    events,
    intents,
    invoices,
    payment_method_domains,
    payouts,
    previews,
    refunds,
    setup_intents,
    subscriptions,
    test_clocks,
)
from embedded.sandboxes.stripe.api import render, route
from embedded.sandboxes.stripe.control import control_routes
from embedded.sandboxes.stripe.deliveries import Deliveries
from embedded.sandboxes.stripe.faults import Faults
from embedded.sandboxes.stripe.keys import Keys
from embedded.sandboxes.stripe.merchant import Merchant, new_id
from embedded.sandboxes.stripe.pages import page_routes
from embedded.sandboxes.stripe.store import Store
from embedded.sandboxes.stripe.timers import run_due
from embedded.sandboxes.stripe.wire import API_VERSION, Object, Params, Refusal, decode
from services.chassis.clock import Clock

TICK_SECONDS = 0.1
NO_KEY = (
    "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth "
    "(e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
)
SECRET_NEEDED = "This API call cannot be made with a publishable API key. Please use a secret API key."  # noqa: S105


class CutOff(Response):
    """An answer that never arrives: the connection closes after the head."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Promises a body and leaves, upon which uvicorn closes the connection."""
        headers = [(b"content-type", b"application/json"), (b"content-length", b"64")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})


@dataclass
class StripeSandbox:
    """All accounts of some keys, at one base address."""

    store: Store
    keys: list[str]
    clock: Clock
    base_url: str
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        # By their places, so that an account outlives its key.
        self._platforms = {key: f"acct_1Sandbox{number:07}" for number, key in enumerate(self.keys, 1)}
        self._publishable = {key.replace("sk_", "pk_", 1): name for key, name in self._platforms.items()}
        self._idempotency = Keys(self.store)
        for name in self._platforms.values():
            if self.store.get(name, name) is None:
                merchant = self.merchant_at(name, self.now(), None)
                merchant.add(accounts.account(name, merchant, "US", ready=True))
                merchant.after(86400, "payout.daily", name)

    def listen(self, url: str, secret: str) -> None:
        """Tells an address of all events, of each platform and of its connected accounts."""
        for name in self._platforms.values():
            merchant = self.merchant_at(name, self.now(), None)
            known = {one["_connect"]: one for one in merchant.find("webhook_endpoint") if one.get("_listening")}
            for connect in (False, True):
                fresh = {**events.endpoint(merchant, url, ["*"], secret, connect), "_listening": True}
                if old := known.get(connect):
                    merchant.save(fresh | {"id": old["id"], "created": old["created"]})
                else:
                    merchant.add(fresh)

    def application(self) -> Starlette:
        """The ASGI application, with its loops of deliveries and timers."""

        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with asyncio.TaskGroup() as group:
                loops = [group.create_task(Deliveries(self.store).run()), group.create_task(self._tick())]
                yield
                for loop in loops:
                    loop.cancel()

        routes = [
            Route("/v1/{path:path}", self.answer, methods=["GET", "POST", "DELETE"]),
            *control_routes(self.store, self.faults, self._idempotency, self.merchant_at, self.now),
            Route("/elements/{secret}/confirm", self.answer_page, methods=["POST"]),
            *page_routes(self.store, self.merchant_at, self.now, {v: k for k, v in self._publishable.items()}),
        ]
        return Starlette(routes=routes, lifespan=lifespan)

    def now(self) -> int:
        """Business time in whole seconds."""
        return int(self.clock.now().timestamp())

    def merchant_at(self, account: str, now: int, clock: str | None) -> Merchant:
        """An account at an instant, without a request."""
        own = self.store.get(account, account)
        platform = (own["_platform"] if own else None) or account
        return Merchant(self.store, self.faults, account, platform, now, time.time(), self.base_url, clock)

    async def answer(self, request: Request) -> Response:
        """One call of the API."""
        request_id = new_id("req")
        headers = {"request-id": request_id, "stripe-version": API_VERSION}
        method, path = request.method, request.url.path
        try:
            form = await _form(request)
            secret, platform, account = self._who(request, form)
            if version := request.headers.get("stripe-version", str(form.pop("_stripe_version", ""))):
                _check_version(version)
            if account != platform:
                headers["stripe-account"] = account
            if self.faults.request("hold", method, path):
                await self.faults.change()
            if self.faults.request("reject_close", method, path):
                return CutOff()
            self._reject(method, path)
            key = request.headers.get("idempotency-key") if method == "POST" else None
            if key is not None:
                headers |= {"idempotency-key": key, "original-request": request_id}
                text = json.dumps([method, path, form], sort_keys=True)
                if before := self._idempotency.claim(account, key, text, request_id):
                    headers |= {"idempotent-replayed": "true", "original-request": before.request_id}
                    return JSONResponse(before.body, before.status, headers=headers)
            merchant = Merchant(
                *(self.store, self.faults, account, platform, self.now(), time.time(), self.base_url),
                request=request_id,
                key=key,
                secret=secret,
            )
            return await self._done(merchant, method, path, form, headers)
        except Refusal as refusal:
            return _refused(refusal, headers)

    async def answer_page(self, request: Request) -> Response:
        """What the payment form confirms, as a call of the API; a refusal is an answer that no browser complains of."""
        identity = request.path_params["secret"].partition("_secret_")[0]
        kind = "setup_intents" if identity.startswith("seti_") else "payment_intents"
        call = Request({**request.scope, "path": f"/v1/{kind}/{identity}/confirm"}, request.receive)
        answer = await self.answer(call)
        return answer if isinstance(answer, CutOff) else Response(answer.body, media_type="application/json")

    async def _done(
        self, merchant: Merchant, method: str, path: str, form: Object, headers: dict[str, str]
    ) -> Response:
        try:
            if slow := self.faults.request("slow", method, path):
                await asyncio.sleep(slow.seconds)
            later_500 = self.faults.request("done_then_500", method, path)
            with self.store.transaction():
                try:
                    status, body = 200, _called(merchant, method, path, form)
                except Refusal as refusal:
                    if not refusal.kept:
                        raise
                    status, body = refusal.status, {"error": refusal.error}
                if later_500:
                    status, body = (
                        500,
                        {"error": {"type": "api_error", "message": "An unknown error occurred (it was done)."}},
                    )
                if merchant.key is not None:
                    # As Stripe does, whatever the outcome was: a 500 is replayed too.
                    self._idempotency.keep(merchant.id, merchant.key, status, body)
        except BaseException:
            if merchant.key is not None:
                self._idempotency.release(merchant.id, merchant.key)
            raise
        if slow := self.faults.request("done_then_slow", method, path):
            await asyncio.sleep(slow.seconds)
        if self.faults.request("done_then_hold", method, path):
            await self.faults.change()
        if self.faults.request("done_then_close", method, path):
            return CutOff()
        return JSONResponse(body, status, headers=headers)

    def _reject(self, method: str, path: str) -> None:
        if rate := self.faults.request("reject_429", method, path):
            refusal = Refusal("Too many requests in a short period of time.", status=429, code="rate_limit")
            refusal.headers = {"retry-after": str(round(rate.seconds)), "stripe-should-retry": "false"}
            raise refusal
        if self.faults.request("reject_500", method, path):
            raise Refusal("An unknown error occurred (nothing was done).", status=500, kind="api_error")

    def _who(self, request: Request, form: Object) -> tuple[bool, str, str]:
        """Whether the key is secret, whose it is, and in whose name it acts."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            with contextlib.suppress(ValueError):
                token = base64.b64decode(token).decode().partition(":")[0]
        key = token or str(form.pop("key", ""))
        form.pop("key", None)
        if not key:
            raise Refusal(NO_KEY, status=401)
        platform = self._platforms.get(key) or self._publishable.get(key)
        if platform is None:
            raise Refusal(f"Invalid API Key provided: {key[:8]}****{key[-4:]}", status=401, code="api_key_invalid")
        account = request.headers.get("stripe-account") or str(form.pop("_stripe_account", "")) or platform
        connected = self.store.get(account, account)
        if account != platform and (connected is None or connected["_platform"] != platform):
            raise accounts.no_access(account)
        return key in self._platforms, platform, account

    async def _tick(self) -> None:
        while True:
            try:
                run_due(self.store, self.merchant_at, self.now())
            except Exception as error:
                log("timer_failed", "error", error=repr(error))
            await asyncio.sleep(TICK_SECONDS)


def _called(merchant: Merchant, method: str, path: str, form: Object) -> Object:
    call, arguments = route(method, path)
    if not merchant.secret and not call.publishable:
        raise Refusal(SECRET_NEEDED, status=401, code="secret_key_required")
    params = Params(form)
    expand = params.texts("expand")
    body = call.answer(merchant, params, **arguments)
    for name in params.left():
        raise Refusal(f"Received unknown parameter: {name}", code="parameter_unknown", param=name)
    rendered: Object = render(merchant, body, expand)
    return rendered


async def _form(request: Request) -> Object:
    if request.method != "POST":
        return decode(request.url.query)
    text = (await request.body()).decode(errors="replace")
    kind = request.headers.get("content-type", "application/x-www-form-urlencoded")
    if text and not kind.startswith("application/x-www-form-urlencoded"):
        raise Refusal(f"Invalid request: send application/x-www-form-urlencoded, not {kind}.")
    return decode(text)


def _check_version(version: str) -> None:
    if version != API_VERSION:
        raise Refusal(f"Invalid Stripe API version: {version}. The sandbox speaks {API_VERSION}.")


def _refused(refusal: Refusal, headers: dict[str, str]) -> Response:
    if "original-request" in headers and refusal.status == 409:
        del headers["original-request"]
    body = {
        "error": {**refusal.error, "request_log_url": f"https://dashboard.stripe.com/test/logs/{headers['request-id']}"}
    }
    return JSONResponse(json.loads(json.dumps(body)), refusal.status, headers=headers | refusal.headers)


def log(event: str, level: str = "info", **fields: object) -> None:
    """A line of the log."""
    head = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "level": level, "service": "stripe"}
    print(json.dumps(head | {"process": "sandbox", "event": event} | fields), flush=True)
