"""What the providers of messages tell."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from services.chassis.db.urls import role_name

revision = "0003"
down_revision = "0002"

APP_ROLE = role_name("notify", "app")


def upgrade() -> None:
    when = sa.DateTime(timezone=True)
    op.create_table(
        "provider_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("payload", postgresql.JSONB(), nullable=False),
        sa.Column("create_time", when, nullable=False),
        sa.Column("apply_time", when),
        sa.PrimaryKeyConstraint("id", name="pk_provider_events"),
        sa.UniqueConstraint(
            "provider", "account", "external_id", name="uq_provider_events_provider_account_external_id"
        ),
    )
    op.create_index("ix_provider_events_create_time", "provider_events", ["create_time"])
    # Whose event it is only its content tells, so no studio guards it.
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON provider_events TO {APP_ROLE}")
