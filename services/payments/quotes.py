"""What a sale costs: discount, tax, total; and which part of it a refund gives back. Calculation alone, in minor units.

Rates are millionths. Halves are rounded up, once, and everything else is what is left, so that no cent is lost.
"""

from dataclasses import dataclass

_ONE = 1_000_000


@dataclass(frozen=True)
class Quote:
    """`total = net + tax`; `price - discount` is the total of an inclusive price, the net of an exclusive one."""

    price: int
    discount: int
    net: int
    tax: int

    @property
    def total(self) -> int:
        return self.net + self.tax


def quote(price: int, *, off_ppm: int = 0, off: int = 0, tax_ppm: int = 0, tax_inclusive: bool = False) -> Quote:
    """The price less `off_ppm` of it and less `off`, never below zero, with tax in it or on top."""
    discount = min(price, _share(price, off_ppm, _ONE) + off)
    paid = price - discount
    if tax_inclusive:
        net = _share(paid, _ONE, _ONE + tax_ppm)
        return Quote(price, discount, net, paid - net)
    return Quote(price, discount, paid, _share(paid, tax_ppm, _ONE))


def gift_share(total: int, left: int, smallest: int) -> int:
    """What a gift card with `left` on it pays of `total`: all, or so much that the rest can be charged, or 0."""
    if left >= total:
        return total
    return max(0, min(left, total - smallest))


def tax_in_refund(total: int, tax: int, refunded: int, amount: int) -> int:
    """The tax in a refund of `amount` after `refunded` went before. Refunds of all of it have all of the tax."""
    return _share(tax, refunded + amount, total) - _share(tax, refunded, total)


def credits_in_refund(credits: int, total: int, refunded: int) -> int:
    """How many of `credits` are paid back when `refunded` of `total` is, in all. Rounded up: a part of one is one."""
    return -(-credits * refunded // total)


def deferred(net: int, left: int, credits: int) -> int:
    """What of `net`, paid for `credits`, is not earned while so many are left. Rounded down."""
    return net * left // credits if credits else 0


def _share(amount: int, part: int, whole: int) -> int:
    return (2 * amount * part + whole) // (2 * whole)
