"""Unsubscribing and preferences as mail programs and people meet them: over HTTP, without an account."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
import uvicorn
from playwright.async_api import Browser, Page
from prometheus_client import generate_latest

from embedded.certificates import Certificates
from gateway.app import create_app
from gateway.settings import Settings
from gateway.upstreams import SERVICES, Upstreams
from powerhouse.notify.v1 import preference_service_pb2 as pb
from powerhouse.notify.v1.notify_service_pb2 import Delivery
from services.chassis import config
from services.chassis.rpc.stubs import Tls, open_channel
from services.notify import unsubscribe
from services.notify.links import LIFETIME
from tests.integration.gateway.house import gateway_environ
from tests.integration.notify.studio import Studio
from tests.support.browser import PHONE, OpenPage, overflows, weak_texts

ONE_CLICK = {"content": "List-Unsubscribe=One-Click", "headers": {"content-type": "application/x-www-form-urlencoded"}}


@dataclass
class Front:
    """A gateway before the studio's notify, on a real socket."""

    studio: Studio
    address: str
    client: httpx.AsyncClient

    @property
    def link(self) -> str:
        return unsubscribe.link(self.address, self.studio.token())

    @property
    def page(self) -> str:
        return unsubscribe.preferences_link(self.address, self.studio.token())

    async def opt_outs(self) -> list[Any]:
        return [(each.kind, each.channel) for each in (await self.studio.shown()).opt_outs]


@pytest.fixture
async def front(studio: Studio, certificates: Certificates) -> AsyncIterator[Front]:
    target = f"127.0.0.1:{studio.notify.port}"
    channel = open_channel(SERVICES["notify"], "notify", target, Tls(certificates.tls("gateway")))
    # Nobody signs in here, so identity is never called.
    upstreams = Upstreams({"notify": channel, "identity": channel}, {"notify": SERVICES["notify"]})
    settings = config.load(Settings, gateway_environ(certificates, dict.fromkeys(SERVICES, target)))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(create_app(settings, upstreams), log_level="error", lifespan="off"))
        serving = asyncio.create_task(server.serve([listener]))
        async with httpx.AsyncClient(timeout=60) as client:
            yield Front(studio, address, client)
        server.should_exit = True
        await serving
    await upstreams.close()


def test_the_headers_are_those_of_the_standard() -> None:
    headers = unsubscribe.headers("https://studio.example/", "token")
    assert headers == {
        "List-Unsubscribe": "<https://studio.example/v1/unsubscribe/token>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


async def test_a_mail_program_unsubscribes_with_one_post(front: Front) -> None:
    answer = await front.client.post(front.link, **ONE_CLICK)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert await front.opt_outs() == [(Delivery.REMINDER, Delivery.EMAIL)]
    # As a multipart form, which some send, and again, which changes nothing.
    again = await front.client.post(front.link, files={"List-Unsubscribe": (None, "One-Click")})
    assert again.status_code == 200
    assert await front.opt_outs() == [(Delivery.REMINDER, Delivery.EMAIL)]


async def test_a_scanner_that_follows_the_link_unsubscribes_nobody(front: Front) -> None:
    for method in ("GET", "HEAD"):
        answer = await front.client.request(method, front.link)
        assert answer.status_code in (200, 405)
    assert await front.opt_outs() == []


async def test_an_expired_and_a_forged_link_say_so(front: Front) -> None:
    old = front.studio.token(age=LIFETIME + timedelta(days=1))
    for token, reason in ((old, "LINK_EXPIRED"), ("forged", "LINK_INVALID")):
        for answer in (
            await front.client.post(unsubscribe.link(front.address, token), **ONE_CLICK),
            await front.client.get(unsubscribe.link(front.address, token)),
            await front.client.post(f"{front.address}/v1/preferences:open", json={"token": token}),
            await front.client.post(
                f"{front.address}/v1/preferences:save",
                json={"token": token, "preferences": {"optOuts": [{"channel": "SMS"}]}},
            ),
        ):
            assert answer.status_code == 400
            assert answer.json()["error"]["details"][0]["reason"] == reason
    assert await front.opt_outs() == []


async def test_the_secret_of_a_link_is_written_down_nowhere(front: Front, capfd: pytest.CaptureFixture[str]) -> None:
    token = front.studio.token()
    await front.client.get(unsubscribe.link(front.address, token))
    await front.client.post(unsubscribe.link(front.address, token), **ONE_CLICK)
    await front.client.post(f"{front.address}/v1/preferences:open", json={"token": token})
    out, err = capfd.readouterr()
    assert "/v1/unsubscribe/{token}" in out + err
    assert token[:40] not in out + err + generate_latest().decode()
    rows = await front.studio.notify.sql("SELECT a::text AS text FROM audit_entries a")
    assert not any(token[:40] in row["text"] for row in rows)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_person_unsubscribes_by_the_button(front: Front, open_page: OpenPage, scheme: Any) -> None:
    page = await open_page(front.link, size=PHONE, color_scheme=scheme)
    assert await front.opt_outs() == []
    assert not await overflows(page)
    assert await weak_texts(page) == []
    await page.get_by_role("button", name="Unsubscribe").click()
    await page.get_by_text("You are unsubscribed").wait_for()
    assert await front.opt_outs() == [(Delivery.REMINDER, Delivery.EMAIL)]
    await page.get_by_role("link", name="Choose all your messages").click()
    reminder = page.get_by_role("checkbox", name="Reminder of a class, E-mail")
    await reminder.wait_for()
    assert not await reminder.is_checked()
    assert "token" not in page.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_person_chooses_and_sees_that_it_is_kept(front: Front, open_page: OpenPage, scheme: Any) -> None:
    page = await open_page(front.page, size=PHONE, color_scheme=scheme)
    await page.get_by_role("heading", name="Your messages").wait_for()
    assert await page.title() == "Your messages"
    assert await page.get_by_text("Kiez Pilates").is_visible()
    await page.get_by_role("checkbox", name="Reminder of a class, SMS").uncheck()
    await page.get_by_role("checkbox", name="No texts, push messages or reminders at night").check()
    await page.get_by_label("From", exact=True).fill("21:30")
    assert not await overflows(page)
    assert await weak_texts(page) == []
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("Saved. It holds from now on.").wait_for()
    shown = await front.studio.shown()
    assert [(each.kind, each.channel) for each in shown.opt_outs] == [(Delivery.REMINDER, Delivery.SMS)]
    assert shown.quiet_hours == pb.Preferences.QuietHours(start="21:30", end="08:00")
    # And once more, from what is kept now.
    await page.get_by_role("checkbox", name="Reminder of a class, SMS").check()
    await page.get_by_role("checkbox", name="No texts, push messages or reminders at night").uncheck()
    await page.get_by_label("Language").select_option("de")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("Gespeichert.").wait_for()
    shown = await front.studio.shown()
    assert (list(shown.opt_outs), shown.HasField("quiet_hours"), shown.language) == ([], False, "de")
    assert await page.evaluate("document.documentElement.lang") == "de"


async def _switch_off(page: Page, channel: str) -> None:
    for box in await page.get_by_role("checkbox").all():
        name = await box.evaluate("box => box.closest('label').textContent")
        if name.endswith(channel):
            await box.uncheck()


async def test_a_channel_without_any_kind_stays_silent_for_kinds_to_come(front: Front, open_page: OpenPage) -> None:
    page = await open_page(front.page)
    await page.get_by_role("heading", name="Your messages").wait_for()
    await _switch_off(page, ", SMS")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("Saved.").wait_for()
    assert await front.opt_outs() == [(Delivery.KIND_UNSPECIFIED, Delivery.SMS)]


async def test_who_was_faster_elsewhere_is_not_overwritten(front: Front, chromium: Browser) -> None:
    # Not by `open_page`: the browser logs each refusal of the API as an error of its own.
    page = await chromium.new_page(locale="en-GB")
    await page.goto(front.page)
    await page.get_by_role("heading", name="Your messages").wait_for()
    await front.studio.change(language="de")
    await page.get_by_role("checkbox", name="Receipt, E-mail").uncheck()
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("Inzwischen wurde es anderswo geändert.").wait_for()
    assert await front.opt_outs() == []
    await page.close()


async def test_a_link_that_does_not_work_says_why(front: Front, chromium: Browser) -> None:
    old, link = front.studio.token(age=LIFETIME + timedelta(days=1)), "This link is damaged"
    for token, words in ((old, "This link has expired"), ("forged", link), ("", link)):
        page = await chromium.new_page(locale="en-GB")
        await page.goto(unsubscribe.preferences_link(front.address, token))
        await page.get_by_role("heading", name=words).wait_for()
        assert not await page.get_by_role("button", name="Save").is_visible()
        await page.close()
