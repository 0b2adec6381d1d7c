"""Memberships and their paid intervals."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from services.chassis.db.models import Tenanted, Versioned
from services.payments.models.base import Base


class Membership(Tenanted, Versioned, Base):
    """A membership plan that a client has joined: a subscription at the provider, as it last told."""

    __tablename__ = "memberships"

    client_id: Mapped[UUID]
    # Who acted for the client then, and may see it.
    account_id: Mapped[UUID | None]
    # The plan and terms of the running interval.
    pricing_option_id: Mapped[UUID]
    terms_version: Mapped[int]
    # The same of the next; another when the plan changes then.
    next_pricing_option_id: Mapped[UUID]
    next_terms_version: Mapped[int]
    # What makes the first interval cheaper, and what that costs then.
    promo_code_id: Mapped[UUID | None]
    first_total_minor: Mapped[int | None] = mapped_column(BigInteger)
    # The plan was one for new clients.
    intro_offer: Mapped[bool] = mapped_column(server_default="false")
    # Whose cards pay.
    payer_id: Mapped[UUID]
    # The one that does, as far as we know it: its id among the payer's cards, and what those show. None when the
    # provider names none, and once it has ended.
    card_id: Mapped[UUID | None]
    card_brand: Mapped[str] = mapped_column(server_default="")
    card_last4: Mapped[str] = mapped_column(server_default="")
    card_expire_month: Mapped[int] = mapped_column(server_default="0")
    card_expire_year: Mapped[int] = mapped_column(server_default="0")
    external_account: Mapped[str]
    # The provider's id, once it is known.
    external_id: Mapped[str | None]
    # As of a payment's intent.
    create_key: Mapped[UUID]
    create_key_time: Mapped[datetime]
    # Names of the proto's Membership.State and EndReason; the latter empty while it has not ended.
    state: Mapped[str]
    end_reason: Mapped[str] = mapped_column(default="")
    period_start: Mapped[datetime | None]
    period_end: Mapped[datetime | None]
    cancel_at_period_end: Mapped[bool] = mapped_column(default=False)
    resume_time: Mapped[datetime | None]
    end_time: Mapped[datetime | None]
    # The provider's id of what is due, how much that is and when it is tried again.
    due_invoice: Mapped[str | None]
    due_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    next_attempt_time: Mapped[datetime | None]
    # When the provider was asked, in real time: what was asked for earlier says nothing new.
    read_time: Mapped[datetime]


class MembershipPrice(Base):
    """What terms of a membership plan are called at the provider."""

    __tablename__ = "membership_prices"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    pricing_option_id: Mapped[UUID] = mapped_column(primary_key=True)
    terms_version: Mapped[int] = mapped_column(primary_key=True)
    external_id: Mapped[str]


class MembershipPeriod(Base):
    """What one paid invoice of a membership bought: a purchase, and until when its credits last."""

    __tablename__ = "membership_periods"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    purchase_id: Mapped[UUID] = mapped_column(primary_key=True)
    membership_id: Mapped[UUID]
    # The provider's id of the invoice.
    external_id: Mapped[str]
    start_time: Mapped[datetime]
    end_time: Mapped[datetime]
    credits: Mapped[int]


class MembershipAttempt(Base):
    """A try to collect an invoice that was declined."""

    __tablename__ = "membership_attempts"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    membership_id: Mapped[UUID] = mapped_column(primary_key=True)
    # The provider's id of the invoice, and which try it was.
    external_id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str]
    decline_code: Mapped[str]
    create_time: Mapped[datetime]
