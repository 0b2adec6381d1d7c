"""A signed waiver as a term of the policy; who was absent may be expected again."""

from pathlib import Path

from alembic import op

from services.chassis.db.migrations import install_function

revision = "0010"
down_revision = "0009"

SQL = Path(__file__).parents[2] / "sql"

STATEMENTS = (
    "ALTER TABLE booking_policies ADD waiver_required boolean NOT NULL DEFAULT false",
    """
    CREATE OR REPLACE VIEW bookable_sessions WITH (security_invoker = true) AS
    SELECT s.*, p.version AS policy_version, p.cancellation_window_minutes, p.late_cancel_fee_minor,
        p.no_show_fee_minor, p.no_show_grace_minutes, p.max_upcoming_bookings, p.max_daily_bookings, p.max_guests,
        p.drop_in_price_minor, p.drop_in_hold_minutes, p.waitlist_mode, p.waitlist_cutoff_minutes,
        p.waitlist_offer_minutes, p.quiet_start_minute, p.quiet_end_minute, p.late_promotion_decline_minutes,
        p.self_check_in_minutes,
        time_before_v1(s.start_time, s.time_zone, p.booking_opens_hours * 60) AS opens_time,
        time_before_v1(s.start_time, s.time_zone, p.booking_closes_minutes) AS closes_time,
        p.waiver_required
    FROM class_sessions s
    CROSS JOIN LATERAL (
        SELECT * FROM booking_policies p WHERE p.tenant_id = s.tenant_id ORDER BY p.version DESC LIMIT 1
    ) p""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    for name in ("must_sign_v1", "guard_booking_v3"):
        install_function(SQL / f"{name}.sql")
    op.execute("DROP FUNCTION guard_booking_v2")
