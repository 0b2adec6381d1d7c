"""Accounts, sessions, roles, invitations, API keys."""

from alembic import op

from services.chassis.db.migrations import create_chassis_tables
from services.chassis.db.urls import role_name

revision = "0001"
down_revision = None

APP = role_name("identity", "app")

# docs/adr/0006: read before a studio is known, so outside row level security.
TABLES = """
CREATE TABLE accounts (
    id uuid CONSTRAINT pk_accounts PRIMARY KEY,
    email text NOT NULL,
    display_name text NOT NULL,
    password_hash text NOT NULL,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL
);
CREATE UNIQUE INDEX uq_accounts_email ON accounts (lower(email));

CREATE TABLE sessions (
    id uuid CONSTRAINT pk_sessions PRIMARY KEY,
    account_id uuid NOT NULL CONSTRAINT fk_sessions_account_id REFERENCES accounts ON DELETE CASCADE,
    token_hash bytea NOT NULL CONSTRAINT uq_sessions_token_hash UNIQUE,
    create_time timestamptz NOT NULL,
    last_use_time timestamptz NOT NULL
);
CREATE INDEX ix_sessions_account_id ON sessions (account_id);
CREATE INDEX ix_sessions_create_time ON sessions (create_time);
CREATE INDEX ix_sessions_last_use_time ON sessions (last_use_time);

CREATE TABLE password_resets (
    id uuid CONSTRAINT pk_password_resets PRIMARY KEY,
    account_id uuid CONSTRAINT fk_password_resets_account_id REFERENCES accounts ON DELETE CASCADE,
    create_time timestamptz NOT NULL,
    expire_time timestamptz NOT NULL,
    use_time timestamptz
);
CREATE INDEX ix_password_resets_account_id ON password_resets (account_id);
CREATE INDEX ix_password_resets_create_time ON password_resets (create_time);

CREATE TABLE attempts (
    id uuid NOT NULL,
    subject bytea NOT NULL,
    create_time timestamptz NOT NULL,
    CONSTRAINT pk_attempts PRIMARY KEY (id, subject)
);
CREATE INDEX ix_attempts_subject_create_time ON attempts (subject, create_time);
CREATE INDEX ix_attempts_create_time ON attempts (create_time);

CREATE TABLE role_bindings (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    account_id uuid NOT NULL CONSTRAINT fk_role_bindings_account_id REFERENCES accounts ON DELETE CASCADE,
    role integer NOT NULL CONSTRAINT ck_role_bindings_role CHECK (role BETWEEN 1 AND 4),
    create_time timestamptz NOT NULL,
    CONSTRAINT pk_role_bindings PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX uq_role_bindings_tenant_id_account_id_role ON role_bindings (tenant_id, account_id, role);
CREATE INDEX ix_role_bindings_account_id ON role_bindings (account_id);

CREATE TABLE invitations (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    email text NOT NULL,
    role integer NOT NULL CONSTRAINT ck_invitations_role CHECK (role BETWEEN 1 AND 4),
    state text NOT NULL
        CONSTRAINT ck_invitations_state CHECK (state IN ('pending', 'accepted', 'revoked', 'expired')),
    expire_time timestamptz NOT NULL,
    create_time timestamptz NOT NULL,
    CONSTRAINT pk_invitations PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX uq_invitations_id ON invitations (id);
CREATE UNIQUE INDEX uq_invitations_pending ON invitations (tenant_id, lower(email), role) WHERE state = 'pending';

CREATE TABLE api_keys (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    display_name text NOT NULL,
    role integer NOT NULL CONSTRAINT ck_api_keys_role CHECK (role BETWEEN 1 AND 4),
    secret_hash bytea NOT NULL,
    hint text NOT NULL,
    create_time timestamptz NOT NULL,
    revoke_time timestamptz,
    CONSTRAINT pk_api_keys PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX uq_api_keys_id ON api_keys (id);

GRANT SELECT, INSERT, UPDATE ON accounts, password_resets, invitations, api_keys TO {app};
GRANT SELECT, INSERT, UPDATE, DELETE ON sessions TO {app};
GRANT SELECT, INSERT, UPDATE, DELETE ON role_bindings TO {app};
GRANT SELECT, INSERT, DELETE ON attempts TO {app};
GRANT DELETE ON password_resets TO {app};
"""


def upgrade() -> None:
    create_chassis_tables(APP)
    for statement in TABLES.format(app=APP).split(";\n"):
        if statement.strip():
            op.execute(statement)
