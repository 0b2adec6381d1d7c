"""Kinds of what can be sold, and which terms each of them has. A new kind is added here, and in `fulfilment`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.chassis.errors import InvalidArgument

CLASS_PACK, DROP_IN, FEE = "CLASS_PACK", "DROP_IN", "FEE"


@dataclass(frozen=True)
class Kind:
    """Which columns of the terms something of this kind has, beside name, price and tax, which all have."""

    needs: tuple[str, ...] = ()
    may_have: tuple[str, ...] = ()
    # Clients cannot buy it themselves.
    for_staff_only: bool = False


KINDS = {
    CLASS_PACK: Kind(("credits",), ("valid_days", "starts_on_first_use", "class_type_ids", "intro_offer")),
    DROP_IN: Kind(may_have=("class_type_ids", "intro_offer")),
    FEE: Kind(for_staff_only=True),
}
# All of them. Those that are not of a kind are 0, false or empty.
_TERMS = ("credits", "valid_days", "starts_on_first_use", "class_type_ids", "intro_offer")
_FIELDS = {"class_type_ids": "class_types"}


def check_terms(kind: str, terms: Mapping[str, Any]) -> None:
    """Raises InvalidArgument with TERM_MISSING, TERM_NOT_OF_KIND or VALIDITY_AMBIGUOUS."""
    of_kind = KINDS[kind]
    for term in _TERMS:
        field = f"pricing_option.{_FIELDS.get(term, term)}"
        if term in of_kind.needs and not terms[term]:
            raise InvalidArgument(field, f"needed for {kind}", reason="TERM_MISSING")
        if terms[term] and term not in of_kind.needs + of_kind.may_have:
            raise InvalidArgument(field, f"{kind} has none", reason="TERM_NOT_OF_KIND")
    if terms["starts_on_first_use"] and not terms["valid_days"]:
        raise InvalidArgument(
            "pricing_option.starts_on_first_use", "needs valid_days, which then count", reason="VALIDITY_AMBIGUOUS"
        )
