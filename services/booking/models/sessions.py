"""What is sold and by which rules: studios, policies, class sessions."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, func
from sqlalchemy.orm import Mapped, mapped_column

from services.booking.models.base import Base, View


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
    # Fees and prices in minor units of the studio's currency; 0 is none.
    late_cancel_fee_minor: Mapped[int] = mapped_column(BigInteger, server_default="0")
    no_show_fee_minor: Mapped[int] = mapped_column(BigInteger, server_default="0")
    # After the end of a class, until who was not checked in counts as absent.
    no_show_grace_minutes: Mapped[int] = mapped_column(server_default="15")
    # Of one client; 0 is no cap.
    max_upcoming_bookings: Mapped[int] = mapped_column(server_default="0")
    max_daily_bookings: Mapped[int] = mapped_column(server_default="0")
    # That a client may bring to one class.
    max_guests: Mapped[int] = mapped_column(server_default="0")
    # 0: no place is sold singly.
    drop_in_price_minor: Mapped[int] = mapped_column(BigInteger, server_default="0")
    drop_in_hold_minutes: Mapped[int] = mapped_column(server_default="15")
    # OFF, AUTO_PROMOTE or TIMED_OFFER.
    waitlist_mode: Mapped[str] = mapped_column(server_default="AUTO_PROMOTE")
    # Before the start; from then on places go to whoever books first.
    waitlist_cutoff_minutes: Mapped[int] = mapped_column(server_default="60")
    waitlist_offer_minutes: Mapped[int] = mapped_column(server_default="60")
    # Minutes of the location's day between which nobody is promoted or made an offer; equal ones are no quiet hours.
    quiet_start_minute: Mapped[int] = mapped_column(server_default="1320")
    quiet_end_minute: Mapped[int] = mapped_column(server_default="420")
    # Who is promoted inside the cancellation window may give the place back for nothing this long.
    late_promotion_decline_minutes: Mapped[int] = mapped_column(server_default="120")
    # Before the start, from when clients check themselves in.
    self_check_in_minutes: Mapped[int] = mapped_column(server_default="30")
    # NEVER, WHEN_CHECKED_IN or ALWAYS.
    no_show_marking: Mapped[str] = mapped_column(server_default="WHEN_CHECKED_IN")
    # Whether the waiver in force must be signed before a client books.
    waiver_required: Mapped[bool] = mapped_column(server_default="false")
    create_time: Mapped[datetime]


class _Session:
    """What booking knows of a class session."""

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    # Scheduling's, as is everything down to `update_time`: the projection.
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
    # Ids of scheduling.
    class_type_id: Mapped[UUID]
    room_id: Mapped[UUID]
    location_id: Mapped[UUID]
    instructor_id: Mapped[UUID]
    # ISO 4217, the studio's.
    currency_code: Mapped[str]
    # When scheduling last changed it.
    update_time: Mapped[datetime] = mapped_column(server_default=func.now())
    # Up to here places are sold.
    planned_capacity: Mapped[int]
    # Up to here places may be held: more than planned when capacity was cut below what is booked.
    effective_capacity: Mapped[int]
    # Places held by bookings and offers; changes only under the lock of this row.
    booked_count: Mapped[int]


class ClassSession(_Session, Base):
    """The sellable session: scheduling's plan and booking's own counters. Its row is the lock of its bookings."""

    __tablename__ = "class_sessions"


class BookableSession(_Session, View):
    """A session with the policy in force."""

    __tablename__ = "bookable_sessions"

    policy_version: Mapped[int]
    cancellation_window_minutes: Mapped[int]
    late_cancel_fee_minor: Mapped[int]
    no_show_fee_minor: Mapped[int]
    no_show_grace_minutes: Mapped[int]
    max_upcoming_bookings: Mapped[int]
    max_daily_bookings: Mapped[int]
    max_guests: Mapped[int]
    drop_in_price_minor: Mapped[int]
    drop_in_hold_minutes: Mapped[int]
    waitlist_mode: Mapped[str]
    waitlist_cutoff_minutes: Mapped[int]
    waitlist_offer_minutes: Mapped[int]
    quiet_start_minute: Mapped[int]
    quiet_end_minute: Mapped[int]
    late_promotion_decline_minutes: Mapped[int]
    self_check_in_minutes: Mapped[int]
    opens_time: Mapped[datetime]
    closes_time: Mapped[datetime]
    waiver_required: Mapped[bool]
