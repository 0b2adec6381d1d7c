"""Series: the same class week after week; and another spot in one class."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import grpc
import pytest
from grpc import StatusCode

from powerhouse.booking.v1 import booking_service_pb2, series_service_pb2
from powerhouse.booking.v1 import series_service_pb2 as pb
from powerhouse.booking.v1.booking_pb2 import Booking
from powerhouse.booking.v1.client_pb2 import Client
from services.chassis.ids import new_id
from tests.integration.booking.house import House, key, outcome, refused

BERLIN = ZoneInfo("Europe/Berlin")
ALL, AVAILABLE = pb.NewBookingSeries.ALL, pb.NewBookingSeries.AVAILABLE


async def tuesdays(house: House, weeks: int, **fields: Any) -> list[str]:
    """A class at 10:00 in Berlin each week, over the change of the clocks in March."""
    house.running.mesh.clock.instant = datetime(2027, 3, 8, 8, tzinfo=UTC)
    first = datetime(2027, 3, 9, 10, tzinfo=BERLIN)
    # Arithmetic within a zone is that of the wall.
    return [await house.plan(start=first + timedelta(weeks=week), **fields) for week in range(weeks)]


def request(session: str, client: Client, weeks: int, mode: Any, **rest: Any) -> pb.NewBookingSeries:
    booking = booking_service_pb2.NewBooking(class_session=session, client=client.name, **rest)
    return pb.NewBookingSeries(booking=booking, week_count=weeks, mode=mode)


def book(house: House, series: pb.NewBookingSeries, request_id: str = "") -> Any:
    return house.staff.CreateBookingSeries(
        pb.CreateBookingSeriesRequest(parent=house.name, series=series, request_id=request_id or key())
    )


async def preview(house: House, series: pb.NewBookingSeries) -> list[Any]:
    read = await house.staff.PreviewBookingSeries(
        series_service_pb2.PreviewBookingSeriesRequest(parent=house.name, series=series)
    )
    return list(read.weeks)


async def test_every_tuesday_at_ten_also_when_the_clocks_change(house: House) -> None:
    sessions, client = await tuesdays(house, 5), await house.add_client(credits=5)
    # Neither an hour later nor on another day.
    await house.plan(start=datetime(2027, 3, 16, 11, tzinfo=BERLIN))
    await house.plan(start=datetime(2027, 3, 17, 10, tzinfo=BERLIN))
    made, request_id = request(sessions[0], client, 5, ALL), key()
    answer = await book(house, made, request_id)
    assert [week.class_session for week in answer.weeks] == sessions
    assert [week.local_day for week in answer.weeks][-2:] == ["2027-03-30", "2027-04-06"]
    assert {week.booking.state for week in answer.weeks} == {Booking.CONFIRMED}
    assert await book(house, made, request_id) == answer
    assert await house.credits(client) == 0
    assert await house.violations() == {}


async def test_all_or_none_names_the_first_day_that_fails(house: House) -> None:
    sessions, client = await tuesdays(house, 3, capacity=1), await house.add_client(credits=5)
    await house.book(sessions[1], await house.add_client())
    with pytest.raises(grpc.aio.AioRpcError, match="2027-03-16: no place is left"):
        await book(house, request(sessions[0], client, 3, ALL))
    assert await outcome(book(house, request(sessions[0], client, 3, ALL))) == "SERIES_NOT_POSSIBLE"
    assert await house.credits(client) == 5
    for session in sessions[::2]:
        assert (await house.counters(session))[2] == 0


async def test_what_is_free_with_a_reason_for_the_rest(house: House) -> None:
    sessions, client = await tuesdays(house, 4, capacity=1), await house.add_client(credits=2)
    await house.book(sessions[1], await house.add_client())
    series = request(sessions[0], client, 6, AVAILABLE)
    expected = ["", "SESSION_FULL", "", "NO_CREDIT", "NO_SESSION", "NO_SESSION"]
    previewed = await preview(house, series)
    assert [week.reason for week in previewed] == expected
    assert [week.booking.name for week in previewed] == [""] * 6
    assert await house.credits(client) == 2
    answer = await book(house, series)
    assert [week.reason for week in answer.weeks] == expected
    assert [bool(week.booking.name) for week in answer.weeks] == [True, False, True, False, False, False]
    assert await house.credits(client) == 0
    assert await house.violations() == {}


async def test_what_does_not_come_in_series(house: House) -> None:
    session, client = await house.plan(), await house.add_client()
    for rest in ({"guest_display_name": "Gina"}, {"drop_in": True}):
        call = book(house, request(session, client, 2, ALL, **rest))
        await refused(call, StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert await outcome(book(house, request(session, client, 1, ALL))) == "INVALID_FIELD"
    unknown = f"{house.name}/classSessions/{new_id()}"
    await refused(book(house, request(unknown, client, 2, ALL)), StatusCode.NOT_FOUND, "NOT_FOUND")


class TestSpots:
    async def change(self, house: House, booking: Booking, spot: str, stub: Any = None, etag: str = "") -> Any:
        return await (stub or house.staff).ChangeSpot(
            booking_service_pb2.ChangeSpotRequest(name=booking.name, spot=spot, etag=etag, request_id=key())
        )

    async def test_to_one_that_is_free(self, house: House) -> None:
        account = new_id()
        session = await house.plan(spots=["A", "B", "C"])
        booking = await house.book(session, await house.add_client(account=f"accounts/{account}"), spot="A")
        moved = await self.change(house, booking, "C", house.as_account(account))
        assert (moved.spot, moved.etag) == ("C", "2")
        assert await self.change(house, moved, "C") == moved
        other = await house.book(session, await house.add_client())
        assert other.spot == "A"

    async def test_to_one_that_is_not(self, house: House) -> None:
        session = await house.plan(spots=["A", "B"])
        booking = await house.book(session, await house.add_client(), spot="A")
        await house.book(session, await house.add_client(), spot="B")
        await refused(self.change(house, booking, "B"), StatusCode.ALREADY_EXISTS, "SPOT_TAKEN")
        await refused(self.change(house, booking, "Z"), StatusCode.INVALID_ARGUMENT, "UNKNOWN_SPOT")
        await refused(self.change(house, booking, "B", etag="7"), StatusCode.ABORTED, "ETAG_MISMATCH")
        stranger = house.as_account(new_id())
        await refused(self.change(house, booking, "B", stranger), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
        await house.cancel(booking)
        await refused(self.change(house, booking, "A"), StatusCode.FAILED_PRECONDITION, "BOOKING_NOT_ACTIVE")
