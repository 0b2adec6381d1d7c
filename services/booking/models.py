"""The tables of booking, and the two views it reads them through. Checks and triggers are in migrations/ and sql/."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Identity, MetaData, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.chassis.db.models import COLUMN_TYPES, NAMING, Tenanted, Versioned

_TYPES = {**COLUMN_TYPES, str: Text(), list[str]: ARRAY(Text())}

# Constraints that requests are expected to meet.
CLIENT_EMAIL = "uq_clients_email"
CLIENT_SELF = "uq_clients_self"
CLIENT_TAG_NAME = "uq_client_tags_display_name"


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = _TYPES


class StudioId(Base):
    """Which studios exist. Ids only and outside row level security, so that the invariants of all can be checked."""

    __tablename__ = "studio_ids"

    studio_id: Mapped[UUID] = mapped_column(primary_key=True)


class BookingPolicy(Base):
    """One version of a studio's rules. Never changed: a new rule is a new version. The defaults are the table's."""

    __tablename__ = "booking_policies"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    booking_opens_hours: Mapped[int] = mapped_column(server_default="720")
    booking_closes_minutes: Mapped[int] = mapped_column(server_default="0")
    cancellation_window_minutes: Mapped[int] = mapped_column(server_default="720")
    create_time: Mapped[datetime]


class _Session:
    """What booking knows of a class session."""

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    # Scheduling's, as is everything down to `cancelled`: the projection.
    version: Mapped[int] = mapped_column(BigInteger)
    time_version: Mapped[int] = mapped_column(BigInteger)
    class_type_display_name: Mapped[str]
    room_display_name: Mapped[str]
    location_display_name: Mapped[str]
    instructor_display_name: Mapped[str]
    instructor_account_id: Mapped[UUID | None]
    start_time: Mapped[datetime]
    end_time: Mapped[datetime]
    # IANA zone of the location.
    time_zone: Mapped[str]
    spots: Mapped[list[str]]
    cancelled: Mapped[bool]
    # Up to here places are sold.
    planned_capacity: Mapped[int]
    # Up to here places may be held: more than planned when capacity was cut below what is booked.
    effective_capacity: Mapped[int]
    # Confirmed bookings; changes only under the lock of this row.
    booked_count: Mapped[int]


class ClassSession(_Session, Base):
    """The sellable session: scheduling's plan and booking's own counters. Its row is the lock of its bookings."""

    __tablename__ = "class_sessions"


class Client(Tenanted, Versioned, Base):
    """A person who takes classes at one studio."""

    __tablename__ = "clients"

    display_name: Mapped[str]
    email: Mapped[str | None]
    phone: Mapped[str | None]
    # BCP 47; empty means the studio's.
    language: Mapped[str]
    # Who acts for this client.
    account_id: Mapped[UUID | None]
    # Whether the account is this person and not a parent or partner; at most one client per account and studio.
    is_self: Mapped[bool]
    # Another client who acts for this one, with the same account.
    guardian_id: Mapped[UUID | None]
    birth_date: Mapped[date | None]
    emergency_contact_name: Mapped[str] = mapped_column(server_default="")
    emergency_contact_phone: Mapped[str | None]
    # Hidden, and cannot book.
    archive_time: Mapped[datetime | None]


class ClientKey(Tenanted, Base):
    """What is written about a client is encrypted with. `id` is the client it was made for, for ever."""

    __tablename__ = "client_keys"

    # Whose it is now: the survivor's, after a merge.
    client_id: Mapped[UUID]
    wrapped: Mapped[bytes]


class ClientTag(Tenanted, Versioned, Base):
    """A label of the studio for clients."""

    __tablename__ = "client_tags"

    display_name: Mapped[str]


class ClientTagLink(Base):
    """A client that bears a tag."""

    __tablename__ = "client_tag_links"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    tag_id: Mapped[UUID] = mapped_column(primary_key=True)


class ClientNote(Tenanted, Versioned, Base):
    """What staff wrote about a client."""

    __tablename__ = "client_notes"

    client_id: Mapped[UUID]
    # A name of the proto's ClientNote.Kind.
    kind: Mapped[str]
    # Encrypted with the key of this id.
    body: Mapped[bytes]
    key_id: Mapped[UUID]
    # Who wrote it first, as audit names it: `accounts/…`.
    author: Mapped[str]
    pinned: Mapped[bool]


class ClientMerge(Tenanted, Base):
    """Two clients who are one person became one."""

    __tablename__ = "client_merges"

    survivor_id: Mapped[UUID]
    duplicate_id: Mapped[UUID]
    # What went over, by name: ids only, nothing personal. The trigger on bookings reads `bookings`.
    moved: Mapped[dict[str, Any]]
    create_time: Mapped[datetime]
    undo_time: Mapped[datetime | None]


class Waiver(Base):
    """One version of what clients agree to. Never changed: a new text is a new version."""

    __tablename__ = "waivers"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    text: Mapped[str]
    create_time: Mapped[datetime]


class WaiverSignature(Tenanted, Base):
    """That a client agreed to one version of the waiver."""

    __tablename__ = "waiver_signatures"

    client_id: Mapped[UUID]
    waiver_version: Mapped[int]
    # Encrypted with the key of this id.
    typed_name: Mapped[bytes]
    key_id: Mapped[UUID]
    # Who was signed in, as audit names it.
    signed_by: Mapped[str]
    recorded_by_staff: Mapped[bool]
    create_time: Mapped[datetime]


class ClientPackage(Tenanted, Versioned, Base):
    """What one client owns, and an account of the credit ledger. Credits move by transfers alone."""

    __tablename__ = "client_packages"

    client_id: Mapped[UUID]
    display_name: Mapped[str]
    credits_granted: Mapped[int]
    # Balance of the account; a trigger on transfers keeps it.
    credits_left: Mapped[int] = mapped_column(server_default="0")
    # Not usable for classes that start then or later; None means never.
    expire_time: Mapped[datetime | None]
    reason: Mapped[str]


class Transfer(Base):
    """Credits that left an account for another: `credits.ISSUED`, `credits.REDEEMED` or a client_package. Immutable."""

    __tablename__ = "transfers"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    debit_account: Mapped[UUID]
    credit_account: Mapped[UUID]
    amount: Mapped[int]
    # Why: granted, booked, cancelled_early, session_cancelled, session_restored.
    cause: Mapped[str]
    booking_id: Mapped[UUID | None]
    create_time: Mapped[datetime]


class Booking(Tenanted, Versioned, Base):
    """A client's claim on one class session."""

    __tablename__ = "bookings"

    class_session_id: Mapped[UUID]
    client_id: Mapped[UUID]
    client_package_id: Mapped[UUID]
    # A name of the proto's Booking.State; a trigger guards the steps.
    state: Mapped[str]
    spot: Mapped[str | None]
    policy_version: Mapped[int]
    credit_returned: Mapped[bool]
    # Cancelled together with its session, and comes back if the session does.
    session_cancelled: Mapped[bool]
    cancel_time: Mapped[datetime | None]


class View(DeclarativeBase):
    """Read-only: what several queries want joined in the same way."""

    metadata = MetaData()
    type_annotation_map = _TYPES


class BookingDetail(View):
    """A booking with what is shown beside it."""

    __tablename__ = "booking_details"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    class_session_id: Mapped[UUID]
    client_id: Mapped[UUID]
    client_package_id: Mapped[UUID]
    state: Mapped[str]
    spot: Mapped[str | None]
    policy_version: Mapped[int]
    credit_returned: Mapped[bool]
    version: Mapped[int]
    create_time: Mapped[datetime]
    update_time: Mapped[datetime]
    cancel_time: Mapped[datetime | None]
    client_display_name: Mapped[str]
    # Who acts for the client.
    account_id: Mapped[UUID | None]
    class_type_display_name: Mapped[str]
    start_time: Mapped[datetime]
    time_zone: Mapped[str]
    time_version: Mapped[int]
    # Of the policy it was made under.
    cancellation_window_minutes: Mapped[int]

    @property
    def etag(self) -> str:
        return str(self.version)


class BookableSession(_Session, View):
    """A session with the policy in force."""

    __tablename__ = "bookable_sessions"

    cancellation_window_minutes: Mapped[int]
    policy_version: Mapped[int]
    opens_time: Mapped[datetime]
    closes_time: Mapped[datetime]
