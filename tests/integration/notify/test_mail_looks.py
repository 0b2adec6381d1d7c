"""Mails as a reader sees them: at the width of a desk and of a phone, in light and in dark."""

from typing import Literal

import pytest
from playwright.async_api import Browser

from services.notify.local_words import LANGUAGES
from services.notify.models import Kind
from services.notify.template_variables import sample
from services.notify.templates import Frame, render
from tests.support.browser import overflows, weak_texts

FRAME = Frame("Kiez Pilates", "Oranienstr. 1, 10999 Berlin", "https://x.test/preferences#token=1", "https://x.test/u/1")
LONG = "Donaudampfschifffahrtsgesellschaftskapitänsmützenmanufaktur" * 2


@pytest.mark.parametrize("width", [600, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_mail_can_be_read(chromium: Browser, scheme: Literal["light", "dark"], width: int) -> None:
    page = await chromium.new_page(color_scheme=scheme, viewport={"width": width, "height": 700})
    for kind in Kind:
        for language in LANGUAGES:
            values = sample(kind, language)
            for said in (values, values | dict.fromkeys(values.keys() & {"class_type", "name", "reasons"}, LONG)):
                await page.set_content(render(kind, said, language=language, frame=FRAME).html)
                assert await weak_texts(page) == [], f"{kind} {language}"
                assert not await overflows(page), f"{kind} {language}"
    await page.close()
