"""A gift card is sold, pays a part of one purchase and all of another, the rest is given back; another is mailed."""

from uuid import uuid4

from tests.chaos.holds import AtProvider
from tests.chaos.steps import CHANGED, CREATED, SERVE, Step, at, both
from tests.chaos.trades import Trade
from tests.support.product import eventually

_LEFT = """
SELECT a.balance_minor FROM gift_cards c JOIN purchases u ON u.tenant_id = c.tenant_id AND u.id = c.purchase_id
JOIN ledger_accounts a ON a.tenant_id = c.tenant_id AND a.subject_id = c.id
WHERE u.tenant_id = $1 AND u.client_id = $2
"""


_PAID, _SOLD = (("CLASS_PACK", "FULFILLED", (), ("RECEIPT",)), ("GIFT_CARD", "FULFILLED", (), ("RECEIPT",)))


class GiftCard(Trade):
    """Of two purchases that it pays a part of, one is given up and the other refunded to both."""

    end = (
        ("GIFT_CARD", "FULFILLED", ("SUCCEEDED",), ("RECEIPT", "CREDIT_NOTE")),
        ("CLASS_PACK", "CANCELLED", (), ()),
        ("CLASS_PACK", "FULFILLED", ("SUCCEEDED", "SUCCEEDED"), ("RECEIPT", "CREDIT_NOTE", "CREDIT_NOTE")),
        _PAID,
    )

    def run(self) -> None:
        till = self.till
        self.open_an_account()
        card = self.buy(till.sell(kind="GIFT_CARD", priceMinor="5000"), 5000, "card")
        self.pay(card, "pay-card")
        self.wait(_SOLD)
        code = self.ask(f"{till.desk.get(f'/v1/{card}')['giftCard']}:showCode", {}, "show")["code"]
        pack, small = till.sell(), till.sell(priceMinor="1000", credits=1)
        given_up = self.buy(pack, 9000, "first", giftCardCode=code, giftMinor="5000")
        till.pay(given_up, "no card")
        # Asked again it is refused, as given up already.
        till.insist(f"/v1/{given_up}:cancel", {}, self.key_of("give-up"), refused_is_fine=True)
        kept = self.buy(pack, 9000, "second", giftCardCode=code, giftMinor="5000")
        self.pay(kept, "pay-second")
        self.wait(_SOLD, self.end[1], _PAID)
        # First what the provider took, then what the card did.
        self.give_back(kept, 4000, 4, "to-the-provider")
        self.give_back(kept, 5000, 5, "to-the-card")
        self.buy(small, 1000, "third", giftCardCode=code, giftMinor="1000")
        self.wait(_SOLD, *self.end[1:])
        self.give_back(card, 4000, 0, "of-the-card")
        self.wait(*self.end)

    def give_back(self, purchase: str, amount: int, credits: int, key: str) -> None:
        """A refund of a part."""
        wanted = {"purchase": purchase, "amountMinor": str(amount), "creditsRevoked": credits, "reason": "chaos"}
        self.ask("refunds", wanted, key)

    def check(self) -> None:
        assert sorted(self.packages()) == [0, 1]
        [left] = self.sql("payments", _LEFT)
        assert left["balance_minor"] == 0


class Letter(Trade):
    """A card is sold and mailed to somebody."""

    end = (_SOLD,)

    def run(self) -> None:
        self.open_an_account()
        sold = self.buy(self.till.sell(kind="GIFT_CARD", priceMinor="5000"), 5000, "card")
        self.pay(sold, "pay")
        self.wait(_SOLD)
        self._card: str = self.till.desk.get(f"/v1/{sold}")["giftCard"]
        self._to = f"{uuid4().hex}@chaos.example"
        letter = {"recipientEmail": self._to, "recipientDisplayName": "Ada", "senderDisplayName": "Kim"}
        self.ask(f"{self._card}:send", {"letter": letter}, "send")
        eventually(lambda: self.till.running.mails(self._to), within=90, what="the mail")
        self.reached()

    def check(self) -> None:
        code = self.ask(f"{self._card}:showCode", {}, "show")["code"]
        [mail] = self.till.running.mails(self._to)
        assert code in mail["text"]


_CARD_PAYS = "NEW.gift_minor > 0"
_BY_CARD = at("payments", f"{CHANGED} AND NEW.state = 'SUCCEEDED' AND NEW.external_id IS NULL")
_TO_CARD = at("refunds", f"{CHANGED} AND NEW.to_gift_card AND NEW.state = 'SUCCEEDED' AND OLD.state = 'FROZEN'")
_HANDED_OVER = at("gift_card_letters", f"{CHANGED} AND NEW.hand_over_time IS NOT NULL")
_OF_CARD = (
    "EXISTS (SELECT FROM purchases u WHERE u.tenant_id = NEW.tenant_id AND u.id = NEW.purchase_id"
    " AND u.kind = 'GIFT_CARD')"
)

STEPS: list[Step] = [
    *both("making the card", at("gift_cards", CREATED), GiftCard),
    Step("settling its code", at("gift_cards", f"{CHANGED} AND OLD.code_hash IS NULL"), GiftCard),
    *both("taking it off the card", at("purchases", f"{CREATED} AND {_CARD_PAYS}"), GiftCard),
    *both("giving up at the provider", AtProvider("/v1/payment_intents/[^/]+/cancel$", SERVE), GiftCard),
    Step("putting it back", at("purchases", "NEW.state = 'CANCELLED'"), GiftCard),
    *both("paying all by the card", _BY_CARD, GiftCard),
    *both("refunding to the card", _TO_CARD, GiftCard),
    *both("taking the card back", at("refunds", f"{CREATED} AND {_OF_CARD}"), GiftCard),
    Step("planning the letter", at("gift_card_letters", CREATED), Letter),
    *both("handing over the letter", _HANDED_OVER, Letter),
    Step("handing over the letter the caller", _HANDED_OVER, Letter, "services.notify work"),
]
