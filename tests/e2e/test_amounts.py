"""Amounts on the page, in the browser that shows them."""

import math
import re
from decimal import Decimal

from services.chassis.money import DIGITS
from services.scheduling.currencies import CODES
from tests.support.browser import OpenPage
from tests.support.product import Product


async def test_the_page_shows_the_digits_that_are_charged(running: Product, open_page: OpenPage) -> None:
    page = await open_page(running.url, refusals=(401,))
    look = """async (codes) => {
      const { money, minorOf, plain } = await import("/money.js");
      const typed = ["1,000", "12.345", "1 2", "0x10", "-1"].map((text) => minorOf(text, "JPY"));
      return [codes.map((code) => [code, money(1234567, code), minorOf(plain(1234567, code), code)]), typed];
    }"""
    shown, typed = await page.evaluate(look, sorted(CODES))
    assert len(shown) == len(CODES)
    for currency, text, minor in shown:
        digits = str(Decimal(1234567).scaleb(-DIGITS.get(currency, 2)))
        assert (re.sub(r"[^0-9.]", "", text), minor) == (digits, 1234567), currency
    assert all(math.isnan(amount) for amount in typed)
