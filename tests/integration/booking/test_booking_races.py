"""Many at once: never oversold, nobody booked twice, no deadlocks. Each race has a control that shows it is one."""

import asyncio
import random
from datetime import timedelta

import asyncpg
import pytest

from powerhouse.booking.v1.client_pb2 import Client
from services.booking.service import SERVICE
from services.chassis.db.urls import database_name
from tests.integration.booking.house import House, key, last_id, outcome

BOOK = (SERVICE.folder / "sql" / "book_v4.sql").read_text(encoding="utf-8")
# Long enough for two calls to be between their look and their write at once.
WRITE = "        IF v_places > 0 AND"
PAUSE = f"        PERFORM pg_sleep(0.5);\n{WRITE}"
BOTH_LOCKS = "FOR NO KEY UPDATE OF s, c;"
# What is locked with one of them off.
NO_SESSION_LOCK = "FOR NO KEY UPDATE OF c;"
NO_CLIENT_LOCK = "FOR NO KEY UPDATE OF s;"


async def crowd(house: House, size: int) -> list[str]:
    """The ids of clients with one credit each, made without a thousand calls."""
    await house.running.sql(
        "WITH crowd AS ("
        " INSERT INTO clients (tenant_id, id, display_name, language, is_self, version)"
        " SELECT $1, gen_random_uuid(), 'Client ' || n, '', false, 1 FROM generate_series(1, $2::int) n RETURNING id)"
        " INSERT INTO client_packages (tenant_id, id, client_id, display_name, credits_granted, reason, version)"
        " SELECT $1, gen_random_uuid(), id, 'Pack', 1, 'test', 1 FROM crowd",
        house.tenant,
        size,
    )
    await house.running.sql(
        "INSERT INTO transfers (tenant_id, debit_account, credit_account, amount, cause, create_time)"
        " SELECT $1, '00000000-0000-0000-0000-000000000001', id, 1, 'granted', now()"
        # The trigger that moves the balances works under row level security.
        " FROM client_packages, set_config('app.tenants', format('{%s}', $1::uuid), true) WHERE tenant_id = $1",
        house.tenant,
    )
    rows = await house.running.sql("SELECT id FROM clients WHERE tenant_id = $1", house.tenant)
    return [f"{house.name}/clients/{row['id']}" for row in rows]


async def test_a_thousand_requests_for_the_last_five_places(house: House) -> None:
    session, people = await house.plan(capacity=5), await crowd(house, 1000)
    counted = await house.count([house.book(session, Client(name=name)) for name in people])
    assert counted == {"BOOKED": 5, "SESSION_FULL": 995}
    assert await house.counters(session) == (5, 5, 5)
    assert await house.violations() == {}


async def test_who_comes_too_late_waits_for_nobody(house: House) -> None:
    session = await house.plan(capacity=1)
    await house.book(session, await house.add_client())
    late = await house.add_client()
    busy = await asyncpg.connect(f"{house.running.mesh.admin_url}/{database_name('booking')}")
    try:
        async with busy.transaction():
            await busy.execute("SELECT FROM class_sessions WHERE id = $1 FOR UPDATE", last_id(session))
            assert await asyncio.wait_for(outcome(house.book(session, late)), 30) == "SESSION_FULL"
    finally:
        await busy.close()


async def test_the_same_key_five_times_at_once_is_one_booking(house: House) -> None:
    for _ in range(20):
        session, client, request_id = await house.plan(capacity=1), await house.add_client(credits=1), key()
        answers = await asyncio.gather(*(house.book(session, client, request_id=request_id) for _ in range(5)))
        assert len({answer.name for answer in answers}) == 1
        assert await house.credits(client) == 0
    assert await house.violations() == {}


async def test_one_key_for_two_sessions_at_once_is_one_booking(house: House) -> None:
    client = await house.add_client(credits=10)
    for day in range(2, 12):
        request_id, sessions = key(), await house.plan_many(2, start=house.now + timedelta(days=day))
        counted = await house.count([house.book(session, client, request_id=request_id) for session in sessions])
        assert counted == {"BOOKED": 1, "IDEMPOTENCY_KEY_REUSED": 1}
    assert await house.violations() == {}


async def test_the_last_credit_pays_for_one_of_many_classes(house: House) -> None:
    client, sessions = await house.add_client(credits=1), await house.plan_many(10)
    assert await house.count([house.book(session, client) for session in sessions]) == {"BOOKED": 1, "NO_CREDIT": 9}
    assert await house.violations() == {}


async def test_the_last_spot_goes_to_one(house: House) -> None:
    session = await house.plan(capacity=2, spots=["A", "B"])
    people = [await house.add_client() for _ in range(10)]
    counted = await house.count([house.book(session, client, spot="B") for client in people])
    assert counted == {"BOOKED": 1, "SPOT_TAKEN": 9}


async def test_booking_and_cancelling_in_a_storm(house: House) -> None:
    """Few places, few credits, people who act for themselves in several classes at once; a class comes and goes."""
    dice = random.Random(7)
    sessions = await house.plan_many(3, capacity=3, spots=["A", "B", "C"])
    people = [await house.add_client(credits=2) for _ in range(12)]
    failures: list[str] = []
    expected = {"BOOKED", "SESSION_FULL", "NO_CREDIT", "ALREADY_BOOKED", "SESSION_CANCELLED", "BOOKING_NOT_ACTIVE"}

    async def act(number: int) -> None:
        for _ in range(6):
            booking = None
            try:
                booking = await house.book(dice.choice(sessions), people[number % 12])
            except Exception as error:  # sorted out below
                failures.append(await outcome(_raise(error)))
            if booking is not None and dice.random() < 0.8:
                failures.append(await outcome(house.cancel(booking)))

    async def come_and_go() -> None:
        for version in range(2, 10):
            await house.change(sessions[0], version, capacity=3, spots=["A", "B", "C"], cancelled=version % 2 == 0)

    await asyncio.gather(*(act(number) for number in range(36)), come_and_go())
    assert set(failures) <= expected
    assert await house.violations() == {}
    (deadlocks,) = await house.running.sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert deadlocks["deadlocks"] == 0


async def _raise(error: Exception) -> None:
    raise error


class Race:
    """Two calls of `book_v4` that both look before either writes, with guards of the function and the table off."""

    def __init__(self, house: House, *, locks: str = BOTH_LOCKS, checked: bool = True) -> None:
        self._house, self._checked = house, checked
        slow = BOOK.replace(WRITE, PAUSE).replace("book_v4", "book_control")
        assert BOTH_LOCKS in slow
        assert PAUSE in slow
        self._function = slow.replace(BOTH_LOCKS, locks)

    async def __aenter__(self) -> "Race":
        await self._house.running.sql(self._function)
        if not self._checked:
            await self._house.running.sql("ALTER TABLE class_sessions DROP CONSTRAINT ck_class_sessions_booked_count")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._house.running.sql("DROP FUNCTION book_control")
        if not self._checked:
            await self._house.running.sql("DELETE FROM class_sessions WHERE booked_count > effective_capacity")
            await self._house.running.sql(
                "ALTER TABLE class_sessions ADD CONSTRAINT ck_class_sessions_booked_count"
                " CHECK (booked_count BETWEEN 0 AND effective_capacity)"
            )

    async def run(self, *wanted: tuple[str, str]) -> list[str]:
        """Codes, or names of the errors, of bookings of (session, client)."""
        url = f"{self._house.running.mesh.admin_url}/{database_name('booking')}"
        connections = [await asyncpg.connect(url) for _ in wanted]
        try:
            both = zip(connections, wanted, strict=True)
            return sorted(await asyncio.gather(*(self._book(connection, *names) for connection, names in both)))
        finally:
            for connection in connections:
                await connection.close()

    async def _book(self, connection: asyncpg.Connection, session: str, client: str) -> str:
        statement = (
            "SELECT code FROM book_control(ARRAY[$1::uuid], '{test}', '/x/CreateBooking', ARRAY[gen_random_uuid()],"
            " ARRAY[gen_random_uuid()], ARRAY[gen_random_uuid()], ARRAY[$2::uuid], ARRAY[$3::uuid], '{NULL}', '{\"\"}',"
            " '{\"\"}', '{false}', '{\"\"}', $4, ARRAY[gen_random_uuid()], ARRAY[gen_random_uuid()], '{NULL}')"
        )
        house = self._house
        try:
            return str(await connection.fetchval(statement, house.tenant, last_id(session), last_id(client), house.now))
        except asyncpg.PostgresError as error:
            return type(error).__name__


@pytest.mark.parametrize(
    ("locks", "checked", "expected"),
    [
        (BOTH_LOCKS, True, ["BOOKED", "SESSION_FULL"]),
        # Controls: without the lock two see the last place, and then only the CHECK of the table stands in between;
        # without that as well the place is sold twice.
        (NO_SESSION_LOCK, True, ["BOOKED", "CheckViolationError"]),
        (NO_SESSION_LOCK, False, ["BOOKED", "BOOKED"]),
    ],
    ids=["guarded", "no_lock", "no_lock_no_check"],
)
async def test_lock_and_check_are_what_prevents_overselling(
    house: House, locks: str, checked: bool, expected: list[str]
) -> None:
    session, people = await house.plan(capacity=1), await crowd(house, 2)
    async with Race(house, locks=locks, checked=checked) as race:
        assert await race.run(*((session, name) for name in people)) == expected


@pytest.mark.parametrize(
    ("locks", "expected"),
    [(BOTH_LOCKS, ["BOOKED", "NO_CREDIT"]), (NO_CLIENT_LOCK, ["BOOKED", "CheckViolationError"])],
    ids=["guarded", "no_lock"],
)
async def test_a_lock_is_what_keeps_the_last_credit_single(house: House, locks: str, expected: list[str]) -> None:
    (client,) = await crowd(house, 1)
    sessions = await house.plan_many(2)
    async with Race(house, locks=locks) as race:
        assert await race.run(*((session, client) for session in sessions)) == expected
