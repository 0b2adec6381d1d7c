"""Receipts with their numbers, and whose they are; what lists of purchases are filtered by."""

from pathlib import Path

from alembic import op

from services.chassis.db.migrations import guard, install_function
from services.chassis.db.urls import role_name

revision = "0004"
down_revision = "0002"

APP_ROLE = role_name("payments", "app")
SQL = Path(__file__).parents[2] / "sql"

STATEMENTS = (
    """
    CREATE TABLE studios (
        tenant_id uuid NOT NULL,
        version bigint NOT NULL,
        display_name text NOT NULL,
        time_zone text NOT NULL,
        CONSTRAINT pk_studios PRIMARY KEY (tenant_id)
    )""",
    """
    CREATE TABLE letterheads (
        tenant_id uuid NOT NULL,
        business_name text NOT NULL,
        address text NOT NULL,
        tax_number text NOT NULL,
        footer text NOT NULL,
        version integer NOT NULL,
        create_time timestamptz NOT NULL DEFAULT now(),
        update_time timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_letterheads PRIMARY KEY (tenant_id)
    )""",
    """
    CREATE TABLE receipt_counters (
        tenant_id uuid NOT NULL,
        last_number bigint NOT NULL,
        CONSTRAINT pk_receipt_counters PRIMARY KEY (tenant_id)
    )""",
    """
    CREATE TABLE receipts (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        kind text NOT NULL CHECK (kind IN ('RECEIPT', 'CREDIT_NOTE', 'CREDIT_NOTE_REVERSAL')),
        number bigint NOT NULL CHECK (number > 0),
        purchase_id uuid NOT NULL,
        refund_id uuid,
        client_id uuid NOT NULL,
        account_id uuid,
        description text NOT NULL,
        price_minor bigint NOT NULL,
        discount_minor bigint NOT NULL,
        net_minor bigint NOT NULL CHECK (net_minor >= 0),
        tax_minor bigint NOT NULL CHECK (tax_minor >= 0),
        total_minor bigint NOT NULL,
        currency_code text NOT NULL CHECK (currency_code ~ '^[A-Z]{3}$'),
        tax_display_name text NOT NULL,
        payment_method text NOT NULL,
        receipt_number bigint NOT NULL,
        issuer jsonb NOT NULL,
        create_time timestamptz NOT NULL,
        CONSTRAINT pk_receipts PRIMARY KEY (tenant_id, id),
        CONSTRAINT uq_receipts_number UNIQUE (tenant_id, number),
        FOREIGN KEY (tenant_id, purchase_id) REFERENCES purchases,
        FOREIGN KEY (tenant_id, refund_id) REFERENCES refunds,
        CONSTRAINT ck_receipts_total CHECK (total_minor = net_minor + tax_minor),
        CONSTRAINT ck_receipts_refund CHECK ((kind = 'RECEIPT') = (refund_id IS NULL))
    )""",
    # One document for each movement of money.
    "CREATE UNIQUE INDEX uq_receipts_purchase_id ON receipts (tenant_id, purchase_id) WHERE refund_id IS NULL",
    "CREATE UNIQUE INDEX uq_receipts_refund_id ON receipts (tenant_id, refund_id, kind)",
    "CREATE INDEX ix_receipts_purchase_id ON receipts (tenant_id, purchase_id)",
    "CREATE INDEX ix_purchases_create_time ON purchases (tenant_id, create_time, id)",
    "CREATE INDEX ix_receipts_client_id ON receipts (tenant_id, client_id, number)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    install_function(SQL / "keep_receipts_v1.sql")
    for table in ("studios", "letterheads", "receipt_counters"):
        guard(table, APP_ROLE)
    guard("receipts", APP_ROLE, privileges="SELECT, INSERT")
