"""What payments asks of a payment provider about memberships: subscriptions, and the invoices of their periods.

`Refused`, `Away`, keys and `account` are as in `card_gateway`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from services.payments.providers.card_gateway import SavedCard


@dataclass(frozen=True)
class Subscription:
    """A membership, as the provider sees it. `reference` is what we called it when we made it."""

    external_id: str
    reference: str
    # incomplete, incomplete_expired, active, past_due, canceled, …
    status: str
    # Whether it ended because nobody paid.
    unpaid: bool
    price: str
    # What of it has the price.
    item: str
    period_start: datetime
    period_end: datetime
    cancel_at_period_end: bool
    paused: bool
    # When a pause is over by itself.
    resume_time: datetime | None
    latest_invoice: str
    # What pays it; None for the customer's default.
    card: SavedCard | None


@dataclass(frozen=True)
class Invoice:
    """What an interval costs, or the change of a plan within one."""

    external_id: str
    subscription: str
    # draft, open, paid, void, uncollectible
    status: str
    total_minor: int
    currency_code: str
    # It began the subscription.
    first: bool
    # For what, and of a change of the plan instead of what.
    price: str
    old_price: str
    start: datetime
    end: datetime
    # How often it was tried, and when it is tried again.
    attempts: int
    next_attempt_time: datetime | None
    # The payment of it, and with what a browser confirms that.
    intent: str
    client_secret: str


class MembershipGateway(Protocol):
    """One provider with one key."""

    async def create_price(
        self, account: str, key: str, *, name: str, amount: int, currency: str, interval: str, interval_count: int
    ) -> str:
        """What an interval costs, in all; `interval` is week, month or year."""
        ...

    async def create_coupon(
        self, account: str, key: str, *, coupon: str, name: str, amount: int, currency: str
    ) -> None:
        """What takes so much off the first invoice of a subscription; one that is there already stays."""
        ...

    async def subscribe(
        self, account: str, key: str, *, customer: str, price: str, coupon: str, reference: str
    ) -> Subscription:
        """Begins when its first invoice is paid in the browser; that card pays what follows. '' is without a coupon.

        When the coupon takes all, it has begun, without a card.
        """
        ...

    async def get_subscription(self, account: str, subscription: str) -> Subscription: ...

    async def create_setup(self, account: str, key: str, *, customer: str, reference: str) -> str:
        """With what a browser saves a card instead of a first payment; `setup_in` then says for what."""
        ...

    async def get_invoice(self, account: str, invoice: str) -> Invoice: ...

    async def open_invoices(self, account: str, subscription: str) -> list[str]:
        """What is due of it, oldest first."""
        ...

    async def invoice_of_intent(self, account: str, intent: str) -> str:
        """Which invoice a payment pays; empty when none."""
        ...

    async def void_invoice(self, account: str, invoice: str) -> None:
        """Nobody can pay it any more. One that cannot be voided stays as it is."""
        ...

    async def pay_invoice(self, account: str, invoice: str) -> None:
        """Tries the card of the subscription now. Raises Refused when it was declined."""
        ...

    async def set_card(self, account: str, subscription: str, card: str) -> Subscription: ...

    async def cancel_at_period_end(self, account: str, subscription: str, *, cancel: bool) -> Subscription: ...

    async def cancel_now(self, account: str, subscription: str) -> Subscription:
        """Answers it as it is then, also when it had ended before."""
        ...

    async def pause(self, account: str, subscription: str, until: datetime | None) -> Subscription:
        """Periods that begin meanwhile cost nothing."""
        ...

    async def resume(self, account: str, subscription: str) -> Subscription: ...

    async def preview_price(self, account: str, subscription: Subscription, price: str, at: datetime) -> int:
        """What another price costs for the rest of the period, less the rest of the old one."""
        ...

    async def change_price(
        self, account: str, key: str, subscription: Subscription, price: str, at: datetime | None
    ) -> Subscription:
        """Another price: from `at` on, the rest of the period is paid now or nothing changes; else from the next on."""
        ...

    def setup_in(self, payload: dict[str, Any]) -> str:
        """What we called the membership for which a card was saved; empty for none."""
        ...

    def subscription_in(self, kind: str, payload: dict[str, Any]) -> tuple[str, str]:
        """The subscription that an event of this type is about, and its invoice; empty when there is none."""
        ...
