"""Studios, what they consist of, and the planned timetable."""

from alembic import op

from services.chassis.db.migrations import create_chassis_tables, guard
from services.chassis.db.urls import role_name

revision = "0001"
down_revision = None

APP_ROLE = role_name("scheduling", "app")

VERSIONED = """
    version integer NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now()"""

CATALOGUED = f"""
    tenant_id uuid NOT NULL REFERENCES studios,
    id uuid NOT NULL,
    display_name text NOT NULL CHECK (display_name <> ''),
    archive_time timestamptz,
    {VERSIONED},
    PRIMARY KEY (tenant_id, id)"""

TABLES = (
    "CREATE TABLE studio_ids (studio_id uuid PRIMARY KEY)",
    f"""
    CREATE TABLE studios (
        tenant_id uuid PRIMARY KEY REFERENCES studio_ids,
        display_name text NOT NULL CHECK (display_name <> ''),
        time_zone text NOT NULL,
        currency_code text NOT NULL CHECK (currency_code ~ '^[A-Z]{{3}}$'),
        {VERSIONED}
    )""",
    f"""
    CREATE TABLE locations (
        {CATALOGUED},
        address text NOT NULL,
        time_zone text NOT NULL
    )""",
    f"""
    CREATE TABLE rooms (
        {CATALOGUED},
        location_id uuid NOT NULL,
        capacity integer NOT NULL CHECK (capacity > 0),
        spots text[] NOT NULL,
        CONSTRAINT ck_rooms_spots CHECK (cardinality(spots) IN (0, capacity)),
        FOREIGN KEY (tenant_id, location_id) REFERENCES locations
    )""",
    f"""
    CREATE TABLE class_types (
        {CATALOGUED},
        description text NOT NULL,
        duration_minutes integer NOT NULL CHECK (duration_minutes > 0)
    )""",
    f"""
    CREATE TABLE instructors (
        {CATALOGUED},
        account_id uuid,
        class_type_ids uuid[] NOT NULL
    )""",
    f"""
    CREATE TABLE class_sessions (
        tenant_id uuid NOT NULL REFERENCES studios,
        id uuid NOT NULL,
        class_type_id uuid NOT NULL,
        room_id uuid NOT NULL,
        instructor_id uuid NOT NULL,
        start_at timestamptz NOT NULL,
        end_at timestamptz NOT NULL,
        time_version integer NOT NULL,
        capacity integer NOT NULL CHECK (capacity > 0),
        cancelled boolean NOT NULL,
        cancel_reason text NOT NULL,
        {VERSIONED},
        PRIMARY KEY (tenant_id, id),
        FOREIGN KEY (tenant_id, class_type_id) REFERENCES class_types,
        FOREIGN KEY (tenant_id, room_id) REFERENCES rooms,
        FOREIGN KEY (tenant_id, instructor_id) REFERENCES instructors,
        -- overlap queries look back by no more than the longest session
        CONSTRAINT ck_class_sessions_length CHECK (end_at > start_at AND end_at - start_at <= interval '8 hours'),
        CONSTRAINT ex_class_sessions_room
            EXCLUDE USING gist (tenant_id WITH =, room_id WITH =, tstzrange(start_at, end_at) WITH &&)
            WHERE (NOT cancelled),
        CONSTRAINT ex_class_sessions_instructor
            EXCLUDE USING gist (tenant_id WITH =, instructor_id WITH =, tstzrange(start_at, end_at) WITH &&)
            WHERE (NOT cancelled)
    )""",
    # Serves lists, "still in use" and overlap look-ups: within one studio and a few hours little is left to filter.
    "CREATE INDEX ix_class_sessions_start_at ON class_sessions (tenant_id, start_at, id)",
)


def upgrade() -> None:
    create_chassis_tables(APP_ROLE)
    for statement in TABLES:
        op.execute(statement)
    op.execute(f"GRANT SELECT, INSERT ON studio_ids TO {APP_ROLE}")
    for table in ("studios", "locations", "rooms", "class_types", "instructors", "class_sessions"):
        guard(table, APP_ROLE)
