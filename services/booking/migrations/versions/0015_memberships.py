"""Packages of memberships: one for each paid period."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.execute("""
        ALTER TABLE client_packages
            DROP CONSTRAINT client_packages_kind_check,
            ADD CONSTRAINT ck_client_packages_kind CHECK (kind IN ('PACK', 'COMP', 'MEMBERSHIP', 'UNLIMITED'))""")
