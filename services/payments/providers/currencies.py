"""Amounts as Stripe writes them: minor units of ISO 4217, but for a few currencies."""

from services.chassis.errors import InvalidArgument

# Written with two decimals that must be zero, though ISO knows none.
_HUNDREDFOLD = {"ISK", "UGX"}
# Written to another precision than ISO's minor units have; we do not sell in them.
_UNSUPPORTED = {"BHD", "IQD", "JOD", "KWD", "LYD", "MGA", "MRU", "OMR", "TND"}


def require_supported(currency: str) -> None:
    """Raises InvalidArgument/UNKNOWN_CURRENCY."""
    if currency in _UNSUPPORTED:
        raise InvalidArgument("currency_code", "cannot be used for payments", reason="UNKNOWN_CURRENCY")


def to_provider(minor: int, currency: str) -> int:
    return minor * 100 if currency in _HUNDREDFOLD else minor


def from_provider(amount: int, currency: str) -> int:
    """Raises ValueError for an amount that is none in this currency."""
    if currency not in _HUNDREDFOLD:
        return amount
    minor, rest = divmod(amount, 100)
    if rest:
        raise ValueError(f"{amount} is no amount in {currency}")
    return minor
