"""Of texts with the same words to the same number one is on its way at a time; old deliveries go; merged clients."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from services.chassis.db.migrations import guard
from services.chassis.db.urls import role_name

revision = "0007"
down_revision = "0006"

APP_ROLE = role_name("notify", "app")


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("words_hash", sa.LargeBinary()))
    op.create_index(
        "uq_deliveries_words",
        "deliveries",
        ["tenant_id", "words_hash"],
        unique=True,
        postgresql_where=sa.text("words_hash IS NOT NULL AND state IN ('sending', 'unknown')"),
    )
    op.execute(f"GRANT DELETE ON deliveries TO {APP_ROLE}")
    op.create_table(
        "client_merges",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("survivor_id", sa.Uuid(), nullable=False),
        sa.Column("duplicate_id", sa.Uuid(), nullable=False),
        sa.Column("undone", sa.Boolean(), nullable=False),
        sa.Column("taken", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_client_merges"),
    )
    for column in ("survivor_id", "duplicate_id"):
        op.create_index(f"ix_client_merges_tenant_id_{column}", "client_merges", ["tenant_id", column])
    guard("client_merges", APP_ROLE)
