"""Fees: due, listed, waived."""

from typing import Any

from grpc import StatusCode

from powerhouse.booking.v1 import booking_service_pb2, fee_service_pb2
from powerhouse.booking.v1.booking_pb2 import Booking, BookingPolicy, Fee
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.booking.v1.events_pb2 import BookingChanged, FeeChanged
from powerhouse.policy.v1.policy_pb2 import Role
from services.booking import ledger
from services.chassis.ids import new_id
from tests.integration.booking.house import House, key, last_id, outcome, refused
from tests.integration.booking.test_credit_changes import last_transfer


async def charge(house: House, amount: int = 500) -> None:
    """From here on late cancelling costs that much."""
    policy = BookingPolicy(name=f"{house.name}/bookingPolicy", late_cancel_fee_minor=amount)
    await house.as_role(Role.ROLE_MANAGER).UpdateBookingPolicy(
        booking_service_pb2.UpdateBookingPolicyRequest(booking_policy=policy, request_id=key())
    )


async def cancel_late(house: House, client: Client) -> Booking:
    booking = await house.book(await house.plan(), client)
    house.move(days=1, hours=13)
    cancelled: Booking = await house.cancel(booking)
    assert cancelled.state == Booking.CANCELLED_LATE
    return cancelled


def waive(house: House, booking: Booking, *, stub: Any = None, **fields: Any) -> Any:
    return (stub or house.staff).WaiveBooking(
        fee_service_pb2.WaiveBookingRequest(name=booking.name, **{"reason": "ill", "request_id": key(), **fields})
    )


async def fees(house: House, stub: Any = None, **fields: Any) -> list[Fee]:
    listed = await (stub or house.staff).ListFees(fee_service_pb2.ListFeesRequest(parent=house.name, **fields))
    return list(listed.fees)


class TestReading:
    async def test_a_late_cancellation_owes_the_fee(self, house: House) -> None:
        await charge(house)
        client = await house.add_client()
        booking = await cancel_late(house, client)
        (fee,) = await fees(house)
        assert (fee.booking, fee.client, fee.kind) == (booking.name, client.name, Fee.LATE_CANCEL)
        assert (fee.amount_minor, fee.currency_code, fee.state, fee.reason) == (500, "EUR", Fee.DUE, "")
        assert await house.staff.GetFee(fee_service_pb2.GetFeeRequest(name=fee.name)) == fee

    async def test_lists_newest_first_and_filtered(self, house: House) -> None:
        await charge(house)
        first, second = await house.add_client(credits=2), await house.add_client()
        made = [await cancel_late(house, client) for client in (first, second, first)]
        await waive(house, made[0])
        assert [fee.booking for fee in await fees(house)] == [booking.name for booking in reversed(made)]
        assert [fee.booking for fee in await fees(house, due_only=True)] == [made[2].name, made[1].name]
        assert [fee.booking for fee in await fees(house, client=second.name)] == [made[1].name]
        page = await house.staff.ListFees(fee_service_pb2.ListFeesRequest(parent=house.name, page_size=2))
        rest = await fees(house, page_size=2, page_token=page.next_page_token)
        assert [fee.booking for fee in rest] == [made[0].name]

    async def test_only_ones_own(self, house: House) -> None:
        await charge(house)
        account = new_id()
        mine, other = await house.add_client(account=f"accounts/{account}"), await house.add_client()
        for client in (mine, other):
            await cancel_late(house, client)
        own = house.as_account(account)
        (fee,) = await fees(house, own)
        assert fee.client == mine.name
        assert await fees(house, own, client=other.name) == []
        assert await own.GetFee(fee_service_pb2.GetFeeRequest(name=fee.name)) == fee
        (theirs,) = await fees(house, client=other.name)
        unknown = f"{house.name}/fees/{new_id()}"
        for name in (theirs.name, unknown):
            call = own.GetFee(fee_service_pb2.GetFeeRequest(name=name))
            await refused(call, StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
        await refused(
            house.staff.GetFee(fee_service_pb2.GetFeeRequest(name=unknown)), StatusCode.NOT_FOUND, "NOT_FOUND"
        )


class TestWaiving:
    async def test_gives_the_credit_back_and_lets_the_fee_go(self, house: House) -> None:
        await charge(house)
        client = await house.add_client()
        booking = await cancel_late(house, client)
        assert await house.credits(client) == 0
        waived = await waive(house, booking)
        assert (waived.state, waived.credit_returned) == (Booking.CANCELLED_LATE, True)
        assert await house.credits(client) == 1
        transfer = (ledger.REDEEMED, last_id(booking.client_package), 1, "waived", "ill")
        assert await last_transfer(house) == transfer
        (fee,) = await fees(house)
        assert (fee.state, fee.reason, fee.etag) == (Fee.WAIVED, "ill", "2")
        events = await house.running.events(FeeChanged, house.tenant)
        assert [event.state for event in events] == [Fee.DUE, Fee.WAIVED]
        told = (await house.running.events(BookingChanged, house.tenant))[-1]
        assert (told.booking_id, told.client_package.credits_left) == (str(last_id(booking.name)), 1)
        (noted,) = await house.running.sql(
            "SELECT changes FROM audit_entries WHERE tenant_id = $1 AND method = 'WaiveBooking'", house.tenant
        )
        assert noted["changes"] == '{"waived": ["", "ill"]}'
        assert await house.violations() == {}

    async def test_the_credit_alone_when_there_is_no_fee(self, house: House) -> None:
        client = await house.add_client()
        await waive(house, await cancel_late(house, client))
        assert (await house.credits(client), await fees(house)) == (1, [])

    async def test_twice(self, house: House) -> None:
        await charge(house)
        client, request_id = await house.add_client(), key()
        booking = await cancel_late(house, client)
        first = await waive(house, booking, request_id=request_id)
        assert await waive(house, booking, request_id=request_id) == first
        await refused(waive(house, booking), StatusCode.FAILED_PRECONDITION, "NOTHING_TO_WAIVE")
        assert await house.credits(client) == 1

    async def test_five_at_once(self, house: House) -> None:
        client = await house.add_client()
        booking = await cancel_late(house, client)
        results = await house.count([waive(house, booking) for _ in range(5)])
        assert results == {"BOOKED": 1, "NOTHING_TO_WAIVE": 4}
        assert await house.credits(client) == 1

    async def test_nothing_to_waive(self, house: House) -> None:
        booking = await house.book(await house.plan(), await house.add_client())
        await refused(waive(house, booking), StatusCode.FAILED_PRECONDITION, "NOTHING_TO_WAIVE")
        await house.cancel(booking)
        await refused(waive(house, booking), StatusCode.FAILED_PRECONDITION, "NOTHING_TO_WAIVE")

    async def test_bad_input(self, house: House) -> None:
        booking = await cancel_late(house, await house.add_client())
        assert await outcome(waive(house, booking, reason="")) == "INVALID_FIELD"
        await refused(waive(house, booking, etag="1"), StatusCode.ABORTED, "ETAG_MISMATCH")
        unknown = Booking(name=f"{house.name}/bookings/{new_id()}")
        await refused(waive(house, unknown), StatusCode.NOT_FOUND, "NOT_FOUND")

    async def test_by_a_client(self, house: House) -> None:
        account = new_id()
        booking = await cancel_late(house, await house.add_client(account=f"accounts/{account}"))
        call = waive(house, booking, stub=house.as_account(account))
        await refused(call, StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")
