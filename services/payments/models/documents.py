"""Receipts and gift cards."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.chassis.db.models import Tenanted, Versioned
from services.payments.models.base import Base


class ReceiptCounter(Base):
    """The highest number of a studio's receipts; locked by who writes the next."""

    __tablename__ = "receipt_counters"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    last_number: Mapped[int] = mapped_column(BigInteger)


class Receipt(Tenanted, Base):
    """A receipt or credit note, with all that stands on it but the client's name. Immutable."""

    __tablename__ = "receipts"

    # A name of the proto's Receipt.Kind.
    kind: Mapped[str]
    number: Mapped[int] = mapped_column(BigInteger)
    purchase_id: Mapped[UUID]
    refund_id: Mapped[UUID | None]
    client_id: Mapped[UUID]
    # As of the purchase.
    account_id: Mapped[UUID | None]
    description: Mapped[str]
    price_minor: Mapped[int] = mapped_column(BigInteger)
    discount_minor: Mapped[int] = mapped_column(BigInteger)
    net_minor: Mapped[int] = mapped_column(BigInteger)
    tax_minor: Mapped[int] = mapped_column(BigInteger)
    total_minor: Mapped[int] = mapped_column(BigInteger)
    # What of it a gift card paid, or got back.
    gift_minor: Mapped[int] = mapped_column(BigInteger)
    currency_code: Mapped[str]
    tax_display_name: Mapped[str]
    payment_method: Mapped[str]
    # Of the receipt that a credit note is about, else 0.
    receipt_number: Mapped[int] = mapped_column(BigInteger)
    # `letterheads.Issuer` of the day.
    issuer: Mapped[dict[str, Any]] = mapped_column(JSONB)
    create_time: Mapped[datetime]


class GiftCard(Tenanted, Versioned, Base):
    """A card that pays for purchases. What is left on it is its account in the ledger."""

    __tablename__ = "gift_cards"

    purchase_id: Mapped[UUID]
    # As of the purchase.
    account_id: Mapped[UUID | None]
    # SHA-256 of the code; None while there is none. `gift_card_codes` makes it of the card and this number.
    code_hash: Mapped[str | None]
    code_version: Mapped[int]
    code_end: Mapped[str]
    # The code that was handed over to be mailed last.
    mailed_version: Mapped[int | None]
    # How often it was to be sent to somebody.
    letter_count: Mapped[int]
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency_code: Mapped[str]
    expire_time: Mapped[datetime | None]


class GiftCardLetter(Base):
    """The mail that brings a card to somebody, the latest of its card. To whom and in which words lies here alone."""

    __tablename__ = "gift_card_letters"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    gift_card_id: Mapped[UUID] = mapped_column(primary_key=True)
    # Counts the card's letters from 1.
    number: Mapped[int]
    recipient_email: Mapped[str]
    recipient_display_name: Mapped[str]
    sender_display_name: Mapped[str]
    message: Mapped[str]
    language: Mapped[str]
    # In the studio's zone; None was at once.
    send_date: Mapped[date | None]
    due_time: Mapped[datetime]
    # When it was handed over to be mailed, and what was left on the card by then.
    hand_over_time: Mapped[datetime | None]
    amount_minor: Mapped[int | None] = mapped_column(BigInteger)


class GiftCardGuesses(Base):
    """Codes that a client tried and that were none, since a moment of real time."""

    __tablename__ = "gift_card_guesses"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    count: Mapped[int]
    since: Mapped[datetime]
