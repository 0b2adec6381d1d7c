"""Which wallets appear on our pages; payments that a bank takes days for."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Columns."""
    op.execute("ALTER TABLE merchant_accounts ADD COLUMN wallets text[] NOT NULL DEFAULT '{}'")
    op.execute("ALTER TABLE payments ADD COLUMN processing boolean NOT NULL DEFAULT false")
    op.execute("ALTER TABLE payments ADD COLUMN read_time timestamptz")


def downgrade() -> None:
    """Back."""
    op.execute("ALTER TABLE payments DROP COLUMN processing, DROP COLUMN read_time")
    op.execute("ALTER TABLE merchant_accounts DROP COLUMN wallets")
