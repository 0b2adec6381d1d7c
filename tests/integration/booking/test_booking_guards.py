"""The database guards the truth: each guard tried with the app code bypassed."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from powerhouse.booking.v1.booking_pb2 import Booking
from powerhouse.booking.v1.client_pb2 import Client
from services.booking.models import Base, View
from services.booking.service import SERVICE
from services.chassis.db.migrations import CHASSIS_TABLES
from services.chassis.db.urls import database_name, role_name, service_url
from services.chassis.ids import new_id
from tests.integration.booking.house import House, last_id
from tests.support.services import Running

ISSUED, REDEEMED = UUID(int=1), UUID(int=2)
APP_ROLE = role_name("booking", "app")


class Stage:
    """A booked session, and SQL as the app role in its studio."""

    def __init__(self, house: House, session: str, client: Client, booking: Booking) -> None:
        self.house, self.session, self.client, self.booking = house, last_id(session), client, booking
        self.package = last_id(booking.client_package)

    async def sql(self, statement: str, *args: Any) -> list[Any]:
        url = service_url("booking", "app", {"POWERHOUSE_DATABASE_URL": self.house.running.mesh.admin_url})
        connection = await asyncpg.connect(url)
        try:
            async with connection.transaction():
                await connection.execute("SELECT set_config('app.tenants', $1, true)", f"{{{self.house.tenant}}}")
                return list(await connection.fetch(statement, *args))
        finally:
            await connection.close()


@pytest.fixture
async def stage(house: House) -> Stage:
    session, client = await house.plan(capacity=1, spots=["A"]), await house.add_client(credits=2)
    return Stage(house, session, client, await house.book(session, client))


BOOK = (
    "INSERT INTO bookings (tenant_id, id, class_session_id, client_id, client_package_id, state, spot, policy_version,"
    " credit_returned, session_cancelled, version, start_time, end_time)"
    " SELECT tenant_id, gen_random_uuid(), class_session_id, $2, client_package_id, 'CONFIRMED', $3, 1, false, false,"
    " 1, start_time, end_time FROM bookings WHERE id = $1"
)
MOVE = (
    "INSERT INTO transfers (tenant_id, debit_account, credit_account, amount, cause, create_time)"
    " VALUES ($1, $2, $3, $4, 'booked', now())"
)


class TestPlaces:
    async def test_no_more_booked_than_there_are(self, stage: Stage) -> None:
        with pytest.raises(asyncpg.CheckViolationError, match="ck_class_sessions_booked_count"):
            await stage.sql("UPDATE class_sessions SET booked_count = 2 WHERE id = $1", stage.session)

    async def test_no_fewer_than_none(self, stage: Stage) -> None:
        with pytest.raises(asyncpg.CheckViolationError, match="ck_class_sessions_booked_count"):
            await stage.sql("UPDATE class_sessions SET booked_count = -1 WHERE id = $1", stage.session)

    async def test_capacity_not_below_who_is_booked(self, stage: Stage) -> None:
        with pytest.raises(asyncpg.CheckViolationError, match="ck_class_sessions_booked_count"):
            await stage.sql(
                "UPDATE class_sessions SET planned_capacity = 0, effective_capacity = 0 WHERE id = $1", stage.session
            )

    async def test_nobody_twice(self, stage: Stage) -> None:
        with pytest.raises(asyncpg.UniqueViolationError, match="uq_bookings_active_client"):
            await stage.sql(BOOK, last_id(stage.booking.name), last_id(stage.client.name), None)

    async def test_no_spot_twice(self, stage: Stage) -> None:
        other = await stage.house.add_client()
        with pytest.raises(asyncpg.UniqueViolationError, match="uq_bookings_active_spot"):
            await stage.sql(BOOK, last_id(stage.booking.name), last_id(other.name), "A")


class TestSteps:
    async def cancel(self, stage: Stage, state: str = "CANCELLED_EARLY") -> None:
        await stage.sql(
            "UPDATE bookings SET state = $2, credit_returned = $2 = 'CANCELLED_EARLY', cancel_time = now()"
            " WHERE id = $1",
            last_id(stage.booking.name),
            state,
        )

    @pytest.mark.parametrize("state", ["CANCELLED_EARLY", "CANCELLED_LATE"])
    async def test_a_cancelled_booking_stays_so(self, stage: Stage, state: str) -> None:
        await self.cancel(stage, state)
        with pytest.raises(asyncpg.CheckViolationError, match="cannot become CONFIRMED"):
            await stage.sql(
                "UPDATE bookings SET state = 'CONFIRMED', credit_returned = false, cancel_time = NULL WHERE id = $1",
                last_id(stage.booking.name),
            )

    async def test_early_does_not_become_late(self, stage: Stage) -> None:
        await self.cancel(stage)
        with pytest.raises(asyncpg.CheckViolationError, match="cannot become CANCELLED_LATE"):
            await self.cancel(stage, "CANCELLED_LATE")

    @pytest.mark.parametrize("column", ["class_session_id", "client_id", "client_package_id"])
    async def test_a_booking_stays_what_it_is(self, stage: Stage, column: str) -> None:
        with pytest.raises(asyncpg.CheckViolationError, match="a booking keeps"):
            await stage.sql(f"UPDATE bookings SET {column} = $2 WHERE id = $1", last_id(stage.booking.name), new_id())

    async def test_nothing_is_deleted(self, stage: Stage) -> None:
        for table in ("bookings", "class_sessions", "clients", "client_packages", "booking_policies"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await stage.sql(f"DELETE FROM {table}")


class TestLedger:
    async def test_no_balance_below_zero(self, stage: Stage) -> None:
        with pytest.raises(asyncpg.CheckViolationError, match="ck_client_packages_credits_left"):
            await stage.sql(MOVE, stage.house.tenant, stage.package, REDEEMED, 2)

    async def test_no_account_that_is_none(self, stage: Stage) -> None:
        for debit, credit in ((new_id(), REDEEMED), (REDEEMED, new_id())):
            with pytest.raises(asyncpg.ForeignKeyViolationError):
                await stage.sql(MOVE, stage.house.tenant, debit, credit, 1)

    async def test_no_package_of_another_studio(self, stage: Stage) -> None:
        other = House(stage.house.running, new_id(), stage.house.staff)
        elsewhere = Stage(other, f"/{stage.session}", stage.client, stage.booking)
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await elsewhere.sql(MOVE, other.tenant, stage.package, REDEEMED, 1)

    async def test_no_nothing_and_no_circle(self, stage: Stage) -> None:
        with pytest.raises(asyncpg.CheckViolationError):
            await stage.sql(MOVE, stage.house.tenant, stage.package, REDEEMED, 0)
        with pytest.raises(asyncpg.CheckViolationError, match="ck_transfers_accounts"):
            await stage.sql(MOVE, stage.house.tenant, stage.package, stage.package, 1)

    @pytest.mark.parametrize(
        "statement", ["UPDATE transfers SET amount = 9", "DELETE FROM transfers", "TRUNCATE transfers"]
    )
    async def test_what_is_written_stays(self, stage: Stage, statement: str) -> None:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await stage.sql(statement)
        # Not even the administrator by mistake.
        with pytest.raises(asyncpg.RestrictViolationError, match="immutable"):
            await stage.house.running.sql(statement)

    async def test_balances_move_with_transfers_alone(self, stage: Stage) -> None:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await stage.sql("UPDATE client_packages SET credits_left = 9")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await stage.sql(
                "INSERT INTO client_packages (tenant_id, id, client_id, display_name, credits_granted, credits_left,"
                " reason, version) SELECT tenant_id, gen_random_uuid(), client_id, '', 9, 9, '', 1 FROM client_packages"
            )

    async def test_only_known_causes_and_accounts(self, stage: Stage) -> None:
        with pytest.raises(asyncpg.CheckViolationError, match="ck_transfers_cause"):
            await stage.sql(MOVE.replace("booked", "gift"), stage.house.tenant, ISSUED, stage.package, 1)
        for debit, credit in ((UUID(int=6), stage.package), (stage.package, UUID(int=0)), (ISSUED, REDEEMED)):
            with pytest.raises(asyncpg.CheckViolationError, match="ck_transfers_known"):
                await stage.sql(MOVE, stage.house.tenant, debit, credit, 1)

    async def test_what_is_set_aside_is_one_credit_and_moves_with_transfers_alone(self, stage: Stage) -> None:
        tenant, hold = stage.house.tenant, new_id()
        made = "INSERT INTO credit_holds (tenant_id, id, client_id, client_package_id, create_time)"
        client = last_id(stage.client.name)
        await stage.sql(f"{made} VALUES ($1, $2, $3, $4, now())", tenant, hold, client, stage.package)
        with pytest.raises(asyncpg.CheckViolationError, match="ck_credit_holds_credits"):
            await stage.sql(MOVE, tenant, hold, stage.package, 1)
        with pytest.raises(asyncpg.CheckViolationError, match="ck_credit_holds_credits"):
            await stage.sql(MOVE, tenant, ISSUED, hold, 2)
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await stage.sql(f"{made} VALUES ($1, $2, $3, $4, now())", tenant, new_id(), client, new_id())
        for statement in ("UPDATE credit_holds SET credits = 1", "DELETE FROM credit_holds"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await stage.sql(statement)

    @pytest.mark.parametrize("change", ["expire_time = NULL", "credits_granted = 99", "class_type_ids = '{}'"])
    async def test_the_terms_of_a_package_stay(self, stage: Stage, change: str) -> None:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await stage.sql(f"UPDATE client_packages SET {change}")

    async def test_fees_are_sound(self, stage: Stage) -> None:
        due = (
            "INSERT INTO fees (tenant_id, id, booking_id, client_id, kind, amount_minor, currency_code, state, version)"
            " VALUES ($1, gen_random_uuid(), $2, $3, $4, $5, 'EUR', $6, 1)"
        )
        booking, client = last_id(stage.booking.name), last_id(stage.client.name)
        for kind, amount, state in (
            ("LATE_CANCEL", 0, "DUE"),
            ("LATE_CANCEL", -5, "DUE"),
            ("LATE_CANCEL", 5, "WAIVED"),
            ("LATE_CANCEL", 5, "PAID"),
            ("LUNCH", 5, "DUE"),
        ):
            with pytest.raises(asyncpg.CheckViolationError):
                await stage.sql(due, stage.house.tenant, booking, client, kind, amount, state)
        await stage.sql(due, stage.house.tenant, booking, client, "NO_SHOW", 5, "DUE")
        with pytest.raises(asyncpg.UniqueViolationError, match="uq_fees_booking"):
            await stage.sql(due, stage.house.tenant, booking, client, "NO_SHOW", 5, "DUE")

    async def test_policies_stay(self, stage: Stage) -> None:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await stage.sql("UPDATE booking_policies SET cancellation_window_minutes = 0")


class TestStudios:
    TABLES = ("class_sessions", "booking_policies", "clients", "client_packages", "transfers", "bookings")

    async def test_only_ones_own_rows_exist(self, stage: Stage) -> None:
        other = House(stage.house.running, new_id(), stage.house.staff)
        elsewhere = Stage(other, f"/{stage.session}", stage.client, stage.booking)
        for table in (*self.TABLES, "booking_details", "bookable_sessions"):
            assert await stage.sql(f"SELECT FROM {table}") != []
            assert await elsewhere.sql(f"SELECT FROM {table}") == []

    async def test_no_row_is_written_for_another(self, stage: Stage) -> None:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await stage.sql(
                "INSERT INTO clients (tenant_id, id, display_name, language, is_self, version)"
                " VALUES ($1, $1, 'X', '', false, 1)",
                new_id(),
            )

    async def test_without_a_studio_nothing_is_answered(self, stage: Stage) -> None:
        for table in (*self.TABLES, "booking_details", "bookable_sessions"):
            with pytest.raises(asyncpg.UndefinedObjectError, match="unrecognized configuration parameter"):
                await stage.house.running.sql(f"SELECT FROM {table}", role="app")

    async def test_booking_inside_another_studios_transaction(self, stage: Stage) -> None:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="works in another studio"):
            await stage.sql(
                "SELECT code FROM book_v4(ARRAY[$1::uuid], '{x}', '', ARRAY[$1::uuid], ARRAY[$1::uuid],"
                " ARRAY[$1::uuid], ARRAY[$1::uuid], ARRAY[$1::uuid], '{NULL}', '{x}', '{x}', '{false}', '{x}', now(),"
                " ARRAY[$1::uuid], ARRAY[$1::uuid], '{x}')",
                new_id(),
            )


async def test_the_migrated_schema_is_what_the_models_say(booking: Running) -> None:
    """Tables, columns and types; keys and indexes are the migration's."""

    def differences(connection: Connection) -> list[object]:
        known = {"include_name": lambda name, kind, _: kind != "table" or name in Base.metadata.tables}
        context = MigrationContext.configure(connection, opts=known)
        return [
            difference
            for difference in compare_metadata(context, Base.metadata)
            if isinstance(difference, list) or "table" in difference[0] or "column" in difference[0]
        ]

    async with booking.resources.database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_the_views_are_what_the_models_say(booking: Running) -> None:
    for name, table in View.metadata.tables.items():
        rows = await booking.sql("SELECT column_name FROM information_schema.columns WHERE table_name = $1", name)
        assert {row["column_name"] for row in rows} == {column.name for column in table.columns}


async def test_every_table_is_guarded_or_named(booking: Running) -> None:
    rows = await booking.sql(
        "SELECT relname, relrowsecurity AND relforcerowsecurity AS guarded FROM pg_class"
        " WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
    )
    unguarded = {row["relname"] for row in rows if not row["guarded"]}
    assert unguarded == {"studio_ids", "alembic_version", *CHASSIS_TABLES}


# Fifty studios of fifty clients with a package, a session, a booking and a transfer each.
FILL = """
    CREATE TEMP TABLE filled ON COMMIT DROP AS SELECT tenant, gen_random_uuid() AS id, gen_random_uuid() AS package,
        gen_random_uuid() AS session, gen_random_uuid() AS booking
        FROM (SELECT gen_random_uuid() AS tenant FROM generate_series(1, 50)) t, generate_series(1, 50);
    INSERT INTO booking_policies (tenant_id, version, create_time) SELECT DISTINCT tenant, 1, now() FROM filled;
    INSERT INTO clients (tenant_id, id, display_name, email, language, account_id, is_self, version)
        SELECT tenant, id, 'C', id || '@example.com', '', id, true, 1 FROM filled;
    INSERT INTO client_packages (tenant_id, id, client_id, display_name, credits_granted, reason, version)
        SELECT tenant, package, id, 'P', 1, '', 1 FROM filled;
    INSERT INTO class_sessions (tenant_id, id, version, time_version, class_type_display_name, room_display_name,
        location_display_name, instructor_display_name, start_time, end_time, time_zone, spots, cancelled,
        planned_capacity, effective_capacity, booked_count, class_type_id, room_id, location_id, instructor_id,
        currency_code)
        SELECT tenant, session, 1, 0, '', '', '', '', now() + random() * interval '99 days', now(), 'UTC', '{}', false,
        8, 8, 1, id, id, id, id, 'EUR' FROM filled;
    INSERT INTO bookings (tenant_id, id, class_session_id, client_id, client_package_id, state, policy_version,
        credit_returned, session_cancelled, version, start_time, end_time)
        SELECT tenant, booking, session, id, package, 'CONFIRMED', 1, false, false, 1, now(), now() FROM filled;
    INSERT INTO transfers (tenant_id, debit_account, credit_account, amount, cause, booking_id, create_time)
        SELECT tenant, package, '00000000-0000-0000-0000-000000000002', 1, 'booked', booking, now() FROM filled;
    ANALYZE"""

QUERIES = (
    "FROM bookings WHERE class_session_id = $2 AND cancel_time IS NULL",
    "FROM bookings WHERE class_session_id = $2 AND client_id = $2 AND cancel_time IS NULL AND guest_display_name = ''",
    "FROM bookings WHERE client_id = $2 AND start_time > now() AND start_time < now() + interval '1 day'",
    "FROM bookings WHERE request_id = $2",
    "FROM client_packages WHERE client_id = $2",
    "FROM clients WHERE id = $2",
    "FROM clients WHERE account_id = $2 AND is_self",
    "FROM bookable_sessions WHERE id = $2",
    "FROM bookable_sessions WHERE start_time >= now() AND start_time < now() + interval '1 day'",
    "FROM booking_details WHERE id = $2",
    "FROM transfers WHERE debit_account = $2 AND debit_account > '00000000-0000-0000-0000-0000000000ff'",
)


async def test_under_row_level_security_rows_are_found_by_their_keys(house: House) -> None:
    """And not by reading all that a studio has, with the plans that prepared statements settle on."""
    connection = await asyncpg.connect(f"{house.running.mesh.admin_url}/{database_name('booking')}")
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")
            await connection.execute(FILL)
            await connection.execute(f"SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL ROLE {APP_ROLE}")
            await connection.execute("SELECT set_config('app.tenants', $1, true)", f"{{{house.tenant}}}")
            for number, query in enumerate(QUERIES):
                await connection.execute(f"PREPARE q{number} (uuid, uuid) AS SELECT * {query} AND tenant_id = $1")
                plan = await connection.fetch(f"EXPLAIN EXECUTE q{number} ('{house.tenant}', '{new_id()}')")
                lines = [row[0] for row in plan]
                keyed = [line for line in lines if "Index Cond" in line and ("$2" in line or "start_time" in line)]
                assert keyed, "\n".join(lines)
            raise _Undo
    except _Undo:
        pass
    finally:
        await connection.close()


class _Undo(Exception):
    """Rolls a test's transaction back."""


def test_sql_files_are_installed() -> None:
    migrations = "".join(path.read_text(encoding="utf-8") for path in (SERVICE.folder / "migrations").rglob("*.py"))
    for path in (SERVICE.folder / "sql").iterdir():
        assert path.stem in migrations or path.stem.removesuffix("_v1") in migrations
