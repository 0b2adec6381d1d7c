"""What a sale costs: cents are never lost, whatever the rates."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payments.quotes import Quote, deferred, quote, tax_in_refund

AMOUNTS = st.integers(0, 99_999_999)
PPM = st.integers(0, 1_000_000)


@given(AMOUNTS, PPM, AMOUNTS, PPM, st.booleans())
def test_it_adds_up(price: int, off_ppm: int, off: int, tax_ppm: int, inclusive: bool) -> None:
    made = quote(price, off_ppm=off_ppm, off=off, tax_ppm=tax_ppm, tax_inclusive=inclusive)
    assert 0 <= made.discount <= price
    assert made.net >= 0
    assert made.tax >= 0
    paid = price - made.discount
    assert paid == (made.total if inclusive else made.net)


@given(AMOUNTS, PPM)
def test_tax_is_the_nearest_minor_unit(price: int, tax_ppm: int) -> None:
    exact = Decimal(price) * tax_ppm / 1_000_000
    assert quote(price, tax_ppm=tax_ppm).tax == int(exact.quantize(Decimal(1), ROUND_HALF_UP))
    contained = quote(price, tax_ppm=tax_ppm, tax_inclusive=True)
    assert abs(contained.tax - Decimal(contained.net) * tax_ppm / 1_000_000) <= Decimal("1.5")


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        (quote(11900, tax_ppm=190_000, tax_inclusive=True), Quote(11900, 0, 10000, 1900)),
        (quote(10000, tax_ppm=190_000), Quote(10000, 0, 10000, 1900)),
        (quote(10000, off_ppm=250_000, tax_ppm=190_000), Quote(10000, 2500, 7500, 1425)),
        (quote(1000, off=1500), Quote(1000, 1000, 0, 0)),
        # Half a cent goes up, once.
        (quote(150, off_ppm=10_000), Quote(150, 2, 148, 0)),
        (quote(0, tax_ppm=190_000), Quote(0, 0, 0, 0)),
    ],
)
def test_examples(made: Quote, wanted: Quote) -> None:
    assert made == wanted


@given(st.integers(1, 10_000), PPM, st.lists(st.integers(1, 10_000), max_size=12))
def test_refunds_of_all_of_it_have_all_of_the_tax(net: int, tax_ppm: int, amounts: list[int]) -> None:
    sold = quote(net, tax_ppm=tax_ppm)
    refunded = tax = 0
    for amount in [*amounts, sold.total]:
        amount = min(amount, sold.total - refunded)
        part = tax_in_refund(sold.total, sold.tax, refunded, amount)
        assert 0 <= part <= amount
        refunded, tax = refunded + amount, tax + part
    assert tax == sold.tax


@given(AMOUNTS, st.integers(1, 100))
def test_what_is_deferred_falls_with_each_credit_to_nothing(net: int, credits: int) -> None:
    steps = [deferred(net, left, credits) for left in range(credits, -1, -1)]
    assert steps == sorted(steps, reverse=True)
    assert (steps[0], steps[-1]) == (net, 0)
