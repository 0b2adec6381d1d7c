"""Which wallets appear on our pages."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """One column."""
    op.execute("ALTER TABLE merchant_accounts ADD COLUMN wallets text[] NOT NULL DEFAULT '{}'")


def downgrade() -> None:
    """Back."""
    op.execute("ALTER TABLE merchant_accounts DROP COLUMN wallets")
