"""Memberships: plans for sale, who has joined them, what each paid interval bought."""

from pathlib import Path

from alembic import op

from services.chassis.db.migrations import guard, install_function
from services.chassis.db.urls import role_name

revision = "0003"
down_revision = "0002"

APP_ROLE = role_name("payments", "app")
SQL = Path(__file__).parents[2] / "sql"

STATEMENTS = (
    """
    ALTER TABLE pricing_options
        DROP CONSTRAINT ck_pricing_options_kind,
        ADD CONSTRAINT ck_pricing_options_kind CHECK (kind IN ('CLASS_PACK', 'DROP_IN', 'MEMBERSHIP', 'FEE'))""",
    """
    ALTER TABLE pricing_option_terms
        ADD COLUMN interval text NOT NULL DEFAULT '' CHECK (interval IN ('', 'WEEK', 'MONTH', 'YEAR')),
        ADD COLUMN interval_count integer NOT NULL DEFAULT 0 CHECK (interval_count >= 0),
        ADD COLUMN unlimited boolean NOT NULL DEFAULT false,
        ADD CONSTRAINT ck_pricing_option_terms_interval CHECK ((interval = '') = (interval_count = 0))""",
    """
    ALTER TABLE purchases
        DROP CONSTRAINT ck_purchases_fulfilled,
        ADD CONSTRAINT ck_purchases_fulfilled CHECK (
            (kind IN ('CLASS_PACK', 'MEMBERSHIP') AND state = 'FULFILLED') = (client_package_id IS NOT NULL))""",
    """
    CREATE TABLE memberships (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        client_id uuid NOT NULL,
        account_id uuid,
        pricing_option_id uuid NOT NULL,
        terms_version integer NOT NULL,
        next_pricing_option_id uuid NOT NULL,
        next_terms_version integer NOT NULL,
        payer_id uuid NOT NULL,
        external_account text NOT NULL,
        external_id text,
        create_key uuid NOT NULL,
        create_key_time timestamptz NOT NULL,
        state text NOT NULL CHECK (state IN ('PENDING', 'ACTIVE', 'PAST_DUE', 'PAUSED', 'ENDED')),
        end_reason text NOT NULL CHECK (end_reason IN ('', 'NEVER_PAID', 'CANCELLED', 'PAYMENT_FAILED')),
        period_start timestamptz,
        period_end timestamptz,
        cancel_at_period_end boolean NOT NULL,
        resume_time timestamptz,
        end_time timestamptz,
        due_invoice text,
        due_minor bigint NOT NULL CHECK (due_minor >= 0),
        next_attempt_time timestamptz,
        read_time timestamptz NOT NULL,
        version integer NOT NULL,
        create_time timestamptz NOT NULL DEFAULT now(),
        update_time timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_memberships PRIMARY KEY (tenant_id, id),
        CONSTRAINT uq_memberships_external_id UNIQUE (external_account, external_id),
        FOREIGN KEY (tenant_id, pricing_option_id, terms_version) REFERENCES pricing_option_terms,
        FOREIGN KEY (tenant_id, next_pricing_option_id, next_terms_version) REFERENCES pricing_option_terms,
        CONSTRAINT ck_memberships_ended CHECK (
            (state = 'ENDED') = (end_reason <> '') AND (state = 'ENDED') = (end_time IS NOT NULL)),
        CONSTRAINT ck_memberships_due CHECK ((due_invoice IS NULL) = (due_minor = 0))
    )""",
    # Two that join at once join once; who has joined is looked for before.
    "CREATE UNIQUE INDEX uq_memberships_pending ON memberships (tenant_id, client_id, pricing_option_id)"
    " WHERE state = 'PENDING'",
    "CREATE INDEX ix_memberships_client_id ON memberships (tenant_id, client_id)",
    "CREATE INDEX ix_memberships_account_id ON memberships (tenant_id, account_id)",
    """
    CREATE TABLE membership_prices (
        tenant_id uuid NOT NULL,
        pricing_option_id uuid NOT NULL,
        terms_version integer NOT NULL,
        external_id text NOT NULL,
        CONSTRAINT pk_membership_prices PRIMARY KEY (tenant_id, pricing_option_id, terms_version),
        CONSTRAINT uq_membership_prices_external_id UNIQUE (tenant_id, external_id),
        FOREIGN KEY (tenant_id, pricing_option_id, terms_version) REFERENCES pricing_option_terms
    )""",
    # An invoice is one period.
    """
    CREATE TABLE membership_periods (
        tenant_id uuid NOT NULL,
        purchase_id uuid NOT NULL,
        membership_id uuid NOT NULL,
        external_id text NOT NULL,
        start_time timestamptz NOT NULL,
        end_time timestamptz NOT NULL,
        credits integer NOT NULL CHECK (credits > 0),
        CONSTRAINT pk_membership_periods PRIMARY KEY (tenant_id, purchase_id),
        CONSTRAINT uq_membership_periods_external_id UNIQUE (tenant_id, external_id),
        FOREIGN KEY (tenant_id, purchase_id) REFERENCES purchases,
        FOREIGN KEY (tenant_id, membership_id) REFERENCES memberships,
        CONSTRAINT ck_membership_periods_times CHECK (start_time < end_time)
    )""",
    "CREATE INDEX ix_membership_periods_membership_id ON membership_periods (tenant_id, membership_id)",
    """
    CREATE TABLE membership_attempts (
        tenant_id uuid NOT NULL,
        membership_id uuid NOT NULL,
        external_id text NOT NULL,
        number integer NOT NULL CHECK (number > 0),
        code text NOT NULL,
        decline_code text NOT NULL,
        create_time timestamptz NOT NULL,
        CONSTRAINT pk_membership_attempts PRIMARY KEY (tenant_id, membership_id, external_id, number),
        FOREIGN KEY (tenant_id, membership_id) REFERENCES memberships
    )""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    install_function(SQL / "guard_membership_v1.sql")
    guard("memberships", APP_ROLE)
    for table in ("membership_prices", "membership_periods", "membership_attempts"):
        guard(table, APP_ROLE, privileges="SELECT, INSERT")
