"""Amounts: integer minor units of a currency, and what this Stripe takes of them."""

from embedded.sandboxes.stripe.wire import Refusal

CURRENCIES = frozenset(
    """aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad cdf chf clp
    cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl htg huf idr ils inr isk
    jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn
    nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std
    szl thb tjs tnd top try ttd twd tzs uah ugx usd uyu uzs vnd vuv wst xaf xcd xcg xof xpf yer zar zmw""".split()  # noqa: SIM905
)
ZERO_DECIMAL = frozenset("bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf".split())  # noqa: SIM905
THREE_DECIMAL = frozenset(("bhd", "jod", "kwd", "omr", "tnd"))
# Written with two decimals, which are always 00.
WHOLE = frozenset(("isk", "ugx"))
MINIMUM = {
    "gbp": 30,
    "dkk": 250,
    "nok": 300,
    "sek": 300,
    "mxn": 1000,
    "czk": 1500,
    "hkd": 400,
    "pln": 200,
    "huf": 17500,
    "aed": 200,
    "bgn": 100,
    "myr": 200,
    "ron": 200,
    "thb": 1000,
}
FIXED_FEE = {"eur": 25, "gbp": 20, "chf": 30}
DISPUTE_FEE = 1500


def currency(value: str) -> str:
    """A currency in the lower case of the wire. Raises Refusal for what is none."""
    code = value.lower()
    if code not in CURRENCIES:
        supported = ", ".join(sorted(CURRENCIES))
        raise Refusal(
            f"Invalid currency: {code}. Stripe currently supports these currencies: {supported}", param="currency"
        )
    return code


def chargeable(amount: int, code: str) -> int:
    """An amount that a card can be charged. Raises Refusal."""
    least = MINIMUM.get(code, 50)
    if amount < least:
        message = f"Amount must be at least {shown(least, code)} {code}"
        raise Refusal(message, code="amount_too_small", param="amount")
    if amount > 99_999_999:
        message = f"Amount must be no more than {shown(99_999_999, code)} {code}"
        raise Refusal(message, code="amount_too_large", param="amount")
    if code in THREE_DECIMAL and amount % 10:
        raise Refusal(f"Invalid amount for {code}: the last digit must be 0.", param="amount")
    if code in WHOLE and amount % 100:
        raise Refusal(f"Invalid amount for {code}: the last two digits must be 00.", param="amount")
    return amount


def fee(amount: int, code: str) -> int:
    """2.9 %, half a unit rounded up, and a fixed part: 30 minor units, 25 euro cents, 20 pence; none of yen."""
    fixed = 0 if code in ZERO_DECIMAL | WHOLE else FIXED_FEE.get(code, 30)
    taken = min(amount, (amount * 29 + 500) // 1000 + fixed)
    return taken - taken % 100 if code in WHOLE else taken


def shown(amount: int, code: str) -> str:
    """`1234, "usd"` → `$12.34`, as Stripe's messages write it."""
    places = 0 if code in ZERO_DECIMAL else 3 if code in THREE_DECIMAL else 2
    sign = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}.get(code, "")
    return f"{sign}{amount / 10**places:,.{places}f}"
