"""All kinds and channels; a delivery tells its story and is its own job; what reminders are derived from."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from services.chassis.db.migrations import guard, guard_queue, run_script
from services.chassis.db.urls import role_name

revision = "0002"
down_revision = "0001"

APP_ROLE = role_name("notify", "app")
KINDS = (
    "'booking_confirmation', 'reminder', 'waitlist_promoted', 'waitlist_offer', 'class_cancelled', 'class_changed',"
    " 'fee_due', 'invitation', 'password_reset', 'generation_summary', 'delivery_alert', 'receipt'"
)
CHECKS = {
    "kind": f"kind IN ({KINDS})",
    "channel": "channel IN ('email', 'sms', 'push')",
    "state": "state IN ('pending', 'sending', 'unknown', 'accepted', 'delivered', 'skipped', 'failed')",
    "outcome": "outcome IN ('', 'delivered', 'bounced', 'complained', 'failed')",
    "offset_minutes": "offset_minutes >= 0",
    "accept_time": "state NOT IN ('accepted', 'delivered') OR accept_time IS NOT NULL",
}
WAITING = "state IN ('pending', 'sending', 'unknown') AND announced_at IS NULL"

# A delivery moves forward. What the provider certainly did not take goes back to `pending`; what was skipped before
# anything was sent is armed again when its reason has gone. The provider's word comes last and may correct ours. A
# wrong step is a programming error, so it is an exception and not a silent no-op.
STATE_GUARD = """
CREATE OR REPLACE FUNCTION guard_delivery_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' AND NEW.state IN ('pending', 'skipped') THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.state = OLD.state AND NEW.attempts = OLD.attempts
        AND (NEW.reason, NEW.outcome, NEW.accept_time) IS NOT DISTINCT FROM (OLD.reason, OLD.outcome, OLD.accept_time)
    THEN
        RETURN NEW;
    END IF;
    -- A call that was not made after all is not counted.
    IF TG_OP = 'UPDATE' AND NEW.attempts >= OLD.attempts - (
        OLD.state = 'sending' AND NEW.state IN ('pending', 'sending'))::int AND (
        OLD.state = 'pending' AND NEW.state IN ('pending', 'sending', 'skipped', 'failed')
        OR OLD.state = 'sending' AND NEW.state IN (
            'sending', 'pending', 'unknown', 'accepted', 'delivered', 'skipped', 'failed')
        OR OLD.state = 'unknown' AND NEW.state IN ('unknown', 'accepted', 'delivered', 'skipped', 'failed')
        OR OLD.state = 'accepted' AND NEW.state IN ('delivered', 'failed') AND NEW.outcome <> ''
        OR OLD.state = 'delivered' AND NEW.state IN ('delivered', 'failed') AND NEW.outcome <> ''
        OR OLD.state = 'skipped' AND NEW.state = 'pending' AND OLD.attempts = 0
        OR OLD.state = 'skipped' AND NEW.state IN ('accepted', 'delivered') AND OLD.attempts > 0
        OR OLD.state = 'failed' AND NEW.state IN ('accepted', 'delivered') AND OLD.attempts > 0
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a delivery cannot become % that way', NEW.state USING ERRCODE = 'check_violation';
END $$;
"""


def upgrade() -> None:
    _widen_deliveries()
    op.create_table(
        "reminded_bookings",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("class_session_id", sa.Uuid(), nullable=False),
        sa.Column("class_type_id", sa.Uuid(), nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.Column("time_version", sa.BigInteger(), nullable=False),
        sa.Column("change_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_reminded_bookings"),
    )
    for column in ("client_id", "start_time"):
        op.create_index(f"ix_reminded_bookings_tenant_id_{column}", "reminded_bookings", ["tenant_id", column])
    guard("reminded_bookings", APP_ROLE, privileges="SELECT, INSERT, UPDATE, DELETE")
    op.create_table(
        "reminder_settings",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("offsets", postgresql.JSONB(), nullable=False),
        sa.Column("class_types", postgresql.JSONB(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_reminder_settings"),
    )
    guard("reminder_settings", APP_ROLE)


def _widen_deliveries() -> None:
    op.execute("DROP TRIGGER delivery_state ON deliveries")
    for name in ("kind", "channel", "state", "accept_time"):
        op.drop_constraint(f"ck_deliveries_{name}", "deliveries")
    op.drop_constraint("uq_deliveries_tenant_id_kind_subject_id_channel", "deliveries")
    op.drop_index("ix_deliveries_tenant_id_subject_id", "deliveries")
    when = sa.DateTime(timezone=True)
    for column in (
        sa.Column("offset_minutes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("time_version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("client_id", sa.Uuid()),
        sa.Column("booking_id", sa.Uuid()),
        sa.Column("class_session_id", sa.Uuid()),
        sa.Column("args", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("outcome", sa.String(), server_default="", nullable=False),
        sa.Column("useful_until", when),
        sa.Column("outcome_time", when),
        sa.Column("alert_time", when),
        sa.Column("provider", sa.String(), server_default="", nullable=False),
        sa.Column("story", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("due_at", when),
        sa.Column("retry_at", when),
        sa.Column("announced_at", when),
        sa.Column("lease_until", when),
        sa.Column("lease_token", sa.Uuid()),
        sa.Column("runs", sa.Integer(), server_default="0", nullable=False),
        sa.Column("traceparent", sa.String()),
    ):
        op.add_column("deliveries", column)
    for name, default in (("state", "pending"), ("attempts", "0"), ("provider_message_id", ""), ("reason", "")):
        op.alter_column("deliveries", name, server_default=default)
    # Of all studios at once, which row level security keeps from everybody, its owner too.
    op.execute("ALTER TABLE deliveries NO FORCE ROW LEVEL SECURITY")
    op.execute(
        "UPDATE deliveries SET due_at = due_time, alert_time = create_time, booking_id = "
        "CASE WHEN kind = 'booking_confirmation' THEN subject_id END,"
        " provider = CASE WHEN provider_message_id <> '' THEN 'resend' ELSE '' END"
    )
    op.execute("ALTER TABLE deliveries FORCE ROW LEVEL SECURITY")
    op.alter_column("deliveries", "due_at", nullable=False)
    for name, condition in CHECKS.items():
        op.create_check_constraint(f"ck_deliveries_{name}", "deliveries", condition)
    op.create_unique_constraint(
        "uq_deliveries_once",
        "deliveries",
        ["tenant_id", "kind", "subject_id", "offset_minutes", "channel", "time_version"],
    )
    for name, columns, where in (
        ("tenant_id_booking_id", ["tenant_id", "booking_id"], "booking_id IS NOT NULL"),
        ("tenant_id_client_id_id", ["tenant_id", "client_id", "id"], "client_id IS NOT NULL"),
        ("provider_message_id", ["provider", "provider_message_id"], "provider_message_id <> ''"),
        ("id", ["id"], None),
        ("waiting", ["due_at", "id"], WAITING),
        ("announced", ["due_at"], "announced_at IS NOT NULL"),
        ("to_tell", ["tenant_id"], "state = 'failed' AND alert_time IS NULL"),
    ):
        op.create_index(
            f"ix_deliveries_{name}",
            "deliveries",
            columns,
            # A message of a provider's is one of ours.
            unique=name == "provider_message_id",
            postgresql_where=sa.text(where) if where else None,
        )
    # Room for what a page's rows become within a minute: a claim then touches no index.
    op.execute("ALTER TABLE deliveries SET (fillfactor = 70)")
    run_script(STATE_GUARD)
    # Announcing and claiming, which change none of these, do without.
    op.execute(
        "CREATE TRIGGER delivery_state BEFORE INSERT OR UPDATE OF state, attempts, reason, outcome, accept_time"
        " ON deliveries FOR EACH ROW EXECUTE FUNCTION guard_delivery_state()"
    )
    guard_queue("deliveries", APP_ROLE)
    # Each delivery is its own job from here on.
    op.execute("DELETE FROM jobs WHERE kind = 'send_delivery'")
