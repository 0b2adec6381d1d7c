"""What a change of a class does to its line, and to those who lose their place."""

from datetime import timedelta

import pytest

from powerhouse.booking.v1 import booking_service_pb2 as pb
from powerhouse.booking.v1.booking_pb2 import Booking
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.booking.v1.events_pb2 import BookingChanged, WaitlistEntryChanged
from powerhouse.booking.v1.waitlist_pb2 import WaitlistEntry
from tests.integration.booking.house import House, key, last_id, outcome
from tests.integration.booking.lines import accept, full, join, leave, listed, queue, read, rule, states


async def in_line(house: House, session: str) -> list[tuple[str, bool, str]]:
    """Client, whether it was displaced, and state, in order."""
    answer = await listed(house, class_session=session)
    return [(entry.client, entry.displaced, WaitlistEntry.State.Name(entry.state)) for entry in answer.waitlist_entries]


async def booking_states(house: House, *bookings: Booking) -> list[str]:
    return [Booking.State.Name((await house.get(booking)).state) for booking in bookings]


class TestCuts:
    async def test_who_booked_last_goes_to_the_head_of_the_line_with_the_credit(self, house: House) -> None:
        session, bookings = await full(house, 3)
        (waiting,) = await queue(house, session, await house.add_client())
        await house.change(session, 2, capacity=1)
        assert await booking_states(house, *bookings) == ["CONFIRMED", "CANCELLED_EARLY", "CANCELLED_EARLY"]
        assert await in_line(house, session) == [
            (bookings[1].client, True, "WAITING"),
            (bookings[2].client, True, "WAITING"),
            (waiting.client, False, "WAITING"),
        ]
        assert await house.counters(session) == (1, 1, 1)
        assert [await house.credits(Client(name=booking.client)) for booking in bookings] == [0, 0, 0]
        rows = await house.running.sql(
            "SELECT cause, count(*) FROM transfers WHERE tenant_id = $1 AND cause IN ('displaced', 'held')"
            " GROUP BY cause ORDER BY cause",
            house.tenant,
        )
        assert [tuple(row) for row in rows] == [("displaced", 2), ("held", 3)]
        told = [event.state for event in await house.running.events(BookingChanged, house.tenant)]
        assert told.count(Booking.CANCELLED_EARLY) == 2
        events = await house.running.events(WaitlistEntryChanged, house.tenant)
        assert [event.displaced for event in events] == [False, True, True]
        assert await house.violations() == {}
        # More places again: they come back, the earlier one first.
        await house.change(session, 3, capacity=2)
        assert await in_line(house, session) == [
            (bookings[2].client, True, "WAITING"),
            (waiting.client, False, "WAITING"),
        ]
        await house.change(session, 4, capacity=4)
        assert await in_line(house, session) == []
        assert await house.counters(session) == (4, 4, 4)
        assert await house.violations() == {}

    async def test_an_expired_package_does_not_keep_who_paid_from_coming_back(self, house: House) -> None:
        session, _ = await full(house, 1)
        await house.change(session, 2, capacity=0)
        await house.running.sql(
            "UPDATE client_packages SET expire_time = $2 WHERE tenant_id = $1", house.tenant, house.now
        )
        await house.change(session, 3, capacity=1)
        assert await in_line(house, session) == []
        assert await house.counters(session) == (1, 1, 1)

    @pytest.mark.parametrize("closed", ["OFF", "LATE"])
    async def test_where_nobody_can_wait_the_credit_comes_back(self, house: House, closed: str) -> None:
        start = house.now + timedelta(hours=3)
        session, bookings = await full(house, 2, start=start)
        if closed == "OFF":
            await rule(house, waitlist_mode="OFF")
        else:
            house.move(hours=2, minutes=30)
        await house.change(session, 2, start=start, capacity=1)
        assert await booking_states(house, *bookings) == ["CONFIRMED", "CANCELLED_EARLY"]
        assert await in_line(house, session) == []
        assert await house.credits(Client(name=bookings[1].client)) == 1
        assert await house.violations() == {}

    async def test_a_class_that_runs_keeps_everybody(self, house: House) -> None:
        start = house.now + timedelta(hours=1)
        session, bookings = await full(house, 2, start=start)
        house.move(hours=1)
        await house.change(session, 2, start=start, capacity=1)
        assert await booking_states(house, *bookings) == ["CONFIRMED", "CONFIRMED"]
        assert await house.counters(session) == (1, 2, 2)

    async def test_guests_leave_and_do_not_wait_and_drop_ins_stay(self, house: House) -> None:
        await rule(house, max_guests=1, drop_in_price_minor=2000)
        session, client = await house.plan(capacity=3), await house.add_client(credits=2)
        own = await house.book(session, client)
        house.move(seconds=1)

        async def book(**fields: object) -> Booking:
            wanted = pb.NewBooking(class_session=session, **fields)
            made: Booking = await house.staff.CreateBooking(
                pb.CreateBookingRequest(parent=house.name, booking=wanted, request_id=key())
            )
            house.move(seconds=1)
            return made

        guest = await book(client=client.name, guest_display_name="Gus")
        drop_in = await book(client=(await house.add_client(credits=0)).name, drop_in=True)
        await house.change(session, 2, capacity=1)
        assert await booking_states(house, own, guest, drop_in) == [
            "CANCELLED_EARLY",
            "CANCELLED_EARLY",
            "PENDING_PAYMENT",
        ]
        assert await in_line(house, session) == [(client.name, True, "WAITING")]
        assert await house.credits(client) == 1
        await house.change(session, 3, capacity=0)
        assert await house.counters(session) == (0, 1, 1)
        assert await house.violations() == {}

    async def test_what_is_on_offer_goes_first(self, house: House) -> None:
        await rule(house, waitlist_mode="TIMED_OFFER")
        session, bookings = await full(house, 3)
        entries = await queue(house, session, *[await house.add_client() for _ in range(2)])
        for booking in bookings[:2]:
            await house.cancel(booking)
        assert await states(house, *entries) == ["OFFERED", "OFFERED"]
        await house.change(session, 2, capacity=2)
        assert await states(house, *entries) == ["OFFERED", "WAITING"]
        await house.change(session, 3, capacity=0)
        assert await states(house, *entries) == ["WAITING", "WAITING"]
        assert await in_line(house, session) == [
            (bookings[2].client, True, "WAITING"),
            (entries[0].client, False, "WAITING"),
            (entries[1].client, False, "WAITING"),
        ]
        assert await house.violations() == {}
        await house.change(session, 4, capacity=2)
        assert [state for _, _, state in await in_line(house, session)] == ["OFFERED", "OFFERED", "WAITING"]
        assert await house.violations() == {}

    async def test_who_was_passed_over_and_booked_directly_waits_once(self, house: House) -> None:
        session, (booking,) = await full(house)
        client = await house.add_client()
        (entry,) = await queue(house, session, client)
        await house.running.sql(
            "UPDATE client_packages SET expire_time = $2 WHERE client_id = $1", last_id(client.name), house.now
        )
        await house.cancel(booking)
        await house.grant(client)
        house.move(seconds=1)
        await house.book(session, client)
        await house.change(session, 2, capacity=0)
        assert await states(house, entry) == ["REMOVED ALREADY_BOOKED"]
        assert await in_line(house, session) == [(client.name, True, "WAITING")]
        assert await house.violations() == {}


class TestCancelledClasses:
    async def test_nobody_waits_any_more_and_the_line_comes_back_with_the_class(self, house: House) -> None:
        session, bookings = await full(house, 2)
        clients = [await house.add_client() for _ in range(4)]
        entries = await queue(house, session, *clients)
        left = entries.pop()
        await leave(house, left)
        await house.change(session, 2, capacity=2, cancelled=True)
        assert await states(house, *entries) == ["REMOVED SESSION_CANCELLED"] * 3
        assert [await house.credits(client) for client in clients[:3]] == [1, 1, 1]
        assert await outcome(join(house, session, clients[0])) == "SESSION_CANCELLED"
        assert await house.violations() == {}
        # One spends the credit, one books another class at that time.
        await house.book(await house.plan(start=house.now + timedelta(days=9)), clients[0])
        await house.grant(clients[1])
        await house.book(await house.plan(start=house.now + timedelta(days=2)), clients[1])
        start = house.now + timedelta(days=2)
        await house.change(session, 3, start=start, capacity=2)
        assert await states(house, *entries, left) == [
            "REMOVED NO_CREDIT",
            "REMOVED OVERLAPPING_BOOKING",
            "WAITING",
            "REMOVED LEFT",
        ]
        assert await booking_states(house, *bookings) == ["CONFIRMED", "CONFIRMED"]
        # Who did not come back then does not come back later.
        await house.grant(clients[0])
        await house.change(session, 4, start=start, capacity=2, cancelled=True)
        await house.change(session, 5, start=start, capacity=2)
        assert (await states(house, *entries))[0] == "REMOVED NO_CREDIT"
        assert (await read(house, entries[2])).position == 1
        assert await house.violations() == {}

    async def test_places_of_who_does_not_come_back_go_to_the_line(self, house: House) -> None:
        session, (booking,) = await full(house)
        entries = await queue(house, session, await house.add_client(), await house.add_client())
        await house.change(session, 2, capacity=1, cancelled=True)
        await house.book(await house.plan(start=house.now + timedelta(days=9)), Client(name=booking.client))
        await house.change(session, 3, capacity=1)
        assert await states(house, *entries) == ["PROMOTED", "WAITING"]
        assert await house.violations() == {}

    async def test_an_offer_ends_with_the_class(self, house: House) -> None:
        await rule(house, waitlist_mode="TIMED_OFFER")
        session, (booking,) = await full(house)
        (entry,) = await queue(house, session, await house.add_client())
        await house.cancel(booking)
        await house.change(session, 2, capacity=1, cancelled=True)
        assert await states(house, entry) == ["REMOVED SESSION_CANCELLED"]
        assert await house.counters(session) == (1, 1, 0)
        assert await outcome(accept(house, entry)) == "NOT_OFFERED"
        assert await house.violations() == {}
        await house.change(session, 3, capacity=1)
        assert await states(house, entry) == ["OFFERED"]
        assert await house.violations() == {}

    async def test_on_again_when_the_line_has_closed(self, house: House) -> None:
        start = house.now + timedelta(hours=3)
        session, _ = await full(house, start=start)
        (entry,) = await queue(house, session, await house.add_client())
        await house.change(session, 2, start=start, capacity=1, cancelled=True)
        house.move(hours=2, minutes=30)
        await house.change(session, 3, start=start, capacity=1)
        assert await states(house, entry) == ["REMOVED LINE_CLOSED"]
        assert await house.violations() == {}


class TestOtherChanges:
    async def test_more_places_are_filled_from_the_line(self, house: House) -> None:
        session, _ = await full(house)
        entries = await queue(house, session, *[await house.add_client() for _ in range(3)])
        await house.change(session, 2, capacity=3)
        assert await states(house, *entries) == ["PROMOTED", "PROMOTED", "WAITING"]
        assert await house.counters(session) == (3, 3, 3)
        assert await house.violations() == {}

    async def test_in_a_room_with_spots_each_has_one(self, house: House) -> None:
        session, _ = await full(house, spots=["A"])
        entries = await queue(house, session, *[await house.add_client() for _ in range(2)])
        await house.change(session, 2, capacity=3, spots=["A", "B", "C"])
        made = [await house.get(Booking(name=(await read(house, entry)).booking)) for entry in entries]
        assert [booking.spot for booking in made] == ["B", "C"]

    @pytest.mark.parametrize("credits", [1, 2])
    async def test_moved_apart_two_waits_need_two_credits(self, house: House, credits: int) -> None:
        """The later one has its own, or ends."""
        first, _ = await full(house)
        second, _ = await full(house)
        client = await house.add_client(credits=credits)
        entries = await queue(house, first, client) + await queue(house, second, client)
        assert await house.credits(client) == credits - 1
        await house.change(first, 2, time_version=1, start=house.now + timedelta(days=3), capacity=1)
        assert await states(house, *entries) == ["WAITING", "WAITING" if credits == 2 else "REMOVED NO_CREDIT"]
        assert await house.credits(client) == 0
        assert await house.violations() == {}

    async def test_the_later_one_is_the_one_that_moves(self, house: House) -> None:
        first, _ = await full(house)
        second, _ = await full(house)
        third, _ = await full(house)
        client = await house.add_client(credits=1)
        entries = [(await queue(house, session, client))[0] for session in (first, second, third)]
        await house.change(second, 2, time_version=1, start=house.now + timedelta(days=3), capacity=1)
        assert await states(house, *entries) == ["WAITING", "REMOVED NO_CREDIT", "WAITING"]
        assert await house.violations() == {}
