"""Series, exceptions, closures and conflicts together: whatever order things happen in, what must hold does."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

import grpc
from edits_house import EditsHouse
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from recurring_house import berlin
from series_truth import Truth, look
from timetable_house import last_id, open_house

from powerhouse.scheduling.v1.class_schedule_pb2 import ClassSchedule
from powerhouse.scheduling.v1.class_session_pb2 import ClassSession
from powerhouse.scheduling.v1.closure_service_pb2 import Closure
from powerhouse.scheduling.v1.conflict_service_pb2 import ScheduleConflict
from tests.support.services import Running, reason_of

# What a sound request may meet. Anything else, an internal error above all, fails the machine.
EXPECTED = {
    *("SESSION_OVERLAP", "SESSION_CANCELLED", "SESSION_NOT_CANCELLED", "SESSION_STARTED", "SESSION_IN_PAST"),
    *("DATE_NOT_IN_SERIES", "ARCHIVED", "CONFLICT_RESOLVED", "STILL_CLOSED", "STILL_UNAVAILABLE", "RULE_NEVER_MATCHES"),
}
TIMES = ("08:00", "08:30", "10:00", "23:30")
RULES = ("FREQ=WEEKLY;BYDAY=MO,WE,FR", "FREQ=WEEKLY;BYDAY=MO,TU", "FREQ=WEEKLY;BYDAY=WE,SU")


class SeriesMachine(RuleBasedStateMachine):
    """Each example is a studio with two rooms, two instructors and three schedules that get in each other's way."""

    running: ClassVar[Running]
    loop: ClassVar[asyncio.AbstractEventLoop]
    seen: ClassVar[Counter[str]] = Counter()

    edits_of_series = st.fixed_dictionaries(
        {},
        optional={
            "local_time": st.sampled_from(TIMES),
            "rrule": st.sampled_from(RULES),
            "room": st.integers(0, 1),
            "instructor": st.integers(0, 1),
            "capacity": st.integers(3, 8),
            "duration_minutes": st.sampled_from([50, 90]),
        },
    ).filter(bool)

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def ask(self, call: Coroutine[Any, Any, Any], *meant: UUID, may_cancel: bool = False) -> Any:
        """The answer, None for a refusal. Afterwards nothing has changed that should not."""
        before, answer, reason = self.truth, None, ""
        try:
            answer = self.wait(call)
        except grpc.aio.AioRpcError as error:
            reason = reason_of(error) or str(error.details())
        assert not reason or reason in EXPECTED, reason
        self.seen[reason] += 1
        self.truth = self.wait(look(self.edits))
        assert self.truth.changes_since(before, set(meant), may_cancel=may_cancel) == []
        return answer

    @initialize()
    def open_studio(self) -> None:
        self.running.mesh.clock.instant = berlin("2027-01-03T06:00")
        self.closures: list[Closure] = []
        self.wait(self.open())
        self.truth: Truth = self.wait(look(self.edits))
        self.generate(1)

    async def open(self) -> None:
        self.edits = EditsHouse(await open_house(self.running))
        house = self.edits.house
        self.rooms = [house.room.name, (await house.add_room()).name]
        self.people = [house.instructor.name, (await house.add_instructor()).name]
        await self.edits.can_teach(self.people[1], *((day, "08:00", "20:00") for day in range(1, 7)))
        self.schedules: list[ClassSchedule] = [
            await self.edits.create(display_name="First", capacity=8),
            await self.edits.create(display_name="Second", room=self.rooms[1], instructor=self.people[1], capacity=8),
            await self.edits.create(display_name="Third", instructor=self.people[1], local_time="10:30"),
        ]

    def fields(self, drawn: dict[str, Any]) -> dict[str, Any]:
        """An edit with the names of its room and instructor."""
        named = {"room": self.rooms, "instructor": self.people}
        return {field: named[field][value] if field in named else value for field, value in drawn.items()}

    def a_session(self, data: Any) -> ClassSession:
        sessions = [each for each in self.truth.sessions.values() if each["start_at"] > self.truth.now]
        row = data.draw(st.sampled_from(sorted(sessions, key=lambda each: (each["start_at"], each["id"]))), "session")
        return ClassSession(name=f"{self.edits.house.name}/classSessions/{row['id']}")

    @rule(runs=st.sampled_from([1, 1, 3]))
    def generate(self, runs: int) -> None:
        """Alone, or three at once."""

        async def call() -> None:
            await asyncio.gather(*(self.edits.generate() for _ in range(runs)))

        self.ask(call())
        assert self.truth.missing() == []

    @rule(data=st.data(), day=st.integers(0, 20), at=st.sampled_from(TIMES))
    def move_this(self, data: Any, day: int, at: str) -> None:
        session = self.a_session(data)
        date = (self.truth.now + timedelta(days=1 + day)).date()
        self.ask(self.edits.house.move(session, local_start=f"{date}T{at}"), last_id(session.name))

    @rule(data=st.data(), who=st.integers(0, 1))
    def substitute_this(self, data: Any, who: int) -> None:
        session = self.a_session(data)
        self.ask(self.edits.house.substitute(session, self.people[who]), last_id(session.name))

    @rule(data=st.data(), back=st.booleans())
    def cancel_this(self, data: Any, back: bool) -> None:
        session = self.a_session(data)
        call = self.edits.house.uncancel if back else self.edits.house.cancel
        self.ask(call(session), last_id(session.name))

    @rule(data=st.data(), drawn=edits_of_series)
    def edit_all(self, data: Any, drawn: dict[str, Any]) -> None:
        schedule = data.draw(st.sampled_from(self.schedules), "schedule")
        self.ask(self.edits.update(schedule, ",".join(drawn), **self.fields(drawn)))

    @rule(data=st.data(), drawn=edits_of_series)
    def edit_following(self, data: Any, drawn: dict[str, Any]) -> None:
        schedule = data.draw(st.sampled_from(self.schedules), "schedule")
        days = sorted(
            each["original_date"]
            for each in self.truth.sessions.values()
            if each["schedule_id"] == last_id(schedule.name)
        )
        if days:
            day = data.draw(st.sampled_from(days), "from")
            made = self.ask(self.edits.edit_following(schedule, day.isoformat(), **self.fields(drawn)))
            if made is not None and made.name != schedule.name:
                self.schedules.append(made)

    @rule(day=st.integers(0, 20), days=st.integers(0, 2))
    def close(self, day: int, days: int) -> None:
        first = (self.truth.now + timedelta(days=day)).date()
        last = first + timedelta(days=days)
        closure = self.edits.close_days(first.isoformat(), last.isoformat(), cancel=True)
        self.closures.append(self.ask(closure, may_cancel=True))

    @rule(data=st.data())
    def open_again(self, data: Any) -> None:
        if self.closures:
            closure = data.draw(st.sampled_from(self.closures), "closure")
            self.ask(self.edits.open_days(closure))

    @rule(data=st.data(), how=st.sampled_from(["skip", "room", "instructor", "local_start", "force_reason"]))
    def resolve(self, data: Any, how: str) -> None:
        conflicts: list[ScheduleConflict] = [*self.wait(self.edits.inbox()), *self.wait(self.edits.inbox("SKIPPED"))]
        if not conflicts:
            return
        conflict = data.draw(st.sampled_from(conflicts), "conflict")
        self.seen["conflict"] += 1
        value: Any = {
            "skip": True,
            "room": data.draw(st.sampled_from(self.rooms), "room"),
            "instructor": data.draw(st.sampled_from(self.people), "instructor"),
            "local_start": f"{conflict.original_date}T{data.draw(st.sampled_from(TIMES), 'time')}",
            "force_reason": "It was agreed on",
        }[how]
        resolved = self.ask(self.edits.resolve(conflict, **{how: value}))
        if resolved is not None:
            self.seen[how] += 1

    @rule(hours=st.sampled_from([1, 26, 100]))
    def time_passes(self, hours: int) -> None:
        self.running.mesh.clock.move(timedelta(hours=hours))
        self.truth = self.wait(look(self.edits))

    @invariant()
    def all_that_must_hold_does(self) -> None:
        if hasattr(self, "truth"):
            assert self.truth.violations() == []


async def test_whatever_order_things_happen_in(scheduling: Running) -> None:
    SeriesMachine.running, SeriesMachine.loop = scheduling, asyncio.get_running_loop()
    SeriesMachine.seen.clear()
    bounded = settings(
        max_examples=12,
        stateful_step_count=20,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        # A shorter story of the same fault is not worth the minutes that it takes to find.
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
    )
    await asyncio.to_thread(run_state_machine_as_test, SeriesMachine, settings=bounded)
    # A machine that meets no conflict and no overlap proves nothing of them.
    assert SeriesMachine.seen["conflict"] > 0
    assert SeriesMachine.seen["SESSION_OVERLAP"] > 0
