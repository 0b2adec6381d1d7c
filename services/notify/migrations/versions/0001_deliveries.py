"""Chassis tables and deliveries."""

import sqlalchemy as sa
from alembic import op

from services.chassis.db.migrations import create_chassis_tables, guard, run_script
from services.chassis.db.urls import role_name

revision = "0001"
down_revision = None

APP_ROLE = role_name("notify", "app")

# A delivery moves forward only; an outcome is final. From `sending` back to `pending`: the provider certainly did not
# accept it. A wrong step is a programming error, so it is an exception and not a silent no-op.
STATE_GUARD = """
CREATE FUNCTION guard_delivery_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' AND NEW.state = 'pending' THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND (
        OLD.state = 'pending' AND NEW.state IN ('pending', 'sending', 'skipped', 'failed')
        OR OLD.state = 'sending' AND NEW.state IN ('sending', 'pending', 'accepted', 'skipped', 'failed')
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a delivery cannot become % that way', NEW.state USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER delivery_state BEFORE INSERT OR UPDATE ON deliveries
    FOR EACH ROW EXECUTE FUNCTION guard_delivery_state();
"""


def upgrade() -> None:
    create_chassis_tables(APP_ROLE)
    op.create_table(
        "deliveries",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("due_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_attempt_time", sa.DateTime(timezone=True)),
        sa.Column("accept_time", sa.DateTime(timezone=True)),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("provider_message_id", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_deliveries"),
        sa.UniqueConstraint(
            "tenant_id", "kind", "subject_id", "channel", name="uq_deliveries_tenant_id_kind_subject_id_channel"
        ),
        sa.CheckConstraint(
            "kind IN ('booking_confirmation', 'invitation', 'password_reset')", name="ck_deliveries_kind"
        ),
        sa.CheckConstraint("channel IN ('email')", name="ck_deliveries_channel"),
        sa.CheckConstraint(
            "state IN ('pending', 'sending', 'accepted', 'skipped', 'failed')", name="ck_deliveries_state"
        ),
        sa.CheckConstraint("attempts BETWEEN 0 AND 3", name="ck_deliveries_attempts"),
        sa.CheckConstraint("(state = 'accepted') = (accept_time IS NOT NULL)", name="ck_deliveries_accept_time"),
        sa.CheckConstraint("state NOT IN ('skipped', 'failed') OR reason <> ''", name="ck_deliveries_reason"),
    )
    op.create_index("ix_deliveries_tenant_id_subject_id", "deliveries", ["tenant_id", "subject_id"])
    run_script(STATE_GUARD)
    guard("deliveries", APP_ROLE)
