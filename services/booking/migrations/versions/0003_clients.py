"""More of clients: profile, archive."""

from alembic import op

from services.chassis.db.urls import role_name

revision = "0003"
down_revision = "0002"

APP_ROLE = role_name("booking", "app")

COLUMNS = (
    """
    ALTER TABLE clients
        ADD COLUMN birth_date date,
        ADD COLUMN emergency_contact_name text NOT NULL DEFAULT '',
        ADD COLUMN emergency_contact_phone text
            CONSTRAINT ck_clients_emergency_contact_phone CHECK (emergency_contact_phone ~ '^\\+[1-9][0-9]{6,14}$'),
        ADD COLUMN archive_time timestamptz""",
    # Who is archived leaves the address to whoever comes (back) with it.
    "DROP INDEX uq_clients_email",
    "CREATE UNIQUE INDEX uq_clients_email ON clients (tenant_id, lower(email)) WHERE archive_time IS NULL",
)


def upgrade() -> None:
    for statement in COLUMNS:
        op.execute(statement)
