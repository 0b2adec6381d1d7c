"""The smallest and largest amounts that Stripe charges: what is sold costs nothing, or something between.

The table is https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts. Stripe goes by the currency that an
account is settled in, which is that of the studio as a rule; where it is another one, what is refused is refused later.
"""

from services.chassis.errors import FailedPrecondition
from services.payments.providers.currencies import to_provider

# As Stripe writes amounts. What it does not name, or names with 50, is not here.
_SMALLEST = {
    "AED": 200,
    "BGN": 100,
    "CZK": 1500,
    "DKK": 250,
    "GBP": 30,
    "HKD": 400,
    "HUF": 17500,
    "MXN": 1000,
    "MYR": 200,
    "NOK": 300,
    "PLN": 200,
    "RON": 200,
    "SEK": 300,
    "THB": 1000,
}
_USUAL = 50
# Eight digits, in any currency.
_LARGEST = 99_999_999


def smallest(currency: str) -> int:
    """In minor units."""
    return -(-_SMALLEST.get(currency, _USUAL) // to_provider(1, currency))


def require_chargeable(minor: int, currency: str, field: str | None = None) -> None:
    """Raises FailedPrecondition with AMOUNT_TOO_SMALL for what is neither nothing nor enough, AMOUNT_TOO_LARGE."""
    least = smallest(currency)
    if 0 < minor < least:
        raise FailedPrecondition(
            "it is less than can be charged",
            reason="AMOUNT_TOO_SMALL",
            field=field,
            metadata={"smallest_minor": str(least), "currency_code": currency},
        )
    if to_provider(minor, currency) > _LARGEST:
        largest = _LARGEST // to_provider(1, currency)
        raise FailedPrecondition(
            "it is more than can be charged at once",
            reason="AMOUNT_TOO_LARGE",
            field=field,
            metadata={"largest_minor": str(largest), "currency_code": currency},
        )
