"""Checking in at the desk, taking it back, and who walks in."""

from datetime import UTC

import pytest
from grpc import StatusCode

from powerhouse.booking.v1.booking_pb2 import Booking
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from tests.integration.booking.front_desk import (
    book,
    check_in,
    expire_holds,
    fees,
    mark_absent,
    rule,
    soon,
    state_of,
    told,
    undo,
    walk_in,
)
from tests.integration.booking.house import House, key, refused


class TestCheckIn:
    async def test_who_is_there_is_noted(self, house: House) -> None:
        session, client = await soon(house), await house.add_client()
        booking = await house.book(session, client)
        there = await check_in(house, booking)
        assert there.state == Booking.ATTENDED
        assert there.check_in_time.ToDatetime(UTC) == house.now
        assert there.etag != booking.etag
        assert await told(house, booking) == ["CONFIRMED", "ATTENDED"]
        assert await house.counters(session) == (8, 8, 1)
        (entry,) = await house.running.sql(
            "SELECT changes ->> 'state' AS state FROM audit_entries WHERE tenant_id = $1 AND method = 'CheckIn'",
            house.tenant,
        )
        assert entry["state"] == '["CONFIRMED", "ATTENDED"]'
        assert await house.violations() == {}

    async def test_again_changes_nothing(self, house: House) -> None:
        booking = await house.book(await soon(house), await house.add_client())
        there = await check_in(house, booking)
        house.move(minutes=5)
        assert await check_in(house, booking) == there
        assert await told(house, booking) == ["CONFIRMED", "ATTENDED"]

    async def test_from_an_hour_before_until_a_day_after(self, house: House) -> None:
        session = await soon(house, minutes=61)
        early, late, too_late = [await house.book(session, await house.add_client()) for _ in range(3)]
        await refused(check_in(house, early), StatusCode.FAILED_PRECONDITION, "CHECK_IN_NOT_OPEN")
        house.move(minutes=1)
        await check_in(house, early)
        house.move(minutes=60 + 50, hours=24)
        await check_in(house, late)
        house.move(seconds=1)
        await refused(check_in(house, too_late), StatusCode.FAILED_PRECONDITION, "CHECK_IN_CLOSED")

    async def test_what_holds_no_place(self, house: House) -> None:
        await rule(house, drop_in_price_minor=2000)
        session = await soon(house)
        cancelled = await house.book(session, await house.add_client())
        await house.cancel(cancelled)
        held = await book(house, session, await house.add_client(), drop_in=True)
        await refused(check_in(house, cancelled), StatusCode.FAILED_PRECONDITION, "BOOKING_NOT_ACTIVE")
        await refused(check_in(house, held), StatusCode.FAILED_PRECONDITION, "NOT_PAID")
        house.move(minutes=15)
        assert await expire_holds(house) == 1
        await refused(check_in(house, held), StatusCode.FAILED_PRECONDITION, "BOOKING_NOT_ACTIVE")
        unknown = Booking(name=f"{house.name}/bookings/{new_id()}")
        await refused(check_in(house, unknown), StatusCode.NOT_FOUND, "NOT_FOUND")

    async def test_instructors_where_they_teach(self, house: House) -> None:
        teacher = new_id()
        own = await house.book(await soon(house, instructor_account_id=str(teacher)), await house.add_client())
        other = await house.book(await soon(house), await house.add_client())
        stub = house.as_role(Role.ROLE_INSTRUCTOR, teacher)
        assert (await check_in(house, own, stub=stub)).state == Booking.ATTENDED
        assert (await undo(house, own, stub=stub)).state == Booking.CONFIRMED
        unknown = Booking(name=f"{house.name}/bookings/{new_id()}")
        for booking in (other, unknown):
            await refused(check_in(house, booking, stub=stub), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
            await refused(undo(house, booking, stub=stub), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
        client = house.as_account(new_id())
        await refused(check_in(house, own, stub=client), StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")

    async def test_who_was_marked_absent_and_came_all_the_same(self, house: House) -> None:
        await rule(house, no_show_fee_minor=1500, no_show_marking="ALWAYS")
        booking = await house.book(await soon(house), await house.add_client())
        house.move(hours=2)
        await mark_absent(house)
        assert (await state_of(house, booking), await fees(house)) == ("NO_SHOW", [("NO_SHOW", "DUE", 1500)])
        assert (await check_in(house, booking)).state == Booking.ATTENDED
        assert await fees(house) == [("NO_SHOW", "VOID", 1500)]
        assert await told(house, booking) == ["CONFIRMED", "NO_SHOW", "ATTENDED"]


class TestUndo:
    async def test_before_the_grace_is_over_it_is_as_before(self, house: House) -> None:
        booking = await house.book(await soon(house), await house.add_client())
        await check_in(house, booking)
        undone = await undo(house, booking)
        assert (undone.state, undone.HasField("check_in_time")) == (Booking.CONFIRMED, False)
        assert await told(house, booking) == ["CONFIRMED", "ATTENDED", "CONFIRMED"]
        await refused(undo(house, booking), StatusCode.FAILED_PRECONDITION, "NOT_CHECKED_IN")

    async def test_after_it_the_client_was_absent(self, house: House) -> None:
        await rule(house, no_show_fee_minor=1500, no_show_marking="ALWAYS")
        booking = await house.book(await soon(house), await house.add_client())
        house.move(hours=2)
        await mark_absent(house)
        await check_in(house, booking)
        assert (await undo(house, booking)).state == Booking.NO_SHOW
        assert await fees(house) == [("NO_SHOW", "DUE", 1500)]
        states = await told(house, booking)
        assert states == ["CONFIRMED", "NO_SHOW", "ATTENDED", "NO_SHOW"]

    async def test_the_only_one_who_was_checked_in(self, house: House) -> None:
        """Then the studio did not check in, as far as anybody knows."""
        booking = await house.book(await soon(house), await house.add_client())
        await check_in(house, booking)
        house.move(hours=2)
        assert (await undo(house, booking)).state == Booking.CONFIRMED

    async def test_too_late_or_of_something_older(self, house: House) -> None:
        booking = await house.book(await soon(house), await house.add_client())
        await check_in(house, booking)
        await refused(undo(house, booking, etag=booking.etag), StatusCode.ABORTED, "ETAG_MISMATCH")
        house.move(days=2)
        await refused(undo(house, booking), StatusCode.FAILED_PRECONDITION, "CHECK_IN_CLOSED")


class TestWalkIns:
    async def test_booked_and_there_in_one_step(self, house: House) -> None:
        session, client = await soon(house, spots=["A", "B"], capacity=2), await house.add_client(credits=2)
        # Booking has closed, and nobody may book two classes at once: the desk lets both pass.
        await house.book(await soon(house), client)
        house.move(minutes=40)
        request_id = key()
        there = await walk_in(house, session, client, spot="B", request_id=request_id)
        assert (there.state, there.spot, there.client_package != "") == (Booking.ATTENDED, "B", True)
        assert await walk_in(house, session, client, spot="B", request_id=request_id) == there
        assert await house.credits(client) == 0
        assert await house.counters(session) == (2, 2, 1)
        assert await told(house, there) == ["CONFIRMED", "ATTENDED"]
        (entry,) = await house.running.sql(
            "SELECT changes FROM audit_entries WHERE tenant_id = $1 AND changes ? 'override'", house.tenant
        )
        assert "walk-in" in entry["changes"]
        assert await house.violations() == {}

    async def test_who_pays_at_the_desk(self, house: House) -> None:
        await rule(house, drop_in_price_minor=2000)
        session, client = await soon(house), await house.add_client(credits=0)
        there = await walk_in(house, session, client, drop_in=True)
        assert (there.state, there.client_package) == (Booking.ATTENDED, "")
        house.move(minutes=20)
        await expire_holds(house)
        assert await state_of(house, there) == "ATTENDED"

    async def test_until_the_end(self, house: House) -> None:
        early, session = await soon(house, minutes=61), await soon(house)
        one, other = await house.add_client(), await house.add_client()
        await refused(walk_in(house, early, one), StatusCode.FAILED_PRECONDITION, "CHECK_IN_NOT_OPEN")
        assert await house.counters(early) == (8, 8, 0)
        house.move(minutes=80, seconds=-1)
        await walk_in(house, session, one)
        house.move(seconds=1)
        await refused(walk_in(house, session, other), StatusCode.FAILED_PRECONDITION, "SESSION_OVER")

    @pytest.mark.parametrize(
        ("why", "code"),
        [
            ("SESSION_FULL", StatusCode.FAILED_PRECONDITION),
            ("NO_CREDIT", StatusCode.FAILED_PRECONDITION),
            ("DROP_IN_NOT_OFFERED", StatusCode.FAILED_PRECONDITION),
            ("ALREADY_BOOKED", StatusCode.ALREADY_EXISTS),
            ("NOT_FOUND", StatusCode.NOT_FOUND),
        ],
    )
    async def test_what_even_the_desk_cannot_do(self, house: House, why: str, code: StatusCode) -> None:
        session = await soon(house, capacity=1 if why == "SESSION_FULL" else 2)
        first = await house.add_client(credits=2)
        await house.book(session, first)
        client = first if why == "ALREADY_BOOKED" else await house.add_client(credits=0 if why == "NO_CREDIT" else 1)
        client.name = f"{house.name}/clients/{new_id()}" if why == "NOT_FOUND" else client.name
        await refused(walk_in(house, session, client, drop_in=why == "DROP_IN_NOT_OFFERED"), code, why)

    async def test_by_the_instructor(self, house: House) -> None:
        teacher = new_id()
        session = await soon(house, instructor_account_id=str(teacher))
        stub = house.as_role(Role.ROLE_INSTRUCTOR, teacher)
        call = walk_in(house, session, await house.add_client(), stub=stub)
        await refused(call, StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")


async def test_cancelling_what_was_attended(house: House) -> None:
    booking = await house.book(await soon(house, minutes=50), await house.add_client())
    await check_in(house, booking)
    await refused(house.cancel(booking), StatusCode.FAILED_PRECONDITION, "BOOKING_NOT_ACTIVE")
