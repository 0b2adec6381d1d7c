"""Recurring classes: schedules, what generation made of them, closures and availability."""

from alembic import op

from services.chassis.db.migrations import guard
from services.chassis.db.urls import role_name

revision = "0003"
down_revision = "0002"

APP_ROLE = role_name("scheduling", "app")

VERSIONED = """
    version integer NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now()"""

TENANTED = """
    tenant_id uuid NOT NULL REFERENCES studios,
    id uuid NOT NULL,
    PRIMARY KEY (tenant_id, id)"""

CATALOGUED = f"""
    {TENANTED},
    display_name text NOT NULL CHECK (display_name <> ''),
    archive_time timestamptz,
    {VERSIONED}"""

ATTENTIONS = (
    "''",
    "'ROOM_DELETED'",
    "'LOCATION_DELETED'",
    "'INSTRUCTOR_DELETED'",
    "'CLASS_TYPE_DELETED'",
    "'CLASS_TYPE_NOT_TAUGHT'",
    "'RULE_UNREADABLE'",
)

STATEMENTS = (
    """
    ALTER TABLE studios
        ADD COLUMN generation_weeks integer NOT NULL DEFAULT 4 CHECK (generation_weeks BETWEEN 1 AND 8)""",
    f"""
    CREATE TABLE class_schedules (
        {CATALOGUED},
        class_type_id uuid NOT NULL,
        room_id uuid NOT NULL,
        instructor_id uuid NOT NULL,
        rrule text NOT NULL,
        start_date date NOT NULL,
        -- the last day; NULL for no end
        end_date date,
        -- wall time at the room's location
        local_time time NOT NULL,
        duration_minutes integer NOT NULL CHECK (duration_minutes BETWEEN 1 AND 480),
        capacity integer NOT NULL CHECK (capacity > 0),
        -- the first schedule of a series that was edited from a date on
        series_id uuid NOT NULL,
        attention text NOT NULL CHECK (attention IN ({", ".join(ATTENTIONS)})),
        CONSTRAINT ck_class_schedules_end CHECK (end_date >= start_date),
        FOREIGN KEY (tenant_id, class_type_id) REFERENCES class_types,
        FOREIGN KEY (tenant_id, room_id) REFERENCES rooms,
        FOREIGN KEY (tenant_id, instructor_id) REFERENCES instructors,
        FOREIGN KEY (tenant_id, series_id) REFERENCES class_schedules
    )""",
    """
    ALTER TABLE class_sessions
        ADD COLUMN schedule_id uuid,
        -- the date as the schedule's rule has it, wherever the session was moved
        ADD COLUMN original_date date,
        ADD COLUMN auto_generated boolean NOT NULL DEFAULT false,
        -- changed by hand: edits of the series leave it alone
        ADD COLUMN series_exception boolean NOT NULL DEFAULT false,
        ADD CONSTRAINT ck_class_sessions_series
            CHECK ((schedule_id IS NULL) = (original_date IS NULL) AND (schedule_id IS NOT NULL OR NOT auto_generated)),
        ADD FOREIGN KEY (tenant_id, schedule_id) REFERENCES class_schedules""",
    # A date of a schedule has one session, cancelled or moved ones included. Read by ranges of dates.
    """
    CREATE UNIQUE INDEX uq_class_sessions_original_date ON class_sessions (tenant_id, original_date, schedule_id)
        WHERE schedule_id IS NOT NULL""",
    # Dates that somebody left out for good. The other exceptions of a series are sessions.
    """
    CREATE TABLE skipped_dates (
        tenant_id uuid NOT NULL REFERENCES studios,
        original_date date NOT NULL,
        schedule_id uuid NOT NULL,
        create_time timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, original_date, schedule_id),
        FOREIGN KEY (tenant_id, schedule_id) REFERENCES class_schedules
    )""",
    f"""
    CREATE TABLE closures (
        {CATALOGUED},
        -- NULL for the whole studio
        location_id uuid,
        start_date date NOT NULL,
        -- the last day
        end_date date NOT NULL,
        CONSTRAINT ck_closures_end CHECK (end_date >= start_date),
        FOREIGN KEY (tenant_id, location_id) REFERENCES locations
    )""",
    "CREATE INDEX ix_closures_end_date ON closures (tenant_id, end_date, id) WHERE archive_time IS NULL",
    # The id is the instructor's.
    f"""
    CREATE TABLE availabilities (
        {TENANTED},
        -- [{{"weekday": 1, "start_minute": 540, "end_minute": 1020}}, ...]; 1 is Monday, minutes of wall time
        windows jsonb NOT NULL CHECK (jsonb_typeof(windows) = 'array'),
        {VERSIONED},
        FOREIGN KEY (tenant_id, id) REFERENCES instructors
    )""",
    f"""
    CREATE TABLE availability_exceptions (
        {TENANTED},
        instructor_id uuid NOT NULL,
        kind text NOT NULL CHECK (kind IN ('AWAY', 'EXTRA')),
        start_date date NOT NULL,
        -- the last day
        end_date date NOT NULL,
        -- of each of the days, in wall time; 0 and 1440 for the whole day
        start_minute integer NOT NULL,
        end_minute integer NOT NULL,
        {VERSIONED},
        CONSTRAINT ck_availability_exceptions_end CHECK (end_date >= start_date),
        CONSTRAINT ck_availability_exceptions_minutes
            CHECK (start_minute >= 0 AND end_minute > start_minute AND end_minute <= 1440),
        FOREIGN KEY (tenant_id, instructor_id) REFERENCES instructors
    )""",
    "CREATE INDEX ix_availability_exceptions_end_date ON availability_exceptions (tenant_id, end_date, id)",
    f"""
    CREATE TABLE generation_runs (
        {TENANTED},
        cause text NOT NULL CHECK (cause IN ('WEEKLY', 'ON_DEMAND')),
        schedule_id uuid,
        horizon_weeks integer NOT NULL,
        schedule_count integer NOT NULL,
        created_count integer NOT NULL,
        existing_count integer NOT NULL,
        conflict_count integer NOT NULL,
        skipped_count integer NOT NULL,
        attention_count integer NOT NULL,
        -- the first of them only
        dates jsonb NOT NULL,
        unserved jsonb NOT NULL,
        duration_ms integer NOT NULL,
        create_time timestamptz NOT NULL,
        FOREIGN KEY (tenant_id, schedule_id) REFERENCES class_schedules
    )""",
    # When the studio's latest weekly run was.
    "CREATE INDEX ix_generation_runs_weekly ON generation_runs (tenant_id, create_time) WHERE cause = 'WEEKLY'",
    f"""
    CREATE TABLE schedule_conflicts (
        {TENANTED},
        schedule_id uuid NOT NULL,
        original_date date NOT NULL,
        start_at timestamptz NOT NULL,
        end_at timestamptz NOT NULL,
        -- [{{"kind": "ROOM_TAKEN", "class_session": "<id>"}}, ...] as of the latest generation
        clashes jsonb NOT NULL CHECK (jsonb_typeof(clashes) = 'array'),
        state text NOT NULL CHECK (state IN ('OPEN', 'SKIPPED', 'RESOLVED')),
        resolution text NOT NULL CHECK (resolution IN ('', 'PLANNED', 'SKIPPED_BY_HAND', 'CLEARED')),
        force_reason text NOT NULL,
        class_session_id uuid,
        {VERSIONED},
        CONSTRAINT ck_schedule_conflicts_resolution CHECK ((state = 'RESOLVED') = (resolution <> '')),
        CONSTRAINT uq_schedule_conflicts_original_date UNIQUE (tenant_id, original_date, schedule_id),
        FOREIGN KEY (tenant_id, schedule_id) REFERENCES class_schedules,
        FOREIGN KEY (tenant_id, class_session_id) REFERENCES class_sessions
    )""",
    "CREATE INDEX ix_schedule_conflicts_start_at ON schedule_conflicts (tenant_id, state, start_at, id)",
)


def upgrade() -> None:
    # The new key is checked by a query under row level security. There is no row it could find at fault.
    op.execute("SELECT set_config('app.tenants', '{}', true)")
    for statement in STATEMENTS:
        op.execute(statement)
    for table in ("class_schedules", "closures", "availabilities", "schedule_conflicts"):
        guard(table, APP_ROLE)
    for table in ("skipped_dates", "availability_exceptions"):
        guard(table, APP_ROLE, privileges="SELECT, INSERT, UPDATE, DELETE")
    guard("generation_runs", APP_ROLE, privileges="SELECT, INSERT")
