"""Where places are offered instead of given: the place is held, answered in time, or goes to the next."""

from datetime import UTC, datetime, timedelta

import pytest
from grpc import StatusCode

from powerhouse.booking.v1.booking_pb2 import Booking
from powerhouse.booking.v1.events_pb2 import WaitlistEntryChanged
from powerhouse.booking.v1.waitlist_pb2 import WaitlistEntry
from services.booking.jobs import expire_offers
from services.chassis.ids import new_id
from services.chassis.jobs.registry import Done, Job
from tests.integration.booking.house import House, last_id, outcome, refused
from tests.integration.booking.lines import accept, decline, explained, full, leave, queue, read, rule, states, tick

PRECONDITION = StatusCode.FAILED_PRECONDITION


@pytest.fixture
async def house(house: House) -> House:
    """A studio that offers places for an hour."""
    await rule(house, waitlist_mode="TIMED_OFFER")
    return house


async def run_due(house: House) -> int:
    """Runs the expiry jobs that are due, as a worker would."""
    rows = await house.running.sql(
        "SELECT id, dedup_key, args->>'class_session' AS session, due_at FROM jobs"
        " WHERE kind = 'expire_offers' AND tenant_id = $1 AND due_at <= $2 ORDER BY due_at",
        house.tenant,
        house.now,
    )
    for row in rows:
        args = {"class_session": row["session"]}
        job = Job(row["id"], house.tenant, "expire_offers", row["dedup_key"], args, row["due_at"], 1, new_id(), None)
        assert await expire_offers(house.running.resources, job) == Done()
    return len(rows)


async def test_an_offer_holds_the_place_until_it_is_accepted(house: House) -> None:
    session, (booking,) = await full(house, spots=["A"])
    account = new_id()
    client = await house.add_client(account=f"accounts/{account}")
    (entry,) = await queue(house, session, client)
    await house.cancel(booking)
    offered = await read(house, entry)
    assert (offered.state, offered.position) == (WaitlistEntry.OFFERED, 1)
    assert offered.offer_expire_time.ToDatetime(UTC) == house.now + timedelta(hours=1)
    assert await house.counters(session) == (1, 1, 1)
    assert (await explained(house, entry)).summary == (
        "A place is held for you until 2027-01-04 10:00, if you accept it."
    )
    assert await outcome(house.book(session, await house.add_client())) == "SESSION_FULL"
    (*_, event) = await house.running.events(WaitlistEntryChanged, house.tenant)
    assert (event.state, event.offer_expire_time) == (WaitlistEntry.OFFERED, offered.offer_expire_time)
    assert await house.violations() == {}
    await refused(accept(house, entry, etag="1"), StatusCode.ABORTED, "ETAG_MISMATCH")
    taken = await accept(house, entry, stub=house.as_account(account), etag=offered.etag)
    assert (taken.state, taken.position) == (WaitlistEntry.PROMOTED, 0)
    made = await house.get(Booking(name=taken.booking))
    assert (made.state, made.client, made.spot) == (Booking.CONFIRMED, client.name, "A")
    assert await house.counters(session) == (1, 1, 1)
    assert await run_due(house) == 0
    house.move(hours=1)
    assert await run_due(house) == 1
    assert await states(house, entry) == ["PROMOTED"]
    await refused(accept(house, entry), PRECONDITION, "NOT_OFFERED")
    assert await house.violations() == {}


async def test_who_accepts_knows_what_it_costs(house: House) -> None:
    session, (booking,) = await full(house, start=house.now + timedelta(hours=6))
    (entry,) = await queue(house, session, await house.add_client())
    await house.cancel(booking)
    made = await house.get(Booking(name=(await accept(house, entry)).booking))
    assert made.free_cancel_until.ToDatetime(UTC) < house.now


async def test_declined_it_goes_to_the_next(house: House) -> None:
    session, (booking,) = await full(house)
    client = await house.add_client()
    entries = await queue(house, session, client, await house.add_client())
    await refused(decline(house, entries[0]), PRECONDITION, "NOT_OFFERED")
    await refused(accept(house, entries[0]), PRECONDITION, "NOT_OFFERED")
    await house.cancel(booking)
    await decline(house, entries[0])
    assert await states(house, *entries) == ["DECLINED DECLINED", "OFFERED"]
    assert await house.credits(client) == 1
    await leave(house, entries[1])
    assert await states(house, entries[1]) == ["REMOVED LEFT"]
    assert await house.counters(session) == (1, 1, 0)
    assert await outcome(house.book(session, client)) == "BOOKED"
    assert await house.violations() == {}


async def test_not_answered_it_goes_to_the_next(house: House) -> None:
    session, (booking,) = await full(house)
    clients = [await house.add_client(), await house.add_client()]
    entries = await queue(house, session, *clients)
    await house.cancel(booking)
    house.move(minutes=60)
    await refused(accept(house, entries[0]), PRECONDITION, "OFFER_EXPIRED")
    assert await run_due(house) == 1
    assert await states(house, *entries) == ["EXPIRED OFFER_EXPIRED", "OFFERED"]
    await refused(accept(house, entries[0]), PRECONDITION, "OFFER_EXPIRED")
    assert await house.credits(clients[0]) == 1
    # Twice is once.
    await run_due(house)
    assert await states(house, *entries) == ["EXPIRED OFFER_EXPIRED", "OFFERED"]
    assert await house.violations() == {}


async def test_an_offer_whose_job_was_lost_ends_with_the_tick(house: House) -> None:
    session, (booking,) = await full(house)
    entries = await queue(house, session, await house.add_client(), await house.add_client())
    await house.cancel(booking)
    house.move(minutes=62)
    assert await house.violations() == {"settled_lines": 1}
    await tick(house)
    assert await states(house, *entries) == ["EXPIRED OFFER_EXPIRED", "OFFERED"]
    assert await house.violations() == {}


async def test_an_offer_ends_with_the_line(house: House) -> None:
    start = house.now + timedelta(minutes=90)
    session, (booking,) = await full(house, start=start)
    entries = await queue(house, session, await house.add_client(), await house.add_client())
    await house.cancel(booking)
    assert (await read(house, entries[0])).offer_expire_time.ToDatetime(UTC) == start - timedelta(minutes=60)
    house.running.mesh.clock.instant = start - timedelta(minutes=60)
    await run_due(house)
    assert await states(house, *entries) == ["EXPIRED OFFER_EXPIRED", "EXPIRED LINE_CLOSED"]
    assert await house.counters(session) == (1, 1, 0)
    assert await house.violations() == {}


async def test_at_night_an_unanswered_offer_goes_to_nobody_until_the_morning(house: House) -> None:
    session, (booking,) = await full(house)
    entries = await queue(house, session, await house.add_client(), await house.add_client())
    house.running.mesh.clock.instant = datetime(2027, 1, 4, 20, 30, tzinfo=UTC)
    await house.cancel(booking)
    house.move(hours=1)
    await run_due(house)
    assert await states(house, *entries) == ["EXPIRED OFFER_EXPIRED", "WAITING"]
    house.running.mesh.clock.instant = datetime(2027, 1, 5, 6, tzinfo=UTC)
    await tick(house)
    assert await states(house, entries[1]) == ["OFFERED"]


async def test_one_credit_is_offered_one_class_at_a_time(house: House) -> None:
    client, other = await house.add_client(), await house.add_client()
    (first, (one,)), (second, (two,)) = await full(house), await full(house)
    (wait,), (also, behind) = await queue(house, first, client), await queue(house, second, client, other)
    await house.cancel(one)
    await house.cancel(two)
    assert await states(house, wait, also, behind) == ["OFFERED", "WAITING", "OFFERED"]
    assert (await read(house, also)).passed_over == "another class at the same time was on offer to you"
    await accept(house, wait)
    assert await states(house, wait, also, behind) == ["PROMOTED", "REMOVED PROMOTED_ELSEWHERE", "OFFERED"]
    assert await house.violations() == {}


async def test_what_can_be_in_the_way_of_accepting(house: House) -> None:
    session, (booking,) = await full(house)
    client = await house.add_client(credits=2)
    (entry,) = await queue(house, session, client)
    await house.cancel(booking)
    far = await house.book(await house.plan(start=house.now + timedelta(days=9)), client)
    await rule(house, max_upcoming_bookings=1)
    await refused(accept(house, entry), PRECONDITION, "TOO_MANY_BOOKINGS")
    await house.cancel(far)
    near = await house.book(await house.plan(start=house.now + timedelta(days=2)), client)
    await refused(accept(house, entry), PRECONDITION, "OVERLAPPING_BOOKING")
    await house.cancel(near)
    expire = "UPDATE client_packages SET expire_time = $2 WHERE client_id = $1"
    await house.running.sql(expire, last_id(client.name), house.now)
    await refused(accept(house, entry), PRECONDITION, "NO_CREDIT")
    await house.running.sql("UPDATE clients SET archive_time = now() WHERE id = $1", last_id(client.name))
    await refused(accept(house, entry), PRECONDITION, "CLIENT_ARCHIVED")


async def test_who_books_elsewhere_loses_the_offer(house: House) -> None:
    session, (booking,) = await full(house)
    client = await house.add_client(credits=2)
    entries = await queue(house, session, client, await house.add_client())
    await house.cancel(booking)
    await house.book(await house.plan(start=house.now + timedelta(days=2)), client)
    await tick(house)
    assert await states(house, *entries) == ["REMOVED OVERLAPPING_BOOKING", "OFFERED"]
    assert await house.counters(session) == (1, 1, 1)
    assert await house.violations() == {}
