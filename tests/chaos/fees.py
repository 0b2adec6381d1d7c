"""Fees of late cancellations: charged to a card and waived, or declined and then paid by the client, or let go."""

from uuid import uuid4

from tests.chaos.holds import AtProvider
from tests.chaos.steps import CHANGED, CREATED, WORK, Step, at, both
from tests.chaos.trades import Trade
from tests.support.product import Visitor, eventually

_NEXT = """
SELECT j.id FROM jobs j JOIN purchases u ON u.tenant_id = j.tenant_id AND u.id::text = j.args->>'purchase'
WHERE j.tenant_id = $1 AND u.client_id = $2 AND j.kind = 'charge_fee' AND (j.args->>'step')::int = 1
"""


class Fee(Trade):
    """Charged at once, waived later."""

    end = (("FEE", "RETURNED", ("SUCCEEDED",), ("RECEIPT", "CREDIT_NOTE")),)

    def run(self) -> None:
        self.cancel_late()
        self.wait(("FEE", "FULFILLED", (), ("RECEIPT",)))
        self.waive()
        self.wait(*self.end)

    def cancel_late(self) -> None:
        """A client who has saved a card owes a fee."""
        till, studio = self.till, self.till.desk.studio
        till.rule(cancellationWindowMinutes=20160, lateCancelFeeMinor="500")
        person, email = Visitor(till.running.url), f"{uuid4().hex}@chaos.example"
        person.post("/v1/accounts:signUp", {"email": email, "password": "a long enough one", "displayName": "Kim"})
        self.client = person.post(f"/v1/{studio}/clients:join", {"displayName": "Kim", "email": email})["name"]
        cards = f"/v1/{self.client}/paymentMethods"
        till.confirm(person.post(f"{cards}:setup", {}), self.card)
        eventually(lambda: any(each["isDefault"] for each in person.get(cards)["paymentMethods"]), what="a default")
        gift = {"client": self.client, "credits": 1, "displayName": "One class", "reason": "chaos"}
        self.ask("clientPackages:grant", gift, "grant")
        wanted = {"classSession": till.a_class(), "client": self.client}
        self._booking: str = self.ask("bookings", wanted, "book")["name"]
        self.ask(f"{self._booking}:cancel", {}, "cancel")

    def waive(self) -> None:
        """Staff let it go."""
        self.ask(f"{self._booking}:waive", {"reason": "chaos"}, "waive")


class DeclinedFee(Fee):
    """The card is declined, and the client pays in the browser."""

    end = (("FEE", "FULFILLED", (), ("RECEIPT",)),)
    card = "pm_card_chargeCustomerFail"

    def run(self) -> None:
        self.be_declined()
        [fee] = self.till.desk.get(f"/v1/{self.till.desk.studio}/purchases", client=self.client)["purchases"]
        self.pay(fee["name"], "pay", "pm_card_visa")
        self.wait(*self.end)

    def be_declined(self) -> None:
        """Until the next try is planned."""
        self.cancel_late()
        self.wait(("FEE", "OPEN", (), ()))
        eventually(lambda: self.sql("payments", _NEXT), within=60, what="the next try is planned")

    def check(self) -> None:
        assert len(self.sql("payments", _NEXT)) == 1


class FeeLetGo(DeclinedFee):
    """The card is declined, and staff let it go."""

    end = (("FEE", "CANCELLED", (), ()),)

    def run(self) -> None:
        self.be_declined()
        self.waive()
        self.wait(*self.end)


_BILLED = at("purchases", f"{CREATED} AND NEW.kind = 'FEE'")
_NEXT_TRY = at("jobs", f"{CREATED} AND NEW.kind = 'charge_fee' AND NEW.args->>'step' = '1'")

STEPS: list[Step] = [
    Step("hearing of the fee", at("fees", CREATED), Fee),
    *both("billing the fee", _BILLED, Fee),
    Step("asking for the intent of the fee", AtProvider("/v1/payment_intents$", WORK), Fee),
    *both("charging the card", AtProvider("/v1/payment_intents/[^/]+/confirm$", WORK), Fee),
    Step("hearing that it is waived", at("fees", f"{CHANGED} AND NEW.state = 'WAIVED'"), Fee),
    *both("giving the fee back", at("purchases", f"{CHANGED} AND NEW.state = 'RETURNED'"), Fee),
    Step("charging a card that is declined", AtProvider("/v1/payment_intents/[^/]+/confirm$", WORK), DeclinedFee),
    *both("planning the next try", _NEXT_TRY, DeclinedFee),
    *both("letting the fee go at the provider", AtProvider("/v1/payment_intents/[^/]+/cancel$", WORK), FeeLetGo),
    Step("noting that it was let go", at("purchases", f"{CHANGED} AND NEW.state = 'CANCELLED'"), FeeLetGo),
]
