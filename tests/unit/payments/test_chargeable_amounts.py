"""The smallest amounts that can be charged: the provider's, and what a gift card and a promo code leave of a price."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.sandboxes.stripe import money
from services.chassis.errors import FailedPrecondition
from services.payments.providers.chargeable_amounts import require_chargeable, smallest
from services.payments.providers.currencies import to_provider
from services.payments.quotes import gift_share, quote

NEAR = st.integers(0, 300)
PPM = st.integers(0, 1_000_000)


@pytest.mark.parametrize("code", sorted(money.CURRENCIES - money.THREE_DECIMAL))
def test_the_sandbox_refuses_what_we_refuse(code: str) -> None:
    currency = code.upper()
    # Nothing is less than one, which is more than 50 where Stripe counts hundredths of it.
    least = max(money.MINIMUM.get(code, 50), to_provider(1, currency))
    assert to_provider(smallest(currency), currency) == least
    assert money.chargeable(least, code)


def test_examples() -> None:
    # A whole króna is a hundred of what Stripe counts.
    assert [smallest(currency) for currency in ("EUR", "GBP", "JPY", "ISK", "HUF")] == [50, 30, 50, 1, 17500]
    require_chargeable(0, "EUR")
    require_chargeable(50, "EUR")
    with pytest.raises(FailedPrecondition) as refusal:
        require_chargeable(49, "EUR", "code")
    assert refusal.value.metadata == {"smallest_minor": "50", "currency_code": "EUR"}


@given(NEAR, PPM, NEAR, PPM, st.booleans(), st.integers(1, 300), st.integers(1, 100))
def test_with_code_gift_card_and_tax_the_rest_is_nothing_or_can_be_charged(
    price: int, off_ppm: int, off: int, tax_ppm: int, inclusive: bool, left: int, least: int
) -> None:
    made = quote(price, off_ppm=off_ppm, off=off, tax_ppm=tax_ppm, tax_inclusive=inclusive)
    gift = gift_share(made.total, left, least)
    rest = made.total - gift
    assert 0 <= gift <= min(left, made.total)
    # Only what is too little by itself, and more than the card has, is too little with it.
    assert rest == 0 or rest >= least or (rest == made.total < least and left < made.total)
    # It pays all it can: one more, and the rest could not be charged.
    assert gift == min(left, made.total) or rest <= least
