"""Places that are paid singly: one is given back in time, another is given up just before its money comes."""

from tests.chaos.steps import CHANGED, CREATED, WORK, Step, at, both
from tests.chaos.trades import Trade, id_of

_PLACE = """
SELECT b.state, b.session_cancelled, ARRAY(SELECT p.payment_id FROM drop_in_payments p
    WHERE p.tenant_id = b.tenant_id AND p.booking_id = b.id) AS payments
FROM bookings b WHERE b.tenant_id = $1 AND b.client_id = $2
"""


class Place(Trade):
    """A place that is booked and to be paid."""

    end = (("DROP_IN", "RETURNED", ("SUCCEEDED",), ("RECEIPT", "CREDIT_NOTE")),)

    def hold(self) -> tuple[str, str]:
        """The booking and its purchase."""
        self.till.rule(cancellationWindowMinutes=0)
        self.open_an_account()
        wanted = {"classSession": self.till.a_class(), "client": self.client, "dropIn": True}
        booking: str = self.ask("bookings", wanted, "book")["name"]
        option = self.till.sell(kind="DROP_IN", priceMinor="2000")
        return booking, self.buy(option, 2000, "buy", booking=booking)


class DropIn(Place):
    """It is paid, confirmed, given back in time, and refunded."""

    def run(self) -> None:
        booking, self._purchase = self.hold()
        self.pay(self._purchase, "pay")
        self.wait(("DROP_IN", "FULFILLED", (), ("RECEIPT",)))
        self.ask(f"{booking}:cancel", {}, "cancel")
        self.wait(*self.end)

    def check(self) -> None:
        [place] = self.sql("booking", _PLACE)
        assert tuple(place) == ("CANCELLED_EARLY", False, [id_of(self._purchase)])


class PlaceGone(Place):
    """It is given up while its money is on its way, of which no webhook tells."""

    def run(self) -> None:
        booking, purchase = self.hold()
        self.till.set_faults({"webhook_drop": {"count": -1}})
        self.pay(purchase, "pay")
        self.ask(f"{booking}:cancel", {}, "cancel")
        self.wait(*self.end)
        self.till.set_faults({})

    def check(self) -> None:
        [place] = self.sql("booking", _PLACE)
        assert tuple(place) == ("CANCELLED_EARLY", False, [])


_CONFIRMED = at("drop_in_payments", CREATED, "booking")
# Of a place that was paid singly nothing else is written when it is let go of.
_RELEASED = at("bookings", f"{CHANGED} AND NEW.state = 'CANCELLED_EARLY' AND OLD.state = NEW.state", "booking")
_TOLD = at("drop_in_places", f"{CHANGED} AND NEW.state = 'CANCELLED_EARLY' AND OLD.state = 'CONFIRMED'")
_GONE = at("purchases", f"{CHANGED} AND NEW.state = 'RETURNED' AND OLD.state = 'PAID'")
_PAID_ALL_THE_SAME = at("payments", f"{CHANGED} AND NEW.state = 'SUCCEEDED' AND OLD.state = 'OPEN'")

STEPS: list[Step] = [
    *both("confirming", _CONFIRMED, DropIn),
    Step("confirming the caller", _CONFIRMED, DropIn, WORK),
    Step("noting the place", at("purchases", f"{CHANGED} AND NEW.state = 'FULFILLED'"), DropIn),
    *both("hearing that it is given back", _TOLD, DropIn),
    *both("letting go of the place", _RELEASED, DropIn),
    Step("letting go of the place the caller", _RELEASED, DropIn, WORK),
    Step("noting that it is let go", at("purchases", f"{CHANGED} AND NEW.state = 'RETURNED'"), DropIn),
    *both("finding it paid all the same", _PAID_ALL_THE_SAME, PlaceGone),
    *both("noting that the place is gone", _GONE, PlaceGone),
]
