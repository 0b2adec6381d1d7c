"""A real browser for tests of pages: Debian's Chromium, driven by Playwright, which brings none of its own.

Async, since a session of Playwright's blocking interface would keep the event loop from all other tests.
"""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    ViewportSize,
    async_playwright,
    expect,
)

from tests.support.missing import missing

# It shows nothing but pages of ours, often as root, where its sandbox does not start; and it must not call home.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Of no promise, only of a machine that does much beside.
PATIENCE_MS = 30_000
DESKTOP, PHONE = (1280, 900), (390, 844)
# What WCAG AA asks of text.
CONTRAST = 4.5
WEAK_TEXTS = (Path(__file__).parent / "weak_texts.js").read_text()

ColorScheme = Literal["light", "dark"]
# Opens an address in a new profile.
OpenPage = Callable[..., Awaitable[Page]]


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """Started once per run. Tests are skipped where it is not installed."""
    program = shutil.which("chromium")
    if program is None:
        missing("CHROMIUM IS MISSING (apt-get install chromium fonts-liberation): pages are not tested")
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def open_page(chromium: Browser) -> AsyncIterator[OpenPage]:
    """Opens pages as new visitors. In no test may a page log an error or turn to another host.

    `refusals` are statuses that the story of the test has; the browser logs each by itself.
    """
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    async def opened(
        address: str,
        *,
        color_scheme: ColorScheme = "light",
        size: tuple[int, int] = DESKTOP,
        refusals: tuple[int, ...] = (),
        **options: Any,
    ) -> Page:
        viewport = ViewportSize(width=size[0], height=size[1])
        context = await chromium.new_context(color_scheme=color_scheme, viewport=viewport, **options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)

        def is_fault(line: ConsoleMessage) -> bool:
            return line.type == "error" and not any(f"status of {status} " in line.text for status in refusals)

        def look(request: Request) -> None:
            if urlsplit(request.url).scheme != "data" and urlsplit(request.url).netloc != urlsplit(address).netloc:
                faults.append(f"asked {request.url}")

        context.on("request", look)
        context.on("weberror", lambda error: faults.append(f"raised {error.error}"))
        context.on("console", lambda line: faults.append(f"logged {line.text}") if is_fault(line) else None)
        page = await context.new_page()
        await page.goto(address)
        return page

    yield opened
    for context in contexts:
        await context.close()
    assert not faults, "\n".join(faults)


async def weak_texts(page: Page) -> list[str]:
    """Texts in sight that stand out too little from what is behind them."""
    found: list[str] = await page.evaluate(WEAK_TEXTS, CONTRAST)
    return found


async def overflows(page: Page) -> bool:
    """Whether the page is wider than its window."""
    wider: bool = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
    return wider
