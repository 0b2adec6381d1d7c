"""What becomes of a package: adjusted, revoked, lapsed."""

import asyncio
from datetime import UTC, timedelta
from typing import Any

import grpc
import pytest
from grpc import StatusCode

from powerhouse.booking.v1 import credit_service_pb2 as pb
from powerhouse.booking.v1.client_package_pb2 import ClientPackage
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.booking.v1.events_pb2 import ClientPackageChanged
from powerhouse.policy.v1.policy_pb2 import Role
from services.booking import lapses, ledger
from services.booking.jobs import post_lapsed_credits
from services.booking.models import CreditHold
from services.chassis.ids import new_id
from tests.integration.booking.house import House, key, last_id, outcome, refused
from tests.integration.booking.test_credit_grants import read
from tests.support.services import metadata_of


def adjust(house: House, package: ClientPackage, delta: int, *, stub: Any = None, **fields: Any) -> Any:
    request = pb.AdjustCreditsRequest(
        name=package.name, delta=delta, **{"reason": "a gift", "request_id": key(), **fields}
    )
    return (stub or house.staff).AdjustCredits(request)


def revoke(house: House, package: ClientPackage, **fields: Any) -> Any:
    request = pb.RevokeClientPackageRequest(name=package.name, **{"reason": "fraud", "request_id": key(), **fields})
    return house.staff.RevokeClientPackage(request)


async def told(call: Any) -> dict[str, str]:
    """What a program is told beside the reason of a refusal."""
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await call
    return metadata_of(refusal.value)


async def last_transfer(house: House) -> tuple[Any, ...]:
    rows = await house.running.sql(
        "SELECT debit_account, credit_account, amount, cause, reason FROM transfers WHERE tenant_id = $1"
        " ORDER BY id DESC LIMIT 1",
        house.tenant,
    )
    return tuple(rows[0])


async def last_event(house: House) -> ClientPackageChanged:
    events = await house.running.events(ClientPackageChanged, house.tenant)
    event: ClientPackageChanged = events[-1]
    return event


async def tick(house: House) -> None:
    await post_lapsed_credits(house.running.resources, house.now)


class TestAdjusting:
    async def test_adds_and_takes_away(self, house: House) -> None:
        client = await house.add_client(credits=0)
        package = await house.grant(client, 2)
        account = last_id(package.name)
        more = await adjust(house, package, 3)
        assert (more.credits_granted, more.credits_left) == (2, 5)
        assert await last_transfer(house) == (ledger.ADJUSTED, account, 3, "adjusted", "a gift")
        assert (await last_event(house)).credits_left == 5
        fewer = await adjust(house, package, -5, reason="counted twice")
        assert (fewer.credits_left, await house.credits(client)) == (0, 0)
        assert await last_transfer(house) == (account, ledger.ADJUSTED, 5, "adjusted", "counted twice")
        (entry, _) = await house.running.sql(
            "SELECT changes FROM audit_entries WHERE tenant_id = $1 AND method = 'AdjustCredits' ORDER BY create_time",
            house.tenant,
        )
        assert entry["changes"] == '{"reason": ["", "a gift"], "credits": [2, 5]}'
        assert await house.violations() == {}

    async def test_never_below_zero(self, house: House) -> None:
        package = await house.grant(await house.add_client(credits=0), 2)
        await refused(adjust(house, package, -3), StatusCode.FAILED_PRECONDITION, "NOT_ENOUGH_CREDITS")
        assert await told(adjust(house, package, -3)) == {"credits_left": "2"}
        assert (await read(house, package)).credits_left == 2

    async def test_ten_at_once_take_what_there_is(self, house: House) -> None:
        package = await house.grant(await house.add_client(credits=0), 4)
        results = await house.count([adjust(house, package, -1) for _ in range(10)])
        assert results == {"BOOKED": 4, "NOT_ENOUGH_CREDITS": 6}

    async def test_bad_input(self, house: House) -> None:
        package = await house.grant(await house.add_client(credits=0), 2)
        assert await outcome(adjust(house, package, 0)) == "INVALID_FIELD"
        assert await outcome(adjust(house, package, 1, reason="")) == "INVALID_FIELD"
        unknown = ClientPackage(name=f"{house.name}/clientPackages/{new_id()}")
        await refused(adjust(house, unknown, 1), StatusCode.NOT_FOUND, "NOT_FOUND")
        await adjust(house, package, 1, etag=package.etag)
        await refused(adjust(house, package, 1, etag=package.etag), StatusCode.ABORTED, "ETAG_MISMATCH")

    async def test_by_a_client(self, house: House) -> None:
        account = new_id()
        package = await house.grant(await house.add_client(credits=0, account=f"accounts/{account}"))
        call = adjust(house, package, 1, stub=house.as_account(account))
        await refused(call, StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")

    async def test_what_is_over(self, house: House) -> None:
        client = await house.add_client(credits=0)
        package, gone = await house.grant(client, 2, valid_days=1), await house.grant(client, 2)
        await revoke(house, gone)
        await refused(adjust(house, gone, 1), StatusCode.FAILED_PRECONDITION, "PACKAGE_REVOKED")
        house.move(days=2)
        await refused(adjust(house, package, 1), StatusCode.FAILED_PRECONDITION, "PACKAGE_EXPIRED")


class TestRevoking:
    async def test_takes_what_is_left(self, house: House) -> None:
        session, client = await house.plan(), await house.add_client(credits=0)
        package = await house.grant(client, 3)
        booking = await house.book(session, client)
        revoked = await revoke(house, package)
        assert revoked.credits_left == await house.credits(client) == 0
        assert revoked.revoke_time.ToDatetime(tzinfo=UTC) == house.now
        assert await last_transfer(house) == (last_id(package.name), ledger.REVOKED, 2, "revoked", "fraud")
        event = await last_event(house)
        assert (event.credits_left, event.version) == (0, int(revoked.etag))
        # What it paid for stays.
        assert (await house.get(booking)).state == booking.CONFIRMED
        assert await house.violations() == {}

    async def test_pays_no_more_not_even_with_what_comes_back(self, house: House) -> None:
        session, client = await house.plan(), await house.add_client(credits=0)
        package = await house.grant(client)
        booking = await house.book(session, client)
        await revoke(house, package)
        await house.cancel(booking)
        assert (await read(house, package)).credits_left == 1
        assert await house.credits(client) == 0
        await refused(house.book(session, client), StatusCode.FAILED_PRECONDITION, "NO_CREDIT")
        await tick(house)
        assert (await read(house, package)).credits_left == 0
        assert await last_transfer(house) == (last_id(package.name), ledger.REVOKED, 1, "revoked", "")
        assert await house.violations() == {}

    async def test_a_class_that_takes_place_after_all_is_not_paid_by_it(self, house: House) -> None:
        """Whether the tick has posted what came back or not."""
        start = house.now + timedelta(days=2)
        for ticked in (False, True):
            session, client = await house.plan(start=start), await house.add_client(credits=0)
            package = await house.grant(client)
            booking = await house.book(session, client)
            await revoke(house, package)
            await house.change(session, 2, cancelled=True, start=start)
            if ticked:
                await tick(house)
            await house.change(session, 3, start=start)
            assert (await house.get(booking)).state == booking.CANCELLED_EARLY
        assert await house.violations() == {}

    async def test_once(self, house: House) -> None:
        package = await house.grant(await house.add_client(credits=0))
        await revoke(house, package)
        await refused(revoke(house, package), StatusCode.FAILED_PRECONDITION, "PACKAGE_REVOKED")
        other = await house.grant(await house.add_client(credits=0))
        await refused(revoke(house, other, etag="9"), StatusCode.ABORTED, "ETAG_MISMATCH")
        assert await outcome(revoke(house, other, reason="")) == "INVALID_FIELD"

    async def test_not_what_a_waitlist_holds(self, house: House) -> None:
        client = await house.add_client(credits=0)
        package = await house.grant(client, 2)
        await set_aside(house, client, package)
        await refused(revoke(house, package), StatusCode.FAILED_PRECONDITION, "CREDITS_HELD")
        assert await told(revoke(house, package)) == {"credits_held": "1"}
        assert (await read(house, package)).credits_left == 1

    async def test_against_a_booking_at_the_same_time(self, house: House) -> None:
        """Either the booking was first and keeps its credit, or there is none."""
        session = await house.plan(capacity=20)
        for _ in range(8):
            client = await house.add_client(credits=0)
            package = await house.grant(client)
            booked, _ = await asyncio.gather(outcome(house.book(session, client)), revoke(house, package))
            assert booked in ("BOOKED", "NO_CREDIT")
            assert (await read(house, package)).credits_left == 0
        assert await house.violations() == {}


async def set_aside(house: House, client: Client, package: ClientPackage) -> CreditHold:
    """As a waitlist does it."""
    hold = CreditHold(
        tenant_id=house.tenant,
        id=new_id(),
        client_id=last_id(client.name),
        client_package_id=last_id(package.name),
        create_time=house.now,
    )
    async with house.running.resources.database.transaction(house.tenant) as tx:
        tx.session.add(hold)
        await tx.session.flush()
        await ledger.transfer(tx, hold.client_package_id, hold.id, 1, "held")
    return hold


class TestLapsing:
    async def test_what_is_left_expires_when_it_ended(self, house: House) -> None:
        session, client = await house.plan(), await house.add_client(credits=1)
        package = await house.grant(client, 3, valid_days=2)
        await house.book(session, client)
        await tick(house)
        assert (await read(house, package)).credits_left == 2
        house.move(days=5)
        await tick(house)
        read_again = await read(house, package)
        assert read_again.credits_left == 0
        assert await last_transfer(house) == (last_id(package.name), ledger.EXPIRED, 2, "expired", "")
        (row,) = await house.running.sql(
            "SELECT create_time FROM transfers WHERE tenant_id = $1 AND cause = 'expired'", house.tenant
        )
        assert row["create_time"] == package.expire_time.ToDatetime(tzinfo=UTC)
        event = await last_event(house)
        assert (event.client_package_id, event.credits_left) == (str(last_id(package.name)), 0)
        assert event.version == int(read_again.etag)
        assert await house.credits(client) == 1
        assert await house.violations() == {}

    async def test_at_its_very_end(self, house: House) -> None:
        await house.plan()
        package = await house.grant(await house.add_client(credits=0), valid_days=1)
        end = package.expire_time.ToDatetime(tzinfo=UTC)
        for instant, left in ((end - timedelta(microseconds=1), 1), (end, 0)):
            house.running.mesh.clock.instant = instant
            assert await house.credits(Client(name=package.client)) == left
            await tick(house)
            assert (await read(house, package)).credits_left == left

    async def test_what_comes_back_later_expires_next(self, house: House) -> None:
        client = await house.add_client(credits=0)
        package = await house.grant(client, 2, valid_days=4)
        session = await house.plan(start=house.now + timedelta(days=4))
        booking = await house.book(session, client)
        # The class moves beyond the end of the package, and its place is given back then.
        await house.change(session, 2, start=house.now + timedelta(days=9), time_version=1)
        house.move(days=6)
        await tick(house)
        await house.cancel(booking)
        assert ((await read(house, package)).credits_left, await house.credits(client)) == (1, 0)
        back = house.now
        house.move(hours=1)
        await tick(house)
        assert (await read(house, package)).credits_left == 0
        rows = await house.running.sql(
            "SELECT amount, create_time FROM transfers WHERE tenant_id = $1 AND cause = 'expired' ORDER BY id",
            house.tenant,
        )
        assert [row["amount"] for row in rows] == [1, 1]
        assert rows[1]["create_time"] == back
        assert await house.violations() == {}

    async def test_any_number_of_workers_in_many_studios_post_once(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In rounds of few, so that there are many."""
        monkeypatch.setattr(lapses, "_STUDIOS", 3)
        monkeypatch.setattr(lapses, "_CLIENTS", 2)
        houses = [House(house.running, new_id(), house.staff) for _ in range(4)]
        for one in houses:
            one.staff = one.as_role(Role.ROLE_FRONT_DESK)
            for _ in range(5):
                await one.grant(await one.add_client(credits=0), 3, valid_days=1)
        await house.running.sql(
            "INSERT INTO studio_ids (studio_id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING",
            [one.tenant for one in houses],
        )
        house.move(days=3)
        counts = await asyncio.gather(*(lapses.post_all(house.running.resources.database) for _ in range(4)))
        assert sum(counts) >= 20
        for one in houses:
            rows = await house.running.sql(
                "SELECT amount FROM transfers WHERE tenant_id = $1 AND cause = 'expired'", one.tenant
            )
            assert [row["amount"] for row in rows] == [3] * 5
            assert await one.violations() == {}
        assert await lapses.post_all(house.running.resources.database) == 0
