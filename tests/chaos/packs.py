"""A class pack is bought and a third of it given back; the bank returns that, or no webhook tells of any of it."""

from typing import ClassVar

from tests.chaos.holds import AtProvider
from tests.chaos.steps import CHANGED, CREATED, GATEWAY, SERVE, WORK, Step, at, both, job
from tests.chaos.trades import Trade

_FORGET_EVENTS = "UPDATE merchants SET events_until = now() + make_interval(days => $2) WHERE studio_id = $1"


class Pack(Trade):
    """Bought, and a third of it refunded."""

    end = (("CLASS_PACK", "FULFILLED", ("SUCCEEDED",), ("RECEIPT", "CREDIT_NOTE")),)
    credits_left = 6

    def run(self) -> None:
        self.open_an_account()
        purchase = self.till.buy(self.client, self.till.option, self.key_of("buy"))
        self.pay(purchase, "pay")
        self.wait(("CLASS_PACK", "FULFILLED", (), ("RECEIPT",)))
        self.till.give_back(purchase, self.key_of("refund"))
        self.wait(*self.end)

    def check(self) -> None:
        assert self.packages() == [self.credits_left]


class Returning(Pack):
    """The client's bank returns the refund."""

    end = (("CLASS_PACK", "FULFILLED", ("FAILED",), ("RECEIPT", "CREDIT_NOTE", "CREDIT_NOTE_REVERSAL")),)
    credits_left = 9
    card = "pm_card_refundFail"


class Unheard(Pack):
    """No webhook comes: the reconciler finds what happened in the list of events."""

    # Days for which that was read already.
    read_ahead: ClassVar[int] = 0

    def run(self) -> None:
        self.till.set_faults({"webhook_drop": {"count": -1}})
        self.till.running.sql("payments", _FORGET_EVENTS, self.till.studio, self.read_ahead)
        super().run()
        self.till.set_faults({})

    def pay(self, what: str, key: str, card: str = "") -> None:
        super().pay(what, key, card)
        self.till.reconcile()


class UnheardForLong(Unheard):
    """Where the list of events was read to its end, a line of money is the first to tell."""

    read_ahead = 1


_PAID = "NEW.type = 'payment_intent.succeeded'"
_TELLS_OF_IT = (
    "EXISTS (SELECT FROM provider_events e WHERE e.external_account = NEW.args->>'account'"
    f" AND e.external_id = NEW.args->>'event' AND {_PAID.replace('NEW', 'e')})"
)
_SUCCEEDED = at("payments", f"{CHANGED} AND NEW.state = 'SUCCEEDED' AND OLD.state = 'OPEN'")
_STORED = at("provider_events", f"{CREATED} AND {_PAID}")
_STORED_OF_REFUND = at("provider_events", f"{CREATED} AND NEW.type = 'refund.created'")
_GRANTED = at("package_sales", CREATED, "booking")
_FROZEN = at("credit_freezes", CREATED, "booking")
_RESTORED = at("credit_freezes", f"{CHANGED} AND NEW.unfreeze_time IS NOT NULL", "booking")

PURCHASE = [
    *both("making the purchase", at("purchases", CREATED), Pack),
    *both("starting the payment", at("payments", CREATED), Pack),
    *both("asking for the intent", AtProvider("/v1/payment_intents$", SERVE), Pack),
    *both("noting the intent", at("payments", f"{CHANGED} AND OLD.external_id IS NULL AND NEW.state = 'OPEN'"), Pack),
    *both("storing the webhook", _STORED, Pack),
    Step("storing the webhook, the gateway", _STORED, Pack, GATEWAY),
    *both("taking up the webhook", job("apply_provider_event", "running", _TELLS_OF_IT), Pack),
    *both("posting the payment", _SUCCEEDED, Pack),
    *both("settling the webhook", job("apply_provider_event", "done", _TELLS_OF_IT), Pack),
    *both("taking up the grant", job("fulfil_purchase", "running"), Pack),
    *both("granting", _GRANTED, Pack),
    Step("granting, the caller", _GRANTED, Pack, WORK),
    *both("noting the grant", at("purchases", f"{CHANGED} AND NEW.state = 'FULFILLED' AND OLD.state = 'PAID'"), Pack),
    *both("writing the receipt", at("receipts", f"{CREATED} AND NEW.kind = 'RECEIPT'"), Pack),
]
REFUND = [
    *both("making the refund", at("refunds", CREATED), Pack),
    *both("taking up the refund", job("make_refund", "running"), Pack),
    *both("freezing", _FROZEN, Pack),
    Step("freezing, the caller", _FROZEN, Pack, WORK),
    *both("noting the freeze", at("refunds", f"{CHANGED} AND NEW.state = 'FROZEN' AND OLD.state = 'REQUESTED'"), Pack),
    *both("about to send", at("refunds", f"{CHANGED} AND NEW.send_time IS NOT NULL AND OLD.send_time IS NULL"), Pack),
    *both("sending", AtProvider("/v1/refunds$", WORK), Pack),
    *both("posting the refund", at("refunds", f"{CHANGED} AND NEW.state = 'SUCCEEDED' AND OLD.state = 'FROZEN'"), Pack),
    *both("storing the webhook of the refund", _STORED_OF_REFUND, Pack),
    *both("writing the credit note", at("receipts", f"{CREATED} AND NEW.kind = 'CREDIT_NOTE'"), Pack),
]
FAILURE = [
    *both("failing", at("refunds", f"{CHANGED} AND NEW.state = 'FAILED'"), Returning),
    *both("restoring", _RESTORED, Returning),
    Step("restoring, the caller", _RESTORED, Returning, WORK),
    *both("writing the reversal", at("receipts", "NEW.kind = 'CREDIT_NOTE_REVERSAL'"), Returning),
]
RECONCILER = [
    *both("storing what was listed", at("provider_events", f"{CREATED} AND {_PAID}"), Unheard),
    *both("storing the lines", at("balance_transactions", "NEW.category = 'charge'"), Unheard),
    *both("repairing", _SUCCEEDED, UnheardForLong),
    *both("comparing", at("reconciliations", "true"), Unheard),
]
STEPS = [*PURCHASE, *REFUND, *FAILURE, *RECONCILER]
