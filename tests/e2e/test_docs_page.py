"""The API reference in a real browser: found, signed in, called, read; by mouse, by keyboard, by day and by night."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from tests.support.browser import PHONE, ColorScheme, OpenPage, overflows, weak_texts
from tests.support.product import Product

# Of one pixel, so that its size is known.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63606060f80f00010401005fe5"
    "c34b0000000049454e44ae426082"
)


async def _sign_in(page: Page, product: Product, role: str) -> None:
    login = next(login for login in product.demo["logins"] if login["role"] == role)
    await page.get_by_role("button", name="Sign in").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("E-mail").fill(login["email"])
    await dialog.get_by_label("Password").fill(product.demo["password"])
    await dialog.get_by_role("button", name="Sign in").click()
    await expect(dialog).to_be_hidden()
    await expect(page.locator("#who")).not_to_have_text("Sign in")


async def _find(page: Page, operation: str) -> None:
    """As somebody who knows where the keyboard leads: `/`, a few letters, Enter."""
    await page.locator("#main").focus()
    await page.keyboard.press("/")
    await page.keyboard.type(operation)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text(operation)


async def _send(page: Page, status: str = "200 OK") -> None:
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator(".trial .status")).to_contain_text(status)
    # The time the call took comes last.
    await expect(page.get_by_role("button", name="Stop")).to_be_hidden()


async def _answer(page: Page) -> Any:
    return json.loads(await page.locator(".trial [aria-live] > pre").inner_text())


async def test_a_person_reads_and_writes_with_their_session(running: Product, open_page: OpenPage) -> None:
    page = await open_page(f"{running.url}/docs")
    await _find(page, "CreateBooking")
    await _sign_in(page, running, "manager")
    manager = running.sign_in("manager")
    # The studio is known from the roles of who signed in.
    await expect(page.get_by_label("studio")).to_have_value(manager.studio.split("/")[1])
    assert json.loads(await page.get_by_label("Body").input_value())["client"].startswith(f"{manager.studio}/clients/")
    await _find(page, "ListClients")
    await page.get_by_label("pageSize").fill("3")
    await _send(page)
    assert len((await _answer(page))["clients"]) == 3

    await _find(page, "CreateClient")
    await page.get_by_label("Body").fill('{"displayName": "Dora Docs", "language": "de"}')
    key = page.get_by_label("Idempotency-Key")
    used = await key.input_value()
    await _send(page)
    made = await _answer(page)
    assert manager.get(f"/v1/{made['name']}")["displayName"] == "Dora Docs"
    # The next call is another thing to do.
    await expect(key).not_to_have_value(used)

    # The session is there after a reload, and gone after signing out.
    await page.reload()
    await page.locator("#who").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.locator("#who")).to_have_text("Sign in")
    await page.reload()
    await expect(page.locator("#who")).to_have_text("Sign in")


async def test_a_picture_goes_up_and_comes_down(running: Product, open_page: OpenPage, tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(PNG)
    page = await open_page(f"{running.url}/docs#UploadStudioLogo")
    await _sign_in(page, running, "manager")
    await page.get_by_label("Body").set_input_files(tmp_path / "logo.png")
    await _send(page)
    assert (await _answer(page))["logo"]
    await _find(page, "DownloadStudioLogo")
    await _send(page)
    picture = page.get_by_role("img", name=f"image/png, {len(PNG)} bytes")
    await expect(picture).to_be_visible()
    assert await picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 1


async def test_a_program_calls_with_its_key(running: Product, open_page: OpenPage) -> None:
    owner = running.sign_in("owner")
    key = owner.post(f"/v1/{owner.studio}/apiKeys", {"displayName": "Docs", "role": "ROLE_FRONT_DESK"})["secret"]
    page = await open_page(f"{running.url}/docs#GetStudio")
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_label("API key").fill(key)
    await page.get_by_role("button", name="Use this key").click()
    await page.get_by_label("studio").fill(owner.studio.split("/")[1])
    await _send(page)
    assert (await _answer(page))["name"] == owner.studio


async def test_what_is_clicked_and_typed_before_the_contract_is_there_is_not_lost(
    running: Product, open_page: OpenPage
) -> None:
    page = await open_page(f"{running.url}/docs")
    arrived = asyncio.Event()

    async def late(route: Route) -> None:
        await arrived.wait()
        await route.continue_()

    await page.route("**/openapi.json", late)
    await page.reload()
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("/")
    await page.keyboard.type("ListClients")
    await page.keyboard.press("Enter")
    arrived.set()
    await expect(page.locator("#contents li:visible")).to_have_text(["GETListClients", "ListClientsResponse"])
    await expect(page.get_by_role("heading", level=1)).to_have_text("ListClients")


async def test_everything_is_reached_by_keyboard(running: Product, open_page: OpenPage) -> None:
    page = await open_page(f"{running.url}/docs#GetMyAccount")
    await expect(page.get_by_role("heading", level=1)).to_have_text("GetMyAccount")
    # From where an address leads to, on to the call.
    reached = []
    while "Send" not in reached:
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate("document.activeElement.innerText || document.activeElement.name"))
        assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", reached
        assert len(reached) < 40, reached
    assert "header:If-None-Match" in reached

    # Backwards to the head of the page: the contents by arrows, then the dialog.
    await page.keyboard.press("/")
    await page.keyboard.type("bookable sessions list")
    for key in ("ArrowDown", "ArrowDown", "ArrowUp"):
        await page.keyboard.press(key)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("ListBookableSessions")
    await page.locator("#who").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("E-mail")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await expect(page.locator("#who")).to_be_focused()


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
async def test_it_is_legible(running: Product, open_page: OpenPage, color_scheme: ColorScheme) -> None:
    page = await open_page(f"{running.url}/docs", color_scheme=color_scheme)
    for address in ("", "CreateBooking", "ListClientPackages", "schema:Booking.State"):
        await page.goto(f"{running.url}/docs#{address}")
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        for answer in await page.locator("details").all():
            await answer.evaluate("answer => (answer.open = true)")
        assert await weak_texts(page) == [], address
        assert not await overflows(page), address
    ink, paper = await page.evaluate("(style => [style.color, style.backgroundColor])(getComputedStyle(document.body))")
    assert (sum(_channels(ink)) > sum(_channels(paper))) == (color_scheme == "dark")


async def test_it_fits_a_phone(running: Product, open_page: OpenPage) -> None:
    page = await open_page(f"{running.url}/docs#CreateBooking", size=PHONE)
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert not await overflows(page)
    await page.get_by_role("button", name="Contents").click()
    await page.get_by_role("link", name="GetRoster").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("GetRoster")
    assert not await overflows(page)


async def test_what_is_wrong_would_be_seen(open_page: OpenPage) -> None:
    page = await open_page("about:blank")
    await page.set_content("<p style='color: #999'>faint</p><p hidden style='color: #999'>hidden</p><p>plain</p>")
    assert await weak_texts(page) == ["faint (2.8)"]
    assert not await overflows(page)
    await page.set_content("<div style='width: 200vw'>wide</div>")
    assert await overflows(page)


def _channels(color: str) -> list[int]:
    return [int(each) for each in color.removeprefix("rgb(").removesuffix(")").split(",")]
