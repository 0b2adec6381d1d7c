"""Marking the absent, codes for checking oneself in, payments of single places and the end of their holds."""

from pathlib import Path

from alembic import op

from services.chassis.db.migrations import guard, install_function
from services.chassis.db.urls import role_name

revision = "0007"
down_revision = "0006"

APP_ROLE = role_name("booking", "app")
SQL = Path(__file__).parents[2] / "sql"

STATEMENTS = (
    """
    ALTER TABLE booking_policies ADD no_show_marking text NOT NULL DEFAULT 'WHEN_CHECKED_IN'
        CHECK (no_show_marking IN ('NEVER', 'WHEN_CHECKED_IN', 'ALWAYS'))""",
    # How often a code was tried for a booking.
    """
    CREATE TABLE check_in_attempts (
        tenant_id uuid NOT NULL,
        booking_id uuid NOT NULL,
        attempts integer NOT NULL CHECK (attempts BETWEEN 1 AND 5),
        CONSTRAINT pk_check_in_attempts PRIMARY KEY (tenant_id, booking_id),
        FOREIGN KEY (tenant_id, booking_id) REFERENCES bookings
    )""",
    # What paid for a single place: a payment of payments, or money at the desk and then in which way.
    """
    CREATE TABLE drop_in_payments (
        tenant_id uuid NOT NULL,
        booking_id uuid NOT NULL,
        payment_id uuid,
        reason text NOT NULL DEFAULT '',
        create_time timestamptz NOT NULL,
        CONSTRAINT pk_drop_in_payments PRIMARY KEY (tenant_id, booking_id),
        FOREIGN KEY (tenant_id, booking_id) REFERENCES bookings,
        CONSTRAINT uq_drop_in_payments_payment_id UNIQUE (tenant_id, payment_id),
        CONSTRAINT ck_drop_in_payments_source CHECK ((payment_id IS NULL) = (reason <> ''))
    )""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    guard("check_in_attempts", APP_ROLE, privileges="SELECT, INSERT, UPDATE, DELETE")
    guard("drop_in_payments", APP_ROLE, privileges="SELECT, INSERT")
    install_function(SQL / "expire_hold_v1.sql")
