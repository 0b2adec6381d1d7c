"""Promo codes and intro offers of memberships; clients who were merged; what was written and never read."""

from pathlib import Path

from alembic import op

from services.chassis.db.migrations import guard, install_function
from services.chassis.db.urls import role_name

revision = "0007"
down_revision = "0006"

APP_ROLE = role_name("payments", "app")
SQL = Path(__file__).parents[2] / "sql"

STATEMENTS = (
    # Nothing to validate: none has a code.
    """
    ALTER TABLE memberships
        ADD COLUMN promo_code_id uuid,
        ADD COLUMN first_total_minor bigint CHECK (first_total_minor >= 0),
        ADD COLUMN intro_offer boolean NOT NULL DEFAULT false,
        ADD CONSTRAINT fk_memberships_promo_code_id FOREIGN KEY (tenant_id, promo_code_id)
            REFERENCES promo_codes NOT VALID,
        ADD CONSTRAINT ck_memberships_first_total CHECK ((promo_code_id IS NULL) = (first_total_minor IS NULL))""",
    "CREATE UNIQUE INDEX uq_memberships_intro_offer ON memberships (tenant_id, client_id)"
    " WHERE intro_offer AND end_reason <> 'NEVER_PAID'",
    """
    CREATE TABLE client_merges (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        survivor_id uuid NOT NULL,
        duplicate_id uuid NOT NULL,
        undone boolean NOT NULL,
        version bigint NOT NULL,
        CONSTRAINT pk_client_merges PRIMARY KEY (tenant_id, id)
    )""",
    "CREATE INDEX ix_client_merges_survivor_id ON client_merges (tenant_id, survivor_id) WHERE NOT undone",
    "CREATE INDEX ix_client_merges_duplicate_id ON client_merges (tenant_id, duplicate_id) WHERE NOT undone",
    "ALTER TABLE customers ADD COLUMN chosen_by uuid",
    f"GRANT UPDATE (chosen_by) ON customers TO {APP_ROLE}",
    "ALTER TABLE provider_events DROP COLUMN apply_time",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    install_function(SQL / "guard_membership_v2.sql")
    guard("client_merges", APP_ROLE)
