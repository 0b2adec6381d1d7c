"""Of texts with the same words to the same number one is on its way at a time; old deliveries go."""

import sqlalchemy as sa
from alembic import op

from services.chassis.db.urls import role_name

revision = "0007"
down_revision = "0005"

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
