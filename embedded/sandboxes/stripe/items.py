"""A subscription's items, their lines on an invoice, and what a change in mid-period costs."""

from datetime import UTC, datetime

from embedded.sandboxes.stripe.billing import discounted, prorated, taxed
from embedded.sandboxes.stripe.catalogue import plan_of, price_of
from embedded.sandboxes.stripe.merchant import Merchant, new_id
from embedded.sandboxes.stripe.wire import Object, Params, Refusal, missing


def made_item(merchant: Merchant, params: Params, subscription: str, period: tuple[int, int]) -> Object:
    """A new item. Raises Refusal."""
    price = price_of(merchant, params)
    _recurring(price)
    return {
        "id": new_id("si"),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": merchant.now,
        "current_period_end": period[1],
        "current_period_start": period[0],
        "discounts": [],
        "metadata": params.metadata(),
        "plan": plan_of(price),
        "price": price,
        "quantity": params.integer("quantity", least=0) or 1,
        "subscription": subscription,
        "tax_rates": [merchant.need("tax_rate", rate, "tax_rates") for rate in params.texts("tax_rates")],
    }


def changed_items(merchant: Merchant, items: list[Object], changes: list[Params], subscription: str) -> list[Object]:
    """The items after a request's `items`; what is not named stays. Raises Refusal."""
    after = {item["id"]: dict(item) for item in items}
    first = items[0]
    for change in changes:
        identity = change.text("id")
        if identity is None:
            fresh = made_item(
                merchant, change, subscription, (first["current_period_start"], first["current_period_end"])
            )
            after[fresh["id"]] = fresh
            continue
        if identity not in after:
            raise missing("subscription_item", identity, "items[0][id]")
        if change.flag("deleted"):
            del after[identity]
            continue
        item = after[identity]
        if "price" in change or "price_data" in change:
            item["price"] = price_of(merchant, change)
            _recurring(item["price"])
            item["plan"] = plan_of(item["price"])
        item["quantity"] = change.integer("quantity", least=0) or item["quantity"]
        item["metadata"] = change.metadata(item["metadata"])
        if "tax_rates" in change:
            item["tax_rates"] = [merchant.need("tax_rate", rate, "tax_rates") for rate in change.texts("tax_rates")]
    if not after:
        raise Refusal("A subscription must have at least one active item.", param="items")
    return list(after.values())


def regular_lines(items: list[Object], period: tuple[int, int], *, free: bool = False) -> list[Object]:
    """What a period costs; nothing while it is tried out."""
    found = []
    for item in items:
        name = item["price"]["nickname"] or item["price"]["product"]
        amount = 0 if free else item["price"]["unit_amount"] * item["quantity"]
        found.append(line(item, amount, period, f"Trial period for {name}" if free else f"{item['quantity']} × {name}"))
    return found


def proration_lines(before: list[Object], after: list[Object], now: int) -> list[Object]:
    """What a change costs: the unused rest of the old comes back, the rest of the new is charged."""
    old, new = ({item["id"]: item for item in items} for items in (before, after))
    date = f"{datetime.fromtimestamp(now, UTC):%d %b %Y}"
    found: list[Object] = []
    for identity in old.keys() | new.keys():
        was, becomes = old.get(identity), new.get(identity)
        if was and becomes and (was["price"]["id"], was["quantity"]) == (becomes["price"]["id"], becomes["quantity"]):
            continue
        for item, sign, word in ((was, -1, "Unused"), (becomes, 1, "Remaining")):
            if item is None:
                continue
            start, end = item["current_period_start"], item["current_period_end"]
            amount = prorated(item["price"]["unit_amount"] * item["quantity"], start, end, min(max(now, start), end))
            name = item["price"]["nickname"] or item["price"]["product"]
            text = f"{word} time on {item['quantity']} × {name} after {date}"
            found.append(line(item, sign * amount, (now, end), text, proration=True))
    return found


def priced(merchant: Merchant, lines: list[Object], subscription: Object) -> list[Object]:
    """Lines with their discounts and taxes."""
    coupons = []
    for name in subscription["discounts"]:
        discount = merchant.need("discount", name)
        if discount["end"] is None or discount["end"] > merchant.now:
            coupons.append((name, merchant.need("coupon", discount["source"]["coupon"])))
    discounted(lines, coupons)
    for one in lines:
        taxed(one, one.pop("_tax_rates") or subscription["default_tax_rates"])
    return lines


def line(item: Object, amount: int, period: tuple[int, int], text: str, *, proration: bool = False) -> Object:
    """A line, without discounts and taxes yet."""
    price = item["price"]
    details = {
        "invoice_item": None,
        "proration": proration,
        "proration_details": {"credited_items": None} if proration else None,
        "subscription": item["subscription"],
        "subscription_item": item["id"],
    }
    return {
        "id": new_id("il"),
        "object": "line_item",
        "amount": amount,
        "currency": price["currency"],
        "description": text,
        "discount_amounts": [],
        "discountable": not proration,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": item["metadata"],
        "parent": {
            "invoice_item_details": None,
            "subscription_item_details": details,
            "type": "subscription_item_details",
        },
        "period": {"start": period[0], "end": period[1]},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": price["unit_amount_decimal"],
        },
        "quantity": item["quantity"],
        "quantity_decimal": str(item["quantity"]),
        "subscription": item["subscription"],
        "subtotal": amount,
        "taxes": [],
        "_tax_rates": item["tax_rates"],
    }


def _recurring(price: Object) -> None:
    if price["recurring"] is None:
        message = (
            "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`."
        )
        raise Refusal(message, param="items[0][price]")
