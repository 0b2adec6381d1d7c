"""Giving a place back: what returns, until when, and who may."""

from datetime import timedelta

from grpc import StatusCode

from powerhouse.booking.v1 import booking_service_pb2 as pb
from powerhouse.booking.v1.booking_pb2 import Booking, BookingPolicy
from powerhouse.booking.v1.events_pb2 import BookingChanged
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from tests.integration.booking.house import House, key, refused

PRECONDITION = StatusCode.FAILED_PRECONDITION


async def test_early_returns_the_credit(house: House) -> None:
    session, client = await house.plan(start=house.now + timedelta(hours=12)), await house.add_client()
    booking = await house.book(session, client)
    # Exactly at the deadline.
    cancelled = await house.cancel(booking)
    assert (cancelled.state, cancelled.credit_returned) == (Booking.CANCELLED_EARLY, True)
    assert cancelled.cancel_time.ToDatetime() == house.now.replace(tzinfo=None)
    assert cancelled == await house.get(booking)
    assert await house.credits(client) == 1
    assert await house.counters(session) == (8, 8, 0)
    told = await house.running.events(BookingChanged, house.tenant)
    assert [(event.state, event.client_package.credits_left) for event in told] == [
        (Booking.CONFIRMED, 0),
        (Booking.CANCELLED_EARLY, 1),
    ]
    assert await house.violations() == {}


async def test_late_keeps_it_and_frees_the_place(house: House) -> None:
    session, client = await house.plan(start=house.now + timedelta(hours=12), capacity=1), await house.add_client()
    booking = await house.book(session, client)
    house.move(seconds=1)
    cancelled = await house.cancel(booking)
    assert (cancelled.state, cancelled.credit_returned) == (Booking.CANCELLED_LATE, False)
    assert await house.credits(client) == 0
    await house.book(session, await house.add_client())
    assert await house.violations() == {}


async def test_the_policy_it_was_booked_under_decides(house: House) -> None:
    manager, session = house.as_role(Role.ROLE_MANAGER), await house.plan(start=house.now + timedelta(hours=13))
    booking = await house.book(session, await house.add_client())
    stricter = BookingPolicy(name=f"{house.name}/bookingPolicy", cancellation_window_minutes=24 * 60)
    await manager.UpdateBookingPolicy(pb.UpdateBookingPolicyRequest(booking_policy=stricter, request_id=key()))
    assert (await house.cancel(booking)).state == Booking.CANCELLED_EARLY
    later = await house.book(session, await house.add_client())
    assert later.policy_version == 2
    assert (await house.cancel(later)).state == Booking.CANCELLED_LATE


async def test_twice(house: House) -> None:
    booking, request_id = await house.book(await house.plan(), await house.add_client()), key()
    first = await house.cancel(booking, request_id=request_id)
    assert await house.cancel(booking, request_id=request_id) == first
    await refused(house.cancel(booking), PRECONDITION, "BOOKING_NOT_ACTIVE")
    assert await house.violations() == {}


async def test_after_the_start(house: House) -> None:
    booking = await house.book(await house.plan(start=house.now + timedelta(minutes=1)), await house.add_client())
    house.move(minutes=1)
    await refused(house.cancel(booking), PRECONDITION, "SESSION_STARTED")


async def test_with_a_stale_etag(house: House) -> None:
    booking = await house.book(await house.plan(), await house.add_client())
    await refused(house.cancel(booking, etag="7"), StatusCode.ABORTED, "ETAG_MISMATCH")
    assert (await house.cancel(booking, etag=booking.etag)).etag != booking.etag


async def test_the_client_may_book_again(house: House) -> None:
    session, client = await house.plan(), await house.add_client()
    await house.cancel(await house.book(session, client))
    assert (await house.book(session, client)).state == Booking.CONFIRMED


async def test_of_others(house: House) -> None:
    account = new_id()
    await house.add_client(account=f"accounts/{account}")
    own = await house.book(await house.plan(), stub=house.as_account(account))
    other = await house.book(await house.plan(), await house.add_client())
    unknown = Booking(name=f"{house.name}/bookings/{new_id()}")
    for booking in (other, unknown):
        call = house.cancel(booking, stub=house.as_account(account))
        await refused(call, StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    await refused(house.cancel(unknown), StatusCode.NOT_FOUND, "NOT_FOUND")
    assert (await house.cancel(own, stub=house.as_account(account))).state == Booking.CANCELLED_EARLY


async def test_at_once_by_two(house: House) -> None:
    booking = await house.book(await house.plan(), await house.add_client())
    counted = await house.count([house.cancel(booking) for _ in range(5)])
    assert counted == {"BOOKED": 1, "BOOKING_NOT_ACTIVE": 4}
    assert await house.violations() == {}
