"""What the provider told, and the ledger that is held against it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Identity
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.chassis.db.models import Tenanted, Versioned
from services.payments.models.base import Base


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
    # Real time.
    receive_time: Mapped[datetime]


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
