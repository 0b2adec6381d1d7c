"""Amounts as people of a language write them, from minor units of ISO 4217."""

from decimal import Decimal

from babel import Locale
from babel.numbers import format_currency

# Digits after the point where they are not two. CLDR has others: dinars without any, since nobody pays such coins.
_WHOLE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THOUSANDTHS = "BHD IQD JOD KWD LYD OMR TND"
DIGITS = dict.fromkeys(_WHOLE.split(), 0) | dict.fromkeys(_THOUSANDTHS.split(), 3)


def money(amount_minor: int, currency: str, language: str = "en") -> str:
    """`€12.50`."""
    digits = DIGITS.get(currency, 2)
    form = Locale.parse(language).currency_formats["standard"].pattern.replace("0.00", f"{0:.{digits}f}")
    amount = Decimal(amount_minor).scaleb(-digits)
    return format_currency(amount, currency, form, locale=language, currency_digits=False)
