"""Clients, what is known and written about them, and what they signed."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from services.booking.models.base import Base
from services.chassis.db.models import Tenanted, Versioned

# Constraints that requests are expected to meet.
CLIENT_EMAIL = "uq_clients_email"
CLIENT_SELF = "uq_clients_self"
CLIENT_TAG_NAME = "uq_client_tags_display_name"


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
    # Nothing of the person is left; archived for good.
    erase_time: Mapped[datetime | None]


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


class CalendarFeed(Tenanted, Base):
    """A secret address of a calendar. Whoever has it may read."""

    __tablename__ = "calendar_feeds"

    # Whose calendar: the collection of `calendar_feeds.SUBJECTS` and the id in it.
    subject_collection: Mapped[str]
    subject_id: Mapped[UUID]
    # The account that made it for itself; None when staff did.
    account_id: Mapped[UUID | None]
    # SHA-256 of the secret, which is stored nowhere.
    token_sha256: Mapped[bytes]
    # The last four characters of the secret.
    hint: Mapped[str]
    create_time: Mapped[datetime]
    # At most a day old while a calendar reads it.
    last_used_time: Mapped[datetime | None]
    revoke_time: Mapped[datetime | None]
