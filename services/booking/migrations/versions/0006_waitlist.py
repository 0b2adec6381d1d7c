"""What the waitlist tells the mesh, and which steps an entry may take."""

from pathlib import Path

from services.chassis.db.migrations import install_function

revision = "0006"
down_revision = "0005"

SQL = Path(__file__).parents[2] / "sql"
FUNCTIONS = ("waitlist_entry_changed_v1", "guard_waitlist_entry_v1")


def upgrade() -> None:
    for name in FUNCTIONS:
        install_function(SQL / f"{name}.sql")
