"""What billing computes: periods from an anchor, prorations by the second, discounts, taxes; half a unit rounds up."""

import calendar
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from embedded.sandboxes.stripe.wire import Object


def boundary(anchor: int, interval: str, count: int, number: int) -> int:
    """The end of the period `number` after an anchor; the 31st becomes the last day of shorter months."""
    start = datetime.fromtimestamp(anchor, UTC)
    if interval in ("day", "week"):
        return anchor + int(timedelta(days=count * number * (7 if interval == "week" else 1)).total_seconds())
    months = start.month - 1 + count * number * (12 if interval == "year" else 1)
    year, month = start.year + months // 12, months % 12 + 1
    day = min(start.day, calendar.monthrange(year, month)[1])
    return int(start.replace(year=year, month=month, day=day).timestamp())


def period_end(anchor: int, interval: str, count: int, start: int) -> int:
    """When the period that begins at `start` ends."""
    number = 1
    while (end := boundary(anchor, interval, count, number)) <= start:
        number += 1
    return end


def rounded(value: Fraction) -> int:
    """To whole minor units, half away from zero."""
    sign = -1 if value < 0 else 1
    return sign * int(abs(value) + Fraction(1, 2))


def prorated(amount: int, start: int, end: int, now: int) -> int:
    """What is left of a period's amount at an instant within it."""
    return rounded(Fraction(amount * (end - now), end - start))


def discounted(lines: list[Object], coupons: list[tuple[str, Object]]) -> None:
    """Notes on each line what every discount takes: (discount id, coupon)."""
    for discount, coupon in coupons:
        rest = coupon["amount_off"] or 0
        for line in lines:
            left = line["amount"] - sum(one["amount"] for one in line["discount_amounts"])
            if left <= 0 or not line["discountable"]:
                continue
            if coupon["percent_off"] is not None:
                taken = rounded(Fraction(left) * Fraction(str(coupon["percent_off"])) / 100)
            else:
                taken = min(rest, left)
                rest -= taken
            if taken:
                line["discount_amounts"].append({"amount": taken, "discount": discount})


def taxed(line: Object, rates: list[Object]) -> None:
    """Notes on a line each rate's tax, on top of its price or inside it."""
    base = line["amount"] - sum(one["amount"] for one in line["discount_amounts"])
    for rate in rates:
        percent = Fraction(str(rate["percentage"]))
        whole = 100 + percent if rate["inclusive"] else Fraction(100)
        tax = rounded(base * percent / whole)
        line["taxes"].append(
            {
                "amount": tax,
                "tax_behavior": "inclusive" if rate["inclusive"] else "exclusive",
                "tax_rate_details": {"tax_rate": rate["id"]},
                "taxability_reason": "standard_rated",
                "taxable_amount": base - tax if rate["inclusive"] else base,
                "type": "tax_rate_details",
            }
        )


def totals(lines: list[Object]) -> Object:
    """An invoice's sums."""
    subtotal = sum(line["amount"] for line in lines)
    discounts: dict[str, int] = {}
    for line in lines:
        for one in line["discount_amounts"]:
            discounts[one["discount"]] = discounts.get(one["discount"], 0) + one["amount"]
    taxes: dict[str, Object] = {}
    for line in lines:
        for one in line["taxes"]:
            known = taxes.setdefault(one["tax_rate_details"]["tax_rate"], {**one, "amount": 0, "taxable_amount": 0})
            known["amount"] += one["amount"]
            known["taxable_amount"] += one["taxable_amount"]
    by = {
        kind: sum(t["amount"] for t in taxes.values() if t["tax_behavior"] == kind)
        for kind in ("inclusive", "exclusive")
    }
    total = subtotal - sum(discounts.values()) + by["exclusive"]
    return {
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal - by["inclusive"],
        "total": total,
        "total_excluding_tax": total - by["exclusive"] - by["inclusive"],
        "total_discount_amounts": [{"amount": amount, "discount": name} for name, amount in discounts.items()],
        "total_taxes": list(taxes.values()),
    }
