"""What the database refuses of the waitlist, with the app code bypassed."""

import asyncpg
import pytest

from powerhouse.booking.v1.waitlist_pb2 import WaitlistEntry
from services.chassis.db.urls import role_name
from services.chassis.ids import new_id
from tests.integration.booking.house import House, last_id
from tests.integration.booking.lines import full, join, leave

COPY = (
    "INSERT INTO waitlist_entries"
    " (tenant_id, id, class_session_id, client_id, credit_hold_id, state, join_time, version)"
    " SELECT tenant_id, gen_random_uuid(), class_session_id, client_id, credit_hold_id, 'WAITING', now(), 1"
    " FROM waitlist_entries WHERE id = $1"
)


@pytest.fixture
async def entry(house: House) -> WaitlistEntry:
    session, _ = await full(house)
    joined: WaitlistEntry = await join(house, session, await house.add_client(credits=3))
    return joined


async def test_nobody_waits_twice_in_one_line(house: House, entry: WaitlistEntry) -> None:
    with pytest.raises(asyncpg.UniqueViolationError, match="uq_waitlist_entries_active_client"):
        await house.running.sql(COPY, last_id(entry.name))


@pytest.mark.parametrize("column", ["class_session_id", "client_id"])
async def test_an_entry_stays_whose_it_is(house: House, entry: WaitlistEntry, column: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="keeps its session"):
        await house.running.sql(
            f"UPDATE waitlist_entries SET {column} = $2 WHERE id = $1", last_id(entry.name), new_id()
        )


@pytest.mark.parametrize("state", ["WAITING", "DECLINED", "EXPIRED"])
async def test_what_ended_stays_ended(house: House, entry: WaitlistEntry, state: str) -> None:
    await leave(house, entry)
    with pytest.raises(asyncpg.CheckViolationError, match="a REMOVED entry cannot become"):
        await house.running.sql("UPDATE waitlist_entries SET state = $2 WHERE id = $1", last_id(entry.name), state)


async def test_an_offer_has_an_end_and_a_promotion_a_booking(house: House, entry: WaitlistEntry) -> None:
    for state, constraint in (("OFFERED", "ck_waitlist_entries_offer"), ("PROMOTED", "ck_waitlist_entries_booking")):
        with pytest.raises(asyncpg.CheckViolationError, match=constraint):
            await house.running.sql("UPDATE waitlist_entries SET state = $2 WHERE id = $1", last_id(entry.name), state)


async def test_a_hold_has_one_credit_at_most_and_moves_by_transfers_alone(house: House, entry: WaitlistEntry) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="ck_credit_holds_credits"):
        await house.running.sql("UPDATE credit_holds SET credits = 2 WHERE tenant_id = $1", house.tenant)
    (may,) = await house.running.sql(
        "SELECT has_column_privilege($1, 'credit_holds', 'credits', 'UPDATE'),"
        " has_table_privilege($1, 'waitlist_decisions', 'UPDATE, DELETE'),"
        " has_table_privilege($1, 'waitlist_entries', 'DELETE')",
        role_name("booking", "app"),
    )
    assert tuple(may) == (False, False, False)
