"""Sessions know their class type, room, location, instructor and the studio's currency."""

from pathlib import Path

from alembic import op

from services.chassis.db.migrations import install_function
from services.chassis.db.urls import role_name

revision = "0002"
down_revision = "0001"

APP_ROLE = role_name("booking", "app")
SQL = Path(__file__).parents[2] / "sql"

COLUMNS = """
    ALTER TABLE class_sessions
        ADD class_type_id uuid NOT NULL,
        ADD room_id uuid NOT NULL,
        ADD location_id uuid NOT NULL,
        ADD instructor_id uuid NOT NULL,
        ADD currency_code text NOT NULL
            CONSTRAINT ck_class_sessions_currency_code CHECK (currency_code ~ '^[A-Z]{3}$')"""

BOOKABLE_SESSIONS = """
    CREATE VIEW bookable_sessions WITH (security_invoker = true) AS
    SELECT s.*, p.version AS policy_version, p.cancellation_window_minutes,
        time_before_v1(s.start_time, s.time_zone, p.booking_opens_hours * 60) AS opens_time,
        time_before_v1(s.start_time, s.time_zone, p.booking_closes_minutes) AS closes_time
    FROM class_sessions s
    CROSS JOIN LATERAL (
        SELECT * FROM booking_policies p WHERE p.tenant_id = s.tenant_id ORDER BY p.version DESC LIMIT 1
    ) p"""


def upgrade() -> None:
    # The functions name the view's row as a type; installed anew, connections that stay open compile them for it again.
    op.execute("DROP FUNCTION book_v1")
    op.execute("DROP FUNCTION refusal_v1")
    op.execute("DROP VIEW bookable_sessions")
    # Only scheduling knows the values: the projection is loaded again by `snapshot_class_sessions_if_empty`.
    op.execute("TRUNCATE class_sessions")
    op.execute(COLUMNS)
    op.execute(BOOKABLE_SESSIONS)
    op.execute(f"GRANT SELECT ON bookable_sessions TO {APP_ROLE}")
    for name in ("refusal", "book"):
        install_function(SQL / f"{name}_v1.sql")
