"""Packages: granted with their terms, chosen, read by whom they belong to."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from grpc import StatusCode

from powerhouse.booking.v1 import credit_service_pb2 as pb
from powerhouse.booking.v1.booking_pb2 import Booking
from powerhouse.booking.v1.client_package_pb2 import ClientPackage
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.booking.v1.events_pb2 import ClientPackageChanged
from services.booking import ledger
from services.booking.models import CreditHold
from services.chassis.ids import new_id
from tests.integration.booking.house import CLASS_TYPE, House, key, last_id, outcome, refused


async def packages(house: House, stub: Any = None, **fields: Any) -> Any:
    return await (stub or house.staff).ListClientPackages(pb.ListClientPackagesRequest(parent=house.name, **fields))


async def read(house: House, package: ClientPackage, stub: Any = None) -> ClientPackage:
    got: ClientPackage = await (stub or house.staff).GetClientPackage(pb.GetClientPackageRequest(name=package.name))
    return got


def when(package: ClientPackage) -> datetime | None:
    """Until when it is good."""
    return package.expire_time.ToDatetime(tzinfo=UTC) if package.HasField("expire_time") else None


class TestGrants:
    async def test_a_grant_is_a_package_and_a_transfer(self, house: House) -> None:
        client = await house.add_client(credits=0)
        package = await house.grant(client, 10, name="10 classes")
        assert (package.client, package.display_name, package.reason) == (client.name, "10 classes", "welcome")
        assert (package.credits_granted, package.credits_left) == (10, 10)
        assert (package.kind, list(package.class_types), when(package)) == (ClientPackage.PACK, [], None)
        (event,) = await house.running.events(ClientPackageChanged, house.tenant)
        assert event == ClientPackageChanged(
            client_package_id=str(last_id(package.name)),
            client_id=str(last_id(client.name)),
            credits_left=10,
            version=int(package.etag),
        )
        (transfer,) = await house.running.sql(
            "SELECT debit_account, amount, cause FROM transfers WHERE tenant_id = $1", house.tenant
        )
        assert tuple(transfer) == (UUID(int=1), 10, "granted")
        assert await read(house, package) == package
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

    async def test_for_some_class_types(self, house: House) -> None:
        client = await house.add_client(credits=0)
        mat = f"{house.name}/classTypes/{new_id()}"
        of_mat = await house.plan(class_type_id=str(last_id(mat)), start=house.now + timedelta(days=3))
        of_flow = await house.plan()
        package = await house.grant(client, 2, class_types=[mat], kind=ClientPackage.COMP)
        assert (package.kind, list(package.class_types)) == (ClientPackage.COMP, [mat])
        await refused(house.book(of_flow, client), StatusCode.FAILED_PRECONDITION, "NO_CREDIT")
        assert (await house.book(of_mat, client)).client_package == package.name
        await house.grant(client, class_types=[mat, f"{house.name}/classTypes/{CLASS_TYPE}"])
        assert await outcome(house.book(of_flow, client)) == "BOOKED"
        foreign = house.grant(client, class_types=[f"studios/{new_id()}/classTypes/{CLASS_TYPE}"])
        await refused(foreign, StatusCode.INVALID_ARGUMENT, "FOREIGN_RESOURCE")
        never = house.grant(client, class_types=[mat, f"{house.name}/classTypes/{new_id()}"])
        await refused(never, StatusCode.NOT_FOUND, "NOT_FOUND")


class TestValidity:
    """It is Monday 4 January 2027, nine in Berlin; days there end at 23:00 UTC."""

    async def test_the_last_day_counts_whole(self, house: House) -> None:
        session = await house.plan(start=datetime(2027, 1, 14, 22, 59, tzinfo=UTC))
        client = await house.add_client(credits=0)
        package = await house.grant(client, valid_days=10)
        assert (package.last_day, package.time_zone) == ("2027-01-14", "Europe/Berlin")
        assert when(package) == datetime(2027, 1, 14, 23, tzinfo=UTC)
        assert await outcome(house.book(session, client)) == "BOOKED"
        late = await house.plan(start=datetime(2027, 1, 14, 23, tzinfo=UTC))
        client = await house.add_client(credits=0)
        await house.grant(client, valid_days=10)
        await refused(house.book(late, client), StatusCode.FAILED_PRECONDITION, "NO_CREDIT")

    async def test_across_a_change_of_the_clocks(self, house: House) -> None:
        package = await house.grant(await house.add_client(credits=0), valid_days=90, time_zone="Europe/Berlin")
        assert (package.last_day, when(package)) == ("2027-04-04", datetime(2027, 4, 4, 22, tzinfo=UTC))

    async def test_in_which_zone(self, house: House) -> None:
        client = await house.add_client(credits=0)
        assert (await house.grant(client, valid_days=1)).time_zone == "UTC"
        await house.plan(time_zone="Asia/Tokyo")
        package = await house.grant(client, valid_days=1)
        assert (package.time_zone, package.last_day) == ("Asia/Tokyo", "2027-01-05")
        assert when(package) == datetime(2027, 1, 5, 15, tzinfo=UTC)
        assert (await house.grant(client, time_zone="America/Lima")).time_zone == "America/Lima"
        wrong = house.grant(client, time_zone="Berlin")
        await refused(wrong, StatusCode.INVALID_ARGUMENT, "UNKNOWN_TIME_ZONE")

    async def test_until_a_date(self, house: House) -> None:
        client = await house.add_client(credits=0)
        package = await house.grant(client, expire_date="2027-01-04")
        assert (package.last_day, when(package)) == ("2027-01-04", datetime(2027, 1, 5, tzinfo=UTC))
        for date, reason in (
            ("2027-01-03", "EXPIRE_DATE_PAST"),
            ("2027-02-30", "EXPIRE_DATE_INVALID"),
            ("9999-12-31", "EXPIRE_DATE_TOO_FAR"),
            ("tomorrow", "INVALID_FIELD"),
        ):
            await refused(house.grant(client, expire_date=date), StatusCode.INVALID_ARGUMENT, reason)

    @pytest.mark.parametrize(
        "terms", [{"valid_days": 3, "expire_date": "2027-02-01"}, {"starts_on_first_use": True}], ids=str
    )
    async def test_terms_that_are_ambiguous(self, house: House, terms: Any) -> None:
        wrong = house.grant(await house.add_client(credits=0), **terms)
        await refused(wrong, StatusCode.INVALID_ARGUMENT, "VALIDITY_AMBIGUOUS")

    async def test_expired_ones_do_not_count(self, house: House) -> None:
        client = await house.add_client(credits=2)
        await house.grant(client, 5, valid_days=1)
        assert await house.credits(client) == 7
        house.move(days=2)
        assert await house.credits(client) == 2


class TestFirstUse:
    """A package of thirty days after its first class."""

    async def started(self, house: House, credits: int = 3) -> tuple[ClientPackage, Booking, Client]:
        session = await house.plan()
        client = await house.add_client(credits=0)
        package = await house.grant(client, credits, valid_days=30, starts_on_first_use=True)
        assert (package.first_use_days, when(package), package.last_day) == (30, None, "")
        booking: Booking = await house.book(session, client)
        return package, booking, client

    async def test_starts_with_the_first_class_it_pays(self, house: House) -> None:
        package, _, client = await self.started(house)
        package = await read(house, package)
        # The class is on Wednesday 6 January.
        assert (package.last_day, when(package)) == ("2027-02-05", datetime(2027, 2, 5, 23, tzinfo=UTC))
        # Neither an earlier nor a later class changes it.
        await house.book(await house.plan(start=house.now + timedelta(days=1)), client)
        await house.book(await house.plan(start=house.now + timedelta(days=9)), client)
        assert (await read(house, package)).last_day == "2027-02-05"

    async def test_has_not_started_when_all_came_back(self, house: House) -> None:
        package, first, client = await self.started(house)
        second = await house.book(await house.plan(start=house.now + timedelta(days=9)), client)
        await house.cancel(first)
        assert (await read(house, package)).last_day == "2027-02-05"
        await house.cancel(second)
        assert when(await read(house, package)) is None
        await house.book(await house.plan(start=house.now + timedelta(days=10)), client)
        assert (await read(house, package)).last_day == "2027-02-13"

    async def test_what_was_cancelled_late_has_started_it(self, house: House) -> None:
        package, booking, _ = await self.started(house)
        house.move(days=1, hours=20)
        await house.cancel(booking)
        assert (await read(house, package)).last_day == "2027-02-05"

    async def test_the_class_is_cancelled_and_takes_place_after_all(self, house: House) -> None:
        package, booking, _ = await self.started(house)
        start = house.now + timedelta(days=2)
        await house.change(booking.class_session, 2, cancelled=True, start=start)
        assert when(await read(house, package)) is None
        await house.change(booking.class_session, 3, start=start)
        assert (await read(house, package)).last_day == "2027-02-05"

    @pytest.mark.parametrize("delta", [-1, 2])
    async def test_adjusting_neither_starts_nor_unstarts_it(self, house: House, delta: int) -> None:
        """The number of credits says nothing about use: more than were granted may be left of a used one."""
        package, booking, client = await self.started(house)
        await house.staff.AdjustCredits(
            pb.AdjustCreditsRequest(name=package.name, delta=delta, reason="sorry", request_id=key())
        )
        other = await house.book(await house.plan(start=house.now + timedelta(days=9)), client)
        await house.cancel(other)
        assert (await read(house, package)).last_day == "2027-02-05"
        await house.cancel(booking)
        assert when(await read(house, package)) is None

    async def test_a_credit_that_waited_starts_it_too(self, house: House) -> None:
        """By transfers as the waitlist makes them."""
        package, booking, client = await self.started(house)
        await house.cancel(booking)
        hold = CreditHold(
            tenant_id=house.tenant,
            id=new_id(),
            client_id=last_id(client.name),
            client_package_id=last_id(package.name),
            create_time=house.now,
        )
        again = await house.book(booking.class_session, client)
        await house.running.sql("UPDATE client_packages SET expire_time = NULL WHERE id = $1", hold.client_package_id)
        async with house.running.resources.database.transaction(house.tenant) as tx:
            tx.session.add(hold)
            await tx.session.flush()
            await ledger.transfer(tx, hold.client_package_id, hold.id, 1, "held")
        assert when(await read(house, package)) is None
        async with house.running.resources.database.transaction(house.tenant) as tx:
            await ledger.transfer(tx, hold.id, ledger.REDEEMED, 1, "promoted", booking_id=last_id(again.name))
        assert (await read(house, package)).last_day == "2027-02-05"


class TestReading:
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

    async def test_only_ones_own(self, house: House) -> None:
        account = new_id()
        mine = await house.grant(await house.add_client(credits=0, account=f"accounts/{account}"))
        theirs = await house.grant(await house.add_client(credits=0))
        unknown = ClientPackage(name=f"{house.name}/clientPackages/{new_id()}")
        own = house.as_account(account)
        assert await read(house, mine, own) == mine
        for package in (theirs, unknown):
            await refused(read(house, package, own), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
        await refused(read(house, unknown), StatusCode.NOT_FOUND, "NOT_FOUND")


def best(owned: list[dict[str, Any]], class_type: UUID, class_start: datetime) -> UUID | None:
    """Which package pays, said in Python: soonest to expire first, then oldest."""
    usable = [
        package
        for package in owned
        if package["left"] > 0
        and not package["revoked"]
        and (package["expire_time"] is None or package["expire_time"] > class_start)
        and (not package["types"] or class_type in package["types"])
    ]
    far = datetime.max.replace(tzinfo=class_start.tzinfo)
    usable.sort(key=lambda package: (package["expire_time"] or far, package["create_time"], package["id"]))
    return usable[0]["id"] if usable else None


async def test_the_choice_of_the_package_agrees_with_its_rule(house: House) -> None:
    dice = random.Random(5)
    types = [new_id() for _ in range(3)]
    for _ in range(40):
        client = new_id()
        owned: list[dict[str, Any]] = [
            {
                "id": new_id(),
                "left": dice.randrange(3),
                "expire_time": dice.choice([None, *(house.now + timedelta(days=days) for days in range(4))]),
                "create_time": house.now - timedelta(days=dice.randrange(3)),
                "types": dice.sample(types, dice.randrange(3)),
                "revoked": house.now if dice.randrange(4) == 0 else None,
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
                " expire_time, reason, version, create_time, class_type_ids, revoke_time)"
                " VALUES ($1, $2, $3, 'P', 1, $4, $5, '', 1, $6, $7, $8)",
                house.tenant,
                package["id"],
                client,
                *(package[name] for name in ("left", "expire_time", "create_time", "types", "revoked")),
            )
        start, wanted = house.now + timedelta(days=dice.randrange(4)), dice.choice(types)
        (row,) = await house.running.sql(
            "SELECT (SELECT id FROM choose_package_v2($1, $2, $3, $4)) AS id", house.tenant, client, wanted, start
        )
        assert row["id"] == best(owned, wanted, start)
