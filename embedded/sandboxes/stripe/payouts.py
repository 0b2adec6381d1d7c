"""Balance, balance transactions and payouts, by schedule or by hand."""

from collections import defaultdict

from embedded.sandboxes.stripe.api import listed, on, readable, timer
from embedded.sandboxes.stripe.charges import book
from embedded.sandboxes.stripe.merchant import Merchant, new_id
from embedded.sandboxes.stripe.money import currency
from embedded.sandboxes.stripe.wire import Object, Params, Refusal

ARRIVES_AFTER = 86400

readable("/v1/balance_transactions", "balance_transaction", ("payout", "type", "source", "currency"))
readable("/v1/payouts", "payout", ("status", "destination"))


@on("GET", "/v1/balance")
def balance(merchant: Merchant, params: Params) -> Object:
    """What is there, and what will be, by currency."""
    sums: dict[str, dict[str, int]] = defaultdict(lambda: {"available": 0, "pending": 0})
    rows = merchant.store.rows(
        "SELECT json_extract(body, '$.currency') AS currency, json_extract(body, '$.status') AS status, "
        "sum(json_extract(body, '$.net')) AS net FROM objects "
        "WHERE account = ? AND kind = 'balance_transaction' GROUP BY 1, 2",
        merchant.id,
    )
    for row in rows:
        sums[row["currency"]][row["status"]] += row["net"]
    parts = {
        state: [
            {"amount": amounts[state], "currency": code, "source_types": {"card": amounts[state]}}
            for code, amounts in sorted((sums or {"usd": {"available": 0, "pending": 0}}).items())
        ]
        for state in ("available", "pending")
    }
    return {"object": "balance", **parts, "livemode": False}


@on("GET", "/v1/balance/history")
def history(merchant: Merchant, params: Params) -> Object:
    """The old name of the list of balance transactions."""
    return listed(merchant, params, "balance_transaction", "/v1/balance/history", ("payout", "type", "source"))


@on("POST", "/v1/payouts")
def create(merchant: Merchant, params: Params) -> Object:
    """Pays out by hand."""
    amount, code = params.integer("amount", least=1), currency(params.needed("currency"))
    if amount is None:
        raise Refusal("Missing required param: amount.", code="parameter_missing", param="amount")
    there = next((one["amount"] for one in balance(merchant, params)["available"] if one["currency"] == code), 0)
    if amount > there:
        message = "You have insufficient funds in your Stripe account for this transfer."
        raise Refusal(message, code="balance_insufficient", param="amount")
    more = {"description": params.text("description"), "metadata": params.metadata()}
    return _paid_out(merchant, amount, code, automatic=False, **more)


@on("POST", "/v1/payouts/{id}/cancel")
def cancel(merchant: Merchant, params: Params, id: str) -> Object:
    """Takes a manual payout back that has not left."""
    body = merchant.need("payout", id)
    if body["status"] != "pending" or body["automatic"]:
        raise Refusal(f"Payouts can only be canceled while pending and manual; this one is {body['status']}.")
    return _returned(merchant, body, "canceled")


def pay_all(merchant: Merchant) -> list[Object]:
    """The automatic payout of a day: all that is available, a payout for each currency."""
    made = []
    for code in {one["currency"] for one in merchant.find("balance_transaction")}:
        where = "json_extract(body, '$.currency') = ? AND json_extract(body, '$.status') = 'available'"
        open_ones = merchant.find("balance_transaction", f"{where} AND json_extract(body, '$._payout') IS NULL", code)
        total = sum(one["net"] for one in open_ones)
        if total > 0:
            made.append(_paid_out(merchant, total, code, automatic=True))
            for one in open_ones:
                merchant.save(one | {"_payout": made[-1]["id"]})
    return made


@timer("payout.daily")
def daily(merchant: Merchant, identity: str) -> None:
    """A day of the schedule is over."""
    schedule = merchant.need("account", identity)["settings"]["payouts"]["schedule"]
    if schedule["interval"] == "daily":
        pay_all(merchant)
        merchant.after(86400, "payout.daily", identity)


@timer("payout.arrive")
def arrive(merchant: Merchant, identity: str) -> None:
    """The bank has it."""
    body = merchant.need("payout", identity)
    if body["status"] not in ("pending", "in_transit"):
        return
    body["status"] = "paid"
    if body["automatic"]:
        body["reconciliation_status"] = "completed"
    merchant.save(body)
    merchant.emit("payout.paid", body)
    if body["automatic"]:
        merchant.emit("payout.reconciliation_completed", body)


def failed(merchant: Merchant, identity: str) -> Object:
    """The bank refused it: the money is back."""
    body = merchant.need("payout", identity)
    if body["status"] == "failed":
        raise Refusal(f"Payout {identity} has failed already.")
    body |= {"failure_code": "account_closed", "failure_message": "The bank account has been closed."}
    return _returned(merchant, body, "failed")


def _returned(merchant: Merchant, body: Object, status: str) -> Object:
    kind = "payout_failure" if status == "failed" else "payout_cancel"
    back = book(merchant, kind, body, body["amount"], category="payout_reversal")
    body |= {"status": status, "failure_balance_transaction": back["id"]}
    merchant.save(body)
    merchant.emit(f"payout.{status}", body)
    return body


def _paid_out(merchant: Merchant, amount: int, code: str, *, automatic: bool, **more: object) -> Object:
    body: Object = {
        "id": new_id("po"),
        "object": "payout",
        "amount": amount,
        "application_fee": None,
        "application_fee_amount": None,
        "arrival_date": merchant.now + ARRIVES_AFTER,
        "automatic": automatic,
        "balance_transaction": None,
        "created": merchant.now,
        "currency": code,
        "description": "STRIPE PAYOUT",
        "destination": None,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": {},
        "method": "standard",
        "original_payout": None,
        "reconciliation_status": "in_progress" if automatic else "not_applicable",
        "reversed_by": None,
        "source_type": "card",
        "statement_descriptor": None,
        "status": "pending",
        "trace_id": None,
        "type": "bank_account",
        **more,
    }
    taken = book(merchant, "payout", body, -amount)
    if automatic:
        # Its list shows its own transaction too.
        merchant.save(taken | {"_payout": body["id"]})
    body["balance_transaction"] = taken["id"]
    merchant.add(body)
    merchant.emit("payout.created", body)
    merchant.after(ARRIVES_AFTER, "payout.arrive", body["id"])
    return body
