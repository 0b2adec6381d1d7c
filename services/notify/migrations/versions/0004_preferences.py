"""Preferences, consent, suppressions, senders, templates, warnings."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from services.chassis.db.migrations import guard
from services.chassis.db.urls import role_name

revision = "0004"
down_revision = "0003"

APP_ROLE = role_name("notify", "app")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "studios",
        _tenant(),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_studios"),
    )
    op.create_table(
        "senders",
        _tenant(),
        *_texts("mail_name", "mail_address", "reply_to", "sms_number", "postal_address"),
        *_versioned(),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_senders"),
    )
    op.create_table(
        "sender_numbers",
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("studio_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_sender_numbers"),
        sa.UniqueConstraint("studio_id", name="uq_sender_numbers_studio_id"),
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON sender_numbers TO {APP_ROLE}")
    op.create_table(
        "client_preferences",
        _tenant(),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("opt_outs", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("offsets", JSONB(), nullable=False),
        sa.Column("quiet_start", sa.Time()),
        sa.Column("quiet_end", sa.Time()),
        *_texts("time_zone", "language"),
        *_versioned(),
        sa.PrimaryKeyConstraint("tenant_id", "client_id", name="pk_client_preferences"),
        sa.CheckConstraint("(quiet_start IS NULL) = (quiet_end IS NULL)", name="ck_client_preferences_quiet_hours"),
        sa.CheckConstraint("quiet_start <> quiet_end", name="ck_client_preferences_quiet_length"),
    )
    op.create_table(
        "consents",
        _tenant(),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid()),
        sa.Column("address_hash", sa.LargeBinary()),
        *_texts("channel", "kind"),
        sa.Column("granted", sa.Boolean(), nullable=False),
        *_texts("source", "principal"),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_consents"),
        sa.CheckConstraint("(client_id IS NULL) <> (address_hash IS NULL)", name="ck_consents_who"),
    )
    op.create_index("ix_consents_tenant_id_client_id_id", "consents", ["tenant_id", "client_id", "id"])
    op.create_table(
        "address_keys",
        _tenant(),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_address_keys"),
    )
    op.create_table(
        "suppressions",
        _tenant(),
        *_texts("channel"),
        sa.Column("address_hash", sa.LargeBinary(), nullable=False),
        *_texts("reason"),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "channel", "address_hash", "reason", name="pk_suppressions"),
    )
    op.create_table(
        "message_templates",
        _tenant(),
        sa.Column("id", sa.Uuid(), nullable=False),
        *_texts("kind", "channel", "language", "subject", "html", "text"),
        *_versioned(),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_message_templates"),
    )
    op.create_table(
        "dismissed_warnings",
        _tenant(),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("dismiss_time", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "client_id", name="pk_dismissed_warnings"),
    )
    op.create_index("ix_deliveries_tenant_id_due_time", "deliveries", ["tenant_id", "due_time"])
    op.create_index(
        "ix_deliveries_failed",
        "deliveries",
        ["tenant_id", "client_id"],
        postgresql_where=sa.text("state = 'failed'"),
    )
    for table in ("studios", "senders", "suppressions"):
        guard(table, APP_ROLE)
    # What was said stays said, and a key that changed would forget whom not to write to.
    for table in ("consents", "address_keys"):
        guard(table, APP_ROLE, privileges="SELECT, INSERT")
    for table in ("client_preferences", "dismissed_warnings", "message_templates"):
        guard(table, APP_ROLE, privileges="SELECT, INSERT, UPDATE, DELETE")


def _tenant() -> sa.Column[object]:
    return sa.Column("tenant_id", sa.Uuid(), nullable=False)


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String(), nullable=False) for name in names]


def _versioned() -> list[sa.Column[object]]:
    return [
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("create_time", _TIME, server_default=sa.func.now(), nullable=False),
        sa.Column("update_time", _TIME, server_default=sa.func.now(), nullable=False),
    ]
