"""Kinds of what can be sold, and which terms each of them has. A new kind is added here, and in `fulfilment`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.chassis.errors import InvalidArgument

CLASS_PACK, DROP_IN, MEMBERSHIP, GIFT_CARD, FEE = "CLASS_PACK", "DROP_IN", "MEMBERSHIP", "GIFT_CARD", "FEE"
# What booking grants a package for.
WITH_CREDITS = (CLASS_PACK, MEMBERSHIP)
# As many credits as nobody uses up in one period: all that holds of credits holds of an unlimited membership.
UNLIMITED_CREDITS = 100_000
# What the provider renews at most.
_MAX_YEARS = 3


@dataclass(frozen=True)
class Kind:
    """Which columns of the terms something of this kind has, beside name, price and tax, which all have."""

    needs: tuple[str, ...] = ()
    may_have: tuple[str, ...] = ()
    # Clients cannot buy it themselves.
    for_staff_only: bool = False
    untaxed: bool = False


KINDS = {
    CLASS_PACK: Kind(("credits",), ("valid_days", "starts_on_first_use", "class_type_ids", "intro_offer")),
    DROP_IN: Kind(may_have=("class_type_ids", "intro_offer")),
    MEMBERSHIP: Kind(
        ("price_minor", "interval", "interval_count"), ("credits", "unlimited", "class_type_ids", "intro_offer")
    ),
    # Taxed is what it pays for.
    GIFT_CARD: Kind(("price_minor",), ("valid_days",), untaxed=True),
    FEE: Kind(for_staff_only=True),
}
# All of them. Those that are not of a kind are 0, false or empty.
_TERMS = (
    *("credits", "valid_days", "starts_on_first_use", "class_type_ids", "intro_offer"),
    *("interval", "interval_count", "unlimited"),
)
_FIELDS = {"class_type_ids": "class_types"}


def check_terms(kind: str, terms: Mapping[str, Any]) -> None:
    """Raises InvalidArgument with TERM_MISSING, TERM_NOT_OF_KIND, VALIDITY_AMBIGUOUS or INTERVAL_TOO_LONG."""
    of_kind = KINDS[kind]
    for term in of_kind.needs:
        if not terms[term]:
            raise InvalidArgument(f"pricing_option.{term}", f"needed for {kind}", reason="TERM_MISSING")
    for term in _TERMS:
        field = f"pricing_option.{_FIELDS.get(term, term)}"
        if terms[term] and term not in of_kind.needs + of_kind.may_have:
            raise InvalidArgument(field, f"{kind} has none", reason="TERM_NOT_OF_KIND")
    if of_kind.untaxed and terms["tax_rate_id"] is not None:
        raise InvalidArgument("pricing_option.tax_rate", f"{kind} has none", reason="TERM_NOT_OF_KIND")
    if terms["starts_on_first_use"] and not terms["valid_days"]:
        raise InvalidArgument(
            "pricing_option.starts_on_first_use", "needs valid_days, which then count", reason="VALIDITY_AMBIGUOUS"
        )
    if kind == MEMBERSHIP:
        _check_membership(terms)


def _check_membership(terms: Mapping[str, Any]) -> None:
    if bool(terms["credits"]) == terms["unlimited"]:
        reason = "TERM_NOT_OF_KIND" if terms["unlimited"] else "TERM_MISSING"
        raise InvalidArgument("pricing_option.credits", "it has credits or is unlimited", reason=reason)
    if terms["interval"] == "YEAR" and terms["interval_count"] > _MAX_YEARS:
        raise InvalidArgument("pricing_option.interval_count", "three years at most", reason="INTERVAL_TOO_LONG")
