"""A membership is begun, renewed, past due, paid with another card, and ended with a refund of what is unused."""

from tests.chaos.holds import AtProvider
from tests.chaos.steps import CHANGED, CREATED, SERVE, WORK, Step, at, both
from tests.chaos.trades import Trade
from tests.support.product import eventually

_PAID = ("MEMBERSHIP", "FULFILLED", (), ("RECEIPT",))
_MONTH, _LATER = 32, 1
_STANDS = "SELECT state, cancel_at_period_end, external_id FROM memberships WHERE tenant_id = $1 AND client_id = $2"
_ATTEMPTS = """
SELECT number FROM membership_attempts a JOIN memberships m ON m.tenant_id = a.tenant_id AND m.id = a.membership_id
WHERE m.tenant_id = $1 AND m.client_id = $2 AND a.external_id <> (SELECT p.external_id FROM membership_periods p
    WHERE p.tenant_id = m.tenant_id AND p.membership_id = m.id ORDER BY p.start_time LIMIT 1)
"""


class Membership(Trade):
    """Its first card asks the client's bank each time, so that no renewal comes from it."""

    end = (("MEMBERSHIP", "FULFILLED", ("SUCCEEDED",), ("RECEIPT", "CREDIT_NOTE")),) * 3
    card = "pm_card_authenticationRequired"

    def run(self) -> None:
        till = self.till
        self.open_an_account()
        plan = till.sell(kind="MEMBERSHIP", priceMinor="8000", credits=8, interval="MONTH", intervalCount=1)
        wanted = {"client": self.client, "pricingOption": plan, "totalMinor": "8000"}
        self._name: str = self.ask("memberships", wanted, "join")["name"]
        self.pay(self._name, "pay")
        self.wait(_PAID)
        self._stands("ACTIVE")
        self._renew()
        self._stands("PAST_DUE")
        self.pay(self._name, "pay-late", "pm_card_visa")
        self.wait(_PAID, _PAID)
        self._stands("ACTIVE")
        self._renew()
        self.wait(_PAID, _PAID, _PAID)
        self.ask(f"{self._name}:cancel", {}, "cancel")
        self._stands("ACTIVE", ending=True)
        unused = self.ask(f"{self._name}:previewRefund", {}, "preview")["refundMinor"]
        self.ask(f"{self._name}:refund", {"refundMinor": unused, "reason": "chaos"}, "refund")
        self.wait(*self.end)
        self._stands("ENDED", ending=True)

    def check(self) -> None:
        assert self.packages() == [0, 0, 0]
        # Of the first interval too, if somebody looked while the client's bank was asked.
        assert [row["number"] for row in self.sql("payments", _ATTEMPTS)] == [1]
        subscriptions = [each["metadata"] for each in self.till.objects("subscription")]
        name = self._name.rpartition("/")[2]
        assert sum(name in each.values() for each in subscriptions) == 1

    def _renew(self) -> None:
        """The interval is over; the next one's invoice is collected an hour later."""
        [row] = self.sql("payments", _STANDS)
        self.till.let_pass(row["external_id"], _MONTH)
        [subscription] = [each for each in self.till.objects("subscription") if each["id"] == row["external_id"]]
        self.till.let_pass(subscription["latest_invoice"], _LATER)

    def _stands(self, state: str, *, ending: bool = False) -> None:
        def seen() -> bool:
            [row] = self.sql("payments", _STANDS)
            return (row["state"], row["cancel_at_period_end"]) == (state, ending)

        eventually(seen, within=60, what=state)
        self.reached()


_OLD_ID = "OLD.external_id IS NULL AND NEW.external_id IS NOT NULL"
_ENDED_PACKAGE = at("client_packages", f"{CHANGED} AND NEW.revoke_time IS NOT NULL", "booking")
_SUBSCRIPTION = "/v1/subscriptions/[^/]+$"
_FIRST = "(SELECT count(*) FROM membership_periods p WHERE p.membership_id = NEW.membership_id) = 1"

STEPS: list[Step] = [
    Step("joining", at("memberships", CREATED), Membership),
    Step("making the customer", AtProvider("/v1/customers$", SERVE), Membership),
    Step("noting the customer", at("customers", CREATED), Membership),
    Step("making the price", AtProvider("/v1/prices$", SERVE), Membership),
    *both("beginning the subscription", AtProvider("/v1/subscriptions$", SERVE), Membership),
    Step("noting the subscription", at("memberships", f"{CHANGED} AND {_OLD_ID}"), Membership),
    *both("selling the first interval", at("membership_periods", _FIRST), Membership),
    Step("selling a renewal", at("membership_periods", f"NOT {_FIRST}"), Membership),
    *both("noting that it was declined", at("membership_attempts", CREATED), Membership),
    *both("noting that it is paid", at("memberships", "NEW.state = 'ACTIVE' AND OLD.state = 'PAST_DUE'"), Membership),
    *both("cancelling at the provider", AtProvider(_SUBSCRIPTION, SERVE), Membership),
    Step("noting that it ends", at("memberships", "NEW.cancel_at_period_end"), Membership),
    Step("asking to end it now", at("jobs", f"{CREATED} AND NEW.kind = 'end_membership'"), Membership),
    *both("ending at the provider", AtProvider(_SUBSCRIPTION, WORK, "DELETE"), Membership),
    Step("noting that it has ended", at("memberships", "NEW.state = 'ENDED'"), Membership),
    *both("taking what is left", _ENDED_PACKAGE, Membership),
    Step("taking what is left the caller", _ENDED_PACKAGE, Membership, WORK),
]
