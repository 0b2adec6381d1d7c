"""Clients check themselves in with the code of the class."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from grpc import StatusCode

from powerhouse.booking.v1.booking_pb2 import Booking
from powerhouse.policy.v1.policy_pb2 import Role
from services.booking.check_in_codes import CheckInCodes
from services.chassis.ids import new_id
from services.chassis.rpc.codec import to_timestamp
from tests.integration.booking.conftest import MONDAY
from tests.integration.booking.front_desk import code_of, mark_absent, rule, self_check_in, soon, state_of, told, undo
from tests.integration.booking.house import House, key, last_id, outcome, refused


async def booked(house: House, **fields: Any) -> tuple[Booking, Any, str, str]:
    """A class in half an hour, a booking of it, its client's stub, the code and a wrong one."""
    account = new_id()
    session = await soon(house, **fields)
    booking = await house.book(session, await house.add_client(account=f"accounts/{account}"))
    code = (await code_of(house, session)).code
    return booking, house.as_account(account), code, f"{(int(code) + 1) % 1_000_000:06}"


class TestCodes:
    def test_follow_from_secret_class_and_start(self) -> None:
        codes, session = CheckInCodes("s" * 32), UUID(int=7)
        code = codes.of(session, MONDAY)
        assert len(code) == 6
        assert code.isdigit()
        assert code == CheckInCodes("s" * 32).of(session, MONDAY)
        others = {
            CheckInCodes("t" * 32).of(session, MONDAY),
            codes.of(UUID(int=8), MONDAY),
            codes.of(session, MONDAY + timedelta(minutes=1)),
        }
        assert code not in others
        assert len(others) == 3

    async def test_are_shown_to_who_stands_at_the_class(self, house: House) -> None:
        teacher = new_id()
        session, other = await soon(house, instructor_account_id=str(teacher)), await soon(house)
        shown = await code_of(house, session)
        start = house.now + timedelta(minutes=30)
        assert (shown.class_session, shown.start_time) == (session, to_timestamp(start - timedelta(minutes=30)))
        assert shown.end_time == to_timestamp(start + timedelta(minutes=50))
        stub = house.as_role(Role.ROLE_INSTRUCTOR, teacher)
        assert await code_of(house, session, stub) == shown
        await refused(code_of(house, other, stub), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
        client = house.as_account(new_id())
        await refused(code_of(house, session, client), StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")
        unknown = f"{house.name}/classSessions/{new_id()}"
        await refused(code_of(house, unknown), StatusCode.NOT_FOUND, "NOT_FOUND")

    async def test_a_moved_class_has_another(self, house: House) -> None:
        session = await soon(house)
        before = await code_of(house, session)
        await house.change(session, 2, start=house.now + timedelta(hours=1), time_version=1)
        assert (await code_of(house, session)).code != before.code


class TestSelfCheckIn:
    async def test_with_the_code(self, house: House) -> None:
        booking, stub, code, _ = await booked(house)
        request_id = key()
        there = await self_check_in(booking, code, stub, request_id=request_id)
        assert there.state == Booking.ATTENDED
        # A repeat, and another request of who is there already.
        for _ in range(6):
            assert await self_check_in(booking, code, stub, request_id=request_id) == there
        assert await self_check_in(booking, code, stub) == there
        assert await told(house, booking) == ["CONFIRMED", "ATTENDED"]

    async def test_from_the_policys_minutes_before_until_the_end(self, house: House) -> None:
        await rule(house, self_check_in_minutes=20)
        booking, stub, code, _ = await booked(house)
        for _ in range(6):
            await refused(self_check_in(booking, code, stub), StatusCode.FAILED_PRECONDITION, "CHECK_IN_NOT_OPEN")
        # The booking keeps the policy that it was made under.
        await rule(house, self_check_in_minutes=0)
        house.move(minutes=10)
        await self_check_in(booking, code, stub)
        await undo(house, booking)
        house.move(minutes=70)
        await self_check_in(booking, code, stub)
        await undo(house, booking)
        house.move(seconds=1)
        await refused(self_check_in(booking, code, stub), StatusCode.FAILED_PRECONDITION, "CHECK_IN_CLOSED")

    async def test_where_only_staff_check_in(self, house: House) -> None:
        await rule(house, self_check_in_minutes=0)
        booking, stub, code, _ = await booked(house)
        await refused(self_check_in(booking, code, stub), StatusCode.FAILED_PRECONDITION, "SELF_CHECK_IN_OFF")

    async def test_a_booking_of_somebody_else(self, house: House) -> None:
        booking, _, code, _ = await booked(house)
        unknown = Booking(name=f"{house.name}/bookings/{new_id()}")
        for each in (booking, unknown):
            call = self_check_in(each, code, house.as_account(new_id()))
            await refused(call, StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
        # Not even staff, who need no code.
        await refused(self_check_in(booking, code, house.staff), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")

    async def test_what_was_cancelled(self, house: House) -> None:
        booking, stub, code, _ = await booked(house)
        await house.cancel(booking)
        await refused(self_check_in(booking, code, stub), StatusCode.FAILED_PRECONDITION, "BOOKING_NOT_ACTIVE")

    @pytest.mark.parametrize("code", ["", "12345", "1234567", "12345a", "12 456", "１２３４５６"])
    async def test_what_is_no_code(self, house: House, code: str) -> None:
        booking, stub, _, _ = await booked(house)
        await refused(self_check_in(booking, code, stub), StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")

    async def test_five_wrong_codes_and_no_more(self, house: House) -> None:
        booking, stub, code, wrong = await booked(house)
        for _ in range(5):
            await refused(self_check_in(booking, wrong, stub), StatusCode.INVALID_ARGUMENT, "WRONG_CODE")
        await refused(self_check_in(booking, code, stub), StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_CODES")
        assert await state_of(house, booking) == "CONFIRMED"

    async def test_many_guesses_at_once(self, house: House) -> None:
        booking, stub, _, wrong = await booked(house)
        said = Counter(await asyncio.gather(*(outcome(self_check_in(booking, wrong, stub)) for _ in range(20))))
        assert said == {"WRONG_CODE": 5, "TOO_MANY_CODES": 15}

    async def test_the_right_code_forgets_the_wrong_ones(self, house: House) -> None:
        booking, stub, code, wrong = await booked(house)
        for _ in range(2):
            for _ in range(4):
                await refused(self_check_in(booking, wrong, stub), StatusCode.INVALID_ARGUMENT, "WRONG_CODE")
            await self_check_in(booking, code, stub)
            await undo(house, booking)
        attempts = await house.running.sql("SELECT FROM check_in_attempts WHERE booking_id = $1", last_id(booking.name))
        assert attempts == []

    async def test_it_counts_as_checking_in(self, house: House) -> None:
        """Who shows the code of a class takes its attendance."""
        booking, stub, code, _ = await booked(house, capacity=2)
        absent = await house.book(booking.class_session, await house.add_client())
        await self_check_in(booking, code, stub)
        house.move(hours=2)
        await mark_absent(house)
        assert await state_of(house, absent) == "NO_SHOW"
