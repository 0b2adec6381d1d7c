"""What clients bought, what booking has of it, and what they owe."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from services.chassis.db.models import Tenanted, Versioned
from services.payments.models.base import Base


class Purchase(Tenanted, Versioned, Base):
    """Something that a client bought. Its terms and amounts are those of its day."""

    __tablename__ = "purchases"

    client_id: Mapped[UUID]
    # Who acted for the client then, and may see it.
    account_id: Mapped[UUID | None]
    pricing_option_id: Mapped[UUID]
    # The pricing option's.
    kind: Mapped[str]
    terms_version: Mapped[int]
    promo_code_id: Mapped[UUID | None]
    intro_offer: Mapped[bool]
    price_minor: Mapped[int] = mapped_column(BigInteger)
    discount_minor: Mapped[int] = mapped_column(BigInteger)
    net_minor: Mapped[int] = mapped_column(BigInteger)
    tax_minor: Mapped[int] = mapped_column(BigInteger)
    total_minor: Mapped[int] = mapped_column(BigInteger)
    # What of the total a gift card pays, and which.
    gift_card_id: Mapped[UUID | None]
    gift_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    currency_code: Mapped[str]
    # A name of the proto's Purchase.State; a trigger guards the steps.
    state: Mapped[str]
    client_package_id: Mapped[UUID | None]
    # The place a drop-in is for.
    booking_id: Mapped[UUID | None]
    # Booking's fee that it is.
    fee_id: Mapped[UUID | None]
    # Why it is RETURNED.
    return_reason: Mapped[str] = mapped_column(server_default="")


class PackageCredits(Base):
    """What is left of a client_package, as booking last told. What is used is earned."""

    __tablename__ = "package_credits"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    client_package_id: Mapped[UUID] = mapped_column(primary_key=True)
    credits_left: Mapped[int]
    # Booking's.
    version: Mapped[int] = mapped_column(BigInteger)


class DropInPlace(Base):
    """A place that is paid singly, as booking last told."""

    __tablename__ = "drop_in_places"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    booking_id: Mapped[UUID] = mapped_column(primary_key=True)
    # A name of booking's Booking.State.
    state: Mapped[str]
    # Of the class.
    start_time: Mapped[datetime]
    # Booking's.
    version: Mapped[int] = mapped_column(BigInteger)


class Fee(Base):
    """A fee of a booking, as booking last told."""

    __tablename__ = "fees"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    booking_id: Mapped[UUID]
    client_id: Mapped[UUID]
    # Names of booking's Fee.Kind and Fee.State.
    kind: Mapped[str]
    state: Mapped[str]
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency_code: Mapped[str]
    # Booking's.
    version: Mapped[int] = mapped_column(BigInteger)
