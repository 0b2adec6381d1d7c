"""A free place goes to who waits for it: whom, when, with what, and why not to somebody else."""

from datetime import UTC, datetime, timedelta

from powerhouse.booking.v1 import booking_service_pb2 as booking_pb
from powerhouse.booking.v1.booking_pb2 import BookableSession, Booking
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.booking.v1.events_pb2 import BookingChanged, ClientPackageChanged, WaitlistEntryChanged
from powerhouse.booking.v1.waitlist_pb2 import WaitlistEntry
from services.chassis.ids import new_id
from tests.integration.booking.house import House, last_id, outcome
from tests.integration.booking.lines import explained, full, join, leave, queue, read, rule, states, tick

# Of a session in Berlin, where nights are quiet from 22:00 to 07:00.
EVENING, NIGHT = datetime(2027, 1, 4, 20, 59, tzinfo=UTC), datetime(2027, 1, 4, 21, tzinfo=UTC)
MORNING = datetime(2027, 1, 5, 6, tzinfo=UTC)


async def booked(house: House, entry: WaitlistEntry) -> Booking:
    """The booking that an entry became."""
    return await house.get(Booking(name=(await read(house, entry)).booking))


class TestPromotion:
    async def test_who_cancels_makes_room_for_the_first(self, house: House) -> None:
        session, (booking,) = await full(house, spots=["A"])
        first, second = await house.add_client(), await house.add_client()
        entries = await queue(house, session, first, second)
        await house.cancel(booking)
        assert await states(house, *entries) == ["PROMOTED", "WAITING"]
        made = await booked(house, entries[0])
        assert (made.state, made.client, made.spot, made.policy_version) == (Booking.CONFIRMED, first.name, "A", 1)
        assert not made.HasField("hold_expire_time")
        assert await house.counters(session) == (1, 1, 1)
        assert [await house.credits(client) for client in (first, second)] == [0, 0]
        (transfer,) = await house.running.sql(
            "SELECT credit_account, booking_id FROM transfers WHERE tenant_id = $1 AND cause = 'promoted'", house.tenant
        )
        assert (transfer["credit_account"].int, transfer["booking_id"]) == (2, last_id(made.name))
        event = (await house.running.events(BookingChanged, house.tenant))[-1]
        assert (event.booking_id, event.state) == (str(last_id(made.name)), Booking.CONFIRMED)
        event = (await house.running.events(WaitlistEntryChanged, house.tenant))[-1]
        assert (event.state, event.booking_id) == (WaitlistEntry.PROMOTED, str(last_id(made.name)))
        assert (await read(house, entries[1])).position == 1
        assert await house.violations() == {}

    async def test_who_gave_the_place_back_does_not_jump_the_line(self, house: House) -> None:
        session, (booking,) = await full(house)
        (waiting,) = await queue(house, session, await house.add_client())
        await house.cancel(booking)
        (again,) = await queue(house, session, Client(name=booking.client))
        (last,) = await queue(house, session, await house.add_client())
        await house.cancel(await booked(house, waiting))
        assert await states(house, again, last) == ["PROMOTED", "WAITING"]

    async def test_an_overlapping_wait_ends_in_the_same_moment(self, house: House) -> None:
        client = await house.add_client(credits=2)
        (session, (booking,)), (other, _) = await full(house), await full(house)
        (elsewhere, _) = await full(house, start=house.now + timedelta(days=4))
        entries = await queue(house, session, client) + await queue(house, other, client)
        entries += await queue(house, elsewhere, client)
        await house.cancel(booking)
        assert await states(house, *entries) == ["PROMOTED", "REMOVED PROMOTED_ELSEWHERE", "WAITING"]
        assert await house.credits(client) == 0
        assert await house.violations() == {}

    async def test_credits_that_were_not_shared_come_back(self, house: House) -> None:
        start, client = house.now + timedelta(days=2), await house.add_client(credits=3)
        plans = [await full(house, start=start + timedelta(minutes=40 * n)) for n in (0, 2, 1)]
        entries = [(await queue(house, session, client))[0] for session, _ in plans]
        assert await house.credits(client) == 1
        await house.cancel(plans[2][1][0])
        assert await states(house, *entries) == [
            "REMOVED PROMOTED_ELSEWHERE",
            "REMOVED PROMOTED_ELSEWHERE",
            "PROMOTED",
        ]
        assert await house.credits(client) == 2
        told = (await house.running.events(ClientPackageChanged, house.tenant))[-1]
        assert told.credits_left == 2
        assert await house.violations() == {}

    async def test_a_package_that_starts_with_its_first_use_starts(self, house: House) -> None:
        session, (booking,) = await full(house)
        client = await house.add_client(credits=2)
        await house.running.sql(
            "UPDATE client_packages SET first_use_days = 30 WHERE client_id = $1", last_id(client.name)
        )
        (entry,) = await queue(house, session, client)
        await house.cancel(booking)
        made = await booked(house, entry)
        (row,) = await house.running.sql(
            "SELECT expire_time FROM client_packages WHERE client_id = $1", last_id(client.name)
        )
        # The last day counts whole.
        assert timedelta(days=30) < row["expire_time"] - made.start_time.ToDatetime(UTC) < timedelta(days=31)

    async def test_promoted_late_one_may_give_it_back_for_nothing(self, house: House) -> None:
        await rule(house, late_cancel_fee_minor=900)
        session, (booking,) = await full(house, start=house.now + timedelta(hours=6))
        client = await house.add_client()
        (entry,) = await queue(house, session, client)
        await house.cancel(booking)
        made = await booked(house, entry)
        assert made.free_cancel_until.ToDatetime(UTC) == house.now + timedelta(minutes=120)
        house.move(minutes=120)
        assert (await house.cancel(made)).state == Booking.CANCELLED_EARLY
        assert await house.credits(client) == 1

    async def test_promoted_late_the_grace_ends(self, house: House) -> None:
        session, (booking,) = await full(house, start=house.now + timedelta(hours=6))
        (entry,) = await queue(house, session, await house.add_client())
        await house.cancel(booking)
        house.move(minutes=121)
        assert (await house.cancel(await booked(house, entry))).state == Booking.CANCELLED_LATE


class TestPassedOver:
    async def test_caps(self, house: House) -> None:
        session, (booking,) = await full(house)
        busy, other = await house.add_client(credits=2), await house.add_client()
        entries = await queue(house, session, busy, other)
        elsewhere = await house.book(await house.plan(start=house.now + timedelta(days=5)), busy)
        await rule(house, max_upcoming_bookings=1)
        await house.cancel(booking)
        assert await states(house, *entries) == ["WAITING", "PROMOTED"]
        passed = await read(house, entries[0])
        assert passed.passed_over == "you had as many classes ahead as the studio allows"
        # The place that comes next is theirs when nothing is in the way any more.
        await house.cancel(elsewhere)
        await house.cancel(await booked(house, entries[1]))
        assert await states(house, entries[0]) == ["PROMOTED"]
        assert (await read(house, entries[0])).passed_over == ""
        assert await house.violations() == {}

    async def test_a_place_nobody_in_line_can_have_is_open_and_comes_back_to_them(self, house: House) -> None:
        session, (booking,) = await full(house)
        busy = await house.add_client(credits=2)
        (entry,) = await queue(house, session, busy)
        elsewhere = await house.book(await house.plan(start=house.now + timedelta(days=5)), busy)
        await rule(house, max_upcoming_bookings=1)
        await house.cancel(booking)
        assert await house.counters(session) == (1, 1, 0)
        assert await outcome(join(house, session, await house.add_client())) == "PLACE_FREE"
        await house.cancel(elsewhere)
        await tick(house)
        assert await states(house, entry) == ["PROMOTED"]
        assert await house.violations() == {}

    async def test_who_was_passed_over_may_book_the_place_directly(self, house: House) -> None:
        session, (booking,) = await full(house)
        client = await house.add_client()
        (entry,) = await queue(house, session, client)
        await house.running.sql(
            "UPDATE client_packages SET expire_time = $2 WHERE client_id = $1", last_id(client.name), house.now
        )
        await house.cancel(booking)
        assert await outcome(house.book(session, client)) == "NO_CREDIT"
        await house.grant(client)
        assert await outcome(house.book(session, client)) == "BOOKED"
        await tick(house)
        assert await states(house, entry) == ["REMOVED ALREADY_BOOKED"]
        assert await house.violations() == {}

    async def test_package_and_archive(self, house: House) -> None:
        session, (booking,) = await full(house)
        clients = [await house.add_client() for _ in range(3)]
        entries = await queue(house, session, *clients)
        await house.running.sql(
            "UPDATE client_packages SET expire_time = $2 WHERE client_id = $1", last_id(clients[0].name), house.now
        )
        await house.running.sql("UPDATE clients SET archive_time = now() WHERE id = $1", last_id(clients[1].name))
        await house.cancel(booking)
        assert await states(house, *entries) == ["WAITING", "WAITING", "PROMOTED"]
        rows = await house.running.sql(
            "SELECT outcome FROM waitlist_decisions WHERE tenant_id = $1 ORDER BY place_in_line", house.tenant
        )
        assert [row[0] for row in rows] == ["PACKAGE_NOT_USABLE", "CLIENT_ARCHIVED", "PROMOTED"]

    async def test_who_booked_another_class_at_that_time_leaves(self, house: House) -> None:
        """At the next free place, or with the tick: booking itself does not look at waits."""
        (session, (booking,)), (quiet, _) = await full(house), await full(house)
        client, other = await house.add_client(credits=2), await house.add_client()
        (entry,), (behind,) = await queue(house, session, client), await queue(house, session, other)
        (second,) = await queue(house, quiet, client)
        assert await house.credits(client) == 1
        await house.book(await house.plan(start=house.now + timedelta(days=2)), client)
        await house.cancel(booking)
        assert await states(house, entry, behind, second) == ["REMOVED OVERLAPPING_BOOKING", "PROMOTED", "WAITING"]
        assert await house.credits(client) == 0
        await tick(house)
        assert await states(house, second) == ["REMOVED OVERLAPPING_BOOKING"]
        assert await house.credits(client) == 1
        assert await house.violations() == {}


class TestHours:
    async def test_at_night_a_place_waits_for_the_morning(self, house: House) -> None:
        session, (booking,) = await full(house)
        client = await house.add_client()
        entries = await queue(house, session, client, await house.add_client())
        house.running.mesh.clock.instant = NIGHT
        await house.cancel(booking)
        await tick(house)
        assert await states(house, *entries) == ["WAITING", "WAITING"]
        # Nobody passes who waits, the first in line included: the place comes by itself.
        for wants in (await house.add_client(), client):
            await house.grant(wants)
            assert await outcome(house.book(session, wants)) == "WAITLIST_FIRST"
        offers = await house.staff.ListBookableSessions(booking_pb.ListBookableSessionsRequest(parent=house.name))
        assert [offer.availability for offer in offers.bookable_sessions] == [BookableSession.FULL]
        assert "it is given out when quiet hours end, 2027-01-05 07:00" in (await explained(house, entries[0])).summary
        house.running.mesh.clock.instant = MORNING - timedelta(seconds=1)
        await tick(house)
        assert await states(house, *entries) == ["WAITING", "WAITING"]
        house.running.mesh.clock.instant = MORNING
        await tick(house)
        assert await states(house, *entries) == ["PROMOTED", "WAITING"]
        assert await house.violations() == {}

    async def test_before_the_night_it_does_not(self, house: House) -> None:
        session, (booking,) = await full(house)
        (entry,) = await queue(house, session, await house.add_client())
        house.running.mesh.clock.instant = EVENING
        await house.cancel(booking)
        assert await states(house, entry) == ["PROMOTED"]

    async def test_at_the_cut_off_the_line_ends_with_credits_back(self, house: House) -> None:
        session, (booking,) = await full(house, start=house.now + timedelta(hours=3))
        client = await house.add_client()
        (entry,) = await queue(house, session, client)
        house.running.mesh.clock.instant = (await read(house, entry)).line_close_time.ToDatetime(UTC)
        house.move(microseconds=-1)
        await tick(house)
        assert await states(house, entry) == ["WAITING"]
        house.move(microseconds=1)
        await tick(house)
        assert await states(house, entry) == ["EXPIRED LINE_CLOSED"]
        assert await house.credits(client) == 1
        await house.cancel(booking)
        assert await outcome(house.book(session, client)) == "BOOKED"
        assert await house.violations() == {}

    async def test_after_the_cut_off_a_place_is_for_who_comes_first(self, house: House) -> None:
        session, (booking,) = await full(house, start=house.now + timedelta(hours=3))
        (entry,) = await queue(house, session, await house.add_client())
        house.move(hours=2, minutes=30)
        await house.cancel(booking)
        assert await states(house, entry) == ["EXPIRED LINE_CLOSED"]
        assert await outcome(house.book(session, await house.add_client())) == "BOOKED"

    async def test_a_line_whose_night_lasts_until_the_cut_off_closes_in_the_evening(self, house: House) -> None:
        """Class at 07:30, cut-off at 06:30, quiet until 07:00."""
        session, (booking,) = await full(house, start=datetime(2027, 1, 5, 6, 30, tzinfo=UTC))
        (entry,) = await queue(house, session, await house.add_client())
        assert entry.line_close_time.ToDatetime(UTC) == NIGHT
        house.running.mesh.clock.instant = NIGHT
        await house.cancel(booking)
        assert await states(house, entry) == ["EXPIRED LINE_CLOSED"]
        assert await outcome(house.book(session, await house.add_client())) == "BOOKED"

    async def test_without_a_waitlist_any_more_the_line_ends(self, house: House) -> None:
        session, _ = await full(house)
        client = await house.add_client()
        (entry,) = await queue(house, session, client)
        await rule(house, waitlist_mode="OFF")
        await tick(house)
        assert await states(house, entry) == ["REMOVED WAITLIST_OFF"]
        assert await house.credits(client) == 1

    async def test_what_a_crash_left_free_is_filled_by_the_tick(self, house: House) -> None:
        session, (booking,) = await full(house)
        (entry,) = await queue(house, session, await house.add_client())
        await house.running.sql(
            "UPDATE bookings SET state = 'CANCELLED_LATE', cancel_time = now() WHERE id = $1", last_id(booking.name)
        )
        await house.running.sql("UPDATE class_sessions SET booked_count = 0 WHERE id = $1", last_id(session))
        await tick(house)
        assert await states(house, entry) == ["PROMOTED"]
        assert await house.violations() == {}


class TestExplaining:
    async def test_how_it_stands(self, house: House) -> None:
        account, (session, _) = new_id(), await full(house)
        client = await house.add_client(account=f"accounts/{account}")
        first, second = await queue(house, session, await house.add_client("Secret Name"), client)
        answer = await explained(house, second, house.as_account(account))
        assert answer.summary == "You are number 2 in line. No place is free. The line closes 2027-01-06 08:00."
        assert answer.waitlist_entry.name == second.name
        assert "Secret" not in str(answer)
        assert await outcome(explained(house, first, house.as_account(account))) == "PERMISSION_DENIED"
        await leave(house, second)
        assert (await explained(house, second)).summary == "You are no longer in line: you left the line."

    async def test_what_was_decided(self, house: House) -> None:
        session, (one, two) = await full(house, 2)
        busy = await house.add_client(credits=2)
        entries = await queue(house, session, busy, await house.add_client(), await house.add_client())
        await house.book(await house.plan(start=house.now + timedelta(days=5)), busy)
        await rule(house, max_daily_bookings=1, max_upcoming_bookings=1)
        await house.cancel(one)
        house.move(minutes=5)
        await house.cancel(two)
        answer = await explained(house, entries[0])
        assert answer.summary.startswith(
            "You are number 1 in line. The last free place went past you: you had as many classes ahead as the studio"
        )
        assert [decision.outcome for decision in answer.decisions] == ["TOO_MANY_BOOKINGS"] * 2
        assert answer.decisions[0].message == (
            "2027-01-04 09:05, when you were number 1 in line: the place went past you, because you had as many"
            " classes ahead as the studio allows."
        )
        (page,) = (await explained(house, entries[0], page_size=1)).decisions
        rest = await explained(
            house, entries[0], page_token=(await explained(house, entries[0], page_size=1)).next_page_token
        )
        assert [page, *rest.decisions] == list(answer.decisions)
        told = [(await explained(house, entry)).decisions[0] for entry in entries[1:]]
        assert [(each.outcome, each.position) for each in told] == [("PROMOTED", 2), ("PROMOTED", 2)]
        assert told[0].message.endswith("you got the place.")
        assert (await explained(house, entries[1])).summary == "You got a place."


async def test_a_preview_of_cancelling_promotes_nobody(house: House) -> None:
    session, (booking,) = await full(house)
    (entry,) = await queue(house, session, await house.add_client())
    await house.staff.PreviewCancellation(booking_pb.PreviewCancellationRequest(name=booking.name))
    assert await states(house, entry) == ["WAITING"]
    assert await house.violations() == {}
