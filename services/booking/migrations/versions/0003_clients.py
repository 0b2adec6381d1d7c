"""More of clients: profile, archive, guardians."""

from alembic import op

from services.chassis.db.urls import role_name

revision = "0003"
down_revision = "0001"

APP_ROLE = role_name("booking", "app")

COLUMNS = (
    # The migration looks at the rows of all studios.
    "ALTER TABLE clients NO FORCE ROW LEVEL SECURITY",
    """
    ALTER TABLE clients
        ADD COLUMN birth_date date,
        ADD COLUMN emergency_contact_name text NOT NULL DEFAULT '',
        ADD COLUMN emergency_contact_phone text
            CONSTRAINT ck_clients_emergency_contact_phone CHECK (emergency_contact_phone ~ '^\\+[1-9][0-9]{6,14}$'),
        ADD COLUMN archive_time timestamptz,
        ADD COLUMN guardian_id uuid,
        ADD FOREIGN KEY (tenant_id, guardian_id) REFERENCES clients,
        ADD CONSTRAINT ck_clients_guardian CHECK (guardian_id IS NULL OR (guardian_id <> id AND NOT is_self))""",
    "CREATE INDEX ix_clients_guardian_id ON clients (guardian_id) WHERE guardian_id IS NOT NULL",
    # Who shared an account with the person it belongs to was that person's dependant.
    """
    UPDATE clients c SET guardian_id = s.id FROM clients s
    WHERE s.tenant_id = c.tenant_id AND s.account_id = c.account_id AND s.is_self AND NOT c.is_self""",
    "ALTER TABLE clients FORCE ROW LEVEL SECURITY",
    # Who is archived leaves the address to whoever comes (back) with it.
    "DROP INDEX uq_clients_email",
    "CREATE UNIQUE INDEX uq_clients_email ON clients (tenant_id, lower(email)) WHERE archive_time IS NULL",
)


def upgrade() -> None:
    for statement in COLUMNS:
        op.execute(statement)
