"""The page that shows what was sent, in a browser: every channel, light and dark, at a desk and on a phone."""

import os
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Page, expect

from services.notify.providers.push import Push, Subscription
from services.notify.providers.sms import Sms
from tests.integration.notify.channels import Sandboxes, mail_to, new_key, new_number
from tests.integration.notify.test_push_provider import provider as push_provider
from tests.integration.notify.webhook_house import open_door
from tests.support.browser import DESKTOP, PHONE, ColorScheme, OpenPage, overflows, weak_texts
from tests.support.services import Mesh

# Where pictures of the page are kept, when somebody wants to look at them.
PICTURES = os.environ.get("POWERHOUSE_PICTURES")


async def picture(page: Page, name: str) -> None:
    if PICTURES:
        await page.screenshot(path=Path(PICTURES) / f"{name}.png")


async def some_of_each(twins: Sandboxes) -> tuple[str, str]:
    """A mail, an SMS and a notification; the SMS's number and words."""
    await twins.mail("sendgrid", timeout=5).send(mail_to("ann@example.test"), new_key())
    subscription = await twins.browser()
    to = Subscription(subscription["endpoint"], **subscription["keys"])
    notification = Push(to, "Reformer Flow at 10:00", "Kiez Pilates, spot R4", "https://studio.example/b", 3600)
    await push_provider(twins.url).send(notification, new_key())
    number, text = new_number(), f"Kiez Pilates: Reformer Flow, Mon 10:00. {new_key()[:6]}"
    await twins.sms(timeout=5).send(Sms("+4930123456", number, text), new_key())
    return number, text


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desk", "phone"])
async def test_every_channel_is_shown(
    twins: Sandboxes, open_page: OpenPage, color_scheme: ColorScheme, size: tuple[int, int]
) -> None:
    number, text = await some_of_each(twins)
    page = await open_page(f"{twins.url}/sandbox", color_scheme=color_scheme, size=size)
    name = f"sandbox-{color_scheme}-{size[0]}"
    await expect(page.get_by_role("listitem").first).to_contain_text("SMS")
    await picture(page, name)
    for channel, words in (("SMS", text), ("Push", "Reformer Flow at 10:00"), ("Mail", "Grüße: Monday at ten")):
        await page.get_by_role("button", name=channel, exact=True).click()
        await page.get_by_role("listitem").first.get_by_role("button").click()
        await expect(page.get_by_role("article", name="Message")).to_contain_text(words)
        if channel == "Mail":
            await expect(page.frame_locator("#html").locator("b")).to_have_text("ten")
            link = page.get_by_role("group", name="Attachments").get_by_role("link", name="quittung-000042.pdf")
            opened = await page.request.get(f"{twins.url}{await link.get_attribute('href')}")
            assert opened.headers["content-type"] == "application/pdf"
            assert (await opened.body()).startswith(b"%PDF")
        await picture(page, f"{name}-{channel}")
        assert await weak_texts(page) == []
        assert not await overflows(page)
        if size == PHONE:
            await page.get_by_role("button", name="← All messages").click()
    await page.get_by_role("searchbox").fill(number)
    await page.get_by_role("button", name="All", exact=True).click()
    await expect(page.get_by_role("listitem")).to_have_count(1)


async def test_words_from_outside_stay_words(twins: Sandboxes, open_page: OpenPage) -> None:
    evil = "<img src=x onerror=alert(1)>"
    await twins.sms(timeout=5).send(Sms("+4930123456", new_number(), evil), new_key())
    page = await open_page(f"{twins.url}/sandbox")
    await page.get_by_role("listitem").first.get_by_role("button").click()
    await expect(page.locator(".bubble")).to_have_text(evil)


async def test_what_became_of_a_message_can_be_told(mesh: Mesh, twins: Sandboxes, open_page: OpenPage) -> None:
    sms = Sms("+4930123456", new_number(), "Monday at ten")
    sid = await twins.sms(timeout=5).send(sms, new_key())
    async with open_door(mesh, twins) as door:
        page = await open_page(f"{twins.url}/sandbox#{sid}")
        await page.get_by_role("button", name="bounced", exact=True).click()
        await expect(page.locator("#said")).to_have_text("The webhook was answered 200.")
        await expect(page.locator("#facts")).to_contain_text("undelivered")
        await page.get_by_placeholder("Answer by SMS").fill("help")
        await page.get_by_role("button", name="Send", exact=True).click()
        await expect(page.locator("#said")).to_contain_text("answered 200: “Messages about your classes")
        assert len(await door.events()) == 2


async def test_the_page_names_no_foreign_host(twins: Sandboxes) -> None:
    async with httpx.AsyncClient(base_url=twins.url) as client:
        for path in ("/sandbox", "/sandbox/page.css", "/sandbox/page.js"):
            answer = await client.get(path)
            assert answer.status_code == 200
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert "://" not in answer.text
