"""Kinds of what is sold."""

from pathlib import Path

from alembic import op

from services.chassis.db.migrations import install_function

revision = "0002"
down_revision = "0001"

SQL = Path(__file__).parents[2] / "sql"

STATEMENTS = (
    """
    ALTER TABLE pricing_options
        ADD COLUMN kind text NOT NULL DEFAULT 'CLASS_PACK',
        ADD CONSTRAINT ck_pricing_options_kind CHECK (kind IN ('CLASS_PACK', 'FEE')),
        ADD CONSTRAINT uq_pricing_options_kind UNIQUE (tenant_id, id, kind)""",
    # Nothing to validate: all are class packs, and the owner sees no rows.
    """
    ALTER TABLE purchases
        ADD COLUMN kind text NOT NULL DEFAULT 'CLASS_PACK',
        ADD CONSTRAINT fk_purchases_kind FOREIGN KEY (tenant_id, pricing_option_id, kind)
            REFERENCES pricing_options (tenant_id, id, kind) NOT VALID,
        DROP CONSTRAINT ck_purchases_fulfilled,
        ADD CONSTRAINT ck_purchases_fulfilled
            CHECK ((kind = 'CLASS_PACK' AND state = 'FULFILLED') = (client_package_id IS NOT NULL))""",
    # Which kinds have credits, `kinds` knows.
    """
    ALTER TABLE pricing_option_terms
        DROP CONSTRAINT pricing_option_terms_credits_check,
        ADD CONSTRAINT ck_pricing_option_terms_credits CHECK (credits >= 0)""",
    "ALTER TABLE pricing_options ALTER COLUMN kind DROP DEFAULT",
    "ALTER TABLE purchases ALTER COLUMN kind DROP DEFAULT",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    install_function(SQL / "guard_purchase_v2.sql")
