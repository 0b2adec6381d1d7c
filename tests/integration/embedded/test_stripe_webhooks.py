"""Deliveries of the sandbox: signed, repeated, rotated, and lost on purpose; and what goes wrong with its answers."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.integration.embedded.stripe_like import KEY, StripeLike, Studio, onboarded, once, sandbox

FIRST_HOUR = 3600


@dataclass
class Receiver:
    """An endpoint that keeps what it is told; it answers by `answers`, and 200 when they are used up."""

    url: str = ""
    got: list[tuple[bytes, str]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    # Whose events count; other tests' accounts still have theirs.
    account: str | None = None

    async def take(self, request: Request) -> Response:
        body = await request.body()
        if self.account not in (None, json.loads(body).get("account")):
            return Response()
        self.got.append((body, request.headers["stripe-signature"]))
        return Response(status_code=self.answers.pop(0) if self.answers else 200)

    def events(self, secret: str) -> list[stripe.Event]:
        """What came, each verified by the SDK."""
        return [stripe.Webhook.construct_event(body, signature, secret) for body, signature in self.got]

    async def wait_for(self, count: int) -> None:
        deadline = time.monotonic() + 60
        while len(self.got) < count:
            assert time.monotonic() < deadline, f"{len(self.got)} of {count} came"
            await asyncio.sleep(0.05)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    application = Starlette(routes=[Route("/hook", made.take, methods=["POST"])])
    listener = socket.create_server(("127.0.0.1", 0))
    made.url = f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
    server = uvicorn.Server(uvicorn.Config(application, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve([listener]))
    yield made
    server.should_exit = True
    await serving


async def register(like: StripeLike, url: str, *kinds: str, connect: bool = True) -> Any:
    params = {"url": url, "enabled_events": list(kinds or ("*",)), "connect": connect}
    return await like.client().v1.webhook_endpoints.create_async(params)


@pytest.fixture
async def endpoint(our_sandbox: StripeLike, studio: Studio, receiver: Receiver) -> AsyncIterator[Any]:
    receiver.account = studio.account
    made = await register(our_sandbox, receiver.url)
    yield made
    await our_sandbox.client().v1.webhook_endpoints.delete_async(made.id)


async def test_events_arrive_signed_and_name_their_account(
    our_sandbox: StripeLike, studio: Studio, receiver: Receiver, endpoint: Any
) -> None:
    paid = await studio.pay(metadata={"purchase": "p1"})
    await receiver.wait_for(3)
    events = receiver.events(endpoint.secret)
    assert {one.type for one in events} >= {"payment_intent.created", "charge.succeeded", "payment_intent.succeeded"}
    (succeeded,) = [one for one in events if one.type == "payment_intent.succeeded"]
    assert (succeeded.account, succeeded.api_version) == (studio.account, stripe.api_version)
    assert succeeded.data.object["id"] == paid.id
    assert succeeded.data.object["metadata"]["purchase"] == "p1"
    assert not any(name.startswith("_") for name in succeeded.data.object.to_dict())
    body, signature = receiver.got[0]
    for tampered, secret in ((body + b" ", endpoint.secret), (body, "whsec_other")):
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(tampered, signature, secret)
    seen: Any = await our_sandbox.client().v1.webhook_endpoints.retrieve_async(endpoint.id)
    assert "secret" not in seen


async def test_an_owner_takes_the_access_away(
    our_sandbox: StripeLike, studio: Studio, receiver: Receiver, endpoint: Any
) -> None:
    await our_sandbox.control(f"/sandbox/accounts/{studio.account}/deauthorize")
    await receiver.wait_for(1)
    (event,) = receiver.events(endpoint.secret)
    assert (event.type, event.account) == ("account.application.deauthorized", studio.account)
    with pytest.raises(stripe.PermissionError) as refused:
        await studio.pay()
    assert refused.value.http_status == 403


async def test_a_platform_s_own_events_go_to_its_own_endpoint(our_sandbox: StripeLike, receiver: Receiver) -> None:
    own = Studio(our_sandbox, our_sandbox.client(), None)
    made = await register(our_sandbox, receiver.url, "customer.created", connect=False)
    await (await onboarded(our_sandbox)).customer()
    customer = await own.customer()
    await receiver.wait_for(1)
    (event,) = receiver.events(made.secret)
    assert (event.data.object["id"], "account" in event) == (customer.id, False)
    await our_sandbox.client().v1.webhook_endpoints.delete_async(made.id)


async def test_two_secrets_in_rotation(
    our_sandbox: StripeLike, studio: Studio, receiver: Receiver, endpoint: Any
) -> None:
    platform = (await our_sandbox.client().v1.accounts.retrieve_current_async()).id
    rolled = await our_sandbox.control(
        f"/sandbox/webhook_endpoints/{endpoint.id}/roll", {"account": platform, "expires_in": FIRST_HOUR}
    )
    await studio.customer()
    await receiver.wait_for(1)
    assert receiver.got[0][1].count("v1=") == 2
    assert receiver.events(endpoint.secret)[0].id == receiver.events(rolled["secret"])[0].id
    again = await our_sandbox.control(f"/sandbox/webhook_endpoints/{endpoint.id}/roll", {"account": platform})
    receiver.got.clear()
    await studio.customer()
    await receiver.wait_for(1)
    assert receiver.events(again["secret"])
    with pytest.raises(stripe.SignatureVerificationError):
        receiver.events(endpoint.secret)


async def test_an_endpoint_that_fails_is_told_again(
    our_sandbox: StripeLike, studio: Studio, receiver: Receiver, endpoint: Any
) -> None:
    receiver.answers = [500, 404]
    await studio.customer()
    await receiver.wait_for(3)
    events = receiver.events(endpoint.secret)
    assert len({one.id for one in events}) == 1
    stamps = [signature.partition(",")[0] for _, signature in receiver.got]
    assert len(set(stamps)) > 1

    async def look() -> Any:
        return await studio.v1.events.retrieve_async(events[0].id)

    assert (await studio.until(look, lambda seen: seen.pending_webhooks == 0)).id == events[0].id
    good = await studio.v1.events.list_async({"delivery_success": True})
    assert events[0].id in [one.id for one in good.data]


async def test_a_dropped_event_is_still_listed_and_can_be_sent_again(
    our_sandbox: StripeLike, studio: Studio, receiver: Receiver, endpoint: Any
) -> None:
    await our_sandbox.control("/sandbox/faults", {"webhook_drop": {"types": "^customer"}}, "PUT")
    customer = await studio.customer()
    await studio.pay()
    await receiver.wait_for(3)
    assert "customer.created" not in [one.type for one in receiver.events(endpoint.secret)]
    lost = await studio.v1.events.list_async({"delivery_success": False, "type": "customer.*"})
    (event,) = lost.data
    assert event.data.object["id"] == customer.id
    await our_sandbox.control(f"/sandbox/events/{event.id}/resend", {"account": studio.account})
    count = len(receiver.got)
    await receiver.wait_for(count + 1)
    assert event.id in [one.id for one in receiver.events(endpoint.secret)]


async def test_a_share_is_dropped_and_the_same_seed_drops_the_same(our_sandbox: StripeLike) -> None:
    told = []
    for _ in range(2):
        studio = await onboarded(our_sandbox)
        made = await register(our_sandbox, "http://127.0.0.1:9/nobody", "customer.created")
        await our_sandbox.control("/sandbox/faults", {"webhook_drop": {"share": 0.2}, "seed": 7}, "PUT")
        for _ in range(50):
            await studio.v1.customers.create_async({})
        await our_sandbox.control("/sandbox/faults", {}, "PUT")
        found = await our_sandbox.control(f"/sandbox/deliveries?account={studio.account}", method="GET")
        told.append([one["state"] == "dropped" for one in found["deliveries"]])
        await our_sandbox.client().v1.webhook_endpoints.delete_async(made.id)
    assert told[0] == told[1]
    assert 3 <= sum(told[0]) <= 20


async def test_events_come_twice_late_and_in_disorder(
    our_sandbox: StripeLike, studio: Studio, receiver: Receiver, endpoint: Any
) -> None:
    await our_sandbox.control("/sandbox/faults", {"webhook_duplicate": {"types": "^customer"}}, "PUT")
    await studio.customer()
    await receiver.wait_for(2)
    twice = receiver.events(endpoint.secret)
    assert twice[0].id == twice[1].id
    receiver.got.clear()
    await our_sandbox.control("/sandbox/faults", {"webhook_reorder": {"seconds": 1.5}, "seed": 3}, "PUT")
    made = [(await studio.v1.customers.create_async({"name": str(n)})).id for n in range(12)]
    await receiver.wait_for(12)
    arrived = [one.data.object["id"] for one in receiver.events(endpoint.secret)]
    assert sorted(arrived) == sorted(made)
    assert arrived != made
    receiver.got.clear()
    await our_sandbox.control("/sandbox/faults", {"webhook_delay": {"seconds": 1, "types": "^customer"}}, "PUT")
    await studio.customer()
    await studio.v1.payment_intents.create_async({"amount": 2000, "currency": "usd"})
    await receiver.wait_for(2)
    assert [one.type for one in receiver.events(endpoint.secret)] == ["payment_intent.created", "customer.created"]


@pytest.mark.parametrize("fault", ["done_then_500", "done_then_close"])
async def test_an_answer_may_be_lost_after_it_was_done(our_sandbox: StripeLike, studio: Studio, fault: str) -> None:
    key = once()
    await our_sandbox.control("/sandbox/faults", {fault: {"count": 1, "path": "^/v1/refunds$"}}, "PUT")
    paid = await studio.pay()
    with pytest.raises((stripe.APIError, stripe.APIConnectionError)):
        await studio.v1.refunds.create_async({"payment_intent": paid.id}, {"idempotency_key": key})
    (refund,) = (await studio.v1.refunds.list_async({"payment_intent": paid.id})).data
    if fault == "done_then_close":
        again = await studio.v1.refunds.create_async({"payment_intent": paid.id}, {"idempotency_key": key})
        assert again.id == refund.id
    else:
        # A stored 500 is replayed for ever, as Stripe does: the way out is to look.
        with pytest.raises(stripe.APIError):
            await studio.v1.refunds.create_async({"payment_intent": paid.id}, {"idempotency_key": key})
    effects = await our_sandbox.control(f"/sandbox/effects?key={key}&account={studio.account}", method="GET")
    assert (effects[key]["uses"], effects[key]["events"]) == (2, {"refund.created": 1, "charge.refunded": 1})


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("reject_500", stripe.APIError),
        ("reject_429", stripe.RateLimitError),
        ("reject_close", stripe.APIConnectionError),
    ],
)
async def test_a_rejected_request_did_nothing_and_may_come_again(
    our_sandbox: StripeLike, studio: Studio, fault: str, error: type[Exception]
) -> None:
    await our_sandbox.control("/sandbox/faults", {fault: 1}, "PUT")
    key = once()
    with pytest.raises(error):
        await studio.v1.customers.create_async({"name": "Ann"}, {"idempotency_key": key})
    assert (await studio.v1.customers.list_async()).data == []
    made = await studio.v1.customers.create_async({"name": "Ann"}, {"idempotency_key": key})
    assert [one.id for one in (await studio.v1.customers.list_async()).data] == [made.id]


@pytest.mark.parametrize(
    ("fault", "then", "made"), [("hold", "reject_close", 0), ("hold", "", 1), ("done_then_hold", "", 1)]
)
async def test_a_call_is_held_until_other_faults_are_set(
    our_sandbox: StripeLike, studio: Studio, fault: str, then: str, made: int
) -> None:
    await our_sandbox.control("/sandbox/faults", {fault: 1}, "PUT")
    asked = asyncio.create_task(studio.v1.customers.create_async({"name": "Ann"}))
    for _ in range(1000):
        # What is used up is not shown.
        if not await our_sandbox.control("/sandbox/faults", method="GET"):
            break
        await asyncio.sleep(0.01)
    assert len((await studio.v1.customers.list_async()).data) == (fault == "done_then_hold")
    await our_sandbox.control("/sandbox/faults", {then: 1} if then else {}, "PUT")
    [answer] = await asyncio.gather(asked, return_exceptions=True)
    assert isinstance(answer, stripe.APIConnectionError) == (not made)
    assert len((await studio.v1.customers.list_async()).data) == made


async def test_the_sdk_s_own_retry_finds_what_was_done(our_sandbox: StripeLike, studio: Studio) -> None:
    await our_sandbox.control("/sandbox/faults", {"done_then_close": 1}, "PUT")
    client: Any = our_sandbox.client(account=studio.account, retries=2)
    made = await client.v1.customers.create_async({"name": "Ann"})
    assert [one.id for one in (await studio.v1.customers.list_async()).data] == [made.id]


async def test_nonsense_at_the_control_address(our_sandbox: StripeLike) -> None:
    async with httpx.AsyncClient(timeout=60) as client:
        for body in ({"explode": 1}, {"slow": -2}, {"slow": {"times": 1}}, {"webhook_drop": {"share": 2}}):
            answer = await client.put(f"{our_sandbox.url}/sandbox/faults", json=body)
            assert answer.status_code in (400, 422)
        unknown = await client.post(f"{our_sandbox.url}/sandbox/disputes", json={"account": "acct_x", "charge": "ch_x"})
    assert unknown.status_code == 404


async def test_a_restart_forgets_nothing(tmp_path: Path, receiver: Receiver) -> None:
    key, secret = once(), "whsec_chosen"
    arguments = ("--webhook-url", receiver.url)
    with sandbox(tmp_path, *arguments, STRIPE_WEBHOOK_SECRET=secret) as url:
        client: Any = StripeLike(url, KEY, ours=True).client()
        first = await client.v1.customers.create_async({"name": "Ann"}, {"idempotency_key": key})
        await receiver.wait_for(1)
    with sandbox(tmp_path, *arguments, STRIPE_WEBHOOK_SECRET=secret) as url:
        client = StripeLike(url, KEY, ours=True).client()
        again = await client.v1.customers.create_async({"name": "Ann"}, {"idempotency_key": key})
        assert again.id == first.id
        await client.v1.customers.create_async({"name": "Bea"})
        await receiver.wait_for(2)
    assert [one.type for one in receiver.events(secret)] == ["customer.created", "customer.created"]


async def test_the_business_clock_moves_the_sandbox(tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("0")
    with sandbox(tmp_path / "stripe", POWERHOUSE_CLOCK_FILE=str(clock)) as url:
        studio = Studio(StripeLike(url, KEY, ours=True), StripeLike(url, KEY, ours=True).client(), None)
        paid = await studio.pay(9000)
        await studio.settled(paid.latest_charge)
        clock.write_text(str(3 * 86400))

        async def look() -> Any:
            return (await studio.v1.payouts.list_async()).data

        (payout, *_) = await studio.until(look, bool)
        assert payout.automatic
