"""Deliveries, the bookings and settings that reminders follow, and what providers tell."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from services.chassis.db.models import Tenanted, Versioned
from services.notify.models.base import Base, Channel, Kind

# Calls of the provider for one delivery, in all.
MAX_ATTEMPTS = 3


class State(StrEnum):
    """How far a delivery has come; a trigger refuses every other path."""

    PENDING = "pending"
    # Handed to the provider, or about to be: whether it was accepted is not known yet.
    SENDING = "sending"
    # The provider gave no answer and cannot be asked again with the same key: looked for until it is found or given up.
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    # The provider says that it arrived.
    DELIVERED = "delivered"
    SKIPPED = "skipped"
    FAILED = "failed"


OPEN = (State.PENDING, State.SENDING, State.UNKNOWN)
# SQL: those who run the studio have to be told.
TO_TELL = "state = 'failed' AND alert_time IS NULL"
# SQL: the row waits for a worker, whether or not it is due.
UNFINISHED = "state IN ('pending', 'sending', 'unknown')"
WAITING = f"{UNFINISHED} AND lease_token IS NULL"


class Outcome(StrEnum):
    """What the provider told after it had accepted a message."""

    DELIVERED = "delivered"
    # The mailbox or the network refused it.
    BOUNCED = "bounced"
    # It arrived, and the reader called it spam.
    COMPLAINED = "complained"
    FAILED = "failed"


def _listed(values: type[StrEnum]) -> str:
    return ", ".join(f"'{value}'" for value in values)


class Delivery(Tenanted, Base):
    """One message to one person through one channel. Holds no address and no text: both are fetched when it is sent.

    Its id is the provider's idempotency key, so the key is stored before the first call and never changes. The row is
    its own job: the last columns are those of the chassis' `jobs`.
    """

    __tablename__ = "deliveries"

    kind: Mapped[str]
    # What it is about: a booking, waitlist entry, fee, purchase, membership, gift card, invitation, password reset.
    subject_id: Mapped[UUID]
    channel: Mapped[str]
    # How long before the start a reminder leaves; 0 for everything else.
    offset_minutes: Mapped[int] = mapped_column(server_default="0")
    # Which of several messages about the subject: for a reminder how often the start has moved, for a membership the
    # version of the change, for a gift card which letter.
    time_version: Mapped[int] = mapped_column(BigInteger, server_default="0")
    # Ids of booking, where it is about them.
    client_id: Mapped[UUID | None]
    booking_id: Mapped[UUID | None]
    class_session_id: Mapped[UUID | None]
    # What the words need and only the event knew. Ids and plain values, nothing personal.
    args: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    state: Mapped[str] = mapped_column(server_default=State.PENDING)
    # What the provider told later; empty until it has.
    outcome: Mapped[str] = mapped_column(server_default="")
    # Business time at which it is due by its rule; it leaves at `due_at`, which may be later: quiet hours.
    due_time: Mapped[datetime]
    # After this nobody needs it any more.
    useful_until: Mapped[datetime | None]
    # Calls of the provider.
    attempts: Mapped[int] = mapped_column(server_default="0")
    # Real time of the first call, from which the life of the idempotency key counts.
    first_attempt_time: Mapped[datetime | None]
    # Business time of the provider's yes.
    accept_time: Mapped[datetime | None]
    # When the provider told the outcome.
    outcome_time: Mapped[datetime | None]
    # When those who run the studio were told that it failed.
    alert_time: Mapped[datetime | None]
    provider: Mapped[str] = mapped_column(server_default="")
    # Keyed hash of the words, the numbers from and to, while a text message is on its way.
    words_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    provider_message_id: Mapped[str] = mapped_column(server_default="")
    # Why it was skipped or failed, or why the last attempt did not succeed. Nothing personal.
    reason: Mapped[str] = mapped_column(server_default="")
    # All that happened to it, in order: {"at", "what", and where there are some "reason", "provider", "id"}.
    story: Mapped[list[Any]] = mapped_column(server_default=text("'[]'"))
    create_time: Mapped[datetime]
    # The job: when to run it, who has it, how often it ran.
    due_at: Mapped[datetime]
    retry_at: Mapped[datetime | None]
    announced_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    lease_token: Mapped[UUID | None]
    runs: Mapped[int] = mapped_column(server_default="0")
    traceparent: Mapped[str | None]

    __table_args__ = (
        UniqueConstraint(
            "tenant_id",
            "kind",
            "subject_id",
            "offset_minutes",
            "channel",
            "time_version",
            name="uq_deliveries_once",
        ),
        Index(None, "tenant_id", "due_time"),
        Index("ix_deliveries_failed", "tenant_id", "client_id", postgresql_where=text("state = 'failed'")),
        Index(None, "tenant_id", "booking_id", postgresql_where=text("booking_id IS NOT NULL")),
        Index(None, "tenant_id", "client_id", "id", postgresql_where=text("client_id IS NOT NULL")),
        Index(
            "ix_deliveries_provider_message_id",
            "provider",
            "provider_message_id",
            unique=True,
            postgresql_where=text("provider_message_id <> ''"),
        ),
        # A provider that forgets keys is looked through for words: of those that are the same one is on its way.
        Index(
            "uq_deliveries_words",
            "tenant_id",
            "words_hash",
            unique=True,
            postgresql_where=text("words_hash IS NOT NULL AND state IN ('sending', 'unknown')"),
        ),
        # Jobs are found by their id alone.
        Index(None, "id"),
        # Neither is about the lease, nor about what else a claim writes: that is a HOT update.
        Index("ix_deliveries_waiting", "due_at", "id", postgresql_where=text(f"{UNFINISHED} AND announced_at IS NULL")),
        Index("ix_deliveries_announced", "due_at", postgresql_where=text("announced_at IS NOT NULL")),
        Index("ix_deliveries_to_tell", "tenant_id", postgresql_where=text(TO_TELL)),
        CheckConstraint(f"kind IN ({_listed(Kind)})", name="kind"),
        CheckConstraint(f"channel IN ({_listed(Channel)})", name="channel"),
        CheckConstraint(f"state IN ({_listed(State)})", name="state"),
        CheckConstraint(f"outcome IN ('', {_listed(Outcome)})", name="outcome"),
        CheckConstraint(f"attempts BETWEEN 0 AND {MAX_ATTEMPTS}", name="attempts"),
        CheckConstraint("offset_minutes >= 0", name="offset_minutes"),
        CheckConstraint("state NOT IN ('accepted', 'delivered') OR accept_time IS NOT NULL", name="accept_time"),
        CheckConstraint("state NOT IN ('skipped', 'failed') OR reason <> ''", name="reason"),
    )

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do for it here; the provider may still tell more."""
        return self.state not in OPEN


class RemindedBooking(Base):
    """What reminders need to know of a booking: a projection of booking's events, the newest version of each."""

    __tablename__ = "reminded_bookings"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
    client_id: Mapped[UUID]
    class_session_id: Mapped[UUID]
    class_type_id: Mapped[UUID]
    # Whether the place is held and paid; nobody else is reminded.
    confirmed: Mapped[bool]
    start_time: Mapped[datetime]
    # IANA zone of the location.
    time_zone: Mapped[str]
    # Counts changes of the start.
    time_version: Mapped[int] = mapped_column(BigInteger)
    # Business time of the change that made this version.
    change_time: Mapped[datetime]

    __table_args__ = (
        Index(None, "tenant_id", "client_id"),
        Index(None, "tenant_id", "start_time"),
    )


class ReminderSettings(Versioned, Base):
    """When a studio reminds: minutes before the start, by channel."""

    __tablename__ = "reminder_settings"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    # {channel: [minutes]}
    offsets: Mapped[dict[str, Any]]
    # The same for class types that have their own, by id.
    class_types: Mapped[dict[str, Any]]


class ProviderEvent(Base):
    """Something a provider told by a webhook. Of no studio until it is read, so outside row level security."""

    __tablename__ = "provider_events"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    provider: Mapped[str]
    # Which of our accounts there; empty where one is all there is.
    account: Mapped[str]
    external_id: Mapped[str]
    # As it was told; emptied after a while, since it may hold addresses.
    payload: Mapped[dict[str, Any]]
    # Real times.
    create_time: Mapped[datetime]
    apply_time: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("provider", "account", "external_id"),
        Index(None, "create_time"),
    )
