"""Policies: versioned."""

from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode

from powerhouse.booking.v1 import booking_service_pb2 as pb
from powerhouse.booking.v1.booking_pb2 import BookingPolicy
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from tests.integration.booking.house import House, key, outcome, refused


class TestPolicies:
    async def read(self, house: House, stub: Any = None) -> Any:
        return await (stub or house.staff).GetBookingPolicy(
            pb.GetBookingPolicyRequest(name=f"{house.name}/bookingPolicy")
        )

    def update(self, house: House, *paths: str, stub: Any = None, **fields: Any) -> Any:
        policy = BookingPolicy(name=f"{house.name}/bookingPolicy", **fields)
        mask = FieldMask(paths=paths) if paths else None
        return (stub or house.as_role(Role.ROLE_MANAGER)).UpdateBookingPolicy(
            pb.UpdateBookingPolicyRequest(booking_policy=policy, update_mask=mask, request_id=key())
        )

    async def test_the_defaults(self, house: House) -> None:
        policy = await self.read(house, house.as_account(new_id()))
        assert (policy.version, policy.etag) == (1, "1")
        assert (policy.booking_opens_hours, policy.booking_closes_minutes) == (720, 0)
        assert policy.cancellation_window_minutes == 720

    async def test_a_change_is_a_new_version(self, house: House) -> None:
        policy = await self.update(house, "booking_closes_minutes", booking_closes_minutes=15)
        assert (policy.version, policy.booking_opens_hours, policy.booking_closes_minutes) == (2, 720, 15)
        assert await self.read(house) == policy
        rows = await house.running.sql(
            "SELECT booking_closes_minutes FROM booking_policies WHERE tenant_id = $1 ORDER BY version", house.tenant
        )
        assert [row[0] for row in rows] == [0, 15]
        (entry,) = await house.running.sql(
            "SELECT changes FROM audit_entries WHERE tenant_id = $1 AND method = 'UpdateBookingPolicy'", house.tenant
        )
        assert entry["changes"] == '{"booking_closes_minutes": [0, 15]}'

    async def test_a_window_of_zero_by_mask(self, house: House) -> None:
        assert (await self.update(house, "cancellation_window_minutes")).cancellation_window_minutes == 0
        assert await outcome(self.update(house, "booking_opens_hours")) == "INVALID_FIELD"

    async def test_with_a_stale_etag(self, house: House) -> None:
        await self.update(house, booking_closes_minutes=15, etag="1")
        stale = self.update(house, booking_closes_minutes=20, etag="1")
        await refused(stale, StatusCode.ABORTED, "ETAG_MISMATCH")

    async def test_two_changes_at_once(self, house: House) -> None:
        await self.read(house)
        changes = [self.update(house, booking_closes_minutes=minutes, etag="1") for minutes in range(1, 6)]
        assert await house.count(changes) == {"BOOKED": 1, "ETAG_MISMATCH": 4}

    async def test_by_the_front_desk(self, house: House) -> None:
        call = self.update(house, booking_closes_minutes=15, stub=house.staff)
        await refused(call, StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")
