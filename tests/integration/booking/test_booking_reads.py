"""What is shown: bookable sessions, bookings, recipients."""

from datetime import UTC, timedelta
from typing import Any

from grpc import StatusCode
from sqlalchemy import event

from powerhouse.booking.v1 import booking_service_pb2 as pb
from powerhouse.booking.v1 import client_service_pb2
from powerhouse.booking.v1.booking_pb2 import BookableSession, Booking
from powerhouse.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from services.chassis.rpc.codec import to_timestamp
from tests.integration.booking.house import BookingStub, House, last_id, refused

HOUR = timedelta(hours=1)


async def sessions(house: House, stub: Any = None, **fields: Any) -> Any:
    return await (stub or house.staff).ListBookableSessions(pb.ListBookableSessionsRequest(parent=house.name, **fields))


async def bookings(house: House, stub: Any = None, **fields: Any) -> Any:
    return await (stub or house.staff).ListBookings(pb.ListBookingsRequest(parent=house.name, **fields))


class TestBookableSessions:
    async def test_what_is_shown(self, house: House) -> None:
        account = new_id()
        client = await house.add_client(account=f"accounts/{account}")
        name = await house.plan(capacity=3, spots=["A", "B", "C"])
        booking = await house.book(name, client, spot="B")
        (shown,) = (await sessions(house, house.as_account(account))).bookable_sessions
        start = house.now + timedelta(days=2)
        assert shown == BookableSession(
            class_session=name,
            class_type_display_name="Reformer Flow",
            instructor_display_name="Ines",
            room_display_name="Room 1",
            location_display_name="Mitte",
            start_time=to_timestamp(start),
            end_time=to_timestamp(start + timedelta(minutes=50)),
            local_start="2027-01-06T09:00",
            time_zone="Europe/Berlin",
            capacity=3,
            free_places=2,
            free_spots=["A", "C"],
            availability=BookableSession.OPEN,
            free_cancel_until=to_timestamp(start - 12 * HOUR),
            my_booking=booking.name,
        )
        (to_others,) = (await sessions(house, house.as_account(new_id()))).bookable_sessions
        assert to_others.my_booking == ""
        await house.cancel(booking)
        (after,) = (await sessions(house, house.as_account(account))).bookable_sessions
        assert (after.my_booking, after.free_places, list(after.free_spots)) == ("", 3, ["A", "B", "C"])

    async def test_availability(self, house: House) -> None:
        full = await house.plan(start=house.now + 2 * HOUR, capacity=1)
        await house.book(full, await house.add_client())
        await house.plan(start=house.now - HOUR)
        await house.plan(start=house.now + HOUR, cancelled=True)
        await house.plan(start=house.now + 3 * HOUR)
        await house.plan(start=house.now + timedelta(days=31))
        page = await sessions(
            house, start_time=to_timestamp(house.now - 2 * HOUR), end_time=to_timestamp(house.now + timedelta(days=40))
        )
        assert [session.availability for session in page.bookable_sessions] == [
            BookableSession.CLOSED,
            BookableSession.CANCELLED,
            BookableSession.FULL,
            BookableSession.OPEN,
            BookableSession.NOT_YET_OPEN,
        ]

    async def test_the_range_is_half_open_and_a_week_by_default(self, house: House) -> None:
        now, later = await house.plan(start=house.now), await house.plan(start=house.now + timedelta(days=7))
        assert [session.class_session for session in (await sessions(house)).bookable_sessions] == [now]
        page = await sessions(house, start_time=to_timestamp(house.now + HOUR))
        assert [session.class_session for session in page.bookable_sessions] == [later]

    async def test_a_range_that_is_none(self, house: House) -> None:
        for end in (house.now, house.now - HOUR, house.now + timedelta(days=62, seconds=1)):
            call = sessions(house, start_time=to_timestamp(house.now), end_time=to_timestamp(end))
            await refused(call, StatusCode.INVALID_ARGUMENT, "INVALID_RANGE")

    async def test_pages(self, house: House) -> None:
        planned = [await house.plan(start=house.now + timedelta(hours=number // 2)) for number in range(5)]
        shown: list[str] = []
        token = ""
        for _ in range(3):
            page = await sessions(house, page_size=2, page_token=token)
            shown += [session.class_session for session in page.bookable_sessions]
            token = page.next_page_token
        assert token == ""
        assert sorted(shown) == sorted(planned)

    async def test_statements(self, house: House) -> None:
        for _ in range(3):
            await house.plan()
        executed: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            executed.append(statement)

        engine = house.running.resources.database.engine.sync_engine
        event.listen(engine, "before_cursor_execute", note)
        try:
            await sessions(house)
        finally:
            event.remove(engine, "before_cursor_execute", note)
        # One sets the studio.
        assert len(executed) == 2


class TestBookings:
    async def test_latest_class_first_in_pages(self, house: House) -> None:
        client = await house.add_client(credits=5)
        for day in (3, 1, 2, 5, 4):
            await house.book(await house.plan(start=house.now + timedelta(days=day)), client)
        first = await bookings(house, page_size=3)
        second = await bookings(house, page_size=3, page_token=first.next_page_token)
        days = [
            (booking.start_time.ToDatetime(UTC) - house.now).days
            for page in (first, second)
            for booking in page.bookings
        ]
        assert days == [5, 4, 3, 2, 1]
        assert second.next_page_token == ""

    async def test_filters(self, house: House) -> None:
        one, other = await house.add_client(credits=2), await house.add_client()
        sessions = await house.plan_many(2)
        kept = await house.book(sessions[0], one)
        await house.cancel(await house.book(sessions[1], one))
        await house.book(await house.plan(), other)
        assert len((await bookings(house)).bookings) == 3
        assert len((await bookings(house, client=one.name)).bookings) == 2
        active = await bookings(house, client=one.name, active_only=True)
        assert [booking.name for booking in active.bookings] == [kept.name]

    async def test_people_see_their_own(self, house: House) -> None:
        account, session = new_id(), await house.plan()
        client, other = await house.add_client(account=f"accounts/{account}"), await house.add_client()
        own, foreign = await house.book(session, client), await house.book(session, other)
        stub = house.as_account(account)
        assert list((await bookings(house, stub)).bookings) == [own]
        assert (await bookings(house, stub, client=other.name)).bookings == []
        assert await stub.GetBooking(pb.GetBookingRequest(name=own.name)) == own
        for name in (foreign.name, f"{house.name}/bookings/{new_id()}"):
            call = stub.GetBooking(pb.GetBookingRequest(name=name))
            await refused(call, StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")

    async def test_unknown_to_staff(self, house: House) -> None:
        call = house.staff.GetBooking(pb.GetBookingRequest(name=f"{house.name}/bookings/{new_id()}"))
        await refused(call, StatusCode.NOT_FOUND, "NOT_FOUND")


class TestRecipients:
    async def test_as_they_are_now(self, house: House) -> None:
        notify = house.running.as_service(BookingServiceStub, "notify")
        client = await house.add_client("Clara", email="clara@example.com", language="de")
        session = await house.plan(time_version=2, capacity=1, spots=["A"])
        booking = await house.book(session, client)
        ids = [str(last_id(booking.name)), str(new_id())]
        request = pb.BatchGetRecipientsRequest(parent=house.name, booking_ids=ids)
        (recipient,) = (await notify.BatchGetRecipients(request)).recipients
        assert (recipient.booking_id, recipient.state, recipient.time_version) == (ids[0], Booking.CONFIRMED, 2)
        assert (recipient.display_name, recipient.email, recipient.language) == ("Clara", "clara@example.com", "de")
        assert (recipient.spot, recipient.session.class_session) == ("A", session)
        assert recipient.free_cancel_until == booking.free_cancel_until
        await house.cancel(booking)
        (recipient,) = (await notify.BatchGetRecipients(request)).recipients
        assert recipient.state == Booking.CANCELLED_EARLY

    async def test_for_notify_alone(self, house: House) -> None:
        request = pb.BatchGetRecipientsRequest(parent=house.name, booking_ids=[str(new_id())])
        scheduling = house.running.as_service(BookingServiceStub, "scheduling")
        for stub in (house.staff, scheduling):
            await refused(stub.BatchGetRecipients(request), StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")

    async def test_ids_that_are_none(self, house: House) -> None:
        notify = house.running.as_service(BookingServiceStub, "notify")
        call = notify.BatchGetRecipients(pb.BatchGetRecipientsRequest(parent=house.name, booking_ids=["x"]))
        await refused(call, StatusCode.INVALID_ARGUMENT, "MALFORMED_NAME")


async def test_nothing_of_another_studio_is_seen(house: House) -> None:
    other = House(
        house.running,
        new_id(),
        house.running.as_account(BookingStub, roles={house.tenant: [Role.ROLE_OWNER]}),
    )
    await house.book(await house.plan(), await house.add_client())
    for call in (
        other.staff.ListBookings(pb.ListBookingsRequest(parent=other.name)),
        other.staff.ListClients(client_service_pb2.ListClientsRequest(parent=other.name)),
    ):
        # Signed in, but nobody there: an empty list of their own.
        response: Any = await call
        assert response.ByteSize() == 0
