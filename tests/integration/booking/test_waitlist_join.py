"""Joining the line of a full class and leaving it: who may, and what becomes of the credit."""

from datetime import timedelta

from grpc import StatusCode

from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.booking.v1.events_pb2 import WaitlistEntryChanged
from powerhouse.booking.v1.waitlist_pb2 import WaitlistEntry
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from tests.integration.booking.house import House, key, last_id, outcome, refused
from tests.integration.booking.lines import full, join, leave, listed, queue, read, rule

PRECONDITION = StatusCode.FAILED_PRECONDITION


async def causes(house: House) -> list[str]:
    """Of the transfers that concern the waitlist, in order."""
    rows = await house.running.sql(
        "SELECT cause FROM transfers WHERE tenant_id = $1 AND cause NOT IN ('granted', 'booked') ORDER BY id",
        house.tenant,
    )
    return [row["cause"] for row in rows]


class TestJoining:
    async def test_stands_at_the_end_with_a_credit_set_aside(self, house: House) -> None:
        session, _ = await full(house)
        first, second = await house.add_client("Ada"), await house.add_client("Bea")
        entries = await queue(house, session, first, second)
        assert [entry.position for entry in entries] == [1, 2]
        entry = entries[1]
        assert (entry.state, entry.client, entry.client_display_name) == (WaitlistEntry.WAITING, second.name, "Bea")
        assert (entry.class_session, entry.local_start, entry.time_zone) == (
            session,
            "2027-01-06T09:00",
            "Europe/Berlin",
        )
        assert entry.line_close_time.ToDatetime() == entry.start_time.ToDatetime() - timedelta(hours=1)
        assert [await house.credits(client) for client in (first, second)] == [0, 0]
        assert await causes(house) == ["held", "held"]
        (event, _) = await house.running.events(WaitlistEntryChanged, house.tenant)
        assert event == WaitlistEntryChanged(
            waitlist_entry_id=str(last_id(entries[0].name)),
            class_session_id=str(last_id(session)),
            client_id=str(last_id(first.name)),
            state=WaitlistEntry.WAITING,
            version=1,
        )
        assert await house.violations() == {}

    async def test_by_the_client_and_for_a_child(self, house: House) -> None:
        account, (session, _) = new_id(), await full(house)
        own = await house.add_client("Ada", account=f"accounts/{account}")
        child = await house.add_client("Kim", account=f"accounts/{account}")
        stub = house.as_account(account)
        assert (await join(house, session, stub=stub)).client == own.name
        assert (await join(house, session, child, stub=stub)).client == child.name
        other = await house.add_client()
        await refused(join(house, session, other, stub=stub), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
        stranger = house.as_account(new_id())
        await refused(join(house, session, stub=stranger), PRECONDITION, "CLIENT_REQUIRED")

    async def test_a_repeat_joins_once(self, house: House) -> None:
        (session, _), client, request_id = await full(house), await house.add_client(credits=3), key()
        first = await join(house, session, client, request_id=request_id)
        assert await join(house, session, client, request_id=request_id) == first
        assert await house.credits(client) == 2

    async def test_while_a_place_is_free(self, house: House) -> None:
        await refused(join(house, await house.plan(), await house.add_client()), PRECONDITION, "PLACE_FREE")

    async def test_twice_or_when_booked(self, house: House) -> None:
        session, client = await house.plan(capacity=1), await house.add_client(credits=2)
        await house.book(session, client)
        await refused(join(house, session, client), StatusCode.ALREADY_EXISTS, "ALREADY_BOOKED")
        other = await house.add_client(credits=2)
        await join(house, session, other)
        await refused(join(house, session, other), StatusCode.ALREADY_EXISTS, "ALREADY_WAITING")
        assert await house.credits(other) == 1

    async def test_of_a_session_that_cannot_be_had(self, house: House) -> None:
        client = await house.add_client()
        unknown = f"{house.name}/classSessions/{new_id()}"
        await refused(join(house, unknown, client), PRECONDITION, "SESSION_NOT_KNOWN_YET")
        cancelled = await house.plan(capacity=0, cancelled=True)
        await refused(join(house, cancelled, client), PRECONDITION, "SESSION_CANCELLED")
        started = await house.plan(capacity=0, start=house.now)
        await refused(join(house, started, client), PRECONDITION, "SESSION_STARTED")
        early = await house.plan(capacity=0, start=house.now + timedelta(days=31))
        await refused(join(house, early, client), PRECONDITION, "BOOKING_NOT_OPEN")
        soon = await house.plan(capacity=0, start=house.now + timedelta(minutes=60))
        await refused(join(house, soon, client), PRECONDITION, "WAITLIST_CLOSED")
        await rule(house, booking_closes_minutes=90)
        await refused(join(house, soon, client), PRECONDITION, "BOOKING_CLOSED")
        nobody = Client(name=f"{house.name}/clients/{new_id()}")
        await refused(join(house, unknown, nobody), StatusCode.NOT_FOUND, "NOT_FOUND")

    async def test_without_a_waitlist_or_a_credit_or_archived(self, house: House) -> None:
        (session, _), poor = await full(house), await house.add_client(credits=0)
        await refused(join(house, session, poor), PRECONDITION, "NO_CREDIT")
        await house.grant(poor, valid_days=1)
        await refused(join(house, session, poor), PRECONDITION, "NO_CREDIT")
        await house.running.sql("UPDATE clients SET archive_time = now() WHERE id = $1", last_id(poor.name))
        await refused(join(house, session, poor), PRECONDITION, "CLIENT_ARCHIVED")
        await rule(house, waitlist_mode="OFF")
        await refused(join(house, session, await house.add_client()), PRECONDITION, "WAITLIST_OFF")

    async def test_beside_a_booking_at_the_same_time(self, house: House) -> None:
        (session, _), client = await full(house), await house.add_client(credits=2)
        await house.book(await house.plan(), client)
        await refused(join(house, session, client), PRECONDITION, "OVERLAPPING_BOOKING")


class TestSharing:
    async def test_waits_that_exclude_each_other_share_a_credit(self, house: House) -> None:
        start = house.now + timedelta(days=2)
        sessions = [await house.plan(capacity=0, start=start + timedelta(minutes=10 * n)) for n in range(4)]
        client = await house.add_client(credits=1)
        entries = [await join(house, session, client) for session in sessions]
        assert await house.credits(client) == 0
        assert await causes(house) == ["held"]
        assert await house.violations() == {}
        for entry in entries[:3]:
            await leave(house, entry)
            assert await house.credits(client) == 0
        await leave(house, entries[3])
        assert await house.credits(client) == 1
        assert await causes(house) == ["held", "released"]
        assert await house.violations() == {}

    async def test_a_chain_is_no_clique(self, house: House) -> None:
        """The first overlaps the second and that the third, but the third could come true beside the first."""
        start = house.now + timedelta(days=2)
        first, second, third = [await house.plan(capacity=0, start=start + timedelta(minutes=40 * n)) for n in range(3)]
        client = await house.add_client(credits=1)
        await join(house, first, client)
        await join(house, second, client)
        await refused(join(house, third, client), PRECONDITION, "NO_CREDIT")
        await house.grant(client)
        await join(house, third, client)
        assert await causes(house) == ["held", "held"]
        assert await house.violations() == {}

    async def test_a_package_that_does_not_pay_for_the_other_class(self, house: House) -> None:
        soon, later = house.now + timedelta(hours=23), house.now + timedelta(hours=23, minutes=40)
        client = await house.add_client(credits=0)
        await house.grant(client, 1, valid_days=1)
        await house.running.sql(
            "UPDATE client_packages SET expire_time = $2 WHERE tenant_id = $1",
            house.tenant,
            soon + timedelta(minutes=5),
        )
        await join(house, await house.plan(capacity=0, start=soon), client)
        other = await house.plan(capacity=0, start=later)
        await refused(join(house, other, client), PRECONDITION, "NO_CREDIT")
        await house.grant(client)
        await join(house, other, client)
        assert await causes(house) == ["held", "held"]


class TestLeaving:
    async def test_ends_it_once_and_the_next_moves_up(self, house: House) -> None:
        session, _ = await full(house)
        first, second = await queue(house, session, await house.add_client(), await house.add_client())
        await refused(leave(house, first, etag="7"), StatusCode.ABORTED, "ETAG_MISMATCH")
        left = await leave(house, first, etag=first.etag)
        assert (left.state, left.reason, left.message, left.position) == (
            WaitlistEntry.REMOVED,
            "LEFT",
            "you left the line",
            0,
        )
        assert (await read(house, second)).position == 1
        await refused(leave(house, first), PRECONDITION, "NOT_WAITING")
        (audit,) = await house.running.sql(
            "SELECT changes FROM audit_entries WHERE tenant_id = $1 AND method = 'LeaveWaitlist'", house.tenant
        )
        assert audit["changes"] == '{"state": ["WAITING", "REMOVED"]}'

    async def test_only_ones_own(self, house: House) -> None:
        session, _ = await full(house)
        entry = await join(house, session, await house.add_client())
        denied = StatusCode.PERMISSION_DENIED
        stranger = house.as_account(new_id())
        await refused(leave(house, entry, stub=stranger), denied, "PERMISSION_DENIED")
        await refused(read(house, entry, stranger), denied, "PERMISSION_DENIED")
        unknown = WaitlistEntry(name=f"{house.name}/waitlistEntries/{new_id()}")
        await refused(read(house, unknown, stranger), denied, "PERMISSION_DENIED")
        await refused(read(house, unknown), StatusCode.NOT_FOUND, "NOT_FOUND")


class TestListing:
    async def test_pages_in_the_order_of_the_line(self, house: House) -> None:
        session, _ = await full(house)
        entries = await queue(house, session, *[await house.add_client() for _ in range(3)])
        first = await listed(house, class_session=session, page_size=2)
        rest = await listed(house, class_session=session, page_size=2, page_token=first.next_page_token)
        assert [*first.waitlist_entries, *rest.waitlist_entries] == entries
        await leave(house, entries[0])
        assert len((await listed(house, class_session=session)).waitlist_entries) == 2
        assert len((await listed(house, class_session=session, show_ended=True)).waitlist_entries) == 3
        mine = await listed(house, client=entries[1].client)
        assert [entry.name for entry in mine.waitlist_entries] == [entries[1].name]

    async def test_clients_see_their_own_and_instructors_their_sessions(self, house: House) -> None:
        account, teacher = new_id(), new_id()
        session, _ = await full(house, instructor_account_id=str(teacher))
        elsewhere, _ = await full(house, start=house.now + timedelta(days=3))
        own = await house.add_client("Ada", credits=2, account=f"accounts/{account}")
        await queue(house, session, own, await house.add_client())
        await queue(house, elsewhere, own, await house.add_client())
        assert len((await listed(house, house.as_account(account))).waitlist_entries) == 2
        taught = await listed(house, house.as_role(Role.ROLE_INSTRUCTOR, teacher))
        assert {entry.class_session for entry in taught.waitlist_entries} == {session}
        assert len(taught.waitlist_entries) == 2
        # Who no longer teaches here sees nothing.
        assert (await listed(house, house.as_account(teacher))).waitlist_entries == []
        assert await outcome(listed(house, house.as_account(account), class_session=elsewhere)) == "BOOKED"
