"""What messages about bookings need to know travels with their events."""

from pathlib import Path

from alembic import op

from services.chassis.db.migrations import install_function

revision = "0010"
down_revision = "0009"

SQL = Path(__file__).parents[2] / "sql"

REPLACED = ("book_v2", "booking_changed_v2")
# In the order of their dependence.
FUNCTIONS = ("booking_changed_v3", "book_v3")


def upgrade() -> None:
    for function in REPLACED:
        op.execute(f"DROP FUNCTION {function}")
    for name in FUNCTIONS:
        install_function(SQL / f"{name}.sql")
    # Told with each change of a booking: whether it came from the waitlist.
    op.execute(
        "CREATE INDEX ix_waitlist_entries_booking_id ON waitlist_entries (booking_id) WHERE booking_id IS NOT NULL"
    )
