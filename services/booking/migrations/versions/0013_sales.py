"""What payments sells: packages by their purchase, credits that left for a refund."""

from alembic import op

from services.chassis.db.migrations import guard
from services.chassis.db.urls import role_name

revision = "0013"
down_revision = "0012"

APP_ROLE = role_name("booking", "app")

STATEMENTS = (
    """
    CREATE TABLE package_sales (
        tenant_id uuid NOT NULL,
        purchase_id uuid NOT NULL,
        client_package_id uuid NOT NULL,
        create_time timestamptz NOT NULL,
        CONSTRAINT pk_package_sales PRIMARY KEY (tenant_id, purchase_id),
        CONSTRAINT uq_package_sales_client_package_id UNIQUE (tenant_id, client_package_id),
        FOREIGN KEY (tenant_id, client_package_id) REFERENCES client_packages
    )""",
    """
    CREATE TABLE credit_freezes (
        tenant_id uuid NOT NULL,
        refund_id uuid NOT NULL,
        client_package_id uuid NOT NULL,
        credits integer NOT NULL CHECK (credits > 0),
        create_time timestamptz NOT NULL,
        unfreeze_time timestamptz,
        CONSTRAINT pk_credit_freezes PRIMARY KEY (tenant_id, refund_id),
        FOREIGN KEY (tenant_id, client_package_id) REFERENCES client_packages
    )""",
    """
    ALTER TABLE transfers
        DROP CONSTRAINT ck_transfers_cause,
        ADD CONSTRAINT ck_transfers_cause CHECK (cause IN (
            'granted', 'booked', 'cancelled_early', 'session_cancelled', 'session_restored', 'displaced', 'waived',
            'held', 'released', 'promoted', 'expired', 'revoked', 'adjusted', 'refunded', 'refund_failed'))""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    guard("package_sales", APP_ROLE, privileges="SELECT, INSERT")
    guard("credit_freezes", APP_ROLE)
