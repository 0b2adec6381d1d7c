"""Places, lines and credits together: whatever order things happen in, what must always hold does after each step."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from powerhouse.booking.v1.booking_pb2 import Booking, BookingPolicy
from powerhouse.booking.v1.waitlist_pb2 import WaitlistEntry
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from tests.integration.booking import lines
from tests.integration.booking.conftest import MONDAY
from tests.integration.booking.house import House, outcome
from tests.support.services import Running

# What a sound request may meet. Anything else, an internal error above all, fails the machine.
EXPECTED = {
    *("BOOKED", "SESSION_FULL", "WAITLIST_FIRST", "ALREADY_BOOKED", "OVERLAPPING_BOOKING", "NO_CREDIT"),
    *("SESSION_CANCELLED", "SESSION_STARTED", "BOOKING_NOT_ACTIVE", "PLACE_FREE", "ALREADY_WAITING", "WAITLIST_CLOSED"),
    *("NOT_WAITING", "NOT_OFFERED", "OFFER_EXPIRED", "PACKAGE_NOT_USABLE"),
}


class LineMachine(RuleBasedStateMachine):
    """Each example is a studio with four clients and three classes of one place, two of which overlap."""

    running: ClassVar[Running]
    loop: ClassVar[asyncio.AbstractEventLoop]

    who = st.integers(0, 3)
    where = st.integers(0, 2)

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def ask(self, call: Coroutine[Any, Any, Any]) -> str:
        answer: str = self.wait(outcome(call))
        assert answer in EXPECTED, answer
        return answer

    @initialize(mode=st.sampled_from([BookingPolicy.AUTO_PROMOTE, BookingPolicy.TIMED_OFFER]))
    def open_studio(self, mode: Any) -> None:
        self.running.mesh.clock.instant = MONDAY
        self.house = House(self.running, new_id(), None)
        self.bookings: list[Booking] = []
        self.entries: list[WaitlistEntry] = []
        self.wait(self.open(mode))
        # Each example begins with a line that moves, so that whether anybody is promoted is not left to luck.
        self.crowd(0)
        self.all_that_must_hold_does()
        self.ask(self.house.cancel(self.bookings[0]))

    async def open(self, mode: Any) -> None:
        self.house.staff = self.house.as_role(Role.ROLE_FRONT_DESK)
        # The policy needs the studio, which a session makes.
        self.starts = [MONDAY + timedelta(hours=hours) for hours in (30, 30.5, 50)]
        self.plans: list[dict[str, Any]] = [{"start": start, "capacity": 1} for start in self.starts]
        self.sessions = [await self.house.plan(**plan) for plan in self.plans]
        self.versions = [1, 1, 1]
        await lines.rule(self.house, waitlist_mode=mode)
        self.people = [await self.house.add_client(f"Client {number}", credits=3) for number in range(4)]

    @rule(who=who, where=where)
    def book(self, who: int, where: int) -> None:
        async def call() -> None:
            self.bookings.append(await self.house.book(self.sessions[where], self.people[who]))

        self.ask(call())

    @rule(where=where)
    def crowd(self, where: int) -> None:
        """Everybody wants the same class: some book it, the others wait."""
        for who in range(len(self.people)):
            self.book(who, where)
            self.join(who, where)

    @rule(data=st.data())
    def cancel(self, data: Any) -> None:
        if self.bookings:
            self.ask(self.house.cancel(data.draw(st.sampled_from(self.bookings), "booking")))

    @rule(who=who, where=where)
    def join(self, who: int, where: int) -> None:
        async def call() -> None:
            self.entries.append(await lines.join(self.house, self.sessions[where], self.people[who]))

        self.ask(call())

    @rule(data=st.data(), answer=st.sampled_from([lines.leave, lines.accept, lines.decline]))
    def answer(self, data: Any, answer: Any) -> None:
        if not self.entries:
            return
        entry = data.draw(st.sampled_from(self.entries), "entry")

        async def call() -> None:
            answered = await answer(self.house, entry)
            if getattr(answered, "booking", ""):
                self.bookings.append(await self.house.get(Booking(name=answered.booking)))

        self.ask(call())

    @rule(where=where, capacity=st.integers(0, 4))
    def set_capacity(self, where: int, capacity: int) -> None:
        self.change(where, capacity=max(capacity, 1))

    @rule(where=where, cancelled=st.sampled_from([False, False, True]))
    def come_and_go(self, where: int, cancelled: bool) -> None:
        self.change(where, cancelled=cancelled)

    @rule(where=where, hours=st.sampled_from([0, 1, 24]))
    def move(self, where: int, hours: int) -> None:
        self.change(where, start=self.starts[where] + timedelta(hours=hours))

    def change(self, where: int, **fields: Any) -> None:
        self.versions[where] += 1
        self.plans[where] |= fields
        self.wait(self.house.change(self.sessions[where], self.versions[where], **self.plans[where]))

    @rule(minutes=st.sampled_from([1, 30, 240]))
    def time_passes(self, minutes: int) -> None:
        self.house.move(minutes=minutes)
        self.wait(lines.tick(self.house))

    @invariant()
    def all_that_must_hold_does(self) -> None:
        if hasattr(self, "house"):
            assert self.wait(self.house.violations()) == {}


async def test_whatever_order_things_happen_in(booking: Running) -> None:
    LineMachine.running, LineMachine.loop = booking, asyncio.get_running_loop()
    bounded = settings(
        max_examples=25,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    before = await ended(booking)
    await asyncio.to_thread(run_state_machine_as_test, LineMachine, settings=bounded)
    # A machine in which nobody is ever promoted proves nothing of that.
    assert (await ended(booking) - before)["PROMOTED"] > 0


async def ended(booking: Running) -> Counter[str]:
    """How many waits ended how, in all studios."""
    rows = await booking.sql("SELECT state, count(*) AS number FROM waitlist_entries GROUP BY state")
    return Counter({row["state"]: row["number"] for row in rows})
