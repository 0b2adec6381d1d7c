"""Files in and out: imports, exports, and the erasure of a person."""

from pathlib import Path

from alembic import op

from services.chassis.db.migrations import create_blob_tables, guard, install_function
from services.chassis.db.urls import role_name

revision = "0009"
down_revision = "0008"

APP_ROLE = role_name("booking", "app")
SQL = Path(__file__).parents[2] / "sql"

VERSIONED = """
    version integer NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now()"""

IMPORTS = (
    f"""
    CREATE TABLE imports (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        kind text NOT NULL CHECK (kind IN ('CLIENTS', 'CLIENT_PACKAGES', 'BOOKINGS')),
        source text NOT NULL,
        state text NOT NULL DEFAULT 'UPLOADED'
            CHECK (state IN ('UPLOADED', 'CHECKING', 'CHECKED', 'RUNNING', 'DONE', 'FAILED', 'CANCELLED')),
        -- The blob; NULL when the file is gone.
        sha256 bytea CHECK (octet_length(sha256) = 32),
        size bigint NOT NULL,
        encoding text NOT NULL,
        delimiter text NOT NULL,
        header text[] NOT NULL,
        columns jsonb NOT NULL,
        date_order text NOT NULL,
        time_zone text NOT NULL,
        first_position integer NOT NULL,
        first_line integer NOT NULL,
        position bigint NOT NULL,
        line integer NOT NULL,
        run_id uuid,
        principal text NOT NULL DEFAULT '',
        rows_total integer NOT NULL DEFAULT 0,
        rows_created integer NOT NULL DEFAULT 0,
        rows_updated integer NOT NULL DEFAULT 0,
        rows_unchanged integer NOT NULL DEFAULT 0,
        rows_refused integer NOT NULL DEFAULT 0,
        reason text NOT NULL DEFAULT '',
        {VERSIONED},
        CONSTRAINT pk_imports PRIMARY KEY (tenant_id, id),
        CONSTRAINT ck_imports_reason CHECK ((state = 'FAILED') = (reason <> ''))
    )""",
    # One at a time in a studio: what a row is matched with does not change under it.
    "CREATE UNIQUE INDEX uq_imports_in_progress ON imports (tenant_id) WHERE state IN ('CHECKING', 'RUNNING')",
    """
    CREATE TABLE import_rows (
        tenant_id uuid NOT NULL,
        import_id uuid NOT NULL,
        line integer NOT NULL,
        outcome text NOT NULL CHECK (outcome IN ('CREATED', 'UPDATED', 'UNCHANGED', 'REFUSED')),
        reason text NOT NULL,
        "column" text NOT NULL,
        resource_id uuid,
        CONSTRAINT pk_import_rows PRIMARY KEY (tenant_id, import_id, line),
        FOREIGN KEY (tenant_id, import_id) REFERENCES imports,
        CONSTRAINT ck_import_rows_reason CHECK (outcome <> 'REFUSED' OR reason <> '')
    )""",
    "CREATE INDEX ix_import_rows_refused ON import_rows (import_id, line) WHERE outcome = 'REFUSED'",
    """
    CREATE TABLE import_keys (
        tenant_id uuid NOT NULL,
        import_id uuid NOT NULL,
        key uuid NOT NULL,
        line integer NOT NULL,
        CONSTRAINT pk_import_keys PRIMARY KEY (tenant_id, import_id, key)
    )""",
    """
    CREATE TABLE external_ids (
        tenant_id uuid NOT NULL,
        source text NOT NULL,
        kind text NOT NULL,
        external_id text NOT NULL,
        id uuid NOT NULL,
        CONSTRAINT pk_external_ids PRIMARY KEY (tenant_id, source, kind, external_id)
    )""",
    "CREATE INDEX ix_external_ids_id ON external_ids (id)",
)

EXPORTS = (
    f"""
    CREATE TABLE exports (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        state text NOT NULL DEFAULT 'RUNNING' CHECK (state IN ('RUNNING', 'READY', 'FAILED', 'EXPIRED')),
        progress_percent integer NOT NULL DEFAULT 0 CHECK (progress_percent BETWEEN 0 AND 100),
        rows bigint NOT NULL DEFAULT 0,
        size bigint NOT NULL DEFAULT 0,
        sha256 bytea CHECK (octet_length(sha256) = 32),
        expire_time timestamptz,
        {VERSIONED},
        CONSTRAINT pk_exports PRIMARY KEY (tenant_id, id),
        CONSTRAINT ck_exports_sha256 CHECK ((state = 'READY') = (sha256 IS NOT NULL))
    )""",
    "CREATE UNIQUE INDEX uq_exports_running ON exports (tenant_id) WHERE state = 'RUNNING'",
)

ERASURE = (
    """
    ALTER TABLE clients
        ADD erase_time timestamptz,
        ADD CONSTRAINT ck_clients_erase_time CHECK (erase_time IS NULL OR (
            archive_time IS NOT NULL AND email IS NULL AND phone IS NULL AND birth_date IS NULL AND account_id IS NULL
            AND emergency_contact_name = '' AND emergency_contact_phone IS NULL AND language = ''))""",
)


def upgrade() -> None:
    create_blob_tables(APP_ROLE)
    for statement in (*IMPORTS, *EXPORTS, *ERASURE):
        op.execute(statement)
    # What staff say in words goes when the person it is about is erased.
    for table in ("client_packages", "transfers", "drop_in_payments"):
        op.execute(f"GRANT UPDATE (reason) ON {table} TO {APP_ROLE}")
    install_function(SQL / "keep_transfers_v2.sql")
    for table in ("imports", "exports"):
        guard(table, APP_ROLE)
    for table in ("import_rows", "import_keys", "external_ids"):
        guard(table, APP_ROLE, privileges="SELECT, INSERT, DELETE")
