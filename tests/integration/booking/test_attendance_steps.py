"""The life of a booking: what each step makes of each state, and that the database lets nothing else happen."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from powerhouse.booking.v1.booking_pb2 import Booking
from services.chassis.db.urls import service_url
from services.chassis.ids import new_id
from tests.integration.booking.front_desk import (
    book,
    check_in,
    code_of,
    expire_holds,
    mark_absent,
    mark_paid,
    pay,
    rule,
    self_check_in,
    soon,
    state_of,
    undo,
)
from tests.integration.booking.house import House, last_id, outcome

ACCOUNT = new_id()
STATES = tuple(state for state in Booking.State.keys() if state != "STATE_UNSPECIFIED")  # noqa: SIM118  # no mapping

# What a step answers when it refuses, or the state that it leads to.
STEPS = ("check in", "undo", "check in oneself", "cancel", "pay", "mark paid", "expire", "mark absent")
LIFE = {
    "CONFIRMED": (
        *("ATTENDED", "NOT_CHECKED_IN", "ATTENDED", "CANCELLED_LATE"),
        *("NOT_A_DROP_IN", "NOT_A_DROP_IN", "CONFIRMED", "CONFIRMED"),
    ),
    "ATTENDED": (
        *("ATTENDED", "CONFIRMED", "ATTENDED", "BOOKING_NOT_ACTIVE"),
        *("NOT_A_DROP_IN", "NOT_A_DROP_IN", "ATTENDED", "ATTENDED"),
    ),
    "NO_SHOW": (
        *("ATTENDED", "NOT_CHECKED_IN", "CHECK_IN_CLOSED", "BOOKING_NOT_ACTIVE"),
        *("NOT_A_DROP_IN", "NOT_A_DROP_IN", "NO_SHOW", "NO_SHOW"),
    ),
    "CANCELLED_EARLY": (
        *("BOOKING_NOT_ACTIVE", "NOT_CHECKED_IN", "BOOKING_NOT_ACTIVE", "BOOKING_NOT_ACTIVE"),
        *("NOT_A_DROP_IN", "NOT_A_DROP_IN", "CANCELLED_EARLY", "CANCELLED_EARLY"),
    ),
    "CANCELLED_LATE": (
        *("BOOKING_NOT_ACTIVE", "NOT_CHECKED_IN", "BOOKING_NOT_ACTIVE", "BOOKING_NOT_ACTIVE"),
        *("NOT_A_DROP_IN", "NOT_A_DROP_IN", "CANCELLED_LATE", "CANCELLED_LATE"),
    ),
    "PENDING_PAYMENT": (
        *("NOT_PAID", "NOT_CHECKED_IN", "NOT_PAID", "CANCELLED_EARLY"),
        *("CONFIRMED", "CONFIRMED", "EXPIRED", "PENDING_PAYMENT"),
    ),
    "EXPIRED": (
        *("BOOKING_NOT_ACTIVE", "NOT_CHECKED_IN", "BOOKING_NOT_ACTIVE", "BOOKING_NOT_ACTIVE"),
        *("CONFIRMED", "CONFIRMED", "EXPIRED", "EXPIRED"),
    ),
}
# The same without the rules of hours: every step that the life of a booking has.
ALLOWED = {
    "CONFIRMED": {"CANCELLED_EARLY", "CANCELLED_LATE", "ATTENDED", "NO_SHOW"},
    "ATTENDED": {"CONFIRMED", "CANCELLED_EARLY"},
    # Its class is moved ahead, and has yet to come.
    "NO_SHOW": {"ATTENDED", "CONFIRMED", "CANCELLED_EARLY"},
    "CANCELLED_EARLY": set(),
    "CANCELLED_LATE": set(),
    "PENDING_PAYMENT": {"CONFIRMED", "EXPIRED", "CANCELLED_EARLY", "CANCELLED_LATE"},
    "EXPIRED": {"CONFIRMED"},
}


async def reach(house: House, state: str) -> Booking:
    """A booking that came into a state as bookings do."""
    client = await house.add_client(account=f"accounts/{ACCOUNT}")
    # Free to cancel until half an hour before, or not at all any more.
    await rule(
        house,
        drop_in_price_minor=2000,
        no_show_marking="ALWAYS",
        cancellation_window_minutes=10 if state == "CANCELLED_EARLY" else 720,
    )
    session = await soon(house)
    if state in ("PENDING_PAYMENT", "EXPIRED"):
        booking: Booking = await book(house, session, client, drop_in=True)
    else:
        booking = await house.book(session, client)
    match state:
        case "ATTENDED":
            await check_in(house, booking)
        case "NO_SHOW":
            house.move(hours=3)
            await mark_absent(house)
        case "CANCELLED_EARLY" | "CANCELLED_LATE":
            await house.cancel(booking)
        case "EXPIRED":
            house.move(minutes=15)
            await expire_holds(house)
    assert await state_of(house, booking) == state
    return booking


async def take(house: House, step: str, booking: Booking) -> str:
    """The state after a step, or why it was refused."""
    code = (await code_of(house, booking.class_session)).code
    calls: dict[str, Callable[[], Any]] = {
        "check in": lambda: check_in(house, booking),
        "undo": lambda: undo(house, booking),
        "check in oneself": lambda: self_check_in(booking, code, house.as_account(ACCOUNT)),
        "cancel": lambda: house.cancel(booking),
        "pay": lambda: pay(house, booking, str(new_id())),
        "mark paid": lambda: mark_paid(house, booking),
    }
    if step in calls:
        said = await outcome(calls[step]())
        return await state_of(house, booking) if said == "BOOKED" else said
    ticks: dict[str, Callable[[House], Awaitable[Any]]] = {"expire": expire_holds, "mark absent": mark_absent}
    if step == "expire":
        house.move(minutes=15)
    await ticks[step](house)
    return await state_of(house, booking)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("state", LIFE)
async def test_each_step_from_each_state(house: House, state: str, step: str) -> None:
    booking = await reach(house, state)
    before = await house.counters(booking.class_session)
    said = await take(house, step, booking)
    assert said == LIFE[state][STEPS.index(step)]
    if said not in STATES:
        assert await state_of(house, booking) == state
        assert await house.counters(booking.class_session) == before
    assert await house.violations() == {}


def test_every_state_and_step_is_tried() -> None:
    assert set(LIFE) == set(ALLOWED) == set(STATES)
    assert {len(answers) for answers in LIFE.values()} == {len(STEPS)}
    for state, answers in LIFE.items():
        assert {answer for answer in answers if answer in STATES} - {state} <= ALLOWED[state]


@pytest.fixture
async def bypass(house: House) -> AsyncIterator[Any]:
    """A connection of the app role inside a transaction of the studio that is undone."""
    url = service_url("booking", "app", {"POWERHOUSE_DATABASE_URL": house.running.mesh.admin_url})
    connection = await asyncpg.connect(url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("SELECT set_config('app.tenants', $1, true)", f"{{{house.tenant}}}")
    yield connection
    await transaction.rollback()
    await connection.close()


PUT = (
    "INSERT INTO bookings (tenant_id, id, class_session_id, client_id, state, policy_version, credit_returned,"
    " session_cancelled, cancel_time, start_time, end_time, hold_expire_time, version)"
    " SELECT $1, $2, $3, $4, $5::text, 1, false, $6, CASE WHEN $5 ~ 'CANCEL|EXPIRED' THEN now() END,"
    " now(), now(), now(), 1"
)
STEP = (
    "UPDATE bookings SET state = $3::text, session_cancelled = session_cancelled AND $3 = 'CANCELLED_EARLY',"
    " cancel_time = CASE WHEN $3 ~ 'CANCEL|EXPIRED' THEN now() END WHERE tenant_id = $1 AND id = $2"
)


async def reached(house: House, bypass: Any, state: str, *, session_cancelled: bool = False) -> set[str]:
    """The states to which the database lets a booking in `state` go."""
    session, client = last_id(await house.plan()), last_id((await house.add_client(credits=0)).name)
    booking, found = new_id(), set()
    await bypass.execute(PUT, house.tenant, booking, session, client, state, session_cancelled)
    for other in set(STATES) - {state}:
        attempt = bypass.transaction()
        await attempt.start()
        try:
            assert await bypass.execute(STEP, house.tenant, booking, other) == "UPDATE 1"
            found.add(other)
        except asyncpg.CheckViolationError as refusal:
            if f"a {state} booking cannot become {other}" not in str(refusal):
                raise
        await attempt.rollback()
    return found


@pytest.mark.parametrize("state", STATES)
async def test_the_database_knows_the_steps(house: House, bypass: Any, state: str) -> None:
    assert await reached(house, bypass, state) == ALLOWED[state]


async def test_what_went_with_its_class_comes_back_with_it(house: House, bypass: Any) -> None:
    assert await reached(house, bypass, "CANCELLED_EARLY", session_cancelled=True) == {"CONFIRMED"}
