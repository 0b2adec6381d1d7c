"""Calendar feeds, and when a session was last changed."""

from alembic import op

from services.chassis.db.migrations import guard
from services.chassis.db.urls import role_name

revision = "0004"
down_revision = "0003"

APP_ROLE = role_name("booking", "app")

STATEMENTS = (
    """
    CREATE TABLE calendar_feeds (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        subject_collection text NOT NULL CHECK (subject_collection IN ('clients', 'instructors', 'rooms')),
        subject_id uuid NOT NULL,
        account_id uuid CHECK (account_id IS NULL OR subject_collection <> 'rooms'),
        token_sha256 bytea NOT NULL CHECK (length(token_sha256) = 32),
        hint text NOT NULL,
        create_time timestamptz NOT NULL,
        last_used_time timestamptz,
        revoke_time timestamptz,
        CONSTRAINT pk_calendar_feeds PRIMARY KEY (tenant_id, id)
    )""",
    "CREATE UNIQUE INDEX uq_calendar_feeds_token_sha256 ON calendar_feeds (token_sha256)",
    "CREATE INDEX ix_calendar_feeds_subject_id ON calendar_feeds (subject_id)",
    "CREATE INDEX ix_class_sessions_instructor_id ON class_sessions (instructor_id, start_time)",
    "CREATE INDEX ix_class_sessions_room_id ON class_sessions (room_id, start_time)",
    # What is there was changed at the latest now; the next version says when.
    "ALTER TABLE class_sessions ADD update_time timestamptz NOT NULL DEFAULT now()",
    # 0002 has emptied the projection. The tick that loads an empty one may come after the first event.
    "INSERT INTO jobs (id, kind, dedup_key, due_at) VALUES (gen_random_uuid(), 'load_class_sessions', '0004', now())",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    guard("calendar_feeds", APP_ROLE)
