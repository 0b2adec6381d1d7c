"""The database guards the truth: tried with the app's code bypassed."""

from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from powerhouse.payments.v1.membership_service_pb2 import CancelMembershipRequest
from services.chassis.ids import new_id
from services.payments.models import Base
from tests.integration.booking.house import last_id
from tests.integration.payments.club import active
from tests.integration.payments.house import Shop


async def test_the_migrated_schema_is_what_the_models_say(stranger: Shop) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(
            connection, opts={"include_name": lambda name, kind, _: kind != "table" or name in Base.metadata.tables}
        )
        # Indices, unique and foreign keys are in the migrations alone.
        return [
            each
            for each in compare_metadata(context, Base.metadata)
            if each[0] not in ("remove_index", "remove_constraint", "remove_fk")
        ]

    async with stranger.payments.resources.database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def _as_app(shop: Shop, statement: str, *args: Any) -> None:
    """Runs a statement as the app role inside the shop's studio."""
    from services.chassis.db.urls import service_url

    url = service_url("payments", "app", {"POWERHOUSE_DATABASE_URL": shop.payments.mesh.admin_url})
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SELECT set_config('app.tenants', $1, false)", f"{{{shop.tenant}}}")
        await connection.execute(statement, *args)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE transfers SET amount_minor = 1",
        "DELETE FROM transfers",
        "TRUNCATE transfers",
        "UPDATE ledger_accounts SET balance_minor = 0",
        "UPDATE pricing_option_terms SET price_minor = 1",
        "UPDATE balance_transactions SET fee_minor = 0",
        "DELETE FROM payments",
        "DELETE FROM refunds",
        "UPDATE receipts SET total_minor = 1",
        "DELETE FROM receipts",
    ],
)
async def test_the_app_cannot_rewrite_the_books(shop: Shop, statement: str) -> None:
    await shop.bought()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await _as_app(shop, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE transfers SET amount_minor = 1",
        "DELETE FROM transfers",
        "UPDATE receipts SET number = 7",
        "TRUNCATE receipts",
    ],
)
async def test_not_even_the_administrator_rewrites_a_transfer_or_receipt(shop: Shop, statement: str) -> None:
    await shop.bought()
    with pytest.raises(asyncpg.RestrictViolationError):
        await shop.payments.sql(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE purchases SET state = 'OPEN', client_package_id = NULL",
        "UPDATE purchases SET net_minor = net_minor - 1, total_minor = total_minor - 1",
        "UPDATE purchases SET total_minor = 1",
        "UPDATE purchases SET gift_minor = 1, gift_card_id = id",
        "UPDATE payments SET state = 'OPEN', succeed_time = NULL",
        "UPDATE payments SET amount_minor = 1",
        "UPDATE payments SET refunding_minor = amount_minor + 1",
        "UPDATE payments SET refunded_minor = 1",
    ],
)
async def test_states_go_forward_and_amounts_stay(shop: Shop, statement: str) -> None:
    await shop.bought()
    with pytest.raises(asyncpg.CheckViolationError):
        await _as_app(shop, f"{statement} WHERE tenant_id = $1", shop.tenant)


async def test_a_purchase_never_owes_more_than_was_paid_for_it(shop: Shop) -> None:
    await shop.bought()
    row = """
        INSERT INTO transfers (tenant_id, debit_account, credit_account, amount_minor, currency_code, source, cause,
            create_time)
        SELECT d.tenant_id, d.id, p.id, $2, 'EUR', 'trial', 'trial', now() FROM ledger_accounts d
        JOIN ledger_accounts p ON p.tenant_id = d.tenant_id AND p.kind = 'provider'
        WHERE d.tenant_id = $1 AND d.kind = 'deferred'
    """
    with pytest.raises(asyncpg.CheckViolationError):
        await _as_app(shop, row, shop.tenant, 10_001)
    await _as_app(shop, row, shop.tenant, 10_000)
    with pytest.raises(asyncpg.UniqueViolationError):
        await _as_app(shop, row, shop.tenant, 1)


@pytest.mark.parametrize("of", ["fee_id", "booking_id"])
async def test_a_fee_and_a_place_have_one_purchase_that_counts(shop: Shop, of: str) -> None:
    kind = "FEE" if of == "fee_id" else "DROP_IN"
    option = await shop.sell(500, 0, kind=kind)
    await shop.buy(await shop.add_client(), await shop.sell(500, 0, kind="FEE"), 500)
    another = f"""
        INSERT INTO purchases SELECT (jsonb_populate_record(p, jsonb_build_object(
            'id', gen_random_uuid(), 'kind', '{kind}', 'pricing_option_id', $3::text, '{of}', $2::text))).*
        FROM purchases p WHERE tenant_id = $1 LIMIT 1
    """
    values = (shop.tenant, str(new_id()), option.rpartition("/")[2])
    await _as_app(shop, another, *values)
    with pytest.raises(asyncpg.UniqueViolationError):
        await _as_app(shop, another, *values)


async def test_a_payment_has_one_receipt(shop: Shop) -> None:
    await shop.bought()
    await shop.work_off()
    again = """
        INSERT INTO receipts SELECT (jsonb_populate_record(r, jsonb_build_object(
            'id', gen_random_uuid(), 'number', r.number + 1))).*
        FROM receipts r WHERE tenant_id = $1
    """
    with pytest.raises(asyncpg.UniqueViolationError, match="uq_receipts_purchase_id"):
        await _as_app(shop, again, shop.tenant)


async def test_money_stays_in_its_currency(shop: Shop) -> None:
    await shop.bought()
    account = new_id()
    await _as_app(
        shop,
        "INSERT INTO ledger_accounts (tenant_id, id, kind, currency_code) VALUES ($1, $2, 'revenue', 'USD')",
        shop.tenant,
        account,
    )
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await _as_app(
            shop,
            "INSERT INTO transfers (tenant_id, debit_account, credit_account, amount_minor, currency_code, source,"
            " cause, create_time) SELECT tenant_id, id, $2, 1, 'EUR', 'trial', 'trial', now() FROM ledger_accounts"
            " WHERE tenant_id = $1 AND kind = 'provider'",
            shop.tenant,
            account,
        )


async def test_an_invoice_is_one_period_and_what_has_ended_stays_so(shop: Shop) -> None:
    member, pack = await active(shop), await shop.bought()
    again = """
        INSERT INTO membership_periods
        SELECT tenant_id, $2, membership_id, external_id, start_time, end_time, credits
        FROM membership_periods WHERE tenant_id = $1
    """
    with pytest.raises(asyncpg.UniqueViolationError):
        await _as_app(shop, again, shop.tenant, last_id(pack.name))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await _as_app(shop, "UPDATE membership_periods SET credits = 9 WHERE tenant_id = $1", shop.tenant)
    await shop.staff.CancelMembership(CancelMembershipRequest(name=member.name, now=True))
    for change in ("state = 'ACTIVE', end_reason = '', end_time = NULL", "external_id = 'another'"):
        with pytest.raises(asyncpg.CheckViolationError):
            await _as_app(shop, f"UPDATE memberships SET {change} WHERE tenant_id = $1", shop.tenant)
