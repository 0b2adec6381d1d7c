"""More of clients: profile, archive, guardians, tags, notes, waivers, search, merges."""

from pathlib import Path

from alembic import op

from services.chassis.db.migrations import guard, install_function
from services.chassis.db.urls import role_name

revision = "0003"
down_revision = "0002"

APP_ROLE = role_name("booking", "app")
SQL = Path(__file__).parents[2] / "sql"

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

VERSIONED = """
    version integer NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now()"""

TABLES = (
    """
    CREATE TABLE client_keys (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        client_id uuid NOT NULL,
        wrapped bytea NOT NULL,
        CONSTRAINT pk_client_keys PRIMARY KEY (tenant_id, id),
        FOREIGN KEY (tenant_id, client_id) REFERENCES clients
    )""",
    "CREATE INDEX ix_client_keys_client_id ON client_keys (client_id)",
    f"""
    CREATE TABLE client_tags (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        display_name text NOT NULL CHECK (display_name <> ''),
        {VERSIONED},
        CONSTRAINT pk_client_tags PRIMARY KEY (tenant_id, id)
    )""",
    "CREATE UNIQUE INDEX uq_client_tags_display_name ON client_tags (tenant_id, lower(display_name))",
    """
    CREATE TABLE client_tag_links (
        tenant_id uuid NOT NULL,
        client_id uuid NOT NULL,
        tag_id uuid NOT NULL,
        CONSTRAINT pk_client_tag_links PRIMARY KEY (tenant_id, client_id, tag_id),
        FOREIGN KEY (tenant_id, client_id) REFERENCES clients,
        FOREIGN KEY (tenant_id, tag_id) REFERENCES client_tags ON DELETE CASCADE
    )""",
    "CREATE INDEX ix_client_tag_links_tag_id ON client_tag_links (tag_id, client_id)",
    f"""
    CREATE TABLE client_notes (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        client_id uuid NOT NULL,
        kind text NOT NULL CHECK (kind IN ('GENERAL', 'HEALTH')),
        body bytea NOT NULL,
        key_id uuid NOT NULL,
        author text NOT NULL,
        pinned boolean NOT NULL,
        {VERSIONED},
        CONSTRAINT pk_client_notes PRIMARY KEY (tenant_id, id),
        FOREIGN KEY (tenant_id, client_id) REFERENCES clients
    )""",
    "CREATE INDEX ix_client_notes_client_id ON client_notes (client_id)",
    """
    CREATE TABLE client_merges (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        survivor_id uuid NOT NULL,
        duplicate_id uuid NOT NULL,
        moved jsonb NOT NULL,
        create_time timestamptz NOT NULL,
        undo_time timestamptz,
        CONSTRAINT pk_client_merges PRIMARY KEY (tenant_id, id),
        FOREIGN KEY (tenant_id, survivor_id) REFERENCES clients,
        FOREIGN KEY (tenant_id, duplicate_id) REFERENCES clients,
        CONSTRAINT ck_client_merges_clients CHECK (survivor_id <> duplicate_id)
    )""",
    "CREATE INDEX ix_client_merges_survivor_id ON client_merges (survivor_id)",
    # A client is merged into one other at a time.
    "CREATE UNIQUE INDEX uq_client_merges_duplicate ON client_merges (duplicate_id) WHERE undo_time IS NULL",
    "CREATE INDEX ix_client_merges_create_time ON client_merges (tenant_id, create_time, id)",
    """
    CREATE TABLE waivers (
        tenant_id uuid NOT NULL,
        version integer NOT NULL,
        title text NOT NULL,
        text text NOT NULL,
        create_time timestamptz NOT NULL,
        CONSTRAINT pk_waivers PRIMARY KEY (tenant_id, version)
    )""",
    """
    CREATE TABLE waiver_signatures (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        client_id uuid NOT NULL,
        waiver_version integer NOT NULL,
        typed_name bytea NOT NULL,
        key_id uuid NOT NULL,
        signed_by text NOT NULL,
        recorded_by_staff boolean NOT NULL,
        create_time timestamptz NOT NULL,
        CONSTRAINT pk_waiver_signatures PRIMARY KEY (tenant_id, id),
        FOREIGN KEY (tenant_id, client_id) REFERENCES clients,
        FOREIGN KEY (tenant_id, waiver_version) REFERENCES waivers
    )""",
    "CREATE INDEX ix_waiver_signatures_client_id ON waiver_signatures (client_id, waiver_version)",
    "CREATE INDEX ix_waiver_signatures_create_time ON waiver_signatures (tenant_id, create_time, id)",
)

# Trusted extensions: the owner of the database may create them.
SEARCH = (
    # The one function that reads clients as their owner (search_clients_v1) names the studio itself.
    "CREATE POLICY search ON clients FOR SELECT TO CURRENT_USER USING (true)",
    # Clients change seldom and are looked for all day: nothing waits in a list beside the index.
    """
    CREATE INDEX ix_clients_search ON clients
        USING gin (tenant_id, client_search_text_v1(display_name, email, phone) gin_trgm_ops)
        WITH (fastupdate = off)""",
)


def upgrade() -> None:
    for extension in ("pg_trgm", "btree_gin"):
        op.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")
    for statement in (*COLUMNS, *TABLES):
        op.execute(statement)
    for table in ("client_keys", "client_tags", "client_tag_links", "client_notes"):
        guard(table, APP_ROLE, privileges="SELECT, INSERT, UPDATE, DELETE")
    guard("waivers", APP_ROLE, privileges="SELECT, INSERT")
    # What was signed stays; a merge lets it follow its client.
    guard("waiver_signatures", APP_ROLE, privileges="SELECT, INSERT, UPDATE (client_id)")
    guard("client_merges", APP_ROLE, privileges="SELECT, INSERT, UPDATE (undo_time)")
    op.execute(f"GRANT UPDATE (client_id, version) ON client_packages TO {APP_ROLE}")
    install_function(SQL / "client_search_text_v1.sql")
    for statement in SEARCH:
        op.execute(statement)
    install_function(SQL / "search_clients_v1.sql")
    op.execute("REVOKE EXECUTE ON FUNCTION search_clients_v1 FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION search_clients_v1 TO {APP_ROLE}")
