"""The tables of payments. Checks and triggers are in migrations/ and sql/. Amounts are in minor units."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Identity, MetaData, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.chassis.db.models import COLUMN_TYPES, NAMING, Tenanted, Versioned

_TYPES = {**COLUMN_TYPES, str: Text(), list[str]: ARRAY(Text()), list[UUID]: ARRAY(Uuid())}

# A constraint that requests are expected to meet.
PROMO_CODE = "uq_promo_codes_code"


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = _TYPES


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
    # Whether clients could ever pay.
    was_active: Mapped[bool]
    # When it was asked for, in real time: what was asked for earlier says nothing new.
    read_time: Mapped[datetime]


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
    create_time: Mapped[datetime]


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
    # Purchases that use it; changes only under the lock of this row.
    redemptions: Mapped[int] = mapped_column(default=0)
    archive_time: Mapped[datetime | None]


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
    currency_code: Mapped[str]
    # A name of the proto's Purchase.State; a trigger guards the steps.
    state: Mapped[str]
    client_package_id: Mapped[UUID | None]
    # The place a drop-in is for.
    booking_id: Mapped[UUID | None]
    # Why it is RETURNED.
    return_reason: Mapped[str] = mapped_column(server_default="")


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
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency_code: Mapped[str]
    # OPEN, SUCCEEDED or CANCELLED.
    state: Mapped[str]
    # The provider's id of the charge that succeeded.
    charge_id: Mapped[str | None]
    succeed_time: Mapped[datetime | None]
    # Of refunds that are under way or done, and of those done.
    refunding_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    refunded_minor: Mapped[int] = mapped_column(BigInteger, default=0)


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


class Payout(Tenanted, Versioned, Base):
    """Money on its way to the studio's bank, as the provider last told. `id` follows from its id there."""

    __tablename__ = "payouts"

    external_id: Mapped[str]
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency_code: Mapped[str]
    status: Mapped[str]
    arrival_time: Mapped[datetime]
    # As of a dispute.
    read_time: Mapped[datetime]


class BalanceTransaction(Base):
    """One line of the studio's account at the provider. Never changed."""

    __tablename__ = "balance_transactions"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    # The provider's reporting category.
    category: Mapped[str]
    # The provider's id of what it is of: a charge, a refund, a payout, a dispute.
    source: Mapped[str]
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    fee_minor: Mapped[int] = mapped_column(BigInteger)
    currency_code: Mapped[str]
    # The provider's.
    create_time: Mapped[datetime]


class Reconciliation(Base):
    """The latest comparison of a studio's ledger with its account at the provider."""

    __tablename__ = "reconciliations"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    currency_code: Mapped[str]
    provider_minor: Mapped[int] = mapped_column(BigInteger)
    ledger_minor: Mapped[int] = mapped_column(BigInteger)
    # In the ledger and not yet in the provider's lines, for less than an hour.
    under_way_minor: Mapped[int] = mapped_column(BigInteger)
    # [kind, subject, amount] each.
    differences: Mapped[list[Any]] = mapped_column(JSONB)
    transaction_count: Mapped[int]
    events_found: Mapped[int]
    run_time: Mapped[datetime]

    @property
    def difference_minor(self) -> int:
        return self.provider_minor - self.ledger_minor + self.under_way_minor


class ProviderEvent(Base):
    """What the provider told us, as it did. Of all studios, since an account is all it names."""

    __tablename__ = "provider_events"

    provider: Mapped[str] = mapped_column(primary_key=True)
    external_account: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    payload: Mapped[dict[str, Any]]
    # WEBHOOK, or LISTED when it was found by the reconciler.
    source: Mapped[str]
    # Real time, as is `apply_time`.
    receive_time: Mapped[datetime]
    apply_time: Mapped[datetime | None]


class LedgerAccount(Base):
    """An account of the money ledger; see `ledger`."""

    __tablename__ = "ledger_accounts"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    currency_code: Mapped[str]
    # Whose, for accounts of one purchase.
    subject_id: Mapped[UUID | None]
    # Kept by a trigger, of accounts with a subject.
    balance_minor: Mapped[int] = mapped_column(BigInteger)


class Transfer(Base):
    """Money that left an account for another. Immutable."""

    __tablename__ = "transfers"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    debit_account: Mapped[UUID]
    credit_account: Mapped[UUID]
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency_code: Mapped[str]
    # What it was for, by its own id, and which part of that: together they are posted once.
    source: Mapped[str]
    cause: Mapped[str]
    create_time: Mapped[datetime]


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
    currency_code: Mapped[str]
    tax_display_name: Mapped[str]
    payment_method: Mapped[str]
    # Of the receipt that a credit note is about, else 0.
    receipt_number: Mapped[int] = mapped_column(BigInteger)
    # `letterheads.Issuer` of the day.
    issuer: Mapped[dict[str, Any]] = mapped_column(JSONB)
    create_time: Mapped[datetime]
