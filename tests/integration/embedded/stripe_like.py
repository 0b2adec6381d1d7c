"""A Stripe-like server for the contract suite: our sandbox, or the one that STRIPE_LIKE_URL and STRIPE_LIKE_KEY name.

With another server (Stripe itself in test mode: https://api.stripe.com and a key of your own) the tests that turn the
sandbox's knobs are skipped, and those that must wait for something wait for it.
"""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import stripe

from embedded.children import answers
from embedded.processes import free_port

KEY, OTHER_KEY = "sk_test_sandbox0123456789", "sk_test_another9876543210"
URL_NAME, KEY_NAME = "STRIPE_LIKE_URL", "STRIPE_LIKE_KEY"
PATIENCE_SECONDS = 20
BACK = "https://studio.example/back"

T = TypeVar("T")


@dataclass(frozen=True)
class StripeLike:
    """Where it is, with which key, and whether it is our sandbox."""

    url: str
    key: str
    ours: bool

    def client(self, key: str | None = None, account: str | None = None, retries: int = 0) -> stripe.StripeClient:
        """The SDK, asynchronous, pointed at the server."""
        return stripe.StripeClient(
            key or self.key,
            stripe_account=account,
            base_addresses={"api": self.url},
            max_network_retries=retries,
            http_client=stripe.HTTPXClient(allow_sync_methods=False),
        )

    async def control(self, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> Any:
        """Asks the control address of our sandbox."""
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.request(method, f"{self.url}{path}", json=body if method != "GET" else None)
        assert answer.status_code == 200, answer.text
        return answer.json()


@dataclass(frozen=True)
class Studio:
    """A merchant: a connected account of the sandbox, or the account of the key elsewhere."""

    like: StripeLike
    client: stripe.StripeClient
    account: str | None

    @property
    def v1(self) -> Any:
        """The SDK's services, untyped: parameters are plain dictionaries here."""
        return self.client.v1

    async def customer(self, method: str | None = None, **more: Any) -> Any:
        """A customer, with a saved default method."""
        customer = await self.v1.customers.create_async({"email": "ann@example.com", "name": "Ann", **more})
        if method:
            saved = await self.v1.payment_methods.attach_async(method, {"customer": customer.id})
            settings = {"default_payment_method": saved.id}
            customer = await self.v1.customers.update_async(customer.id, {"invoice_settings": settings})
        return customer

    async def pay(self, amount: int = 2000, method: str = "pm_card_visa", **more: Any) -> Any:
        """A payment confirmed at once, on the spot."""
        params = {"amount": amount, "currency": "usd", "payment_method": method, "confirm": True, "return_url": BACK}
        return await self.v1.payment_intents.create_async({**params, **more})

    async def hurry(self, seconds: int = 10) -> None:
        """Does now what our sandbox would do within so many seconds."""
        if self.like.ours:
            await self.like.control("/sandbox/timers", {"within": seconds, "account": self.account})

    async def until(self, look: Callable[[], Awaitable[T]], good: Callable[[T], bool]) -> T:
        """Looks again until what it sees is good."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            await self.hurry()
            seen = await look()
            if good(seen):
                return seen
            assert time.monotonic() < deadline, f"still {seen}"
            await asyncio.sleep(0.2)

    async def settled(self, charge: str) -> Any:
        """A charge with its balance transaction, expanded."""

        async def look() -> Any:
            return await self.v1.charges.retrieve_async(charge, {"expand": ["balance_transaction"]})

        return await self.until(look, lambda seen: seen.balance_transaction is not None)

    async def events(self, about: str) -> list[str]:
        """The types of the events about an object, in the order in which they happened."""
        page = await self.v1.events.list_async({"limit": 100})
        return [one.type for one in reversed(page.data) if one.data.object["id"] == about]

    async def authenticate(self, intent: Any, outcome: str = "succeed") -> Any:
        """Answers the bank's 3-D Secure page as a person would."""
        if not self.like.ours:
            pytest.skip("only a person in a browser can answer the bank's page there")
        action = intent.next_action.to_dict()
        url = action["redirect_to_url"]["url"] if "redirect_to_url" in action else action["use_stripe_sdk"]["stripe_js"]
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.post(url, json={"outcome": outcome})
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextmanager
def sandbox(directory: Path, *arguments: str, **environ: str) -> Iterator[str]:
    """A running sandbox's address."""
    port = free_port()
    command = [sys.executable, "-m", "embedded.sandboxes.stripe", "--port", str(port), "--directory", str(directory)]
    environment = {**os.environ, "STRIPE_API_KEY": f"{KEY},{OTHER_KEY}", **environ}
    with subprocess.Popen([*command, *arguments], env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 60
            while not answers(port):
                assert time.monotonic() < deadline, "the sandbox did not start"
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0


@pytest.fixture(scope="session")
def stripe_like(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StripeLike]:
    """The server that the suite talks to."""
    if url := os.environ.get(URL_NAME):
        yield StripeLike(url.rstrip("/"), os.environ[KEY_NAME], ours=False)
        return
    with sandbox(tmp_path_factory.mktemp("stripe")) as url:
        yield StripeLike(url, KEY, ours=True)


@pytest.fixture
async def our_sandbox(stripe_like: StripeLike) -> AsyncIterator[StripeLike]:
    """Our sandbox in good weather; skips elsewhere."""
    if not stripe_like.ours:
        pytest.skip(f"turns the sandbox's own knobs; {URL_NAME} names another server")
    await stripe_like.control("/sandbox/faults", {}, "PUT")
    yield stripe_like
    await stripe_like.control("/sandbox/faults", {}, "PUT")


@pytest.fixture
async def studio(stripe_like: StripeLike) -> Studio:
    """A merchant of its own for each test, as far as the server allows."""
    if not stripe_like.ours:
        return Studio(stripe_like, stripe_like.client(), None)
    return await onboarded(stripe_like)


async def onboarded(like: StripeLike, **params: Any) -> Studio:
    """A connected account of our sandbox that may take money."""
    account = await like.client().v1.accounts.create_async({"type": "standard", "country": "US", **params})
    states = dict.fromkeys(("charges_enabled", "payouts_enabled", "details_submitted"), True)
    await like.control(f"/sandbox/accounts/{account.id}", states)
    return Studio(like, like.client(account=account.id), account.id)


def once() -> str:
    """A fresh idempotency key."""
    return secrets.token_hex(12)
