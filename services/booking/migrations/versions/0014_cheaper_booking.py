"""A single booking costs less: one statement locks, one writes; credits move without a search_path of their own."""

from pathlib import Path

from alembic import op

from services.chassis.db.migrations import install_function

revision = "0014"
down_revision = "0013"

SQL = Path(__file__).parents[2] / "sql"


def upgrade() -> None:
    for name in ("move_credits_v3", "book_v4"):
        install_function(SQL / f"{name}.sql")
    op.execute("DROP FUNCTION book_v3")
