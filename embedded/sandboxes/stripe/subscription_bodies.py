"""What a subscription and its discounts look like when they are new."""

from embedded.sandboxes.stripe.billing import boundary
from embedded.sandboxes.stripe.merchant import Merchant, new_id
from embedded.sandboxes.stripe.wire import Object, Params, Refusal


def made(merchant: Merchant, customer: Object, params: Params) -> Object:
    """A new subscription, without items yet."""
    params.choice("collection_method", ("charge_automatically",))
    mode = params.nested("billing_mode").choice("type", ("classic", "flexible"), "flexible")
    return {
        "id": new_id("sub"),
        "object": "subscription",
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": merchant.now,
        "billing_cycle_anchor_config": None,
        "billing_mode": {"flexible": None, "type": mode},
        "billing_schedules": [],
        "billing_thresholds": None,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": merchant.now,
        "currency": None,
        "customer": customer["id"],
        "days_until_due": None,
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "ended_at": None,
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
        "items": None,
        "latest_invoice": None,
        "livemode": False,
        "metadata": {},
        "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None,
        "pause_collection": None,
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        },
        "pending_invoice_item_interval": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "schedule": None,
        "start_date": merchant.now,
        "status": "incomplete",
        "test_clock": customer["test_clock"],
        "transfer_data": None,
        "trial_end": None,
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "trial_start": None,
        "_pending": [],
    }


def discounts_of(merchant: Merchant, body: Object, params: Params) -> list[str]:
    """The discounts that a request's coupons and promotion codes give. Raises Refusal."""
    names = []
    for given in params.each("discounts"):
        if kept := given.text("discount"):
            names.append(merchant.need("discount", kept, "discounts")["id"])
            continue
        promotion = None
        if promotion_name := given.text("promotion_code"):
            promotion = merchant.need("promotion_code", promotion_name, "discounts[0][promotion_code]")
            _redeem(merchant, promotion, "promotion code")
        coupon_name = promotion["promotion"]["coupon"] if promotion else given.needed("coupon")
        coupon = merchant.need("coupon", coupon_name, "discounts[0][coupon]")
        _redeem(merchant, coupon, "coupon")
        names.append(_discount(merchant, body, coupon, promotion)["id"])
    return names


def _discount(merchant: Merchant, body: Object, coupon: Object, promotion: Object | None) -> Object:
    months = coupon["duration_in_months"] or 1
    repeats = coupon["duration"] == "repeating"
    return merchant.add(
        {
            "id": new_id("di"),
            "object": "discount",
            "checkout_session": None,
            "customer": body["customer"],
            "end": boundary(merchant.now, "month", 1, months) if repeats else None,
            "invoice": None,
            "invoice_item": None,
            "promotion_code": promotion["id"] if promotion else None,
            "source": {"coupon": coupon["id"], "type": "coupon"},
            "start": merchant.now,
            "subscription": body["id"],
            "subscription_item": None,
            # Ends with the first invoice that it lowers.
            "_once": coupon["duration"] == "once",
        }
    )


def _redeem(merchant: Merchant, body: Object, what: str) -> None:
    limit, until = body["max_redemptions"], body.get("redeem_by") or body.get("expires_at")
    alive = body.get("valid", True) and body.get("active", True)
    if not alive or (limit and body["times_redeemed"] >= limit) or (until and until <= merchant.now):
        raise Refusal(f"This {what} is no longer valid: '{body['id']}'.", code="coupon_expired", param="discounts")
    body["times_redeemed"] += 1
    if body["object"] == "coupon" and limit and body["times_redeemed"] >= limit:
        body["valid"] = False
    merchant.save(body)
