"""Money that came in, and that went back."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from services.chassis.db.models import Tenanted, Versioned
from services.payments.models.base import Base


class Payment(Tenanted, Versioned, Base):
    """The one payment of a purchase: an intent at the provider, tried until it succeeds."""

    __tablename__ = "payments"

    purchase_id: Mapped[UUID]
    external_account: Mapped[str]
    # The provider's id of the intent, once it is known.
    external_id: Mapped[str | None]
    # Idempotency key of making the intent, and since when (real time) it is in use.
    intent_key: Mapped[UUID]
    intent_key_time: Mapped[datetime]
    # Of it a gift card pays `gift_minor`, the provider takes the rest.
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    gift_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    currency_code: Mapped[str]
    # OPEN, SUCCEEDED or CANCELLED.
    state: Mapped[str]
    # The client's bank is at it, which takes days; and when the provider was asked last, in real time.
    processing: Mapped[bool] = mapped_column(default=False)
    read_time: Mapped[datetime | None]
    # The provider's id of the charge that succeeded.
    charge_id: Mapped[str | None]
    succeed_time: Mapped[datetime | None]
    # Of refunds that are under way or done, and of those done.
    refunding_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    refunded_minor: Mapped[int] = mapped_column(BigInteger, default=0)

    @property
    def charged_minor(self) -> int:
        """What the provider takes."""
        return self.amount_minor - self.gift_minor


class PaymentAttempt(Tenanted, Base):
    """One try to pay that the provider has decided."""

    __tablename__ = "payment_attempts"

    payment_id: Mapped[UUID]
    # The provider's id of the charge.
    external_id: Mapped[str]
    succeeded: Mapped[bool]
    code: Mapped[str]
    decline_code: Mapped[str]
    create_time: Mapped[datetime]


class Refund(Tenanted, Versioned, Base):
    """Money of a payment that goes back."""

    __tablename__ = "refunds"

    purchase_id: Mapped[UUID]
    payment_id: Mapped[UUID]
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency_code: Mapped[str]
    # Known once it succeeded: the tax in it, and what of the purchase's deferred account went with it.
    tax_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    deferred_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    # Goes back to the gift card that paid, not by the provider.
    to_gift_card: Mapped[bool] = mapped_column(default=False)
    # To be revoked.
    credits: Mapped[int]
    reason: Mapped[str]
    # A name of the proto's Refund.State.
    state: Mapped[str]
    # The provider's id, once it is known; its id is the idempotency key, in use since then (real time).
    external_id: Mapped[str | None]
    send_time: Mapped[datetime | None]
    failure: Mapped[str] = mapped_column(default="")
    # Of a place that was given up: booking lets go of it before the money goes.
    releases_place: Mapped[bool] = mapped_column(default=False)


class Dispute(Tenanted, Versioned, Base):
    """A payment that the client's bank takes back, as the provider last told. `id` follows from its id there."""

    __tablename__ = "disputes"

    external_id: Mapped[str]
    purchase_id: Mapped[UUID | None]
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency_code: Mapped[str]
    status: Mapped[str]
    reason: Mapped[str]
    due_time: Mapped[datetime | None]
    # When it was asked for, in real time: what was asked for earlier says nothing new.
    read_time: Mapped[datetime]
