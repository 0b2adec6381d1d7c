"""Credits and policies: granted, listed, versioned."""

import random
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode

from powerhouse.booking.v1 import booking_service_pb2 as pb
from powerhouse.booking.v1.booking_pb2 import BookingPolicy
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.booking.v1.events_pb2 import ClientPackageChanged
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from tests.integration.booking.house import House, key, last_id, outcome, refused


async def packages(house: House, stub: Any = None, **fields: Any) -> Any:
    return await (stub or house.staff).ListClientPackages(pb.ListClientPackagesRequest(parent=house.name, **fields))


class TestCredits:
    async def test_a_grant_is_a_package_and_a_transfer(self, house: House) -> None:
        client = await house.add_client(credits=0)
        package = await house.grant(client, 10, valid_days=90, name="10 classes")
        assert (package.client, package.display_name, package.reason) == (client.name, "10 classes", "welcome")
        assert (package.credits_granted, package.credits_left) == (10, 10)
        assert package.expire_time.ToDatetime() == (house.now + timedelta(days=90)).replace(tzinfo=None)
        assert not (await house.grant(client)).HasField("expire_time")
        (event, _) = await house.running.events(ClientPackageChanged, house.tenant)
        assert event == ClientPackageChanged(
            client_package_id=str(last_id(package.name)),
            client_id=str(last_id(client.name)),
            credits_left=10,
            version=2,
        )
        (transfer, _) = await house.running.sql(
            "SELECT debit_account, amount, cause FROM transfers WHERE tenant_id = $1 ORDER BY id", house.tenant
        )
        assert tuple(transfer) == (UUID(int=1), 10, "granted")
        assert await house.violations() == {}

    async def test_a_repeat_grants_once(self, house: House) -> None:
        client, request_id = await house.add_client(credits=0), key()
        wanted = pb.NewClientPackage(client=client.name, display_name="Pack", credits=3, reason="welcome")
        request = pb.GrantClientPackageRequest(parent=house.name, client_package=wanted, request_id=request_id)
        first = await house.staff.GrantClientPackage(request)
        assert await house.staff.GrantClientPackage(request) == first
        assert await house.credits(client) == 3

    async def test_to_nobody(self, house: House) -> None:
        unknown = Client(name=f"{house.name}/clients/{new_id()}")
        await refused(house.grant(unknown), StatusCode.NOT_FOUND, "NOT_FOUND")
        assert await outcome(house.grant(await house.add_client(), 0)) == "INVALID_FIELD"

    async def test_by_a_client(self, house: House) -> None:
        account = new_id()
        client = await house.add_client(account=f"accounts/{account}")
        wanted = pb.NewClientPackage(client=client.name, display_name="Pack", credits=3, reason="please")
        call = house.as_account(account).GrantClientPackage(
            pb.GrantClientPackageRequest(parent=house.name, client_package=wanted, request_id=key())
        )
        await refused(call, StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")

    async def test_expired_ones_do_not_count(self, house: House) -> None:
        client = await house.add_client(credits=2)
        await house.grant(client, 5, valid_days=1)
        assert await house.credits(client) == 7
        house.move(days=1)
        assert await house.credits(client) == 2

    async def test_lists_newest_first_and_own(self, house: House) -> None:
        account = new_id()
        client, other = await house.add_client(credits=0, account=f"accounts/{account}"), await house.add_client()
        for name in ("one", "two", "three"):
            house.move(seconds=1)
            await house.grant(client, name=name)
        first = await packages(house, client=client.name, page_size=2)
        second = await packages(house, client=client.name, page_size=2, page_token=first.next_page_token)
        shown = [package.display_name for page in (first, second) for package in page.client_packages]
        assert shown == ["three", "two", "one"]
        assert len((await packages(house)).client_packages) == 4
        own = house.as_account(account)
        assert len((await packages(house, own)).client_packages) == 3
        assert (await packages(house, own, client=other.name)).client_packages == []


def best(owned: list[dict[str, Any]], class_start: datetime) -> UUID | None:
    """Which package pays, said in Python: soonest to expire first, then oldest."""
    usable = [
        package
        for package in owned
        if package["left"] > 0 and (package["expire_time"] is None or package["expire_time"] > class_start)
    ]
    far = datetime.max.replace(tzinfo=class_start.tzinfo)
    usable.sort(key=lambda package: (package["expire_time"] or far, package["create_time"], package["id"]))
    return usable[0]["id"] if usable else None


async def test_the_choice_of_the_package_agrees_with_its_rule(house: House) -> None:
    dice = random.Random(5)
    for _ in range(40):
        client = new_id()
        owned: list[dict[str, Any]] = [
            {
                "id": new_id(),
                "left": dice.randrange(2),
                "expire_time": dice.choice([None, *(house.now + timedelta(days=day) for day in (1, 2, 3))]),
                "create_time": house.now - timedelta(days=dice.randrange(3)),
            }
            for _ in range(dice.randrange(6))
        ]
        await house.running.sql(
            "INSERT INTO clients (tenant_id, id, display_name, language, is_self, version)"
            " VALUES ($1, $2, 'C', '', false, 1)",
            house.tenant,
            client,
        )
        for package in owned:
            await house.running.sql(
                "INSERT INTO client_packages (tenant_id, id, client_id, display_name, credits_granted, credits_left,"
                " expire_time, reason, version, create_time) VALUES ($1, $2, $3, 'P', 1, $4, $5, '', 1, $6)",
                house.tenant,
                package["id"],
                client,
                package["left"],
                package["expire_time"],
                package["create_time"],
            )
        start = house.now + timedelta(days=dice.randrange(4))
        rows = await house.running.sql(
            "SELECT id FROM choose_package_v2($1, $2, gen_random_uuid(), $3)", house.tenant, client, start
        )
        assert [row["id"] for row in rows] == [found for found in [best(owned, start)] if found]


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
