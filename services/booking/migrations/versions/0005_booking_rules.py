"""Fees, caps, guests, drop-ins, check-in, the waitlist, a ledger with more accounts, and many booked in one call."""

from pathlib import Path

from alembic import op

from services.chassis.db.migrations import guard, install_function
from services.chassis.db.urls import role_name

revision = "0005"
down_revision = "0004"

APP_ROLE = role_name("booking", "app")
SQL = Path(__file__).parents[2] / "sql"

VERSIONED = """
    version integer NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now()"""

POLICIES = """
    ALTER TABLE booking_policies
        ADD late_cancel_fee_minor bigint NOT NULL DEFAULT 0 CHECK (late_cancel_fee_minor >= 0),
        ADD no_show_fee_minor bigint NOT NULL DEFAULT 0 CHECK (no_show_fee_minor >= 0),
        ADD no_show_grace_minutes integer NOT NULL DEFAULT 15 CHECK (no_show_grace_minutes BETWEEN 0 AND 1440),
        ADD max_upcoming_bookings integer NOT NULL DEFAULT 0 CHECK (max_upcoming_bookings BETWEEN 0 AND 1000),
        ADD max_daily_bookings integer NOT NULL DEFAULT 0 CHECK (max_daily_bookings BETWEEN 0 AND 100),
        ADD max_guests integer NOT NULL DEFAULT 0 CHECK (max_guests BETWEEN 0 AND 20),
        ADD drop_in_price_minor bigint NOT NULL DEFAULT 0 CHECK (drop_in_price_minor >= 0),
        ADD drop_in_hold_minutes integer NOT NULL DEFAULT 15 CHECK (drop_in_hold_minutes BETWEEN 1 AND 1440),
        ADD waitlist_mode text NOT NULL DEFAULT 'AUTO_PROMOTE'
            CHECK (waitlist_mode IN ('OFF', 'AUTO_PROMOTE', 'TIMED_OFFER')),
        ADD waitlist_cutoff_minutes integer NOT NULL DEFAULT 60 CHECK (waitlist_cutoff_minutes BETWEEN 0 AND 10080),
        ADD waitlist_offer_minutes integer NOT NULL DEFAULT 60 CHECK (waitlist_offer_minutes BETWEEN 5 AND 1440),
        ADD quiet_start_minute integer NOT NULL DEFAULT 1320 CHECK (quiet_start_minute BETWEEN 0 AND 1439),
        ADD quiet_end_minute integer NOT NULL DEFAULT 420 CHECK (quiet_end_minute BETWEEN 0 AND 1439),
        ADD late_promotion_decline_minutes integer NOT NULL DEFAULT 120
            CHECK (late_promotion_decline_minutes BETWEEN 0 AND 1440),
        ADD self_check_in_minutes integer NOT NULL DEFAULT 30 CHECK (self_check_in_minutes BETWEEN 0 AND 1440)"""

PACKAGES = """
    ALTER TABLE client_packages
        ADD kind text NOT NULL DEFAULT 'PACK' CHECK (kind IN ('PACK', 'COMP')),
        ADD class_type_ids uuid[] NOT NULL DEFAULT '{}',
        ADD first_use_days integer NOT NULL DEFAULT 0 CHECK (first_use_days BETWEEN 0 AND 3660),
        ADD revoke_time timestamptz"""

BOOKINGS = (
    "DROP INDEX uq_bookings_active_client, uq_bookings_active_spot, ix_bookings_class_session_id,"
    " ix_bookings_client_id",
    """
    ALTER TABLE bookings
        ALTER client_package_id DROP NOT NULL,
        -- As in the session, so that what a client has at a time is found without reading sessions.
        ADD start_time timestamptz,
        ADD end_time timestamptz,
        ADD guest_display_name text NOT NULL DEFAULT '',
        -- Until when a place waits for its payment.
        ADD hold_expire_time timestamptz,
        -- Promoted inside the cancellation window: until when giving the place back is free all the same.
        ADD free_decline_time timestamptz,
        ADD check_in_time timestamptz,
        -- Digests of who asked under which key, and for what: a repeated request finds its booking.
        ADD request_id uuid,
        ADD request_hash uuid,
        DROP CONSTRAINT bookings_state_check,
        DROP CONSTRAINT ck_bookings_cancel_time,
        DROP CONSTRAINT ck_bookings_credit_returned,
        DROP CONSTRAINT ck_bookings_session_cancelled""",
    # The projection was emptied by the migration before; loading it settles this.
    "UPDATE bookings SET start_time = create_time, end_time = create_time",
    """
    ALTER TABLE bookings
        ALTER start_time SET NOT NULL,
        ALTER end_time SET NOT NULL,
        -- Whether it holds a place, in short: cancel_time IS NULL.
        ADD CONSTRAINT ck_bookings_state CHECK (CASE state
            WHEN 'CONFIRMED' THEN cancel_time IS NULL AND NOT credit_returned
            WHEN 'ATTENDED' THEN cancel_time IS NULL AND NOT credit_returned
            WHEN 'NO_SHOW' THEN cancel_time IS NULL
            WHEN 'PENDING_PAYMENT' THEN cancel_time IS NULL AND client_package_id IS NULL
            WHEN 'CANCELLED_EARLY' THEN cancel_time IS NOT NULL AND credit_returned = (client_package_id IS NOT NULL)
            WHEN 'CANCELLED_LATE' THEN cancel_time IS NOT NULL
            WHEN 'EXPIRED' THEN cancel_time IS NOT NULL AND client_package_id IS NULL
            ELSE false END),
        ADD CONSTRAINT ck_bookings_cancelled CHECK (NOT session_cancelled OR state = 'CANCELLED_EARLY'),
        ADD CONSTRAINT ck_bookings_hold CHECK (state <> 'PENDING_PAYMENT' OR hold_expire_time IS NOT NULL)""",
    # A client comes once, and brings each guest once.
    "CREATE UNIQUE INDEX uq_bookings_active_client ON bookings"
    " (class_session_id, client_id, guest_display_name, tenant_id) WHERE cancel_time IS NULL",
    "CREATE UNIQUE INDEX uq_bookings_active_spot ON bookings (class_session_id, spot, tenant_id)"
    " WHERE cancel_time IS NULL AND spot IS NOT NULL",
    "CREATE INDEX ix_bookings_cancelled ON bookings (class_session_id) WHERE cancel_time IS NOT NULL",
    "CREATE INDEX ix_bookings_client_start ON bookings (client_id, start_time)",
    "CREATE UNIQUE INDEX uq_bookings_request ON bookings (request_id, tenant_id) WHERE request_id IS NOT NULL",
)

LEDGER = (
    # A booking's transfers are found by its package; nothing ever deletes a booking.
    "ALTER TABLE transfers DROP CONSTRAINT transfers_tenant_id_booking_id_fkey",
    "ALTER TABLE transfers DROP CONSTRAINT transfers_cause_check",
    """
    ALTER TABLE transfers
        ADD reason text NOT NULL DEFAULT '',
        ADD CONSTRAINT ck_transfers_cause CHECK (cause IN (
            'granted', 'booked', 'cancelled_early', 'session_cancelled', 'session_restored', 'displaced', 'waived',
            'held', 'released', 'promoted', 'expired', 'revoked', 'adjusted'))""",
    "DROP INDEX ix_transfers_debit_account, ix_transfers_credit_account, ix_transfers_booking_id",
    # The accounts below 100 are on one side of nearly all transfers; nobody looks for all of theirs.
    "CREATE INDEX ix_transfers_debit_account ON transfers (debit_account, create_time)"
    " WHERE debit_account > '00000000-0000-0000-0000-0000000000ff'",
    "CREATE INDEX ix_transfers_credit_account ON transfers (credit_account, create_time)"
    " WHERE credit_account > '00000000-0000-0000-0000-0000000000ff'",
)

WAITLIST = (
    # One credit set aside for waits of which only one can come true. An account of the ledger.
    """
    CREATE TABLE credit_holds (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        client_id uuid NOT NULL,
        client_package_id uuid NOT NULL,
        credits integer NOT NULL DEFAULT 0,
        create_time timestamptz NOT NULL,
        CONSTRAINT pk_credit_holds PRIMARY KEY (tenant_id, id),
        FOREIGN KEY (tenant_id, client_id) REFERENCES clients,
        FOREIGN KEY (tenant_id, client_package_id) REFERENCES client_packages,
        CONSTRAINT ck_credit_holds_credits CHECK (credits IN (0, 1))
    )""",
    "CREATE INDEX ix_credit_holds_client_package_id ON credit_holds (client_package_id)",
    f"""
    CREATE TABLE waitlist_entries (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        class_session_id uuid NOT NULL,
        client_id uuid NOT NULL,
        credit_hold_id uuid NOT NULL,
        state text NOT NULL CHECK (state IN ('WAITING', 'OFFERED', 'PROMOTED', 'DECLINED', 'EXPIRED', 'REMOVED')),
        -- Who was displaced from the class stands before those who joined.
        displaced boolean NOT NULL DEFAULT false,
        join_time timestamptz NOT NULL,
        -- Why the last free place went past it; empty when none has.
        passed_over text NOT NULL DEFAULT '',
        offer_expire_time timestamptz,
        booking_id uuid,
        -- Why it ended; empty while it waits.
        reason text NOT NULL DEFAULT '',
        {VERSIONED},
        CONSTRAINT pk_waitlist_entries PRIMARY KEY (tenant_id, id),
        FOREIGN KEY (tenant_id, client_id) REFERENCES clients,
        FOREIGN KEY (tenant_id, credit_hold_id) REFERENCES credit_holds,
        CONSTRAINT ck_waitlist_entries_offer CHECK ((state = 'OFFERED') = (offer_expire_time IS NOT NULL)),
        CONSTRAINT ck_waitlist_entries_booking CHECK ((state = 'PROMOTED') = (booking_id IS NOT NULL))
    )""",
    "CREATE UNIQUE INDEX uq_waitlist_entries_active_client ON waitlist_entries"
    " (class_session_id, client_id, tenant_id) WHERE state IN ('WAITING', 'OFFERED')",
    "CREATE INDEX ix_waitlist_entries_waiting ON waitlist_entries (class_session_id) WHERE state = 'WAITING'",
    "CREATE INDEX ix_waitlist_entries_client_id ON waitlist_entries (client_id)",
    "CREATE INDEX ix_waitlist_entries_session ON waitlist_entries (class_session_id, create_time)",
    "CREATE INDEX ix_waitlist_entries_credit_hold_id ON waitlist_entries (credit_hold_id)",
    # What became of an entry whenever a place was given out: the answer to "why was I not promoted?".
    """
    CREATE TABLE waitlist_decisions (
        tenant_id uuid NOT NULL,
        id bigint GENERATED ALWAYS AS IDENTITY,
        class_session_id uuid NOT NULL,
        waitlist_entry_id uuid NOT NULL,
        place_in_line integer NOT NULL,
        -- PROMOTED, OFFERED, or why not.
        outcome text NOT NULL,
        create_time timestamptz NOT NULL,
        CONSTRAINT pk_waitlist_decisions PRIMARY KEY (tenant_id, id)
    )""",
    "CREATE INDEX ix_waitlist_decisions_entry ON waitlist_decisions (waitlist_entry_id, create_time)",
)

FEES = (
    f"""
    CREATE TABLE fees (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        booking_id uuid NOT NULL,
        client_id uuid NOT NULL,
        kind text NOT NULL CHECK (kind IN ('LATE_CANCEL', 'NO_SHOW')),
        amount_minor bigint NOT NULL CHECK (amount_minor > 0),
        currency_code text NOT NULL CHECK (currency_code ~ '^[A-Z]{{3}}$'),
        -- VOID: the class was cancelled, or who was marked absent was there.
        state text NOT NULL CHECK (state IN ('DUE', 'WAIVED', 'VOID')),
        reason text NOT NULL DEFAULT '',
        {VERSIONED},
        CONSTRAINT pk_fees PRIMARY KEY (tenant_id, id),
        FOREIGN KEY (tenant_id, booking_id) REFERENCES bookings,
        CONSTRAINT uq_fees_booking UNIQUE (tenant_id, booking_id, kind),
        CONSTRAINT ck_fees_reason CHECK (state <> 'WAIVED' OR reason <> '')
    )""",
    "CREATE INDEX ix_fees_booking_id ON fees (booking_id)",
    "CREATE INDEX ix_fees_client_id ON fees (client_id, create_time)",
)

VIEWS = (
    """
    CREATE VIEW booking_details WITH (security_invoker = true) AS
    SELECT b.tenant_id, b.id, b.class_session_id, b.client_id, b.client_package_id, b.state, b.spot,
        b.guest_display_name, b.policy_version, b.credit_returned, b.session_cancelled,
        b.hold_expire_time, b.free_decline_time, b.check_in_time, b.cancel_time,
        b.version, b.create_time, b.update_time,
        c.display_name AS client_display_name, c.account_id,
        s.class_type_display_name, b.start_time, b.end_time, s.time_zone, s.time_version, s.currency_code,
        p.cancellation_window_minutes, p.late_cancel_fee_minor, p.no_show_fee_minor
    FROM bookings b
    JOIN clients c ON c.tenant_id = b.tenant_id AND c.id = b.client_id
    JOIN class_sessions s ON s.tenant_id = b.tenant_id AND s.id = b.class_session_id
    JOIN booking_policies p ON p.tenant_id = b.tenant_id AND p.version = b.policy_version""",
    """
    CREATE VIEW bookable_sessions WITH (security_invoker = true) AS
    SELECT s.*, p.version AS policy_version, p.cancellation_window_minutes, p.late_cancel_fee_minor,
        p.no_show_fee_minor, p.no_show_grace_minutes, p.max_upcoming_bookings, p.max_daily_bookings, p.max_guests,
        p.drop_in_price_minor, p.drop_in_hold_minutes, p.waitlist_mode, p.waitlist_cutoff_minutes,
        p.waitlist_offer_minutes, p.quiet_start_minute, p.quiet_end_minute, p.late_promotion_decline_minutes,
        p.self_check_in_minutes,
        time_before_v1(s.start_time, s.time_zone, p.booking_opens_hours * 60) AS opens_time,
        time_before_v1(s.start_time, s.time_zone, p.booking_closes_minutes) AS closes_time
    FROM class_sessions s
    CROSS JOIN LATERAL (
        SELECT * FROM booking_policies p WHERE p.tenant_id = s.tenant_id ORDER BY p.version DESC LIMIT 1
    ) p""",
)

# What may be written of a package. Its credits move by transfers, so the app may lock it but not touch them.
NEW_PACKAGE_COLUMNS = "kind, class_type_ids, first_use_days, revoke_time"
# As with packages.
HOLD_COLUMNS = "tenant_id, id, client_id, client_package_id, create_time"

REPLACED = (
    "book_v1",
    "booking_changed_v1",
    "client_package_changed_v1",
    "choose_package_v1",
    "free_spots_v1",
    "refusal_v1",
)
# In the order of their dependence.
FUNCTIONS = (
    "guard_booking_v2",
    "refusal_v2",
    "client_refusal_v1",
    "caps_refusal_v1",
    "waits_first_v1",
    "free_spots_v2",
    "choose_package_v2",
    "booking_changed_v2",
    "client_package_changed_v2",
    "book_v2",
)


def upgrade() -> None:
    for function in REPLACED:
        op.execute(f"DROP FUNCTION {function}")
    op.execute("DROP VIEW booking_details")
    op.execute("DROP VIEW bookable_sessions")
    # Of all studios at once.
    op.execute("ALTER TABLE bookings NO FORCE ROW LEVEL SECURITY")
    for statement in (POLICIES, PACKAGES, *BOOKINGS, *LEDGER, *WAITLIST, *FEES):
        op.execute(statement)
    op.execute("ALTER TABLE bookings FORCE ROW LEVEL SECURITY")
    op.execute("DROP TRIGGER guard_booking ON bookings")
    op.execute("DROP FUNCTION guard_booking_v1")
    for table in ("waitlist_entries", "fees"):
        guard(table, APP_ROLE)
    # Its client changes with a merge.
    guard("credit_holds", APP_ROLE, privileges=f"SELECT, INSERT ({HOLD_COLUMNS}), UPDATE (client_id)")
    guard("waitlist_decisions", APP_ROLE, privileges="SELECT, INSERT")
    op.execute(f"GRANT INSERT ({NEW_PACKAGE_COLUMNS}), UPDATE (revoke_time) ON client_packages TO {APP_ROLE}")
    for statement in VIEWS:
        op.execute(statement)
    op.execute(f"GRANT SELECT ON booking_details, bookable_sessions TO {APP_ROLE}")
    for name in FUNCTIONS:
        install_function(SQL / f"{name}.sql")
