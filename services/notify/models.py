"""Notify's tables."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, MetaData, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.chassis.db.models import COLUMN_TYPES, NAMING, Tenanted

# Calls of the provider for one delivery, in all.
MAX_ATTEMPTS = 3


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = COLUMN_TYPES


class Kind(StrEnum):
    """Why a message is sent; also the name of its templates."""

    BOOKING_CONFIRMATION = "booking_confirmation"
    INVITATION = "invitation"
    PASSWORD_RESET = "password_reset"  # noqa: S105  # a kind of mail, not a password


class Channel(StrEnum):
    """How a message travels."""

    EMAIL = "email"


class State(StrEnum):
    """How far a delivery has come; a trigger refuses every other path."""

    PENDING = "pending"
    # Handed to the provider, or about to be: whether it was accepted is not known yet.
    SENDING = "sending"
    ACCEPTED = "accepted"
    SKIPPED = "skipped"
    FAILED = "failed"


class Delivery(Tenanted, Base):
    """One message to one person through one channel. Holds no address and no text: both are fetched when it is sent.

    Its id is the provider's idempotency key, so the key is stored before the first call and never changes.
    """

    __tablename__ = "deliveries"

    kind: Mapped[str]
    # The booking, invitation or password reset it is about.
    subject_id: Mapped[UUID]
    channel: Mapped[str] = mapped_column(default=Channel.EMAIL)
    state: Mapped[str] = mapped_column(default=State.PENDING)
    # Business time.
    due_time: Mapped[datetime]
    # Real time of the first call of the provider, from which the life of the idempotency key counts.
    first_attempt_time: Mapped[datetime | None]
    accept_time: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    provider_message_id: Mapped[str] = mapped_column(default="")
    # Why it was skipped or failed, or why the last attempt did not succeed. Nothing personal.
    reason: Mapped[str] = mapped_column(default="")
    create_time: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("tenant_id", "kind", "subject_id", "channel"),
        Index(None, "tenant_id", "subject_id"),
        CheckConstraint("kind IN ('booking_confirmation', 'invitation', 'password_reset')", name="kind"),
        CheckConstraint("channel IN ('email')", name="channel"),
        CheckConstraint("state IN ('pending', 'sending', 'accepted', 'skipped', 'failed')", name="state"),
        CheckConstraint(f"attempts BETWEEN 0 AND {MAX_ATTEMPTS}", name="attempts"),
        CheckConstraint("(state = 'accepted') = (accept_time IS NOT NULL)", name="accept_time"),
        CheckConstraint("state NOT IN ('skipped', 'failed') OR reason <> ''", name="reason"),
    )

    @property
    def finished(self) -> bool:
        """Whether its outcome is known for good."""
        return self.state in (State.ACCEPTED, State.SKIPPED, State.FAILED)
