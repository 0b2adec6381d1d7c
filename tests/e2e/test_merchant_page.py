"""An owner opens the studio's account for payments in a real browser, and sees that its books agree."""

from uuid import uuid4

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import DESKTOP, PHONE, ColorScheme, OpenPage, overflows, weak_texts
from tests.support.product import Product, Visitor

PASSWORD = "a long enough one"


def _founded(running: Product) -> str:
    """The owner of a new studio; its address."""
    visitor, email = Visitor(running.url), f"{uuid4().hex}@visitors.example"
    visitor.post("/v1/accounts:signUp", {"email": email, "password": PASSWORD, "displayName": "Olga Own"})
    wanted = {"displayName": "New Studio", "timeZone": "Europe/Berlin", "currencyCode": "EUR"}
    visitor.post("/v1/studios", wanted)
    return email


async def _enter(page: Page, email: str, password: str = PASSWORD) -> None:
    form = page.locator("#sign-in")
    await form.get_by_label("E-mail").fill(email)
    await form.get_by_label("Password").fill(password)
    await page.keyboard.press("Enter")


@pytest.mark.parametrize(("color_scheme", "size"), [("light", DESKTOP), ("dark", PHONE)])
async def test_the_account_is_opened_and_onboarded(
    running: Product, open_page: OpenPage, color_scheme: ColorScheme, size: tuple[int, int]
) -> None:
    email = _founded(running)
    # Not signed in yet; there is no account yet, nor were the books compared.
    page = await open_page(running.url, color_scheme=color_scheme, size=size, refusals=(401, 404))
    await _enter(page, email)
    merchant = page.locator("#merchant")
    await merchant.get_by_role("button", name="Open an account").click()
    await expect(merchant.get_by_label("Country")).to_be_focused()
    await merchant.get_by_label("Country").select_option("Germany")
    await merchant.get_by_role("button", name="Open an account").click()
    await expect(merchant).to_contain_text("Clients cannot pay yet.")
    await expect(merchant).to_contain_text("The payment provider still asks for: business profile url")
    assert not await overflows(page)
    assert not await weak_texts(page)
    await merchant.get_by_role("button", name="Tell what is missing").click()
    await page.get_by_role("button", name="Agree and finish").click()
    await page.wait_for_url(f"{running.url}/")
    # The provider tells us a moment later.
    for _ in range(20):
        if await merchant.get_by_text("Clients can pay.").count() and await merchant.get_by_text("Apple Pay").count():
            break
        await page.wait_for_timeout(500)
        await page.reload()
        await expect(merchant).to_contain_text("Account in EUR")
    await expect(merchant).to_contain_text("Cards, Apple Pay, Google Pay")
    assert not await weak_texts(page)


async def test_who_visits_sees_nothing_of_it(running: Product, open_page: OpenPage) -> None:
    studio = running.sign_in("owner").studio.split("/")[1]
    page = await open_page(f"{running.url}/?studio={studio}", refusals=(401,))
    login = next(login for login in running.demo["logins"] if login["role"] == "client")
    await _enter(page, login["email"], running.demo["password"])
    await expect(page.locator("#credits")).to_contain_text("left")
    await expect(page.locator("#merchant")).to_be_hidden()
