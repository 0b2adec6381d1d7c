"""The payment form, the bank's window, the onboarding and the overview, in a real browser."""

import asyncio
import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import uvicorn
from playwright.async_api import Page
from starlette.applications import Starlette

from gateway.sandbox import stripe_routes
from tests.integration.embedded.stripe_like import KEY, StripeLike, Studio, onboarded, sandbox
from tests.support.browser import DESKTOP, PHONE, ColorScheme, OpenPage, overflows, weak_texts

# Where a client comes back to, as Stripe words it.
BACK = re.compile("redirect_status=")
LOOKS = [("light", DESKTOP), ("dark", PHONE), ("light", PHONE), ("dark", DESKTOP)]


async def wish(studio: Studio, **more: Any) -> Any:
    params = {"amount": 12000, "currency": "usd", "description": "Ten classes", **more}
    return await studio.v1.payment_intents.create_async(params)


def form(studio: Studio, intent: Any, back: str = "") -> str:
    """Where the web app sends a client to pay."""
    key = studio.like.key.replace("sk_", "pk_")
    address = f"{studio.like.url}/elements/{intent.client_secret}?key={key}&account={studio.account}"
    return f"{address}&return_url={studio.like.url}/{back}"


async def choose(page: Page, label: str) -> None:
    await page.get_by_role("radio", name=label, exact=False).first.check()


def told(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


async def test_a_card_pays_and_the_client_is_back(our_sandbox: StripeLike, studio: Studio, open_page: OpenPage) -> None:
    intent = await wish(studio)
    page = await open_page(form(studio, intent, "?from=shop"))
    assert await page.get_by_role("heading", level=1).inner_text() == "Pay $120.00 USD"
    await page.get_by_role("button", name="Pay $120.00 USD").click()
    await page.wait_for_url(BACK)
    assert told(page) == {
        "from": "shop",
        "payment_intent": intent.id,
        "payment_intent_client_secret": intent.client_secret,
        "redirect_status": "succeeded",
    }
    assert (await studio.v1.payment_intents.retrieve_async(intent.id)).status == "succeeded"


async def test_a_declined_card_says_so_and_another_is_taken(
    our_sandbox: StripeLike, studio: Studio, open_page: OpenPage
) -> None:
    intent = await wish(studio)
    page = await open_page(form(studio, intent), size=PHONE)
    await choose(page, "Declined: insufficient funds")
    await page.get_by_role("button", name="Pay").click()
    await page.get_by_role("alert").wait_for()
    assert await page.get_by_role("alert").inner_text() == "Your card has insufficient funds."
    assert await page.get_by_role("button", name="Pay").is_enabled()
    await choose(page, "Mastercard, succeeds")
    await page.keyboard.press("Enter")
    await page.wait_for_url(BACK)
    assert told(page)["redirect_status"] == "succeeded"


@pytest.mark.parametrize(("button", "status"), [("Yes, approve it", "succeeded"), ("No, refuse it", "failed")])
async def test_a_bank_asks_in_its_window(
    our_sandbox: StripeLike, studio: Studio, open_page: OpenPage, button: str, status: str
) -> None:
    intent = await wish(studio)
    page = await open_page(form(studio, intent), size=PHONE, color_scheme="dark")
    await choose(page, "3-D Secure, asked of the person")
    await page.get_by_role("button", name="Pay").click()
    await page.get_by_role("heading", name="Is this you?").wait_for()
    await page.get_by_text("Payment of $120.00 USD").wait_for()
    assert await weak_texts(page) == []
    await page.get_by_role("button", name=button).click()
    await page.wait_for_url(BACK)
    assert told(page)["redirect_status"] == status
    seen = await studio.v1.payment_intents.retrieve_async(intent.id)
    assert seen.status == ("succeeded" if status == "succeeded" else "requires_payment_method")


async def test_a_saved_card_is_offered_first_and_a_card_can_be_saved(
    our_sandbox: StripeLike, studio: Studio, open_page: OpenPage
) -> None:
    customer = await studio.customer()
    setup = await studio.v1.setup_intents.create_async({"customer": customer.id})
    page = await open_page(form(studio, setup))
    await choose(page, "Mastercard, succeeds")
    await page.get_by_role("button", name="Save a card").click()
    await page.wait_for_url(BACK)
    assert told(page)["setup_intent"] == setup.id
    intent = await wish(studio, customer=customer.id)
    page = await open_page(form(studio, intent))
    saved = page.get_by_role("radio", name="Mastercard ending in 4444")
    assert await saved.is_checked()
    await page.get_by_role("button", name="Pay").click()
    await page.wait_for_url(BACK)
    (method,) = (await studio.v1.payment_methods.list_async({"customer": customer.id})).data
    assert (await studio.v1.payment_intents.retrieve_async(intent.id)).payment_method == method.id


async def test_what_is_paid_cannot_be_paid_again(our_sandbox: StripeLike, studio: Studio, open_page: OpenPage) -> None:
    intent = await wish(studio)
    await studio.v1.payment_intents.confirm_async(
        intent.id, {"payment_method": "pm_card_visa", "return_url": f"{studio.like.url}/"}
    )
    page = await open_page(form(studio, intent))
    await page.get_by_text("Paid. Thank you.").wait_for()
    assert await page.get_by_role("button").count() == 0


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
async def test_the_form_is_readable_and_fits(
    our_sandbox: StripeLike, studio: Studio, open_page: OpenPage, scheme: ColorScheme, size: tuple[int, int]
) -> None:
    intent = await wish(studio, description="Ten classes, valid for three months from the first booking")
    page = await open_page(form(studio, intent), color_scheme=scheme, size=size)
    await page.get_by_role("button", name="Pay").wait_for()
    assert await weak_texts(page) == []
    assert not await overflows(page)
    first = page.get_by_role("radio").first
    await first.focus()
    await page.keyboard.press("ArrowDown")
    assert await page.get_by_role("radio").nth(1).is_checked()


async def test_onboarding_is_one_click(our_sandbox: StripeLike, open_page: OpenPage) -> None:
    platform: Any = our_sandbox.client().v1
    account = await platform.accounts.create_async({"type": "standard", "business_profile": {"name": "Studio North"}})
    back = f"{our_sandbox.url}/"
    link = await platform.account_links.create_async(
        {"account": account.id, "type": "account_onboarding", "return_url": back, "refresh_url": back}
    )
    page = await open_page(link.url, color_scheme="dark")
    await page.get_by_role("heading", name="Studio North").wait_for()
    assert await weak_texts(page) == []
    await page.get_by_role("button", name="Agree and finish").click()
    await page.wait_for_url(back)
    assert (await platform.accounts.retrieve_async(account.id)).charges_enabled


@pytest.mark.parametrize(("scheme", "size"), LOOKS[:2])
async def test_the_overview_shows_the_newest_events(
    our_sandbox: StripeLike, studio: Studio, open_page: OpenPage, scheme: ColorScheme, size: tuple[int, int]
) -> None:
    paid = await studio.pay(12345)
    page = await open_page(f"{our_sandbox.url}/", color_scheme=scheme, size=size)
    row = page.get_by_role("row").filter(has_text=paid.id).filter(has_text="payment_intent.succeeded")
    await row.wait_for()
    assert "$123.45" in await row.inner_text()
    assert await weak_texts(page) == []
    assert not await overflows(page)


async def test_the_same_pages_under_the_gateway_s_address(tmp_path: Path, open_page: OpenPage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        public = f"http://127.0.0.1:{listener.getsockname()[1]}/sandbox/stripe"
        with sandbox(tmp_path, "--public-url", public) as url:
            front = uvicorn.Server(uvicorn.Config(Starlette(routes=stripe_routes(url)), log_config=None))
            serving = asyncio.create_task(front.serve(sockets=[listener]))
            studio = await onboarded(StripeLike(url, KEY, ours=True))
            intent = await wish(studio)
            page = await open_page(form(studio, intent).replace(url, public))
            await choose(page, "3-D Secure on every payment")
            await page.get_by_role("button", name="Pay").click()
            await page.get_by_role("button", name="Yes, approve it").click()
            await page.wait_for_url(BACK)
            assert page.url.startswith(f"{public}/?")
            await page.get_by_role("row").filter(has_text=intent.id).first.wait_for()
            front.should_exit = True
            await serving
