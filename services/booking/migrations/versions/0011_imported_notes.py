"""Imports of notes."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.execute(
        "ALTER TABLE imports DROP CONSTRAINT imports_kind_check, ADD CONSTRAINT ck_imports_kind"
        " CHECK (kind IN ('CLIENTS', 'CLIENT_PACKAGES', 'CLIENT_NOTES', 'BOOKINGS'))"
    )
