"""Disputes: opened by a test card or at the control address, answered by evidence, won or lost."""

from embedded.sandboxes.stripe.api import on, readable, timer
from embedded.sandboxes.stripe.charges import book, settle
from embedded.sandboxes.stripe.merchant import Merchant, new_id
from embedded.sandboxes.stripe.methods import card_of
from embedded.sandboxes.stripe.money import DISPUTE_FEE
from embedded.sandboxes.stripe.wire import Object, Params, Refusal

ANSWER_WITHIN, DECIDED_AFTER = 7 * 86400, 2
EVIDENCE = (
    *("access_activity_log", "billing_address", "cancellation_policy", "cancellation_policy_disclosure"),
    *("cancellation_rebuttal", "customer_communication", "customer_email_address", "customer_name"),
    *("customer_purchase_ip", "customer_signature", "duplicate_charge_documentation", "duplicate_charge_explanation"),
    *("duplicate_charge_id", "product_description", "receipt", "refund_policy", "refund_policy_disclosure"),
    *("refund_refusal_explanation", "service_date", "service_documentation", "shipping_address", "shipping_carrier"),
    *(
        "shipping_date",
        "shipping_documentation",
        "shipping_tracking_number",
        "uncategorized_file",
        "uncategorized_text",
    ),
)
ANSWERABLE = ("needs_response", "warning_needs_response")

readable("/v1/disputes", "dispute", ("charge", "payment_intent"))


@on("POST", "/v1/disputes/{id}")
def update(merchant: Merchant, params: Params, id: str) -> Object:
    """Takes evidence and hands it in, unless `submit` is false."""
    body = merchant.need("dispute", id)
    body["metadata"] = params.metadata(body["metadata"])
    submit = params.flag("submit", True)
    if "evidence" in params:
        if body["status"] not in ANSWERABLE:
            raise Refusal("This dispute is already closed.", code="dispute_not_open")
        evidence = params.nested("evidence")
        for name in EVIDENCE:
            if name in evidence:
                body["evidence"][name] = evidence.text(name)
        body["evidence_details"]["has_evidence"] = any(body["evidence"][name] for name in EVIDENCE)
        if submit:
            _submitted(merchant, body)
    merchant.save(body)
    merchant.emit("charge.dispute.updated", body)
    return body


@on("POST", "/v1/disputes/{id}/close")
def close(merchant: Merchant, params: Params, id: str) -> Object:
    """Accepts it, which is irreversible."""
    body = merchant.need("dispute", id)
    if body["status"] not in ANSWERABLE:
        raise Refusal("This dispute is already closed.", code="dispute_not_open")
    return decided(merchant, body, won=False)


@timer("dispute.open")
def opened_by_card(merchant: Merchant, identity: str) -> None:
    """The bank of a test card disputes its charge."""
    charge = merchant.need("charge", identity)
    card = card_of(merchant.need("payment_method", charge["payment_method"]))
    assert card is not None
    assert card.dispute is not None
    if not charge["refunded"]:
        opened(merchant, charge, card.dispute, inquiry=card.inquiry)


def opened(merchant: Merchant, charge: Object, reason: str, amount: int | None = None, inquiry: bool = False) -> Object:
    """A new dispute; unless it is an inquiry its money is gone until it is won. Raises Refusal."""
    if charge["disputed"] or not charge["paid"]:
        raise Refusal(f"Charge {charge['id']} cannot be disputed.")
    body: Object = {
        "id": new_id("du"),
        "object": "dispute",
        "amount": amount or charge["amount_captured"] - charge["amount_refunded"],
        "balance_transactions": [],
        "charge": charge["id"],
        "created": merchant.now,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(EVIDENCE), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": merchant.now + ANSWER_WITHIN,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": inquiry,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method_details": {
            "type": "card",
            "card": {
                "brand": charge["payment_method_details"].get("card", {}).get("brand", "visa"),
                "case_type": "inquiry" if inquiry else "chargeback",
                "network": charge["payment_method_details"].get("card", {}).get("brand", "visa"),
                "network_reason_code": "10.4" if reason == "fraudulent" else "13.1",
            },
        },
        "reason": reason,
        "status": "warning_needs_response" if inquiry else "needs_response",
    }
    settle(merchant, charge["id"])
    charge = merchant.need("charge", charge["id"]) | {"disputed": True}
    merchant.save(charge)
    if not inquiry:
        _moved(merchant, body, -body["amount"], DISPUTE_FEE, "dispute")
    merchant.add(body)
    merchant.after(ANSWER_WITHIN, "dispute.unanswered", body["id"])
    merchant.emit("charge.dispute.created", body)
    if not inquiry:
        merchant.emit("charge.dispute.funds_withdrawn", body)
    return body


@timer("dispute.unanswered")
def unanswered(merchant: Merchant, identity: str) -> None:
    """Nobody handed in evidence in time: lost."""
    body = merchant.need("dispute", identity)
    if body["status"] in ANSWERABLE:
        body["evidence_details"]["past_due"] = True
        decided(merchant, body, won=False)


@timer("dispute.decide")
def decide(merchant: Merchant, identity: str) -> None:
    """The bank has read the evidence: the two magic texts of Stripe's documentation say what it thinks."""
    body = merchant.need("dispute", identity)
    if body["status"].endswith("under_review"):
        decided(merchant, body, won=body["evidence"]["uncategorized_text"] == "winning_evidence")


def decided(merchant: Merchant, body: Object, *, won: bool) -> Object:
    """A closed dispute; a won one brings its money back, not its fee."""
    inquiry = body["status"].startswith("warning")
    body["status"] = "warning_closed" if inquiry else "won" if won else "lost"
    if won and not inquiry:
        _moved(merchant, body, body["amount"], 0, "dispute_reversal")
    merchant.save(body)
    if won and not inquiry:
        merchant.emit("charge.dispute.funds_reinstated", body)
    merchant.emit("charge.dispute.closed", body)
    return body


def _submitted(merchant: Merchant, body: Object) -> None:
    inquiry = body["status"].startswith("warning")
    body["status"] = "warning_under_review" if inquiry else "under_review"
    body["evidence_details"]["submission_count"] += 1
    body["evidence_details"]["submission_method"] = "manual"
    if body["evidence"]["uncategorized_text"] in ("winning_evidence", "losing_evidence"):
        merchant.after(DECIDED_AFTER, "dispute.decide", body["id"])


def _moved(merchant: Merchant, body: Object, amount: int, fee: int, category: str) -> None:
    description = "Chargeback withdrawal" if amount < 0 else "Chargeback reversal"
    moved = book(
        merchant, "adjustment", body, amount, fee, category=category, description=f"{description} for {body['charge']}"
    )
    body["balance_transactions"].append(moved)
