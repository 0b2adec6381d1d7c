"""What payments asks of a payment provider. A write carries a key that was stored before: the same key, one effect."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True)
class Account:
    """A merchant, as the provider sees it. `external_id` is empty for the key's own account."""

    external_id: str
    charges_enabled: bool
    payouts_enabled: bool
    requirements: tuple[str, ...]


@dataclass(frozen=True)
class Charge:
    """One decided try to pay. `intent` is what it was for, empty when it was made elsewhere."""

    external_id: str
    intent: str
    succeeded: bool
    code: str
    decline_code: str


@dataclass(frozen=True)
class Intent:
    """A payment that the client is to confirm. `reference` is what we called it when we made it."""

    external_id: str
    reference: str
    client_secret: str
    # requires_payment_method, processing, succeeded, canceled, …
    status: str
    # What came in.
    received_minor: int
    currency_code: str
    # The latest try, when there was one that was decided.
    charge: Charge | None
    # The card that pays is kept for later.
    saves: bool


@dataclass(frozen=True)
class SavedCard:
    """A card that a customer saved: nobody else than the provider knows more of it.

    Of a bank account that pays a membership `brand` is the kind, and it expires in no month of no year.
    """

    external_id: str
    brand: str
    last4: str
    expire_month: int
    expire_year: int


@dataclass(frozen=True)
class Setup:
    """A card that the client is about to save. `replaces` is the one that goes then."""

    external_account: str
    client_secret: str


@dataclass(frozen=True)
class MadeRefund:
    """Money on its way back. `reference` is what we called it, empty when it was made elsewhere."""

    external_id: str
    # The payment it is of.
    intent: str
    reference: str
    amount_minor: int
    currency_code: str
    # pending, requires_action, succeeded, failed, canceled
    status: str
    failure: str


@dataclass(frozen=True)
class MadeDispute:
    """A charge that the client's bank takes back or asks about. `intent` is what it paid."""

    external_id: str
    intent: str
    amount_minor: int
    currency_code: str
    status: str
    reason: str
    due_time: datetime | None


@dataclass(frozen=True)
class MadePayout:
    """Money on its way to the merchant's bank."""

    external_id: str
    amount_minor: int
    currency_code: str
    status: str
    arrival_time: datetime


@dataclass(frozen=True)
class BalanceLine:
    """One line of the merchant's account: what came (or went, below zero), and the fee that was kept of it."""

    external_id: str
    # charge, refund, refund_failure, payout, payout_reversal, dispute, dispute_reversal, fee, …
    category: str
    source: str
    amount_minor: int
    fee_minor: int
    currency_code: str
    create_time: datetime


@dataclass(frozen=True)
class Told:
    """An event of the provider, verified or listed."""

    external_account: str
    external_id: str
    type: str
    payload: dict[str, Any]
    create_time: datetime


class ProviderError(Exception):
    """It did not do as asked."""


class Refused(ProviderError):
    """It certainly did not and will not: `code` says why."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class Away(ProviderError):
    """Whether it did is not known, or it will later: ask again with the same key."""


class BadSignature(Exception):
    """What came is not from the provider, or is not of now."""


class CardGateway(Protocol):
    """One provider with one key. `account` names the merchant on every call, '' the key's own."""

    async def open_account(self, key: str, *, currency: str, country: str) -> Account:
        """A new connected account."""
        ...

    async def get_account(self, account: str) -> Account: ...

    async def onboarding_link(self, account: str, *, return_url: str) -> tuple[str, datetime]:
        """Where the merchant tells what is missing, and until when."""
        ...

    async def register_domain(self, account: str, domain: str) -> tuple[str, ...]:
        """Lets wallets appear in the payment form on that domain; answers which. Registered already is as good."""
        ...

    async def create_intent(
        self, account: str, key: str, *, amount: int, currency: str, reference: str, at_once: bool
    ) -> Intent:
        """`at_once`: only by what is decided while the client waits, not by a bank that takes days."""
        ...

    async def get_intent(self, account: str, intent: str) -> Intent: ...

    async def prepare_intent(self, account: str, intent: str, *, customer: str, save: bool, card: str) -> Intent:
        """Lets an open intent be paid with a saved card of the customer (`card`), or says if a new one is saved."""
        ...

    async def charge_intent(self, account: str, intent: str, key: str, *, customer: str, card: str) -> Intent:
        """Tries to take the money while the client is away. Answers what the intent is then, paid or declined."""
        ...

    async def create_customer(self, account: str, key: str, *, reference: str) -> str: ...

    async def delete_customer(self, account: str, customer: str) -> None:
        """With its cards."""
        ...

    async def create_setup(self, account: str, key: str, *, customer: str, replaces: str) -> Setup: ...

    async def saved_cards(self, account: str, customer: str) -> list[SavedCard]:
        """Newest first."""
        ...

    async def default_card(self, account: str, customer: str) -> str:
        """Empty for none."""
        ...

    async def set_default_card(self, account: str, customer: str, card: str) -> None: ...

    async def detach_card(self, account: str, card: str) -> None: ...

    async def cancel_intent(self, account: str, intent: str) -> Intent:
        """Answers it as it is then: cancelled, or succeeded when that was first."""
        ...

    async def refund(self, account: str, key: str, *, intent: str, amount: int, currency: str) -> MadeRefund:
        """`key` is its reference too."""
        ...

    async def get_refund(self, account: str, refund: str) -> MadeRefund: ...

    async def find_refund(self, account: str, intent: str, reference: str) -> MadeRefund | None:
        """One that we made, whose answer did not reach us."""
        ...

    async def get_dispute(self, account: str, dispute: str) -> MadeDispute: ...

    async def get_payout(self, account: str, payout: str) -> MadePayout: ...

    async def intent_of_charge(self, account: str, charge: str) -> str:
        """What a charge paid; empty when it was made without an intent."""
        ...

    async def method_of_charge(self, account: str, charge: str) -> str:
        """What paid it, as a person knows it: `visa 4242`, `apple_pay 4242`."""
        ...

    def balance_lines(self, account: str, since: datetime) -> AsyncIterator[BalanceLine]:
        """The account's lines since then; oldest last."""
        ...

    def verify(self, body: bytes, signature: str) -> Told:
        """Raises BadSignature."""
        ...

    def events(self, account: str, since: datetime) -> AsyncIterator[Told]:
        """What it has told since then, or tried to; oldest last."""
        ...

    def card_of(self, payload: dict[str, Any]) -> tuple[str, str, str]:
        """Of an event about a card that was saved: the customer, the card, and the card that it replaces or ''."""
        ...

    def intent_of(self, payload: dict[str, Any]) -> Intent:
        """The intent in an event about one."""
        ...
