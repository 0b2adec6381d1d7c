"""Amounts are written to the digits of ISO 4217, which are those that are charged."""

import pytest

from embedded.sandboxes.stripe.money import THREE_DECIMAL, WHOLE, ZERO_DECIMAL
from services.chassis.money import DIGITS, money
from services.payments.providers.currencies import _UNSUPPORTED, to_provider
from services.scheduling.currencies import CODES


@pytest.mark.parametrize(
    ("currency", "minor", "shown"),
    [
        ("EUR", 1250, "€12.50"),
        ("JPY", 1250, "¥1,250"),
        ("ISK", 1250, "ISK1,250"),
        ("HUF", 1750000, "HUF17,500.00"),
        ("RSD", 1750000, "RSD17,500.00"),
        ("BHD", 1250, "BHD1.250"),
        ("EUR", -1250, "-€12.50"),
    ],
)
def test_every_currency_has_the_digits_of_its_minor_units(currency: str, minor: int, shown: str) -> None:
    assert money(minor, currency) == shown


def test_it_is_written_as_the_language_does() -> None:
    assert money(175000000, "RSD", "de") == "1.750.000,00\u00a0RSD"
    assert money(1250, "JPY", "de") == "1.250\u00a0¥"


def test_what_is_shown_is_what_is_charged() -> None:
    for currency in CODES - _UNSUPPORTED:
        code = currency.lower()
        digits = 0 if code in ZERO_DECIMAL - WHOLE else 3 if code in THREE_DECIMAL else 2
        assert 10 ** DIGITS.get(currency, 2) * to_provider(1, currency) == 10**digits, currency
