"""Clients with a browser who pay at the demo studio."""

from uuid import uuid4

from playwright.async_api import FrameLocator, Page, expect

from tests.support.browser import DESKTOP, ColorScheme, OpenPage
from tests.support.product import Product, Visitor

PASSWORD = "a long enough one"
DECLINED = "Payment declined. Please try different card."


def joined(running: Product) -> str:
    """A new client of the demo studio; its address."""
    owner, visitor, email = running.sign_in("owner"), Visitor(running.url), f"{uuid4().hex}@visitors.example"
    visitor.post("/v1/accounts:signUp", {"email": email, "password": PASSWORD, "displayName": "Nora New"})
    visitor.post(f"/v1/{owner.studio}/clients:join", {"displayName": "Nora New", "email": email})
    return email


async def at_the_studio(
    running: Product,
    open_page: OpenPage,
    *,
    color_scheme: ColorScheme = "light",
    size: tuple[int, int] = DESKTOP,
) -> tuple[Page, str]:
    email = joined(running)
    page = await signed_in(running, open_page, email, PASSWORD, color_scheme=color_scheme, size=size)
    await expect(page.locator("#credits")).to_contain_text("0 credits left")
    return page, email


async def signed_in(
    running: Product,
    open_page: OpenPage,
    email: str,
    password: str,
    *,
    studio: str = "",
    color_scheme: ColorScheme = "light",
    size: tuple[int, int] = DESKTOP,
) -> Page:
    """The page of the demo studio, or another, as somebody sees it."""
    studio = studio or running.sign_in("owner").studio
    address = f"{running.url}/?studio={studio.split('/')[1]}"
    # Not signed in yet; a code that is none, a card that is declined.
    page = await open_page(address, color_scheme=color_scheme, size=size, refusals=(401, 400, 402))
    await sign_in(page, email, password)
    return page


async def sign_in(page: Page, email: str, password: str) -> None:
    form = page.locator("#sign-in")
    await form.get_by_label("E-mail").fill(email)
    await form.get_by_label("Password").fill(password)
    await page.keyboard.press("Enter")
    await expect(page.locator("#studio-name")).to_be_visible()


def card_form(page: Page) -> FrameLocator:
    return page.frame_locator("iframe")


async def pay_with(page: Page, card: str) -> None:
    await card_form(page).get_by_role("radio", name=card).first.check()
    await page.get_by_role("button", name="Pay €").click()
