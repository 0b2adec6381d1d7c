"""What an export holds: each table of a studio, its key, every column in words. The README of the zip is made of it.

A table or column that is neither here nor in LEFT_OUT turns a test red: what is added must be decided upon.
"""

from dataclasses import dataclass

_VERSIONED = {
    "version": "how often it was changed",
    "create_time": "when it was made",
    "update_time": "when it was last changed",
}
# Not of the studio, or worth nothing to it.
LEFT_OUT = {
    "outbox": "messages on their way inside the system",
    "idempotency": "answers kept for repeated requests",
    "jobs": "work that is due inside the system",
    "dead_letters": "messages that could not be applied",
    "blobs": "uploaded and written files",
    "blob_chunks": "pieces of these files",
    "import_keys": "marks of a file that is being read",
    "exports": "earlier exports",
}
# Of tables that are exported.
LEFT_OUT_COLUMNS = {
    ("bookings", "request_id"): "digest of an idempotency key",
    ("bookings", "request_hash"): "digest of a request",
    ("calendar_feeds", "token_sha256"): "digest of a secret",
    ("imports", "sha256"): "name of a stored file",
    ("imports", "run_id"): "mark of a run",
}


@dataclass(frozen=True)
class Table:
    """One table: what it is about, by what it is ordered, and its columns beside the studio's id."""

    about: str
    columns: dict[str, str]
    key: tuple[str, ...] = ("id",)


TABLES = {
    "clients": Table(
        "People who take classes.",
        {
            "id": "id of the client",
            "display_name": "name",
            "email": "e-mail address",
            "phone": "telephone number, E.164",
            "language": "BCP 47; empty is the studio's",
            "account_id": "account that acts for the client",
            "is_self": "whether the account is this person",
            "birth_date": "date of birth",
            "emergency_contact_name": "whom to call if something happens",
            "emergency_contact_phone": "their number, E.164",
            "archive_time": "when the client was archived",
            "erase_time": "when the client's personal data was erased",
            **_VERSIONED,
        },
    ),
    "client_packages": Table(
        "Credits that clients own.",
        {
            "id": "id of the package",
            "client_id": "whose it is",
            "display_name": "name",
            "kind": "PACK or COMP (given for nothing)",
            "credits_granted": "credits it started with",
            "credits_left": "credits left",
            "expire_time": "from when it pays for no class; empty is never",
            "first_use_days": "days from the first class it pays until it expires; 0 when its end is fixed",
            "class_type_ids": "class types it pays for; empty is all",
            "reason": "why it was granted",
            "revoke_time": "when it was taken back",
            **_VERSIONED,
        },
    ),
    "transfers": Table(
        "The ledger of credits: each moved from one account to another. An account is a package, a credit hold, or"
        " 1 issued, 2 redeemed, 3 expired, 4 revoked, 5 adjusted (the last digit of its id).",
        {
            "id": "number of the transfer",
            "debit_account": "where the credits left",
            "credit_account": "where they went",
            "amount": "how many",
            "cause": "why",
            "booking_id": "for which booking",
            "create_time": "when",
            "reason": "what staff say of it",
        },
    ),
    "bookings": Table(
        "Places in classes.",
        {
            "id": "id of the booking",
            "class_session_id": "class",
            "client_id": "client",
            "client_package_id": "package that paid; empty for a drop-in",
            "state": "CONFIRMED, ATTENDED, NO_SHOW, PENDING_PAYMENT, CANCELLED_EARLY, CANCELLED_LATE or EXPIRED",
            "spot": "place in the room",
            "policy_version": "version of the policy it was made under",
            "credit_returned": "whether its credit came back",
            "session_cancelled": "whether it was cancelled together with its class",
            "cancel_time": "when it gave its place back",
            "start_time": "start of the class",
            "end_time": "end of the class",
            "guest_display_name": "guest of the client who comes; empty is the client",
            "hold_expire_time": "until when it waits for its payment",
            "free_decline_time": "until when giving it back is free though it is late",
            "check_in_time": "when the client came",
            "series_id": "shared by bookings that were made together",
            **_VERSIONED,
        },
    ),
    "credit_holds": Table(
        "Credits set aside while clients wait.",
        {
            "id": "id of the hold",
            "client_id": "client",
            "client_package_id": "package the credit is from",
            "credits": "credits in it, 0 or 1",
            "create_time": "when it was made",
        },
    ),
    "waitlist_entries": Table(
        "Clients who wait for a place, or have waited.",
        {
            "id": "id of the entry",
            "class_session_id": "class",
            "client_id": "client",
            "credit_hold_id": "credit set aside",
            "state": "WAITING, OFFERED, PROMOTED, DECLINED, EXPIRED or REMOVED",
            "displaced": "whether the client was displaced from the class and stands in front",
            "join_time": "since when it waits",
            "passed_over": "why the last free place went past it",
            "offer_expire_time": "until when a place is on offer",
            "booking_id": "booking it became",
            "reason": "why it ended",
            **_VERSIONED,
        },
    ),
    "waitlist_decisions": Table(
        "What became of those who waited when a place was given out.",
        {
            "id": "number of the decision",
            "class_session_id": "class",
            "waitlist_entry_id": "entry",
            "place_in_line": "place in the line, from 1",
            "outcome": "PROMOTED, OFFERED, or why not",
            "create_time": "when",
        },
    ),
    "fees": Table(
        "What clients owe for late cancellations and absences.",
        {
            "id": "id of the fee",
            "booking_id": "booking",
            "client_id": "client",
            "kind": "LATE_CANCEL or NO_SHOW",
            "amount_minor": "amount in minor units of the currency",
            "currency_code": "ISO 4217",
            "state": "DUE, WAIVED or VOID",
            "reason": "what staff say of it",
            **_VERSIONED,
        },
    ),
    "booking_policies": Table(
        "The rules of booking, one row a version.",
        {
            "version": "number of the version",
            "booking_opens_hours": "hours before a class from which it can be booked",
            "booking_closes_minutes": "minutes before a class until which it can be booked",
            "cancellation_window_minutes": "minutes before a class until which cancelling is free",
            "late_cancel_fee_minor": "fee for cancelling late, in minor units",
            "no_show_fee_minor": "fee for staying away, in minor units",
            "no_show_grace_minutes": "minutes after a class until who did not come counts as absent",
            "max_upcoming_bookings": "classes ahead a client may have; 0 is any number",
            "max_daily_bookings": "classes a day a client may have; 0 is any number",
            "max_guests": "guests a client may bring",
            "drop_in_price_minor": "price of a single place in minor units; 0 when none is sold",
            "drop_in_hold_minutes": "minutes a place waits for its payment",
            "waitlist_mode": "OFF, AUTO_PROMOTE or TIMED_OFFER",
            "waitlist_cutoff_minutes": "minutes before a class from which nobody is promoted",
            "waitlist_offer_minutes": "minutes an offer stands",
            "quiet_start_minute": "minute of the day from which nobody is promoted",
            "quiet_end_minute": "minute of the day until which nobody is promoted",
            "late_promotion_decline_minutes": "minutes in which a late promotion may be given back",
            "self_check_in_minutes": "minutes before a class from which clients check themselves in",
            "create_time": "from when it holds",
        },
        key=("version",),
    ),
    "class_sessions": Table(
        "Classes, as booking knows them from the timetable.",
        {
            "id": "id of the class",
            "version": "how often the timetable changed it",
            "time_version": "how often its start was changed",
            "class_type_id": "id of the class type",
            "class_type_display_name": "class type",
            "room_id": "id of the room",
            "room_display_name": "room",
            "location_id": "id of the location",
            "location_display_name": "location",
            "instructor_id": "id of the instructor",
            "instructor_display_name": "instructor",
            "instructor_account_id": "account of the instructor",
            "start_time": "start",
            "end_time": "end",
            "time_zone": "IANA zone of the location",
            "spots": "places of the room by name",
            "cancelled": "whether it is cancelled",
            "planned_capacity": "places that are sold",
            "effective_capacity": "places that may be held",
            "booked_count": "places that are held",
            "currency_code": "ISO 4217",
            "update_time": "when the timetable last changed it",
        },
    ),
    "calendar_feeds": Table(
        "Secret addresses of calendars, without their secrets.",
        {
            "id": "id of the feed",
            "subject_collection": "clients, instructors or rooms",
            "subject_id": "whose calendar",
            "account_id": "account that made it for itself",
            "hint": "last characters of its secret",
            "create_time": "when it was made",
            "last_used_time": "when a calendar last read it",
            "revoke_time": "when it was ended",
        },
    ),
    "external_ids": Table(
        "What things were called in the systems they were imported from.",
        {
            "source": "the system",
            "kind": "CLIENTS, CLIENT_PACKAGES or BOOKINGS",
            "external_id": "its id there; row: and a digest when it had none",
            "id": "its id here",
        },
        key=("source", "kind", "external_id"),
    ),
    "imports": Table(
        "Files that were imported.",
        {
            "id": "id of the import",
            "kind": "CLIENTS, CLIENT_PACKAGES or BOOKINGS",
            "source": "the system the file is from",
            "state": "UPLOADED, CHECKING, CHECKED, RUNNING, DONE, FAILED or CANCELLED",
            "size": "bytes of the file",
            "encoding": "its encoding",
            "delimiter": "what stands between its columns",
            "header": "its columns",
            "columns": "which column each field was read from",
            "date_order": "order of day and month",
            "time_zone": "zone of its dates",
            "first_position": "bytes before its first row",
            "first_line": "line of its first row",
            "position": "bytes that were read",
            "line": "line that would be read next",
            "principal": "who ran it",
            "rows_total": "rows",
            "rows_created": "rows that made something",
            "rows_updated": "rows that changed something",
            "rows_unchanged": "rows that changed nothing",
            "rows_refused": "rows that were refused",
            "reason": "why it failed",
            **_VERSIONED,
        },
    ),
    "import_rows": Table(
        "What came of each row of a file, by its latest check or run.",
        {
            "import_id": "import",
            "line": "line of the file",
            "outcome": "CREATED, UPDATED, UNCHANGED or REFUSED",
            "reason": "why",
            "column": "column at fault",
            "resource_id": "what it became",
        },
        key=("import_id", "line"),
    ),
    "audit_entries": Table(
        "Who did what.",
        {
            "id": "id of the entry",
            "principal": "who",
            "method": "did what",
            "resource": "to what",
            "changes": "values before and after",
            "create_time": "when",
        },
    ),
}
