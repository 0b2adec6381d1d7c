"""What an invoice looks like when it is drawn up."""

from embedded.sandboxes.stripe.api import collection
from embedded.sandboxes.stripe.billing import totals
from embedded.sandboxes.stripe.merchant import Merchant, new_id
from embedded.sandboxes.stripe.wire import Object


def drafted(
    merchant: Merchant,
    customer: Object,
    code: str,
    invoice_lines: list[Object],
    reason: str,
    subscription: Object | None = None,
    period: tuple[int, int] | None = None,
) -> Object:
    """A new draft, not stored yet."""
    identity = new_id("in")
    start, end = period or (merchant.now, merchant.now)
    for line in invoice_lines:
        line["invoice"] = identity
    parent = None
    if subscription:
        details = {"metadata": subscription["metadata"], "subscription": subscription["id"]}
        parent = {"quote_details": None, "subscription_details": details, "type": "subscription_details"}
    body: Object = {
        "id": identity,
        "object": "invoice",
        "account_country": "US",
        "account_name": "Sandbox",
        "account_tax_ids": None,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": True,
        "automatic_tax": {
            "disabled_reason": None,
            "enabled": False,
            "liability": None,
            "provider": None,
            "status": None,
        },
        "automatically_finalizes_at": None,
        "billing_reason": reason,
        "collection_method": "charge_automatically",
        "created": merchant.now,
        "currency": code,
        "custom_fields": None,
        "customer": customer["id"],
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_shipping": None,
        "customer_tax_exempt": customer["tax_exempt"],
        "customer_tax_ids": [],
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": sorted({d["discount"] for line in invoice_lines for d in line["discount_amounts"]}),
        "due_date": None,
        "effective_at": None,
        "ending_balance": None,
        "footer": None,
        "from_invoice": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "issuer": {"type": "self"},
        "last_finalization_error": None,
        "latest_revision": None,
        "lines": collection(invoice_lines, f"/v1/invoices/{identity}/lines"),
        "livemode": False,
        "metadata": {},
        "next_payment_attempt": None,
        "number": None,
        "on_behalf_of": None,
        "parent": parent,
        "payment_settings": {"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
        "period_end": end,
        "period_start": start,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "rendering": None,
        "shipping_cost": None,
        "shipping_details": None,
        "starting_balance": customer["balance"],
        "statement_descriptor": None,
        "status": "draft",
        "status_transitions": dict.fromkeys(("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at")),
        "test_clock": customer["test_clock"],
        "total_pretax_credit_amounts": [],
        "webhooks_delivered_at": None,
        "_intent": None,
        **totals(invoice_lines),
    }
    due = max(0, body["total"] + customer["balance"])
    return body | {"amount_due": due, "amount_remaining": due}
