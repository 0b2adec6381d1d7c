"""What a studio is to the provider, and what receipts show of it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from services.chassis.db.models import Versioned
from services.payments.models.base import Base


class Merchant(Base):
    """Which studio an account at the provider is. Ids only and outside row level security: webhooks name an account."""

    __tablename__ = "merchants"

    # Empty for the studio whose own key we have.
    external_account: Mapped[str] = mapped_column(primary_key=True)
    studio_id: Mapped[UUID]
    # Up to here the provider's events were listed; real time.
    events_until: Mapped[datetime | None]


class MerchantAccount(Versioned, Base):
    """A studio's account at the provider, as it last described it."""

    __tablename__ = "merchant_accounts"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    external_account: Mapped[str]
    currency_code: Mapped[str]
    charges_enabled: Mapped[bool]
    payouts_enabled: Mapped[bool]
    requirements: Mapped[list[str]]
    # That may appear on our pages.
    wallets: Mapped[list[str]]
    # Whether clients could ever pay.
    was_active: Mapped[bool]
    # When it was asked for, in real time: what was asked for earlier says nothing new.
    read_time: Mapped[datetime]


class Studio(Base):
    """What receipts show of a studio, as scheduling last told."""

    __tablename__ = "studios"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
    display_name: Mapped[str]
    # IANA.
    time_zone: Mapped[str]


class Letterhead(Versioned, Base):
    """Whose receipts they are, in the studio's own words."""

    __tablename__ = "letterheads"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    business_name: Mapped[str]
    address: Mapped[str]
    tax_number: Mapped[str]
    footer: Mapped[str]
