"""What a service's Alembic migrations share: the chassis' tables, row level security, grants, SQL functions."""

from pathlib import Path
from typing import Any

from alembic import op
from sqlalchemy.util import await_only

# Tables of the chassis that serve all studios at once; everything else with a tenant is guarded.
CHASSIS_TABLES = ("outbox", "inbox", "feed_positions", "dead_letters", "jobs", "idempotency")


def create_chassis_tables(app_role: str) -> None:
    """Creates outbox, inbox, jobs, idempotency and audit for a new service."""
    run_script((Path(__file__).parent / "sql" / "chassis_v1.sql").read_text(encoding="utf-8"))
    for table in CHASSIS_TABLES:
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {app_role}")
    guard("audit_entries", app_role, privileges="SELECT, INSERT")


def create_blob_tables(app_role: str) -> None:
    """Adds the tables of `services.chassis.blobs` to a service that keeps files."""
    run_script((Path(__file__).parent / "sql" / "chassis_v2.sql").read_text(encoding="utf-8"))
    for table in ("blobs", "blob_chunks"):
        guard(table, app_role, privileges="SELECT, INSERT, UPDATE, DELETE")


def guard(table: str, app_role: str, *, privileges: str = "SELECT, INSERT, UPDATE") -> None:
    """Forces row level security on a tenant table: only rows of `app.tenants` exist for the app role.

    The cast is strict: without `app.tenants` a query is an error and never an empty answer.
    """
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    # IS TRUE keeps it out of index conditions: counted as ten look-ups, it made the planner read all rows of a studio
    # instead of the one wanted. Queries name their studio themselves, and that finds the index.
    mine = "(tenant_id = ANY (current_setting('app.tenants')::uuid[])) IS TRUE"
    op.execute(f"CREATE POLICY tenant ON {table} USING ({mine}) WITH CHECK ({mine})")
    op.execute(f"GRANT {privileges} ON {table} TO {app_role}")


def guard_queue(table: str, app_role: str) -> None:
    """Lets `Database.queue` see the rows of every studio in a guarded table that is a queue.

    Everything else keeps to its studios.
    """
    op.execute(f"CREATE POLICY dispatch ON {table} TO {app_role} USING (current_setting('app.dispatch', true) = 'on')")


def install_function(sql_file: Path) -> None:
    """Installs a hot path's SQL function from `sql/<name>_v<n>.sql`."""
    run_script(sql_file.read_text(encoding="utf-8"))


def run_script(sql: str) -> None:
    """Runs several statements at once, in the migration's transaction; `op.execute` prepares and so takes only one."""
    connection = op.get_bind()
    connection.exec_driver_sql("SELECT 1")  # begins the transaction that the driver below must be in
    driver: Any = connection.connection.driver_connection
    await_only(driver.execute(sql))
