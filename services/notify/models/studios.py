"""What a studio's messages look like and what its clients want: names, words, preferences, consent, suppressions."""

from datetime import datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from services.chassis.db.models import Tenanted, Versioned
from services.notify.models.base import Base


class Studio(Base):
    """What messages say of the studio: a projection of scheduling's events, the newest version."""

    __tablename__ = "studios"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
    display_name: Mapped[str]
    # IANA zone in which a client's quiet hours are read who has named none.
    time_zone: Mapped[str]


class Sender(Versioned, Base):
    """Who a studio's messages come from. What is empty is the platform's own."""

    __tablename__ = "senders"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    mail_name: Mapped[str] = mapped_column(default="")
    # Of a domain that the account at the mail provider owns.
    mail_address: Mapped[str] = mapped_column(default="")
    reply_to: Mapped[str] = mapped_column(default="")
    # E.164.
    sms_number: Mapped[str] = mapped_column(default="")
    # Below each mail, as the law of many places wants it.
    postal_address: Mapped[str] = mapped_column(default="")


class SenderNumber(Base):
    """Which studio a number is of. Outside row level security: whoever asks by a number has no studio yet."""

    __tablename__ = "sender_numbers"

    number: Mapped[str] = mapped_column(primary_key=True)
    studio_id: Mapped[UUID] = mapped_column(unique=True)


class ClientPreferences(Versioned, Base):
    """What a client wants to be sent, when and in which language. Who has no row wants everything at any time."""

    __tablename__ = "client_preferences"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    # `<kind>/<channel>`; `*` as kind means all.
    opt_outs: Mapped[list[str]] = mapped_column(default=list)
    # Minutes before a class at which to be reminded, by channel; a channel that is absent: as the studio does.
    offsets: Mapped[dict[str, Any]] = mapped_column(default=dict)
    quiet_start: Mapped[time | None]
    quiet_end: Mapped[time | None]
    # IANA zone of the quiet hours; empty: the studio's.
    time_zone: Mapped[str] = mapped_column(default="")
    # Empty: the one that the studio knows the client by.
    language: Mapped[str] = mapped_column(default="")

    __table_args__ = (
        CheckConstraint("(quiet_start IS NULL) = (quiet_end IS NULL)", name="quiet_hours"),
        CheckConstraint("quiet_start <> quiet_end", name="quiet_length"),
    )


class ClientMerge(Base):
    """That a client became another one: a projection of booking's events, the newest version of each."""

    __tablename__ = "client_merges"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
    survivor_id: Mapped[UUID]
    duplicate_id: Mapped[UUID]
    undone: Mapped[bool]
    # What the survivor's preferences got of the duplicate's, so that it can be given back.
    taken: Mapped[dict[str, Any]]

    __table_args__ = (
        Index(None, "tenant_id", "survivor_id"),
        Index(None, "tenant_id", "duplicate_id"),
    )


class Consent(Tenanted, Base):
    """That somebody agreed to be sent something, or took it back: who, when and how. Never changed, never deleted."""

    __tablename__ = "consents"

    # Unknown when a number or an address took it back by itself.
    client_id: Mapped[UUID | None]
    address_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    channel: Mapped[str]
    # `*` means all.
    kind: Mapped[str]
    granted: Mapped[bool]
    source: Mapped[str]
    # Of audit: `accounts/...`, a service, or `anonymous` with a link.
    principal: Mapped[str]
    # Business time at which it was said.
    at: Mapped[datetime]

    __table_args__ = (
        Index(None, "tenant_id", "client_id", "id"),
        CheckConstraint("(client_id IS NULL) <> (address_hash IS NULL)", name="who"),
    )


class AddressKey(Base):
    """With what a studio's addresses are hashed: its own key, so that no list of another studio compares with it."""

    __tablename__ = "address_keys"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[bytes] = mapped_column(LargeBinary)


class Suppression(Base):
    """An address to which a studio must not, or cannot, send: by its keyed hash, which outlives the person's record."""

    __tablename__ = "suppressions"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(primary_key=True)
    address_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    # Why; a person may take back a STOP, but not a bounce.
    reason: Mapped[str] = mapped_column(primary_key=True)
    active: Mapped[bool]
    # Of the newest word on it: what was said earlier changes nothing, whenever it arrives.
    at: Mapped[datetime]


class MessageTemplate(Versioned, Base):
    """A studio's own words for a kind, channel and language; without a row the house's are used."""

    __tablename__ = "message_templates"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    channel: Mapped[str]
    language: Mapped[str]
    # Of mails alone, as is `html`.
    subject: Mapped[str] = mapped_column(default="")
    html: Mapped[str] = mapped_column(default="")
    text: Mapped[str]


class DismissedWarning(Base):
    """Until when somebody at the studio has seen that messages do not reach a client."""

    __tablename__ = "dismissed_warnings"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    dismiss_time: Mapped[datetime]
