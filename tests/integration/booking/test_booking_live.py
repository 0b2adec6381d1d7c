"""Watching a class: now, at each change, from whatever it comes, and for as little work as possible."""

import asyncio
from contextlib import aclosing
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode

from powerhouse.booking.v1 import booking_service_pb2 as pb
from powerhouse.booking.v1.booking_pb2 import BookableSession, BookingPolicy
from powerhouse.policy.v1.policy_pb2 import Role
from services.booking import live
from services.booking.live import LiveSessions
from services.chassis.errors import ResourceExhausted
from services.chassis.ids import new_id
from tests.integration.booking.house import BookingStub, House, key, last_id
from tests.support.services import reason_of


class Watch:
    """A watch under way; use as an async context."""

    def __init__(self, stub: Any, session: str) -> None:
        self._call = stub.WatchClassSession(pb.WatchClassSessionRequest(name=session))
        self._answers = aiter(self._call)
        self.event_id = ""

    async def __aenter__(self) -> "Watch":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._call.cancel()

    async def next(self, within: float = 30) -> BookableSession:
        """What is told next that is new."""
        async with asyncio.timeout(within):
            while True:
                answer = await anext(self._answers)
                if answer.event_id != self.event_id:
                    self.event_id = answer.event_id
                    session: BookableSession = answer.session
                    return session


async def test_a_booking_and_its_end_are_seen(house: House) -> None:
    account = new_id()
    client = await house.add_client(account=f"accounts/{account}", credits=2)
    session = await house.plan(spots=[f"R{n}" for n in range(1, 9)])
    async with Watch(house.as_account(account), session) as mine, Watch(house.staff, session) as theirs:
        assert (await mine.next()).free_places == (await theirs.next()).free_places == 8
        assert mine.event_id == theirs.event_id
        booking = await house.book(session, client, spot="R3")
        seen, other = await mine.next(), await theirs.next()
        assert (seen.free_places, seen.my_booking) == (7, booking.name)
        assert (other.free_places, other.my_booking) == (7, "")
        assert "R3" not in seen.free_spots
        assert mine.event_id != theirs.event_id
        await house.cancel(booking)
        seen = await mine.next()
        assert (seen.free_places, seen.my_booking) == (8, "")


async def test_what_scheduling_the_policy_and_time_change_is_seen(house: House) -> None:
    session = await house.plan()
    async with Watch(house.as_account(new_id()), session) as watch:
        first = await watch.next()
        await house.change(session, 2, class_type_display_name="Mat")
        assert (await watch.next()).class_type_display_name == "Mat"
        policy = BookingPolicy(name=f"{house.name}/bookingPolicy", cancellation_window_minutes=60)
        await house.as_role(Role.ROLE_OWNER).UpdateBookingPolicy(
            pb.UpdateBookingPolicyRequest(
                booking_policy=policy, update_mask=FieldMask(paths=["cancellation_window_minutes"]), request_id=key()
            )
        )
        assert (await watch.next()).free_cancel_until.seconds > first.free_cancel_until.seconds
        house.move(days=3)
        assert (await watch.next()).availability == BookableSession.CLOSED


async def test_a_session_that_is_not_there_is_refused(house: House) -> None:
    missing = f"{house.name}/classSessions/{new_id()}"
    async with Watch(house.staff, missing) as watch:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await watch.next()
    assert refusal.value.code() is StatusCode.NOT_FOUND


async def test_silence_is_broken_and_a_watch_ends_well(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT", 0.1)
    monkeypatch.setattr(live, "LONGEST_WATCH", 0.6)
    call = house.staff.WatchClassSession(pb.WatchClassSessionRequest(name=await house.plan()))
    answers = [answer async for answer in call]
    assert len(answers) > 3
    assert len({answer.event_id for answer in answers}) == 1


async def test_one_look_serves_all_who_watch(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    look = LiveSessions._look

    async def counted(self: LiveSessions, keys: Any) -> None:
        nonlocal looks
        looks += 1
        await look(self, keys)

    monkeypatch.setattr(LiveSessions, "_look", counted)
    sessions = LiveSessions(house.running.resources.database)
    ids = [last_id(await house.plan(start=house.now.replace(day=5 + n))) for n in range(3)]

    async def watch(number: int) -> None:
        async with asyncio.timeout(2.2):
            async with aclosing(sessions.watch(house.tenant, ids[number % 3], None)) as offers:
                async for _ in offers:
                    pass

    outcomes = await asyncio.gather(*(watch(number) for number in range(60)), return_exceptions=True)
    assert all(isinstance(outcome, TimeoutError) for outcome in outcomes)
    # Two a second, and the first ones of three sessions.
    assert looks <= 3 * 20 + 5
    assert not sessions._sessions
    assert sessions._poller is None


async def test_the_number_of_watchers_is_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_WATCHERS", 1)
    sessions = LiveSessions(house.running.resources.database)
    session_id = last_id(await house.plan())
    async with aclosing(sessions.watch(house.tenant, session_id, None)) as first:
        await anext(first)
        with pytest.raises(ResourceExhausted, match="too many"):
            await anext(sessions.watch(house.tenant, session_id, None))
    async with aclosing(sessions.watch(house.tenant, session_id, None)) as again:
        await anext(again)


async def test_a_poll_that_keeps_failing_ends_the_watch(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "POLL", 0.02)
    sessions = LiveSessions(house.running.resources.database)
    async with aclosing(sessions.watch(house.tenant, last_id(await house.plan()), None)) as offers:
        await anext(offers)

        async def fail(keys: Any) -> None:
            raise ConnectionRefusedError

        monkeypatch.setattr(sessions, "_look", fail)
        with pytest.raises(ConnectionRefusedError):
            await anext(offers)


async def test_a_stranger_may_watch_and_nobody_without_account(house: House) -> None:
    session = await house.plan()
    stub = house.running.anonymous(BookingStub)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await anext(aiter(stub.WatchClassSession(pb.WatchClassSessionRequest(name=session))))
    assert reason_of(refusal.value) == "NOT_SIGNED_IN"
