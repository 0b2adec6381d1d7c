"""What is sold, and on which terms."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, and_
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from services.chassis.db.models import Tenanted, Versioned
from services.payments.models.base import Base


class TaxRate(Tenanted, Base):
    """A rate of tax. Never changed."""

    __tablename__ = "tax_rates"

    display_name: Mapped[str]
    rate_ppm: Mapped[int]
    inclusive: Mapped[bool]
    create_time: Mapped[datetime]


class PricingOption(Tenanted, Versioned, Base):
    """Something for sale. What it costs and gives is in its terms."""

    __tablename__ = "pricing_options"

    # A key of `kinds.KINDS`; fixed.
    kind: Mapped[str]
    # The latest of its terms.
    terms_version: Mapped[int]
    archive_time: Mapped[datetime | None]


class Terms(Base):
    """One version of what a pricing option costs and gives. Never changed."""

    __tablename__ = "pricing_option_terms"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    pricing_option_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    display_name: Mapped[str]
    price_minor: Mapped[int] = mapped_column(BigInteger)
    currency_code: Mapped[str]
    credits: Mapped[int]
    valid_days: Mapped[int]
    starts_on_first_use: Mapped[bool]
    class_type_ids: Mapped[list[UUID]]
    tax_rate_id: Mapped[UUID | None]
    intro_offer: Mapped[bool]
    # Of a membership: a name of the proto's PricingOption.Interval, else empty.
    interval: Mapped[str] = mapped_column(server_default="")
    interval_count: Mapped[int] = mapped_column(server_default="0")
    unlimited: Mapped[bool] = mapped_column(server_default="false")
    create_time: Mapped[datetime]
    tax_rate: Mapped[TaxRate | None] = relationship(
        primaryjoin=lambda: and_(
            TaxRate.tenant_id == foreign(Terms.tenant_id), TaxRate.id == foreign(Terms.tax_rate_id)
        ),
        lazy="joined",
        viewonly=True,
    )


class PromoCode(Tenanted, Versioned, Base):
    """A code that takes something off the price: millionths of it or an amount."""

    __tablename__ = "promo_codes"

    # In capitals.
    code: Mapped[str]
    off_ppm: Mapped[int]
    off_minor: Mapped[int] = mapped_column(BigInteger)
    # 0 is no limit, as below.
    max_redemptions: Mapped[int]
    max_per_client: Mapped[int]
    expire_time: Mapped[datetime | None]
    pricing_option_ids: Mapped[list[UUID]]
    # Purchases and memberships that use it; changes only under the lock of this row.
    redemptions: Mapped[int] = mapped_column(default=0)
    archive_time: Mapped[datetime | None]
