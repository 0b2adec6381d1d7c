"""Sellable sessions, policies, clients, credits, bookings."""

from pathlib import Path

from alembic import op

from services.chassis.db.migrations import create_chassis_tables, guard, install_function
from services.chassis.db.urls import role_name

revision = "0001"
down_revision = None

APP_ROLE = role_name("booking", "app")
SQL = Path(__file__).parents[2] / "sql"

VERSIONED = """
    version integer NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now()"""

# Indexes that find by an id lead with it. One that leads with the studio serves lists of it; to the planner it looks as
# good for finding one row as the primary key does when studios are small on average, and then reads a large one whole.
TABLES = (
    "CREATE TABLE studio_ids (studio_id uuid CONSTRAINT pk_studio_ids PRIMARY KEY)",
    """
    CREATE TABLE booking_policies (
        tenant_id uuid NOT NULL REFERENCES studio_ids,
        version integer NOT NULL,
        booking_opens_hours integer NOT NULL DEFAULT 720 CHECK (booking_opens_hours BETWEEN 1 AND 8784),
        booking_closes_minutes integer NOT NULL DEFAULT 0 CHECK (booking_closes_minutes BETWEEN 0 AND 10080),
        cancellation_window_minutes integer NOT NULL DEFAULT 720
            CHECK (cancellation_window_minutes BETWEEN 0 AND 20160),
        create_time timestamptz NOT NULL,
        CONSTRAINT pk_booking_policies PRIMARY KEY (tenant_id, version)
    )""",
    # No foreign key leads here: a projection may be dropped and loaded again under the bookings.
    """
    CREATE TABLE class_sessions (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        version bigint NOT NULL,
        time_version bigint NOT NULL,
        class_type_display_name text NOT NULL,
        room_display_name text NOT NULL,
        location_display_name text NOT NULL,
        instructor_display_name text NOT NULL,
        instructor_account_id uuid,
        start_time timestamptz NOT NULL,
        end_time timestamptz NOT NULL,
        time_zone text NOT NULL,
        spots text[] NOT NULL,
        cancelled boolean NOT NULL,
        planned_capacity integer NOT NULL,
        effective_capacity integer NOT NULL,
        booked_count integer NOT NULL,
        CONSTRAINT pk_class_sessions PRIMARY KEY (tenant_id, id),
        CONSTRAINT ck_class_sessions_booked_count CHECK (booked_count BETWEEN 0 AND effective_capacity),
        CONSTRAINT ck_class_sessions_planned_capacity CHECK (planned_capacity BETWEEN 0 AND effective_capacity)
    )""",
    "CREATE INDEX ix_class_sessions_start_time ON class_sessions (tenant_id, start_time, id)",
    "CREATE INDEX ix_class_sessions_id ON class_sessions (id)",
    f"""
    CREATE TABLE clients (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        display_name text NOT NULL CHECK (display_name <> ''),
        email text CHECK (email <> ''),
        phone text CHECK (phone ~ '^\\+[1-9][0-9]{{6,14}}$'),
        language text NOT NULL,
        account_id uuid,
        is_self boolean NOT NULL,
        {VERSIONED},
        CONSTRAINT pk_clients PRIMARY KEY (tenant_id, id),
        CONSTRAINT ck_clients_self CHECK (account_id IS NOT NULL OR NOT is_self)
    )""",
    "CREATE UNIQUE INDEX uq_clients_email ON clients (tenant_id, lower(email))",
    "CREATE UNIQUE INDEX uq_clients_self ON clients (tenant_id, account_id) WHERE is_self",
    "CREATE INDEX ix_clients_id ON clients (id)",
    "CREATE INDEX ix_clients_account_id ON clients (account_id)",
    "CREATE INDEX ix_clients_display_name ON clients (tenant_id, display_name, id)",
    f"""
    CREATE TABLE client_packages (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        client_id uuid NOT NULL,
        display_name text NOT NULL,
        credits_granted integer NOT NULL CHECK (credits_granted > 0),
        credits_left integer NOT NULL DEFAULT 0,
        expire_time timestamptz,
        reason text NOT NULL,
        {VERSIONED},
        CONSTRAINT pk_client_packages PRIMARY KEY (tenant_id, id),
        FOREIGN KEY (tenant_id, client_id) REFERENCES clients,
        CONSTRAINT ck_client_packages_credits_left CHECK (credits_left >= 0)
    )""",
    "CREATE INDEX ix_client_packages_client_id ON client_packages (client_id)",
    f"""
    CREATE TABLE bookings (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        class_session_id uuid NOT NULL,
        client_id uuid NOT NULL,
        client_package_id uuid NOT NULL,
        state text NOT NULL CHECK (state IN ('CONFIRMED', 'CANCELLED_EARLY', 'CANCELLED_LATE')),
        spot text,
        policy_version integer NOT NULL,
        credit_returned boolean NOT NULL,
        session_cancelled boolean NOT NULL,
        cancel_time timestamptz,
        {VERSIONED},
        CONSTRAINT pk_bookings PRIMARY KEY (tenant_id, id),
        FOREIGN KEY (tenant_id, client_id) REFERENCES clients,
        FOREIGN KEY (tenant_id, client_package_id) REFERENCES client_packages,
        CONSTRAINT ck_bookings_cancel_time CHECK ((state = 'CONFIRMED') = (cancel_time IS NULL)),
        CONSTRAINT ck_bookings_credit_returned CHECK (credit_returned = (state = 'CANCELLED_EARLY')),
        CONSTRAINT ck_bookings_session_cancelled CHECK (state = 'CANCELLED_EARLY' OR NOT session_cancelled)
    )""",
    "CREATE UNIQUE INDEX uq_bookings_active_client ON bookings (tenant_id, class_session_id, client_id)"
    " WHERE state = 'CONFIRMED'",
    "CREATE UNIQUE INDEX uq_bookings_active_spot ON bookings (tenant_id, class_session_id, spot)"
    " WHERE state = 'CONFIRMED' AND spot IS NOT NULL",
    "CREATE INDEX ix_bookings_class_session_id ON bookings (class_session_id)",
    "CREATE INDEX ix_bookings_client_id ON bookings (client_id)",
    # The accounts need no foreign key: the trigger that moves the balances refuses one it does not find.
    """
    CREATE TABLE transfers (
        tenant_id uuid NOT NULL,
        id bigint GENERATED ALWAYS AS IDENTITY,
        debit_account uuid NOT NULL,
        credit_account uuid NOT NULL,
        amount integer NOT NULL CHECK (amount > 0),
        cause text NOT NULL
            CHECK (cause IN ('granted', 'booked', 'cancelled_early', 'session_cancelled', 'session_restored')),
        booking_id uuid,
        create_time timestamptz NOT NULL,
        CONSTRAINT pk_transfers PRIMARY KEY (tenant_id, id),
        FOREIGN KEY (tenant_id, booking_id) REFERENCES bookings,
        CONSTRAINT ck_transfers_accounts CHECK (debit_account <> credit_account)
    )""",
    "CREATE INDEX ix_transfers_debit_account ON transfers (debit_account)",
    "CREATE INDEX ix_transfers_credit_account ON transfers (credit_account)",
    "CREATE INDEX ix_transfers_booking_id ON transfers (booking_id)",
)

VIEWS = (
    """
    CREATE VIEW booking_details WITH (security_invoker = true) AS
    SELECT b.tenant_id, b.id, b.class_session_id, b.client_id, b.client_package_id, b.state, b.spot, b.policy_version,
        b.credit_returned, b.version, b.create_time, b.update_time, b.cancel_time,
        c.display_name AS client_display_name, c.account_id,
        s.class_type_display_name, s.start_time, s.time_zone, s.time_version,
        p.cancellation_window_minutes
    FROM bookings b
    JOIN clients c ON c.tenant_id = b.tenant_id AND c.id = b.client_id
    JOIN class_sessions s ON s.tenant_id = b.tenant_id AND s.id = b.class_session_id
    JOIN booking_policies p ON p.tenant_id = b.tenant_id AND p.version = b.policy_version""",
    """
    CREATE VIEW bookable_sessions WITH (security_invoker = true) AS
    SELECT s.*, p.version AS policy_version, p.cancellation_window_minutes,
        time_before_v1(s.start_time, s.time_zone, p.booking_opens_hours * 60) AS opens_time,
        time_before_v1(s.start_time, s.time_zone, p.booking_closes_minutes) AS closes_time
    FROM class_sessions s
    CROSS JOIN LATERAL (
        SELECT * FROM booking_policies p WHERE p.tenant_id = s.tenant_id ORDER BY p.version DESC LIMIT 1
    ) p""",
)

# What may be written of a package. Its credits move by transfers, so the app may lock it but not touch them.
PACKAGE_COLUMNS = (
    "tenant_id, id, client_id, display_name, credits_granted, expire_time, reason, version, create_time, update_time"
)

# In the order of their dependence.
FUNCTIONS = (
    "move_credits",
    "keep_transfers",
    "guard_booking",
    "refusal",
    "free_spots",
    "choose_package",
    "booking_changed",
    "client_package_changed",
    "book",
)


def upgrade() -> None:
    create_chassis_tables(APP_ROLE)
    for statement in TABLES:
        op.execute(statement)
    op.execute(f"GRANT SELECT, INSERT ON studio_ids TO {APP_ROLE}")
    for table in ("class_sessions", "clients", "bookings"):
        guard(table, APP_ROLE)
    for table in ("booking_policies", "transfers"):
        guard(table, APP_ROLE, privileges="SELECT, INSERT")
    guard("client_packages", APP_ROLE, privileges=f"SELECT, INSERT ({PACKAGE_COLUMNS}), UPDATE (update_time)")
    install_function(SQL / "time_before_v1.sql")
    for statement in VIEWS:
        op.execute(statement)
    op.execute(f"GRANT SELECT ON booking_details, bookable_sessions TO {APP_ROLE}")
    for name in FUNCTIONS:
        install_function(SQL / f"{name}_v1.sql")
