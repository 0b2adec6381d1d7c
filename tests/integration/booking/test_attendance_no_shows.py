"""Who held a place and was not there is marked after the class, and pays what the policy says."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from powerhouse.booking.v1.booking_pb2 import Booking, BookingPolicy, Fee
from powerhouse.booking.v1.events_pb2 import FeeChanged
from powerhouse.policy.v1.policy_pb2 import Role
from services.booking import cancellations, no_shows
from services.chassis.ids import new_id
from tests.integration.booking.front_desk import (
    book,
    check_in,
    fees,
    mark_absent,
    rule,
    soon,
    state_of,
    told,
)
from tests.integration.booking.house import BookingStub, House, last_id, outcome


async def one_there_one_not(house: House, **fields: Any) -> tuple[str, Booking, Booking]:
    """A class with two bookings, of which one is checked in."""
    session = await soon(house, **fields)
    there, absent = [await house.book(session, await house.add_client()) for _ in range(2)]
    await check_in(house, there)
    return session, there, absent


async def waive(house: House, booking: Booking) -> None:
    async with house.running.resources.database.transaction(house.tenant) as tx:
        await cancellations.waive(tx, last_id(booking.name), reason="a flat tyre", etag="")


class TestWhen:
    async def test_after_the_grace_of_the_bookings_policy(self, house: House) -> None:
        await rule(house, no_show_grace_minutes=30)
        _, there, absent = await one_there_one_not(house)
        await rule(house, no_show_grace_minutes=0)
        house.move(minutes=30 + 50 + 30, seconds=-1)
        await mark_absent(house)
        assert await state_of(house, absent) == "CONFIRMED"
        house.move(seconds=1)
        await mark_absent(house)
        assert (await state_of(house, there), await state_of(house, absent)) == ("ATTENDED", "NO_SHOW")

    async def test_an_outage_of_days_forgets_nobody(self, house: House) -> None:
        _, _, absent = await one_there_one_not(house)
        house.move(days=6)
        await mark_absent(house)
        assert await state_of(house, absent) == "NO_SHOW"

    async def test_but_the_past_is_left_alone(self, house: House) -> None:
        _, _, absent = await one_there_one_not(house)
        house.move(days=8)
        await mark_absent(house)
        assert await state_of(house, absent) == "CONFIRMED"


class TestWhom:
    async def test_nobody_where_nobody_is_checked_in(self, house: House) -> None:
        absent = await house.book(await soon(house), await house.add_client())
        house.move(hours=3)
        await mark_absent(house)
        assert await state_of(house, absent) == "CONFIRMED"

    async def test_everybody_where_the_policy_says_always(self, house: House) -> None:
        await rule(house, no_show_marking="ALWAYS")
        absent = await house.book(await soon(house), await house.add_client())
        house.move(hours=3)
        await mark_absent(house)
        assert await state_of(house, absent) == "NO_SHOW"

    async def test_nobody_where_it_says_never(self, house: House) -> None:
        await rule(house, no_show_marking="NEVER")
        _, _, absent = await one_there_one_not(house)
        house.move(hours=3)
        await mark_absent(house)
        assert await state_of(house, absent) == "CONFIRMED"

    async def test_guests_too(self, house: House) -> None:
        await rule(house, max_guests=1)
        session, client = await soon(house), await house.add_client(credits=2)
        await check_in(house, await house.book(session, client))
        guest = await book(house, session, client, guest_display_name="Zoe")
        house.move(hours=3)
        await mark_absent(house)
        assert await state_of(house, guest) == "NO_SHOW"

    async def test_not_who_cancelled_or_has_not_paid(self, house: House) -> None:
        await rule(house, no_show_marking="ALWAYS", drop_in_price_minor=2000)
        session = await soon(house)
        cancelled = await house.book(session, await house.add_client())
        await house.cancel(cancelled)
        held = await book(house, session, await house.add_client(credits=0), drop_in=True)
        house.move(hours=3)
        await mark_absent(house)
        assert (await state_of(house, cancelled), await state_of(house, held)) == ("CANCELLED_LATE", "PENDING_PAYMENT")

    async def test_in_many_studios_at_once(self, house: House) -> None:
        houses = [house]
        for _ in range(2):
            tenant = new_id()
            stub = house.running.as_account(BookingStub, roles={tenant: [Role.ROLE_FRONT_DESK]})
            houses.append(House(house.running, tenant, stub))
        absent = []
        for each in houses:
            await rule(each, no_show_fee_minor=100)
            absent.append((await one_there_one_not(each))[2])
        house.move(hours=3)
        tenants = [each.tenant for each in houses]
        async with house.running.resources.database.transaction(*tenants) as tx:
            assert await no_shows.mark_some(tx, tenants) == 3
        for each, booking in zip(houses, absent, strict=True):
            assert await state_of(each, booking) == "NO_SHOW"
            assert await fees(each) == [("NO_SHOW", "DUE", 100)]
            assert await each.violations() == {}
        async with house.running.resources.database.transaction(*tenants) as tx:
            assert await no_shows.mark_some(tx, tenants) == 0


class TestWhatFollows:
    async def test_the_place_stays_held_and_the_fee_is_due(self, house: House) -> None:
        await rule(house, no_show_fee_minor=1500)
        session, _, absent = await one_there_one_not(house)
        house.move(hours=3)
        await mark_absent(house)
        assert await house.counters(session) == (8, 8, 2)
        assert await told(house, absent) == ["CONFIRMED", "NO_SHOW"]
        (event,) = await house.running.events(FeeChanged, house.tenant)
        assert (event.booking_id, event.kind, event.state) == (str(last_id(absent.name)), Fee.NO_SHOW, Fee.DUE)
        assert (event.amount_minor, event.currency_code) == (1500, "EUR")
        assert await house.violations() == {}

    async def test_it_happens_once(self, house: House) -> None:
        await rule(house, no_show_fee_minor=1500)
        _, _, absent = await one_there_one_not(house)
        house.move(hours=3)
        await asyncio.gather(*(mark_absent(house) for _ in range(4)))
        assert await told(house, absent) == ["CONFIRMED", "NO_SHOW"]
        assert await fees(house) == [("NO_SHOW", "DUE", 1500)]

    async def test_a_fee_of_the_policy_that_was_booked_under(self, house: House) -> None:
        await rule(house, no_show_fee_minor=0)
        await one_there_one_not(house)
        await rule(house, no_show_fee_minor=1500)
        house.move(hours=3)
        await mark_absent(house)
        assert await fees(house) == []

    async def test_a_class_cancelled_afterwards_costs_nothing(self, house: House) -> None:
        await rule(house, no_show_fee_minor=1500)
        start = house.now
        session, there, absent = await one_there_one_not(house)
        house.move(hours=3)
        await mark_absent(house)
        await house.change(session, 2, start=start, cancelled=True)
        assert {await state_of(house, there), await state_of(house, absent)} == {"CANCELLED_EARLY"}
        assert await fees(house) == [("NO_SHOW", "VOID", 1500)]
        assert await house.violations() == {}

    async def test_what_staff_let_pass(self, house: House) -> None:
        await rule(house, no_show_fee_minor=1500)
        _, _, absent = await one_there_one_not(house)
        house.move(hours=3)
        await mark_absent(house)
        await waive(house, absent)
        await mark_absent(house)
        assert (await state_of(house, absent), await fees(house)) == ("NO_SHOW", [("NO_SHOW", "WAIVED", 1500)])
        # Its credit is the client's again, so it cannot have paid for being there.
        assert await outcome(check_in(house, absent)) == "CREDIT_RETURNED"
        assert await house.violations() == {}


async def test_checking_in_while_the_absent_are_marked(house: House) -> None:
    """Whichever is first, who was checked in is there and owes nothing."""
    await rule(house, no_show_fee_minor=1500, no_show_marking="ALWAYS")
    session = await soon(house)
    booked = [await house.book(session, await house.add_client()) for _ in range(8)]
    house.move(hours=3)
    await asyncio.gather(mark_absent(house), *(check_in(house, booking) for booking in booked), mark_absent(house))
    assert {await state_of(house, booking) for booking in booked} == {"ATTENDED"}
    assert {state for _, state, _ in await fees(house)} <= {"VOID"}
    assert await house.violations() == {}


@pytest.mark.parametrize("marking", ["NEVER", "WHEN_CHECKED_IN", "ALWAYS"])
async def test_the_policy_says_how(house: House, marking: str) -> None:
    await rule(house, no_show_marking=marking)
    rows = await house.running.sql(
        "SELECT no_show_marking FROM booking_policies WHERE tenant_id = $1 ORDER BY version DESC", house.tenant
    )
    assert (rows[0][0], rows[-1][0]) == (marking, "WHEN_CHECKED_IN")


async def test_the_policy_says_something(house: House) -> None:
    unspecified = BookingPolicy.NO_SHOW_MARKING_UNSPECIFIED
    assert await outcome(rule(house, no_show_marking=unspecified)) == "INVALID_FIELD"


class TestMovedAhead:
    async def test_nobody_was_absent_from_a_class_that_is_still_to_come(self, house: House) -> None:
        await rule(house, no_show_fee_minor=900, no_show_grace_minutes=0)
        session, there, absent = await one_there_one_not(house)
        house.move(hours=2)
        await mark_absent(house)
        assert (await state_of(house, absent), await fees(house)) == ("NO_SHOW", [("NO_SHOW", "DUE", 900)])
        await house.change(session, 2, time_version=2, start=house.now + timedelta(days=1))
        assert (await state_of(house, there), await state_of(house, absent)) == ("ATTENDED", "CONFIRMED")
        assert await fees(house) == [("NO_SHOW", "VOID", 900)]
        assert (await told(house, absent))[-1] == "CONFIRMED"
        assert [fee.state for fee in await house.running.events(FeeChanged, house.tenant)] == [Fee.DUE, Fee.VOID]
        assert await house.violations() == {}

        # It is the class they can stay away from again.
        house.move(days=2)
        await mark_absent(house)
        assert (await state_of(house, absent), await fees(house)) == ("NO_SHOW", [("NO_SHOW", "DUE", 900)])

    async def test_but_they_were_from_one_that_is_over(self, house: House) -> None:
        await rule(house, no_show_grace_minutes=0)
        session, _, absent = await one_there_one_not(house)
        house.move(hours=3)
        await mark_absent(house)
        await house.change(session, 2, time_version=2, start=house.now - timedelta(hours=2))
        assert await state_of(house, absent) == "NO_SHOW"

    async def test_who_has_the_credit_back_has_no_place_in_it(self, house: House) -> None:
        await rule(house, no_show_grace_minutes=0)
        session, _, absent = await one_there_one_not(house)
        house.move(hours=2)
        await mark_absent(house)
        await waive(house, absent)
        await house.change(session, 2, time_version=2, start=house.now + timedelta(days=1))
        assert await state_of(house, absent) == "CANCELLED_EARLY"
        assert await house.counters(session) == (8, 8, 1)
        assert await house.violations() == {}
