"""What clients own and owe: packages, the ledger, fees."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Identity, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from services.booking.models.base import Base
from services.chassis.db.models import Tenanted, Versioned


class ClientPackage(Tenanted, Versioned, Base):
    """What one client owns, and an account of the credit ledger. Credits move by transfers alone."""

    __tablename__ = "client_packages"

    client_id: Mapped[UUID]
    display_name: Mapped[str]
    # A name of the proto's ClientPackage.Kind.
    kind: Mapped[str] = mapped_column(server_default="PACK")
    credits_granted: Mapped[int]
    # Balance of the account; a trigger on transfers keeps it.
    credits_left: Mapped[int] = mapped_column(server_default="0")
    # Not usable for classes that start then or later; None means never.
    # Set by the trigger when the package starts with its first use.
    expire_time: Mapped[datetime | None]
    # IANA zone in which its days are counted.
    time_zone: Mapped[str] = mapped_column(server_default="UTC")
    # Days for which it is good after that of the first class it pays; 0: its end was fixed when it was granted.
    first_use_days: Mapped[int] = mapped_column(server_default="0")
    # The class types it pays for; none named is all.
    class_type_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid()), server_default="{}")
    reason: Mapped[str]
    revoke_time: Mapped[datetime | None]


class Transfer(Base):
    """Credits that left an account for another: one of `ledger`, a package or a hold. Immutable."""

    __tablename__ = "transfers"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    debit_account: Mapped[UUID]
    credit_account: Mapped[UUID]
    amount: Mapped[int]
    # Why; `credit_words` says each in words.
    cause: Mapped[str]
    booking_id: Mapped[UUID | None]
    create_time: Mapped[datetime]
    # Of staff, in words.
    reason: Mapped[str] = mapped_column(server_default="")


class CreditHold(Base):
    """One credit set aside for waits of which only one can come true. An account of the ledger."""

    __tablename__ = "credit_holds"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[UUID]
    # Where the credit came from and goes back to.
    client_package_id: Mapped[UUID]
    # Balance of the account, 0 or 1; a trigger on transfers keeps it.
    credits: Mapped[int] = mapped_column(server_default="0")
    create_time: Mapped[datetime]


class Fee(Tenanted, Versioned, Base):
    """What a client owes for a booking that was cancelled late or not used. Payments charges it."""

    __tablename__ = "fees"

    booking_id: Mapped[UUID]
    client_id: Mapped[UUID]
    # LATE_CANCEL or NO_SHOW.
    kind: Mapped[str]
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency_code: Mapped[str]
    # DUE, WAIVED, or VOID: the class was cancelled, or who was marked absent was there.
    state: Mapped[str]
    reason: Mapped[str] = mapped_column(server_default="")


class PackageSale(Base):
    """The package that a purchase of payments became."""

    __tablename__ = "package_sales"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    purchase_id: Mapped[UUID] = mapped_column(primary_key=True)
    client_package_id: Mapped[UUID]
    create_time: Mapped[datetime]


class CreditFreeze(Base):
    """Credits that left a package for a refund of payments."""

    __tablename__ = "credit_freezes"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    refund_id: Mapped[UUID] = mapped_column(primary_key=True)
    client_package_id: Mapped[UUID]
    credits: Mapped[int]
    create_time: Mapped[datetime]
    # When they came back, since the refund did not come about.
    unfreeze_time: Mapped[datetime | None]
