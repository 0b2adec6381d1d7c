"""Claims on places: bookings, what paid for single ones, the waitlist."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Identity
from sqlalchemy.orm import Mapped, mapped_column

from services.booking.models.base import Base, View
from services.chassis.db.models import Tenanted, Versioned

# States of waitlist entries that have a place in line.
IN_LINE = ("WAITING", "OFFERED")


class Booking(Tenanted, Versioned, Base):
    """A client's claim on one class session."""

    __tablename__ = "bookings"

    class_session_id: Mapped[UUID]
    client_id: Mapped[UUID]
    # What paid for it; None for a drop-in.
    client_package_id: Mapped[UUID | None]
    # A name of the proto's Booking.State; a trigger guards the steps.
    state: Mapped[str]
    spot: Mapped[str | None]
    policy_version: Mapped[int]
    credit_returned: Mapped[bool]
    # Cancelled together with its session, and comes back if the session does.
    session_cancelled: Mapped[bool]
    # When it gave its place back; None as long as it holds one.
    cancel_time: Mapped[datetime | None]
    # As in the session, so that what a client has at a time is found without reading sessions.
    start_time: Mapped[datetime]
    end_time: Mapped[datetime]
    # Whom the client brings; empty when it is the client who comes.
    guest_display_name: Mapped[str] = mapped_column(server_default="")
    # Until when a place waits for its payment.
    hold_expire_time: Mapped[datetime | None]
    # Promoted inside the cancellation window: until when giving the place back is free all the same.
    free_decline_time: Mapped[datetime | None]
    check_in_time: Mapped[datetime | None]
    # Digests of who asked under which key, and for what: a repeated request finds its booking.
    request_id: Mapped[UUID | None]
    request_hash: Mapped[UUID | None]


class BookingDetail(View):
    """A booking with what is shown beside it."""

    __tablename__ = "booking_details"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    class_session_id: Mapped[UUID]
    client_id: Mapped[UUID]
    client_package_id: Mapped[UUID | None]
    state: Mapped[str]
    spot: Mapped[str | None]
    guest_display_name: Mapped[str]
    policy_version: Mapped[int]
    credit_returned: Mapped[bool]
    session_cancelled: Mapped[bool]
    hold_expire_time: Mapped[datetime | None]
    free_decline_time: Mapped[datetime | None]
    check_in_time: Mapped[datetime | None]
    cancel_time: Mapped[datetime | None]
    version: Mapped[int]
    create_time: Mapped[datetime]
    update_time: Mapped[datetime]
    client_display_name: Mapped[str]
    # Who acts for the client.
    account_id: Mapped[UUID | None]
    class_type_display_name: Mapped[str]
    start_time: Mapped[datetime]
    end_time: Mapped[datetime]
    time_zone: Mapped[str]
    time_version: Mapped[int]
    currency_code: Mapped[str]
    # Of the policy it was made under.
    cancellation_window_minutes: Mapped[int]
    late_cancel_fee_minor: Mapped[int]
    no_show_fee_minor: Mapped[int]

    @property
    def etag(self) -> str:
        return str(self.version)


class CheckInAttempts(Base):
    """How often a client tried the code of a class for a booking since it last was the right one."""

    __tablename__ = "check_in_attempts"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    booking_id: Mapped[UUID] = mapped_column(primary_key=True)
    attempts: Mapped[int]


class DropInPayment(Base):
    """What paid for a single place: a payment of payments, or at the desk, in the way that `reason` says."""

    __tablename__ = "drop_in_payments"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    booking_id: Mapped[UUID] = mapped_column(primary_key=True)
    payment_id: Mapped[UUID | None]
    reason: Mapped[str] = mapped_column(server_default="")
    create_time: Mapped[datetime]


class WaitlistEntry(Tenanted, Versioned, Base):
    """A client's place in the line for one full class session."""

    __tablename__ = "waitlist_entries"

    class_session_id: Mapped[UUID]
    client_id: Mapped[UUID]
    credit_hold_id: Mapped[UUID]
    # A name of the proto's WaitlistEntry.State.
    state: Mapped[str]
    # Who was displaced from the class stands before those who joined.
    displaced: Mapped[bool] = mapped_column(server_default="false")
    join_time: Mapped[datetime]
    # Why the last free place went past it; empty when none has.
    passed_over: Mapped[str] = mapped_column(server_default="")
    offer_expire_time: Mapped[datetime | None]
    # The booking it became.
    booking_id: Mapped[UUID | None]
    # Why it ended; empty while it waits.
    reason: Mapped[str] = mapped_column(server_default="")


class WaitlistDecision(Base):
    """What became of an entry when a place was given out: the answer to "why was I not promoted?". Append-only."""

    __tablename__ = "waitlist_decisions"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    class_session_id: Mapped[UUID]
    waitlist_entry_id: Mapped[UUID]
    # From 1, among those who waited then.
    place_in_line: Mapped[int]
    # PROMOTED, OFFERED, or why not.
    outcome: Mapped[str]
    create_time: Mapped[datetime]
