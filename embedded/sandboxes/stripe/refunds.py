"""Refunds: whole or in part, never more than was taken; some only later fail."""

from embedded.sandboxes.stripe.api import on, readable, timer
from embedded.sandboxes.stripe.charges import book, settle
from embedded.sandboxes.stripe.merchant import Merchant, new_id
from embedded.sandboxes.stripe.methods import card_of
from embedded.sandboxes.stripe.money import shown
from embedded.sandboxes.stripe.wire import Object, Params, Refusal

CHANGES_AFTER = 3
REASONS = ("duplicate", "fraudulent", "requested_by_customer")

readable("/v1/refunds", "refund", ("charge", "payment_intent"))


@on("POST", "/v1/refunds")
def create(merchant: Merchant, params: Params) -> Object:
    """Gives back what is left of a charge, or a part of it."""
    charge = _charge(merchant, params)
    rest = charge["amount_captured"] - charge["amount_refunded"]
    if charge["amount_captured"] < charge["amount"]:
        # What was never captured counts as refunded already.
        rest = charge["amount"] - charge["amount_refunded"]
    amount = params.integer("amount", least=1)
    if charge["disputed"] and not _refundable(merchant, charge):
        raise Refusal(f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed")
    if rest <= 0:
        raise Refusal(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if amount is not None and amount > rest:
        code = charge["currency"]
        message = (
            f"Refund amount ({shown(amount, code)}) is greater than unrefunded amount on charge ({shown(rest, code)})"
        )
        raise Refusal(message, param="amount")
    settle(merchant, charge["id"])
    charge = merchant.need("charge", charge["id"])
    card = card_of(merchant.need("payment_method", charge["payment_method"]))
    behaviour = card.refund if card else "succeeds"
    body: Object = {
        "id": new_id("re" if card else "pyr"),
        "object": "refund",
        "amount": amount or rest,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": merchant.now,
        "currency": charge["currency"],
        "destination_details": _destination(card is not None),
        "metadata": params.metadata(),
        "payment_intent": charge["payment_intent"],
        "reason": params.choice("reason", REASONS, None),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "pending" if behaviour == "pending" else "succeeded",
        "transfer_reversal": None,
    }
    body["balance_transaction"] = book(
        merchant, "refund" if card else "payment_refund", body, -body["amount"], category="refund"
    )["id"]
    merchant.add(body)
    _counted(merchant, charge, body["amount"])
    merchant.emit("refund.created", body)
    merchant.emit("charge.refunded", charge)
    if behaviour != "succeeds":
        merchant.after(CHANGES_AFTER, "refund.changes", body["id"])
    return body


@on("POST", "/v1/refunds/{id}")
def update(merchant: Merchant, params: Params, id: str) -> Object:
    """Changes its metadata."""
    body = merchant.need("refund", id)
    body["metadata"] = params.metadata(body["metadata"])
    merchant.save(body)
    merchant.emit("refund.updated", body)
    merchant.emit("charge.refund.updated", body)
    return body


@timer("refund.changes")
def changes(merchant: Merchant, identity: str) -> None:
    """A pending refund arrives; one that seemed to succeed comes back."""
    body = merchant.need("refund", identity)
    if body["status"] == "pending":
        body["status"] = "succeeded"
        merchant.save(body)
        merchant.emit("refund.updated", body, {"status": "pending"})
        merchant.emit("charge.refund.updated", body, {"status": "pending"})
        return
    failed(merchant, identity, "expired_or_canceled_card")


def failed(merchant: Merchant, identity: str, reason: str) -> Object:
    """A refund that did not reach its card: the money is back."""
    body = merchant.need("refund", identity)
    before = body["status"]
    if before not in ("pending", "succeeded"):
        raise Refusal(f"Refund {identity} is {before} and cannot fail.")
    returned = book(merchant, "refund_failure", body, body["amount"])
    body |= {"status": "failed", "failure_reason": reason, "failure_balance_transaction": returned["id"]}
    merchant.save(body)
    charge = merchant.need("charge", body["charge"])
    _counted(merchant, charge, -body["amount"])
    merchant.emit("refund.updated", body, {"status": before})
    merchant.emit("refund.failed", body)
    merchant.emit("charge.refund.updated", body, {"status": before})
    return body


def _counted(merchant: Merchant, charge: Object, amount: int) -> None:
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    merchant.save(charge)


def _refundable(merchant: Merchant, charge: Object) -> bool:
    (dispute,) = merchant.find("dispute", "json_extract(body, '$.charge') = ?", charge["id"])
    return bool(dispute["is_charge_refundable"]) or dispute["status"] == "won"


def _charge(merchant: Merchant, params: Params) -> Object:
    if name := params.text("charge"):
        body = merchant.need("charge", name, "charge")
    else:
        intent = merchant.need("payment_intent", params.needed("payment_intent"), "payment_intent")
        if intent["latest_charge"] is None or intent["status"] != "succeeded":
            message = f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
            raise Refusal(message, code="payment_intent_unexpected_state", param="payment_intent")
        body = merchant.need("charge", intent["latest_charge"])
    if not body["paid"] or not body["captured"]:
        raise Refusal(f"Charge {body['id']} cannot be refunded: it was not captured.", code="charge_not_refundable")
    return body


def _destination(by_card: bool) -> Object:
    if not by_card:
        return {"type": "us_bank_transfer", "us_bank_transfer": {}}
    card = {
        "reference": "7901352802291512",
        "reference_status": "available",
        "reference_type": "acquirer_reference_number",
    }
    return {"type": "card", "card": {**card, "type": "refund"}}
