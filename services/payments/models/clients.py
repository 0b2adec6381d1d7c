"""Clients, who are booking's: which of them are one person, and who they are to the provider."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from services.chassis.db.models import Tenanted
from services.payments.models.base import Base


class ClientMerge(Tenanted, Base):
    """Two clients who are one, as booking last told; or two again, when it was undone."""

    __tablename__ = "client_merges"

    survivor_id: Mapped[UUID]
    duplicate_id: Mapped[UUID]
    undone: Mapped[bool]
    # Booking's.
    version: Mapped[int] = mapped_column(BigInteger)


class Customer(Base):
    """Who a client is to the provider: the one to whom cards are saved there."""

    __tablename__ = "customers"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    external_account: Mapped[str]
    external_id: Mapped[str]
    # Whose default card is this customer's, of two that became one client; who has chosen none uses its own customer's.
    chosen_by: Mapped[UUID | None]
    create_time: Mapped[datetime]
