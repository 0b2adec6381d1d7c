"""Browsers that listen, and news for those who have lost their place."""

import sqlalchemy as sa
from alembic import op

from services.chassis.db.migrations import guard
from services.chassis.db.urls import role_name

revision = "0006"
down_revision = "0005"

KINDS = (
    "'booking_confirmation', 'reminder', 'waitlist_promoted', 'waitlist_offer', 'class_cancelled', 'class_changed',"
    " 'displaced', 'fee_due', 'invitation', 'password_reset', 'generation_summary', 'delivery_alert', 'receipt'"
)


def upgrade() -> None:
    op.create_table(
        "push_subscriptions",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("p256dh", sa.String(), nullable=False),
        sa.Column("auth", sa.String(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_push_subscriptions"),
        sa.UniqueConstraint("tenant_id", "endpoint", "client_id", name="uq_push_subscriptions_once"),
    )
    op.create_index(
        "ix_push_subscriptions_tenant_id_client_id_id", "push_subscriptions", ["tenant_id", "client_id", "id"]
    )
    guard("push_subscriptions", role_name("notify", "app"), privileges="SELECT, INSERT, UPDATE, DELETE")
    op.drop_constraint("ck_deliveries_kind", "deliveries", type_="check")
    op.create_check_constraint("ck_deliveries_kind", "deliveries", f"kind IN ({KINDS})")
