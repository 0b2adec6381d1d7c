"""What messages about bookings need to know travels with their events."""

from pathlib import Path

from alembic import op

from services.chassis.db.migrations import install_function

revision = "0012"
down_revision = "0011"

SQL = Path(__file__).parents[2] / "sql"


def upgrade() -> None:
    for name in ("booking_changed_v3", "book_v3"):
        install_function(SQL / f"{name}.sql")
    op.execute("DROP FUNCTION book_v2, booking_changed_v2")
    # Told with each change of a booking: whether it came from the waitlist.
    op.execute(
        "CREATE INDEX ix_waitlist_entries_booking_id ON waitlist_entries (booking_id) WHERE booking_id IS NOT NULL"
    )
