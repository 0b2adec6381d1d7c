"""Histories of one class under real concurrency over gRPC: each can be explained by one call after the other."""

import asyncio
import random
from time import monotonic
from typing import Any

import pytest

from powerhouse.booking.v1 import booking_service_pb2 as pb
from powerhouse.booking.v1.booking_pb2 import Booking, BookingPolicy
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.policy.v1.policy_pb2 import Role
from tests.integration.booking.house import House, key, outcome
from tests.support.linearizability import Op, is_linearizable

# Capacity, and who is booked.
State = tuple[int, frozenset[int]]


def step(state: State, op: Op) -> State | None:
    """A class as people think of it: so many places, and who has one."""
    capacity, booked = state
    match op.call:
        case ("book", who):
            expected = "ALREADY_BOOKED" if who in booked else "BOOKED" if len(booked) < capacity else "SESSION_FULL"
            after = (capacity, booked | {who}) if expected == "BOOKED" else state
        case ("cancel", who):
            expected = "CANCELLED" if who in booked else "BOOKING_NOT_ACTIVE"
            after = (capacity, booked - {who})
        case ("read",):
            expected, after = capacity - len(booked), state
        case _:
            expected, after = "SET", (op.call[1], booked)
    return after if op.answer == expected else None


class Recorder:
    """One class and its people; everything that is asked of it is written down."""

    def __init__(self, house: House, session: str, people: list[Client]) -> None:
        self._house, self._session, self._people = house, session, people
        self._bookings: list[Booking | None] = [None] * len(people)
        self.history: list[Op] = []

    async def book(self, who: int) -> None:
        async def ask() -> str:
            async def call() -> None:
                self._bookings[who] = await self._house.book(self._session, self._people[who])

            return await outcome(call())

        await self._note(("book", who), ask())

    async def cancel(self, who: int) -> None:
        booking = self._bookings[who]
        if booking is None:
            return

        async def ask() -> str:
            answer = await outcome(self._house.cancel(booking))
            return "CANCELLED" if answer == "BOOKED" else answer

        await self._note(("cancel", who), ask())

    async def read(self) -> None:
        async def ask() -> int:
            answer = await self._house.staff.ListBookableSessions(
                pb.ListBookableSessionsRequest(parent=self._house.name)
            )
            (shown,) = [each for each in answer.bookable_sessions if each.class_session == self._session]
            return int(shown.free_places)

        await self._note(("read",), ask())

    async def set_capacity(self, version: int, capacity: int) -> None:
        async def ask() -> str:
            await self._house.change(self._session, version, capacity=capacity)
            return "SET"

        await self._note(("set capacity", capacity), ask())

    async def _note(self, call: tuple[Any, ...], asked: Any) -> None:
        start = monotonic()
        answer = await asked
        self.history.append(Op(start, monotonic(), call, answer))


@pytest.mark.parametrize("seed", range(12))
async def test_what_happened_can_be_told_one_after_the_other(house: House, seed: int) -> None:
    # Lines have tests of their own; here a free place is anybody's.
    policy = BookingPolicy(name=f"{house.name}/bookingPolicy", waitlist_mode=BookingPolicy.OFF)
    session = await house.plan(capacity=2)
    await house.as_role(Role.ROLE_MANAGER).UpdateBookingPolicy(
        pb.UpdateBookingPolicyRequest(booking_policy=policy, request_id=key())
    )
    recorder = Recorder(house, session, [await house.add_client(credits=5) for _ in range(4)])

    async def act(who: int) -> None:
        # Each person has dice of their own, so that a seed tells the same story whatever is faster.
        dice = random.Random(seed * 10 + who)
        for _ in range(4):
            match dice.choice(("book", "book", "cancel", "read")):
                case "book":
                    await recorder.book(who)
                case "cancel":
                    await recorder.cancel(who)
                case _:
                    await recorder.read()

    async def grow() -> None:
        for version in (2, 3):
            await recorder.set_capacity(version, version + 1)

    await asyncio.gather(*(act(who) for who in range(4)), grow())
    history = sorted(recorder.history, key=lambda op: op.start)
    assert is_linearizable(history, (2, frozenset[int]()), step), history
    assert await house.violations() == {}


@pytest.mark.parametrize(
    ("history", "explained"),
    [
        # The last place, sold once: whichever order, one is too late.
        ([Op(0, 2, ("book", 1), "BOOKED"), Op(1, 3, ("book", 2), "SESSION_FULL")], True),
        ([Op(0, 2, ("book", 1), "SESSION_FULL"), Op(1, 3, ("book", 2), "BOOKED")], True),
        # Controls: sold twice; refused before anybody had it; read as free after it was sold.
        ([Op(0, 2, ("book", 1), "BOOKED"), Op(1, 3, ("book", 2), "BOOKED")], False),
        ([Op(0, 1, ("book", 1), "SESSION_FULL"), Op(2, 3, ("book", 2), "BOOKED")], False),
        ([Op(0, 1, ("book", 1), "BOOKED"), Op(2, 3, ("read",), 1)], False),
        ([Op(0, 3, ("book", 1), "BOOKED"), Op(2, 4, ("read",), 1)], True),
    ],
)
def test_the_judge_knows_a_lie(history: list[Op], explained: bool) -> None:
    assert is_linearizable(history, (1, frozenset[int]()), step) is explained
