"""Bookings that share a statement: each is answered as if it had been alone."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg

from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.policy.v1.policy_pb2 import Role
from services.booking.desk import Desk, Wanted
from services.chassis.db.urls import database_name
from services.chassis.errors import DomainError
from services.chassis.ids import new_id
from tests.integration.booking.house import BookingStub, House, last_id, outcome
from tests.integration.booking.test_booking_races import crowd


def wanted(house: House, session: str, who: str, **rest: Any) -> Wanted:
    plain = Wanted(
        tenant=house.tenant,
        principal="accounts/test",
        method="/x/CreateBooking",
        request_id=new_id(),
        request_hash=new_id(),
        class_session=last_id(session),
        client=last_id(who),
        account=None,
    )
    return replace(plain, **rest)


async def ask(house: House, *requests: Wanted) -> list[str]:
    """All in one statement, past the queue."""
    rows = await Desk(house.running.resources.database)._book(requests)
    return [row["code"] for row in rows]


async def test_answers_come_in_the_order_of_the_requests(house: House) -> None:
    sessions, people = await house.plan_many(5, capacity=1), await crowd(house, 10)
    pairs = [(session, people[n]) for n, session in enumerate([*reversed(sessions), *sessions])]
    codes = await ask(house, *(wanted(house, *pair) for pair in pairs))
    assert codes == ["BOOKED"] * 5 + ["SESSION_FULL"] * 5
    for session in sessions:
        assert await house.counters(session) == (1, 1, 1)
    assert await house.violations() == {}


async def test_who_is_refused_takes_no_place_from_who_comes_later(house: House) -> None:
    session, people = await house.plan(capacity=2, spots=["A", "B"]), await crowd(house, 3)
    broke = await house.add_client(credits=0)
    requests = [
        wanted(house, session, broke.name),
        wanted(house, session, people[0], spot="C"),
        wanted(house, session, people[1], spot="B"),
        wanted(house, session, people[2]),
    ]
    assert await ask(house, *requests) == ["NO_CREDIT", "UNKNOWN_SPOT", "BOOKED", "BOOKED"]
    assert await house.violations() == {}


async def test_a_full_class_does_not_use_up_the_credit_for_an_open_one(house: House) -> None:
    full = await house.plan(capacity=1)
    await house.book(full, await house.add_client())
    for hours in range(1, 6):
        client = await house.add_client(credits=1)
        open_one = await house.plan(start=house.now + timedelta(days=2, hours=hours))
        counted = await house.count([house.book(session, client) for session in (full, open_one)])
        assert counted == {"SESSION_FULL": 1, "BOOKED": 1}


async def test_studios_in_one_batch_stay_apart(house: House) -> None:
    tenant = new_id()
    other_house = House(
        house.running, tenant, house.running.as_account(BookingStub, roles={tenant: [Role.ROLE_FRONT_DESK]})
    )
    session, (own, second) = await house.plan(), await crowd(house, 2)
    elsewhere, (foreign,) = await other_house.plan(), await crowd(other_house, 1)
    requests = [
        wanted(house, session, foreign),
        wanted(other_house, session, foreign),
        wanted(house, session, own),
        wanted(other_house, elsewhere, second),
    ]
    codes = await ask(house, *requests[:1], *requests[2:])
    assert codes == ["CLIENT_NOT_FOUND", "BOOKED", "CLIENT_NOT_FOUND"]
    assert await ask(house, requests[1]) == ["SESSION_NOT_KNOWN_YET"]


async def test_one_who_is_stuck_holds_up_nobody(house: House) -> None:
    session, people = await house.plan(capacity=50), await crowd(house, 30)
    busy = await asyncpg.connect(f"{house.running.mesh.admin_url}/{database_name('booking')}")
    try:
        async with busy.transaction():
            await busy.execute("SELECT FROM clients WHERE id = $1 FOR UPDATE", last_id(people[0]))
            stuck = asyncio.create_task(outcome(house.book(session, Client(name=people[0]))))
            rest = [house.book(other, Client(name=name)) for other, name in await _elsewhere(house, people[1:])]
            assert await asyncio.wait_for(house.count(rest), 30) == {"BOOKED": 29}
            assert not stuck.done()
        assert await stuck == "BOOKED"
    finally:
        await busy.close()


async def test_the_same_client_by_name_and_as_itself(house: House) -> None:
    """The queue cannot know that they are one; the function refuses the batch, and each goes alone."""
    account, others = new_id(), await crowd(house, 2)
    client = await house.add_client(credits=5, account=f"accounts/{account}")
    sessions = await house.plan_many(4)
    desk = Desk(house.running.resources.database)
    blockers = [desk.book(wanted(house, await house.plan(), name)) for name in others]
    whom = ({"client": None, "account": account}, {})
    asked = [desk.book(wanted(house, session, client.name, **whom[n % 2])) for n, session in enumerate(sessions)]
    answers = await asyncio.gather(*blockers, *asked, return_exceptions=True)
    assert [answer for answer in answers if isinstance(answer, DomainError)] == []
    assert await house.credits(client) == 1
    assert await house.violations() == {}


async def _elsewhere(house: House, people: list[str]) -> list[tuple[str, str]]:
    """A class of their own for each three of them: they share batches with who is stuck, and no lock."""
    sessions = [await house.plan(capacity=3) for _ in range(len(people) // 3 + 1)]
    return [(sessions[n // 3], name) for n, name in enumerate(people)]
