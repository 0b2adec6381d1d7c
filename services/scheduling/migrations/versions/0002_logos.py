"""A studio's logo."""

from alembic import op

from services.chassis.db.migrations import create_blob_tables
from services.chassis.db.urls import role_name

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    create_blob_tables(role_name("scheduling", "app"))
    op.execute("ALTER TABLE studios ADD COLUMN logo bytea")
