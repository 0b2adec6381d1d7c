"""Kinds of what is sold: drop-ins, which are for a place that booking holds, and fees."""

from pathlib import Path

from alembic import op

from services.chassis.db.migrations import guard, install_function
from services.chassis.db.urls import role_name

revision = "0002"
down_revision = "0001"

APP_ROLE = role_name("payments", "app")
SQL = Path(__file__).parents[2] / "sql"

STATEMENTS = (
    """
    ALTER TABLE pricing_options
        ADD COLUMN kind text NOT NULL DEFAULT 'CLASS_PACK',
        ADD CONSTRAINT ck_pricing_options_kind CHECK (kind IN ('CLASS_PACK', 'DROP_IN', 'FEE')),
        ADD CONSTRAINT uq_pricing_options_kind UNIQUE (tenant_id, id, kind)""",
    # Nothing to validate: all are class packs, and the owner sees no rows.
    """
    ALTER TABLE purchases
        ADD COLUMN kind text NOT NULL DEFAULT 'CLASS_PACK',
        ADD COLUMN booking_id uuid,
        ADD COLUMN return_reason text NOT NULL DEFAULT '',
        ADD CONSTRAINT fk_purchases_kind FOREIGN KEY (tenant_id, pricing_option_id, kind)
            REFERENCES pricing_options (tenant_id, id, kind) NOT VALID,
        DROP CONSTRAINT purchases_state_check,
        ADD CONSTRAINT ck_purchases_state CHECK (state IN ('OPEN', 'PAID', 'FULFILLED', 'CANCELLED', 'RETURNED')),
        ADD CONSTRAINT ck_purchases_returned CHECK ((state = 'RETURNED') = (return_reason <> '')),
        ADD CONSTRAINT ck_purchases_booking CHECK (kind <> 'DROP_IN' OR booking_id IS NOT NULL),
        DROP CONSTRAINT ck_purchases_fulfilled,
        ADD CONSTRAINT ck_purchases_fulfilled
            CHECK ((kind = 'CLASS_PACK' AND state = 'FULFILLED') = (client_package_id IS NOT NULL))""",
    "CREATE UNIQUE INDEX uq_purchases_booking_id ON purchases (tenant_id, booking_id)"
    " WHERE kind = 'DROP_IN' AND state NOT IN ('CANCELLED', 'RETURNED')",
    "DROP INDEX uq_purchases_intro_offer",
    "CREATE UNIQUE INDEX uq_purchases_intro_offer ON purchases (tenant_id, client_id)"
    " WHERE intro_offer AND state NOT IN ('CANCELLED', 'RETURNED')",
    # Which kinds have credits, `kinds` knows.
    """
    ALTER TABLE pricing_option_terms
        DROP CONSTRAINT pricing_option_terms_credits_check,
        ADD CONSTRAINT ck_pricing_option_terms_credits CHECK (credits >= 0)""",
    "ALTER TABLE pricing_options ALTER COLUMN kind DROP DEFAULT",
    "ALTER TABLE purchases ALTER COLUMN kind DROP DEFAULT",
    """
    CREATE TABLE drop_in_places (
        tenant_id uuid NOT NULL,
        booking_id uuid NOT NULL,
        state text NOT NULL,
        start_time timestamptz NOT NULL,
        version bigint NOT NULL,
        CONSTRAINT pk_drop_in_places PRIMARY KEY (tenant_id, booking_id)
    )""",
    "ALTER TABLE refunds ADD COLUMN releases_place boolean NOT NULL DEFAULT false",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    install_function(SQL / "guard_purchase_v2.sql")
    guard("drop_in_places", APP_ROLE)
