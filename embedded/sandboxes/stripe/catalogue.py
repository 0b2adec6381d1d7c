"""What subscriptions are made of: products, prices, coupons, promotion codes, tax rates."""

from embedded.sandboxes.stripe.api import on, readable
from embedded.sandboxes.stripe.merchant import Merchant, new_id
from embedded.sandboxes.stripe.money import currency
from embedded.sandboxes.stripe.wire import Object, Params, Refusal

INTERVALS = ("day", "week", "month", "year")

readable("/v1/products", "product", ("active",))
readable("/v1/prices", "price", ("product", "currency", "type"))
readable("/v1/coupons", "coupon")
readable("/v1/tax_rates", "tax_rate")
readable("/v1/promotion_codes", "promotion_code", ("code", "customer"))


@on("POST", "/v1/products")
def create_product(merchant: Merchant, params: Params) -> Object:
    """Creates one, with its default price if that is given."""
    identity = params.text("id") or new_id("prod")
    if merchant.get(identity):
        raise Refusal(f"Product already exists: {identity}.", code="resource_already_exists", param="id")
    body: Object = {
        "id": identity,
        "object": "product",
        "active": params.flag("active", True),
        "created": merchant.now,
        "default_price": None,
        "description": params.text("description"),
        "images": params.texts("images"),
        "livemode": False,
        "marketing_features": [],
        "metadata": params.metadata(),
        "name": params.needed("name"),
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": params.text("statement_descriptor"),
        "tax_code": params.text("tax_code"),
        "type": "service",
        "unit_label": params.text("unit_label"),
        "updated": merchant.now,
        "url": params.text("url"),
    }
    merchant.add(body)
    if "default_price_data" in params:
        body["default_price"] = _price(merchant, params.nested("default_price_data"), identity)["id"]
        merchant.save(body)
    merchant.emit("product.created", body)
    return body


@on("POST", "/v1/products/{id}")
def update_product(merchant: Merchant, params: Params, id: str) -> Object:
    """Changes one."""
    body = merchant.need("product", id)
    body["metadata"] = params.metadata(body["metadata"])
    for name in ("name", "description", "default_price", "statement_descriptor"):
        if name in params:
            body[name] = params.text(name)
    body |= {"active": params.flag("active", body["active"]), "updated": merchant.now}
    merchant.save(body)
    merchant.emit("product.updated", body)
    return body


@on("DELETE", "/v1/products/{id}")
def delete_product(merchant: Merchant, params: Params, id: str) -> Object:
    """Deletes one that has no price."""
    body = merchant.need("product", id)
    if merchant.find("price", "json_extract(body, '$.product') = ?", id):
        raise Refusal("This product cannot be deleted because it has one or more user-created prices.")
    merchant.store.remove(merchant.id, id)
    merchant.emit("product.deleted", body)
    return {"id": id, "object": "product", "deleted": True}


@on("POST", "/v1/prices")
def create_price(merchant: Merchant, params: Params) -> Object:
    """Creates one; its amount never changes."""
    product = params.text("product")
    if product is None:
        data = params.nested("product_data")
        product = create_product(merchant, data)["id"]
    merchant.need("product", product, "product")
    return _price(merchant, params, product)


@on("POST", "/v1/prices/{id}")
def update_price(merchant: Merchant, params: Params, id: str) -> Object:
    """Changes what is not its amount."""
    body = merchant.need("price", id)
    body["metadata"] = params.metadata(body["metadata"])
    body["active"] = params.flag("active", body["active"])
    for name in ("nickname", "lookup_key"):
        if name in params:
            body[name] = params.text(name)
    merchant.save(body)
    merchant.emit("price.updated", body)
    return body


@on("POST", "/v1/coupons")
def create_coupon(merchant: Merchant, params: Params) -> Object:
    """Creates one: so much off, or so many percent."""
    percent, amount = params.decimal("percent_off"), params.integer("amount_off", least=1)
    if (percent is None) == (amount is None):
        raise Refusal("You must pass either percent_off or amount_off.", code="parameters_exclusive")
    if percent is not None and not 0 < percent <= 100:
        raise Refusal("percent_off must be greater than 0 and at most 100.", param="percent_off")
    identity = params.text("id") or new_id("x")[2:10]
    if merchant.get(identity):
        raise Refusal("Coupon already exists.", code="resource_already_exists", param="id")
    body: Object = {
        "id": identity,
        "object": "coupon",
        "amount_off": amount,
        "created": merchant.now,
        "currency": currency(params.needed("currency")) if amount is not None else None,
        "duration": params.choice("duration", ("once", "repeating", "forever"), "once"),
        "duration_in_months": params.integer("duration_in_months", least=1),
        "livemode": False,
        "max_redemptions": params.integer("max_redemptions", least=1),
        "metadata": params.metadata(),
        "name": params.text("name"),
        "percent_off": percent,
        "redeem_by": params.integer("redeem_by"),
        "times_redeemed": 0,
        "valid": True,
    }
    merchant.add(body)
    merchant.emit("coupon.created", body)
    return body


@on("DELETE", "/v1/coupons/{id}")
def delete_coupon(merchant: Merchant, params: Params, id: str) -> Object:
    """Deletes one; discounts that were given stay."""
    body = merchant.need("coupon", id)
    merchant.save(body | {"valid": False})
    merchant.emit("coupon.deleted", body)
    return {"id": id, "object": "coupon", "deleted": True}


@on("POST", "/v1/promotion_codes")
def create_promotion_code(merchant: Merchant, params: Params) -> Object:
    """Gives a coupon a code that people type."""
    promotion = params.nested("promotion")
    promotion.choice("type", ("coupon",))
    coupon = merchant.need("coupon", promotion.needed("coupon"), "promotion[coupon]")
    code = params.text("code") or new_id("")[2:10].upper()
    same = "json_extract(body, '$.code') = ? COLLATE NOCASE AND json_extract(body, '$.active')"
    if merchant.find("promotion_code", same, code):
        message = "An active promotion code with the same code already exists."
        raise Refusal(message, code="resource_already_exists", param="code")
    body: Object = {
        "id": new_id("promo"),
        "object": "promotion_code",
        "active": params.flag("active", True),
        "code": code,
        "created": merchant.now,
        "customer": params.text("customer"),
        "expires_at": params.integer("expires_at"),
        "livemode": False,
        "max_redemptions": params.integer("max_redemptions", least=1),
        "metadata": params.metadata(),
        "promotion": {"type": "coupon", "coupon": coupon["id"]},
        "restrictions": {
            "first_time_transaction": False,
            "minimum_amount": None,
            "minimum_amount_currency": None,
        },
        "times_redeemed": 0,
    }
    return merchant.add(body)


@on("POST", "/v1/tax_rates")
def create_tax_rate(merchant: Merchant, params: Params) -> Object:
    """Creates one; its percentage never changes."""
    percentage = params.decimal("percentage")
    if percentage is None or not 0 <= percentage <= 100:
        raise Refusal("percentage must be between 0 and 100.", param="percentage")
    body: Object = {
        "id": new_id("txr"),
        "object": "tax_rate",
        "active": params.flag("active", True),
        "country": params.text("country"),
        "created": merchant.now,
        "description": params.text("description"),
        "display_name": params.needed("display_name"),
        "effective_percentage": percentage,
        "flat_amount": None,
        "inclusive": params.flag("inclusive"),
        "jurisdiction": params.text("jurisdiction"),
        "jurisdiction_level": None,
        "livemode": False,
        "metadata": params.metadata(),
        "percentage": percentage,
        "rate_type": "percentage",
        "state": params.text("state"),
        "tax_type": params.text("tax_type"),
    }
    return merchant.add(body)


def price_of(merchant: Merchant, params: Params) -> Object:
    """The price that an item names, or describes by `price_data`. Raises Refusal."""
    if "price_data" in params:
        data = params.nested("price_data")
        return _price(merchant, data, merchant.need("product", data.needed("product"), "product")["id"])
    body = merchant.need("price", params.needed("price"), "price")
    if not body["active"]:
        raise Refusal("The price specified is inactive. This field only accepts active prices.", param="price")
    return body


def plan_of(price: Object) -> Object:
    """The older form of a recurring price, which subscription items still carry."""
    recurring = price["recurring"]
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": "per_unit",
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": False,
        "metadata": price["metadata"],
        "meter": None,
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }


def _price(merchant: Merchant, params: Params, product: str) -> Object:
    amount = params.integer("unit_amount", least=0)
    if amount is None:
        raise Refusal("Missing required param: unit_amount.", code="parameter_missing", param="unit_amount")
    recurring = None
    if "recurring" in params:
        given = params.nested("recurring")
        recurring = {
            "interval": given.choice("interval", INTERVALS),
            "interval_count": given.integer("interval_count", least=1) or 1,
            "meter": None,
            "trial_period_days": None,
            "usage_type": given.choice("usage_type", ("licensed",), "licensed"),
        }
    body: Object = {
        "id": new_id("price"),
        "object": "price",
        "active": params.flag("active", True),
        "billing_scheme": "per_unit",
        "created": merchant.now,
        "currency": currency(params.needed("currency")),
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": params.text("lookup_key"),
        "metadata": params.metadata(),
        "nickname": params.text("nickname"),
        "product": product,
        "recurring": recurring,
        "tax_behavior": params.choice("tax_behavior", ("exclusive", "inclusive", "unspecified"), "unspecified"),
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring" if recurring else "one_time",
        "unit_amount": amount,
        "unit_amount_decimal": str(amount),
    }
    merchant.add(body)
    merchant.emit("price.created", body)
    return body
