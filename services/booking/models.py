"""The tables of booking, and the two views it reads them through. Checks and triggers are in migrations/ and sql/."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Identity, MetaData, Text, Uuid, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.chassis.db.models import COLUMN_TYPES, NAMING, Tenanted, Versioned

_TYPES = {**COLUMN_TYPES, str: Text(), list[str]: ARRAY(Text())}

# Constraints that requests are expected to meet.
CLIENT_EMAIL = "uq_clients_email"
CLIENT_SELF = "uq_clients_self"
CLIENT_TAG_NAME = "uq_client_tags_display_name"
# States of waitlist entries that have a place in line.
IN_LINE = ("WAITING", "OFFERED")


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


class ClientPackage(Tenanted, Versioned, Base):
    """What one client owns, and an account of the credit ledger. Credits move by transfers alone."""

    __tablename__ = "client_packages"

    client_id: Mapped[UUID]
    display_name: Mapped[str]
    # PACK or COMP.
    kind: Mapped[str] = mapped_column(server_default="PACK")
    credits_granted: Mapped[int]
    # Balance of the account; a trigger on transfers keeps it.
    credits_left: Mapped[int] = mapped_column(server_default="0")
    # Not usable for classes that start then or later; None means never.
    # Set by the trigger when the package starts with its first use.
    expire_time: Mapped[datetime | None]
    # IANA zone in which its days are counted.
    time_zone: Mapped[str] = mapped_column(server_default="UTC")
    # Days for which it is good after that of the first class it pays; 0: its end was fixed when it was granted.
    first_use_days: Mapped[int] = mapped_column(server_default="0")
    # The class types it pays for; none named is all.
    class_type_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid()), server_default="{}")
    reason: Mapped[str]
    revoke_time: Mapped[datetime | None]


class Transfer(Base):
    """Credits that left an account for another: one of `ledger`, a package or a hold. Immutable."""

    __tablename__ = "transfers"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    debit_account: Mapped[UUID]
    credit_account: Mapped[UUID]
    amount: Mapped[int]
    # Why; `credit_words` says each in words.
    cause: Mapped[str]
    booking_id: Mapped[UUID | None]
    create_time: Mapped[datetime]
    # Of staff, in words.
    reason: Mapped[str] = mapped_column(server_default="")


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


class CreditHold(Base):
    """One credit set aside for waits of which only one can come true. An account of the ledger."""

    __tablename__ = "credit_holds"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[UUID]
    # Where the credit came from and goes back to.
    client_package_id: Mapped[UUID]
    # Balance of the account, 0 or 1; a trigger on transfers keeps it.
    credits: Mapped[int] = mapped_column(server_default="0")
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


class Fee(Tenanted, Versioned, Base):
    """What a client owes for a booking that was cancelled late or not used. Payments charges it."""

    __tablename__ = "fees"

    booking_id: Mapped[UUID]
    client_id: Mapped[UUID]
    # LATE_CANCEL or NO_SHOW.
    kind: Mapped[str]
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency_code: Mapped[str]
    # DUE, WAIVED, or VOID: the class was cancelled, or who was marked absent was there.
    state: Mapped[str]
    reason: Mapped[str] = mapped_column(server_default="")


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


class PackageSale(Base):
    """The package that a purchase of payments became."""

    __tablename__ = "package_sales"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    purchase_id: Mapped[UUID] = mapped_column(primary_key=True)
    client_package_id: Mapped[UUID]
    create_time: Mapped[datetime]


class CreditFreeze(Base):
    """Credits that left a package for a refund of payments."""

    __tablename__ = "credit_freezes"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    refund_id: Mapped[UUID] = mapped_column(primary_key=True)
    client_package_id: Mapped[UUID]
    credits: Mapped[int]
    create_time: Mapped[datetime]
    # When they came back, since the refund did not come about.
    unfreeze_time: Mapped[datetime | None]


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


class Import(Tenanted, Versioned, Base):
    """A CSV file of another system, how it is read, and how far its latest check or run is."""

    __tablename__ = "imports"

    # Names of the proto's enums, as are `state` and `date_order`; `encoding` is one of `import_files.CODECS`.
    kind: Mapped[str]
    # The system that the file is from.
    source: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="UPLOADED")
    # The blob; None when the file is gone.
    sha256: Mapped[bytes | None]
    # Bytes.
    size: Mapped[int] = mapped_column(BigInteger)
    encoding: Mapped[str]
    delimiter: Mapped[str]
    header: Mapped[list[str]]
    # Field → name of its column.
    columns: Mapped[dict[str, Any]]
    date_order: Mapped[str]
    time_zone: Mapped[str]
    # Where the first row is: bytes before it, and its line from 1.
    first_position: Mapped[int]
    first_line: Mapped[int]
    # Where the next row is that was not read yet.
    position: Mapped[int] = mapped_column(BigInteger)
    line: Mapped[int]
    # Of the latest check or run; fences its jobs.
    run_id: Mapped[UUID | None]
    # Who started it.
    principal: Mapped[str] = mapped_column(server_default="")
    # 0 until somebody has seen them all.
    rows_total: Mapped[int] = mapped_column(server_default="0")
    rows_created: Mapped[int] = mapped_column(server_default="0")
    rows_updated: Mapped[int] = mapped_column(server_default="0")
    rows_unchanged: Mapped[int] = mapped_column(server_default="0")
    rows_refused: Mapped[int] = mapped_column(server_default="0")
    # Why it failed; empty otherwise.
    reason: Mapped[str] = mapped_column(server_default="")


class ImportRow(Base):
    """What came of a row. Nothing of what it says is kept."""

    __tablename__ = "import_rows"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    import_id: Mapped[UUID] = mapped_column(primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True)
    # A name of the proto's ImportRow.Outcome.
    outcome: Mapped[str]
    reason: Mapped[str]
    # Name of the column at fault.
    column: Mapped[str]
    resource_id: Mapped[UUID | None]


class ImportKey(Base):
    """By what a row of a file that is being read would be known again; digests, gone when the file is at its end."""

    __tablename__ = "import_keys"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    import_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[UUID] = mapped_column(primary_key=True)
    line: Mapped[int]


class ExternalId(Base):
    """What something is called in the system that it was imported from."""

    __tablename__ = "external_ids"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    # A kind of import.
    kind: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[UUID]


class Export(Tenanted, Versioned, Base):
    """Everything of the studio as a zip."""

    __tablename__ = "exports"

    # A name of the proto's Export.State.
    state: Mapped[str] = mapped_column(server_default="RUNNING")
    progress_percent: Mapped[int] = mapped_column(server_default="0")
    # In all tables.
    rows: Mapped[int] = mapped_column(BigInteger, server_default="0")
    # Bytes.
    size: Mapped[int] = mapped_column(BigInteger, server_default="0")
    # The blob; None before it is written and when its time is over.
    sha256: Mapped[bytes | None]
    expire_time: Mapped[datetime | None]


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
