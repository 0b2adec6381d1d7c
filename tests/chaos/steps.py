"""The steps of a purchase, of a refund, of one that fails and of the reconciler: where somebody is made to wait."""

from dataclasses import dataclass

from tests.chaos.holds import AtCommit, AtProvider, Gate

VISA, RETURNING = "pm_card_visa", "pm_card_refundFail"
SERVE, WORK, GATEWAY = "services.payments serve", "services.payments work", "-m gateway"


@dataclass(frozen=True)
class Step:
    """Where somebody waits, and who dies: who waits there, unless another is named."""

    what: str
    gate: Gate
    dies: str = ""
    kept: bool = True
    card: str = VISA
    # No webhook arrives: the reconciler finds what happened, in the list of events or in that of what moved money.
    found_in: str = ""

    def __str__(self) -> str:
        return f"{self.what} {'kept' if self.kept else 'lost'}".replace(",", "").replace(" ", "-")


def _both(what: str, gate: Gate, **more: str) -> list[Step]:
    return [Step(what, gate, kept=kept, **more) for kept in (False, True)]


def _at(table: str, when: str, service: str = "payments") -> AtCommit:
    return AtCommit(service, table, when)


def _job(kind: str, state: str, more: str = "true") -> AtCommit:
    return _at("jobs", f"NEW.kind = '{kind}' AND NEW.state = '{state}' AND {more}")


_CREATED, _CHANGED = "TG_OP = 'INSERT'", "TG_OP = 'UPDATE'"
_PAID = "NEW.type = 'payment_intent.succeeded'"
_TELLS_OF_IT = (
    "EXISTS (SELECT FROM provider_events e WHERE e.external_account = NEW.args->>'account'"
    f" AND e.external_id = NEW.args->>'event' AND {_PAID.replace('NEW', 'e')})"
)
_SUCCEEDED = _at("payments", f"{_CHANGED} AND NEW.state = 'SUCCEEDED' AND OLD.state = 'OPEN'")
_STORED = _at("provider_events", f"{_CREATED} AND {_PAID}")
_GRANTED = _at("package_sales", _CREATED, "booking")
_FROZEN = _at("credit_freezes", _CREATED, "booking")
_RESTORED = _at("credit_freezes", f"{_CHANGED} AND NEW.unfreeze_time IS NOT NULL", "booking")

PURCHASE = [
    *_both("making the purchase", _at("purchases", _CREATED)),
    *_both("starting the payment", _at("payments", _CREATED)),
    *_both("asking for the intent", AtProvider("/v1/payment_intents$", SERVE)),
    *_both("noting the intent", _at("payments", f"{_CHANGED} AND OLD.external_id IS NULL AND NEW.state = 'OPEN'")),
    *_both("storing the webhook", _STORED),
    Step("storing the webhook, the gateway", _STORED, GATEWAY),
    *_both("taking up the webhook", _job("apply_provider_event", "running", _TELLS_OF_IT)),
    *_both("posting the payment", _SUCCEEDED),
    *_both("settling the webhook", _job("apply_provider_event", "done", _TELLS_OF_IT)),
    *_both("taking up the grant", _job("fulfil_purchase", "running")),
    *_both("granting", _GRANTED),
    Step("granting, the caller", _GRANTED, WORK),
    *_both("noting the grant", _at("purchases", f"{_CHANGED} AND NEW.state = 'FULFILLED' AND OLD.state = 'PAID'")),
    *_both("writing the receipt", _at("receipts", f"{_CREATED} AND NEW.kind = 'RECEIPT'")),
]
REFUND = [
    *_both("making the refund", _at("refunds", _CREATED)),
    *_both("taking up the refund", _job("make_refund", "running")),
    *_both("freezing", _FROZEN),
    Step("freezing, the caller", _FROZEN, WORK),
    *_both("noting the freeze", _at("refunds", f"{_CHANGED} AND NEW.state = 'FROZEN' AND OLD.state = 'REQUESTED'")),
    *_both("about to send", _at("refunds", f"{_CHANGED} AND NEW.send_time IS NOT NULL AND OLD.send_time IS NULL")),
    *_both("sending", AtProvider("/v1/refunds$", WORK)),
    *_both("posting the refund", _at("refunds", f"{_CHANGED} AND NEW.state = 'SUCCEEDED' AND OLD.state = 'FROZEN'")),
    *_both("storing the webhook of the refund", _at("provider_events", f"{_CREATED} AND NEW.type = 'refund.created'")),
    *_both("writing the credit note", _at("receipts", f"{_CREATED} AND NEW.kind = 'CREDIT_NOTE'")),
]
FAILURE = [
    *_both("failing", _at("refunds", f"{_CHANGED} AND NEW.state = 'FAILED'"), card=RETURNING),
    *_both("restoring", _RESTORED, card=RETURNING),
    Step("restoring, the caller", _RESTORED, WORK, card=RETURNING),
    *_both("writing the reversal", _at("receipts", "NEW.kind = 'CREDIT_NOTE_REVERSAL'"), card=RETURNING),
]
RECONCILER = [
    *_both("storing what was listed", _at("provider_events", f"{_CREATED} AND {_PAID}"), found_in="events"),
    *_both("storing the lines", _at("balance_transactions", "NEW.category = 'charge'"), found_in="events"),
    *_both("repairing", _SUCCEEDED, found_in="lines"),
    *_both("comparing", _at("reconciliations", "true"), found_in="events"),
]
STEPS = [*PURCHASE, *REFUND, *FAILURE, *RECONCILER]
