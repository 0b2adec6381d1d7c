"""The projection of scheduling's sessions, and what their changes do to bookings."""

import random
from datetime import UTC, timedelta

from powerhouse.booking.v1.booking_pb2 import Booking
from powerhouse.booking.v1.events_pb2 import BookingChanged, ClientsDisplaced
from powerhouse.scheduling.v1.events_pb2 import ClassSessionState, StudioCreated
from services.booking import class_sessions, snapshots
from services.booking.service import SERVICE
from services.chassis.ids import new_id
from services.chassis.messaging import inbox
from services.chassis.rpc.codec import to_timestamp
from tests.integration.booking.front_desk import book, rule
from tests.integration.booking.house import CLASS_TYPE, INSTRUCTOR, LOCATION, House, envelope, last_id, outcome

SPOTS = ["A", "B", "C"]


def story(house: House, dice: random.Random) -> list[ClassSessionState]:
    """Ten sessions with ten versions each."""
    states = []
    for _ in range(10):
        session = new_id()
        for version in range(1, 11):
            start = house.now + timedelta(hours=dice.randrange(1000))
            cut = {"version": version, "capacity": dice.randrange(1, 20), "cancelled": dice.random() < 0.3}
            states.append(house.state(session, start=start, time_version=version // 2, **cut))
    return states


async def test_any_order_and_duplicates_lead_to_the_same_state(house: House) -> None:
    dice = random.Random(11)
    states = story(house, dice)
    await house.tell(*states)
    expected = await house.digest()
    for _ in range(3):
        other = House(house.running, new_id(), house.staff)
        shuffled = states + dice.sample(states, 50)
        dice.shuffle(shuffled)
        for start in range(0, len(shuffled), 7):
            await other.tell(*shuffled[start : start + 7])
        # The digest has the studio in it.
        rows = "SELECT to_jsonb(s) - 'tenant_id' AS row FROM class_sessions s WHERE tenant_id = $1 ORDER BY id"
        assert await house.running.sql(rows, other.tenant) == await house.running.sql(rows, house.tenant)
    assert await house.digest() == expected


async def test_what_a_session_is_about_is_kept_and_follows_it(house: House) -> None:
    session, other_room = await house.plan(), new_id()
    await house.change(session, 2, room_id=str(other_room))
    (row,) = await house.running.sql(
        "SELECT class_type_id, room_id, location_id, instructor_id, currency_code FROM class_sessions WHERE id = $1",
        last_id(session),
    )
    assert tuple(row) == (CLASS_TYPE, other_room, LOCATION, INSTRUCTOR, "EUR")


async def test_a_stale_state_changes_nothing(house: House) -> None:
    session = await house.plan(version=5, capacity=4)
    before = await house.digest()
    await house.change(session, 4, capacity=9)
    await house.change(session, 5, capacity=9)
    assert await house.digest() == before
    await house.change(session, 6, capacity=9)
    assert await house.counters(session) == (9, 9, 0)


async def test_rebuilt_from_scratch_it_is_the_same_with_its_counters(house: House) -> None:
    states = [house.state(capacity=3, spots=SPOTS), house.state(capacity=2)]
    await house.tell(*states)
    for state in states:
        session = f"{house.name}/classSessions/{state.class_session_id}"
        await house.book(session, await house.add_client())
        await house.book(session, await house.add_client())
    cut = house.state(last_id(f"/{states[1].class_session_id}"), version=2, capacity=1)
    await house.tell(cut)
    before = await house.digest()
    await house.running.sql("DELETE FROM class_sessions WHERE tenant_id = $1", house.tenant)
    assert await house.digest() == ""
    async with house.running.resources.database.transaction(house.tenant) as tx:
        for state in (cut, states[0]):
            assert await class_sessions.apply(tx, snapshots.decode(state))
            assert not await class_sessions.apply(tx, snapshots.decode(state))
    assert await house.digest() == before
    assert await house.violations() == {}


async def test_a_new_studio_has_the_default_policy(house: House) -> None:
    event = StudioCreated(studio_id=str(house.tenant), account_id=str(new_id()))
    database = house.running.resources.database
    assert await inbox.apply(database, SERVICE.consumers, [envelope(event, house.tenant, house.tenant, 1)]) == 1
    rows = await house.running.sql("SELECT version FROM booking_policies WHERE tenant_id = $1", house.tenant)
    assert [row["version"] for row in rows] == [1]


async def test_a_cut_takes_back_what_was_booked_last(house: House) -> None:
    session, bookings = await house.plan(capacity=3), []
    for _ in range(3):
        bookings.append(await house.book(session, await house.add_client()))
        house.move(seconds=1)
    await house.change(session, 2, capacity=1)
    states = [(await house.get(booking)).state for booking in bookings]
    assert states == [Booking.CONFIRMED, Booking.CANCELLED_EARLY, Booking.CANCELLED_EARLY]
    assert await house.counters(session) == (1, 1, 1)
    assert await outcome(house.book(session, await house.add_client())) == "SESSION_FULL"
    [told] = await house.running.events(ClientsDisplaced, house.tenant)
    assert {place.booking_id for place in told.places} == {str(last_id(booking.name)) for booking in bookings[1:]}
    assert all(place.waitlist_entry_id and not place.guest for place in told.places)
    assert await house.violations() == {}


async def test_of_each_client_one_lost_place_is_told_its_own_before_that_of_a_guest(house: House) -> None:
    await rule(house, max_guests=1)
    session, client = await house.plan(capacity=3), await house.add_client(credits=2)
    await house.book(session, await house.add_client())
    house.move(seconds=1)
    own = await house.book(session, client)
    house.move(seconds=1)
    await book(house, session, client, guest_display_name="Zoe")
    await house.change(session, 2, capacity=2)
    [told] = await house.running.events(ClientsDisplaced, house.tenant)
    assert [(place.guest, place.waitlist_entry_id) for place in told.places] == [(True, "")]
    # The guest again, and then both at once.
    await house.change(session, 3, capacity=3)
    await book(house, session, client, guest_display_name="Zoe")
    await house.change(session, 4, capacity=1)
    told = (await house.running.events(ClientsDisplaced, house.tenant))[-1]
    assert [(place.guest, place.booking_id) for place in told.places] == [(False, str(last_id(own.name)))]


async def test_more_places_are_sold(house: House) -> None:
    session = await house.plan(capacity=1)
    await house.book(session, await house.add_client())
    await house.change(session, 2, capacity=2)
    assert await outcome(house.book(session, await house.add_client())) == "BOOKED"


async def test_a_cancelled_session_cancels_its_bookings_with_credits_back(house: House) -> None:
    session = await house.plan(start=house.now + timedelta(hours=1))
    clients = [await house.add_client() for _ in range(3)]
    bookings = [await house.book(session, client) for client in clients]
    await house.cancel(bookings[0])
    await house.change(session, 2, start=house.now + timedelta(hours=1), cancelled=True)
    states = [await house.get(booking) for booking in bookings]
    assert [state.state for state in states] == [
        Booking.CANCELLED_LATE,
        Booking.CANCELLED_EARLY,
        Booking.CANCELLED_EARLY,
    ]
    assert [await house.credits(client) for client in clients] == [0, 1, 1]
    assert await house.counters(session) == (8, 8, 0)
    told = [event.state for event in await house.running.events(BookingChanged, house.tenant)]
    assert told.count(Booking.CANCELLED_EARLY) == 2
    flags = "SELECT session_cancelled FROM bookings WHERE tenant_id = $1 ORDER BY id"
    assert [row[0] for row in await house.running.sql(flags, house.tenant)] == [False, True, True]
    assert await house.violations() == {}


async def test_an_uncancelled_session_restores_what_can_be_restored(house: House) -> None:
    session, elsewhere = await house.plan(capacity=3, spots=SPOTS), await house.plan()
    clients = [await house.add_client() for _ in range(3)]
    bookings = [await house.book(session, client) for client in clients]
    await house.change(session, 2, capacity=3, spots=SPOTS, cancelled=True)
    other = await house.book(elsewhere, clients[1])
    await house.change(session, 3, capacity=3, spots=SPOTS)
    back = [await house.get(booking) for booking in bookings]
    assert [booking.state for booking in back] == [Booking.CONFIRMED, Booking.CANCELLED_EARLY, Booking.CONFIRMED]
    assert [booking.spot for booking in back] == ["A", "B", "C"]
    assert not back[0].HasField("cancel_time")
    assert [await house.credits(client) for client in clients] == [0, 0, 0]
    assert await house.counters(session) == (3, 3, 2)
    assert await house.violations() == {}
    # Who did not come back then does not come back later either.
    await house.cancel(other)
    await house.change(session, 4, capacity=3, spots=SPOTS, cancelled=True)
    await house.change(session, 5, capacity=3, spots=SPOTS)
    assert (await house.get(bookings[1])).state == Booking.CANCELLED_EARLY
    assert await house.counters(session) == (3, 3, 2)
    assert await house.violations() == {}


async def test_an_uncancelled_session_with_fewer_places_restores_who_booked_first(house: House) -> None:
    session, bookings = await house.plan(capacity=3), []
    for _ in range(3):
        bookings.append(await house.book(session, await house.add_client()))
        house.move(seconds=1)
    start = house.now + timedelta(days=1)
    await house.change(session, 2, start=start, capacity=3, cancelled=True)
    await house.change(session, 3, start=start, capacity=2)
    states = [(await house.get(booking)).state for booking in bookings]
    assert states == [Booking.CONFIRMED, Booking.CONFIRMED, Booking.CANCELLED_EARLY]
    assert await house.violations() == {}


async def test_in_another_room_everybody_has_a_spot_of_it(house: House) -> None:
    session, bookings = await house.plan(capacity=3, spots=SPOTS), []
    for spot in ("C", "A", "B"):
        bookings.append(await house.book(session, await house.add_client(), spot=spot))
        house.move(seconds=1)
    await house.change(session, 2, capacity=3, spots=["B", "X", "Y"])
    assert [(await house.get(booking)).spot for booking in bookings] == ["X", "Y", "B"]
    # In one without spots nobody has one.
    await house.change(session, 3, capacity=3)
    assert [(await house.get(booking)).spot for booking in bookings] == ["", "", ""]
    assert await house.violations() == {}


async def test_a_move_is_told_of_each_active_booking(house: House) -> None:
    session = await house.plan()
    staying, leaving = [await house.book(session, await house.add_client()) for _ in range(2)]
    await house.cancel(leaving)
    moved = house.now + timedelta(days=5)
    await house.change(session, 2, time_version=1, start=moved)
    last = (await house.running.events(BookingChanged, house.tenant))[-1]
    assert (last.booking_id, last.time_version) == (str(last_id(staying.name)), 1)
    assert last.start_time == to_timestamp(moved)
    now = await house.get(staying)
    assert now.start_time.ToDatetime(UTC) == moved
    assert now.free_cancel_until.ToDatetime(UTC) == moved - timedelta(hours=12)
    told = len(await house.running.events(BookingChanged, house.tenant))
    await house.change(session, 3, time_version=1, start=moved, instructor_display_name="Jo")
    assert len(await house.running.events(BookingChanged, house.tenant)) == told
