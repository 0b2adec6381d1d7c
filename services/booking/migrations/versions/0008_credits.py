"""Credits: days that count in a zone, an end that follows the first use exactly, packages found by their end."""

from pathlib import Path

from alembic import op

from services.chassis.db.migrations import install_function
from services.chassis.db.urls import role_name

revision = "0008"
down_revision = "0007"

APP_ROLE = role_name("booking", "app")
SQL = Path(__file__).parents[2] / "sql"

STATEMENTS = (
    # Its columns are those that the table had when it was installed.
    "DROP FUNCTION choose_package_v2",
    "ALTER TABLE client_packages ADD time_zone text NOT NULL DEFAULT 'UTC'",
    # Not only of those with credits: booking would then write this index too.
    "CREATE INDEX ix_client_packages_expire_time ON client_packages (tenant_id, expire_time)"
    " WHERE expire_time IS NOT NULL",
    "CREATE INDEX ix_class_sessions_class_type_id ON class_sessions (class_type_id)",
    "CREATE INDEX ix_client_packages_revoke_time ON client_packages (tenant_id) WHERE revoke_time IS NOT NULL",
    # Credits come from and go to those of a client, by the accounts of `ledger`.
    """
    ALTER TABLE transfers ADD CONSTRAINT ck_transfers_known CHECK (
        greatest(debit_account, credit_account) > '00000000-0000-0000-0000-0000000000ff'
        AND (least(debit_account, credit_account) > '00000000-0000-0000-0000-0000000000ff'
            OR least(debit_account, credit_account)
                BETWEEN '00000000-0000-0000-0000-000000000001' AND '00000000-0000-0000-0000-000000000005'))""",
    f"GRANT INSERT (time_zone), UPDATE (version) ON client_packages TO {APP_ROLE}",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    for name in ("choose_package_v2", "move_credits_v2"):
        install_function(SQL / f"{name}.sql")
