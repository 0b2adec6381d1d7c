"""Why do I have three? All that moved a client's credits, in words that add up."""

import random
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from grpc import StatusCode

from powerhouse.booking.v1 import credit_service_pb2 as pb
from powerhouse.booking.v1.booking_pb2 import Booking
from powerhouse.booking.v1.client_package_pb2 import LedgerEntry
from powerhouse.booking.v1.client_pb2 import Client
from services.booking import credit_words, ledger
from services.booking.models import WaitlistEntry
from services.chassis.ids import new_id
from services.chassis.rpc.codec import to_timestamp
from tests.integration.booking.house import House, last_id, outcome, refused
from tests.integration.booking.test_credit_changes import adjust, revoke, set_aside, tick
from tests.unit.booking.test_credit_words import entry


def explain(house: House, what: Any, *, at: datetime | None = None, stub: Any = None, **fields: Any) -> Any:
    """Of a client or of a package."""
    fields = {"name": what.name, "at": to_timestamp(at), **fields}
    if "/clients/" in what.name:
        return (stub or house.staff).ExplainClientCredits(pb.ExplainClientCreditsRequest(**fields))
    return (stub or house.staff).ExplainClientPackage(pb.ExplainClientPackageRequest(**fields))


async def told(house: House, what: Any, **fields: Any) -> list[tuple[str, int, int]]:
    """Sentence, amount and balance of each entry."""
    explanation = await explain(house, what, **fields)
    return [(each.sentence, each.amount, each.balance) for each in explanation.entries]


async def test_a_life_of_a_package(house: House) -> None:
    client = await house.add_client(credits=0)
    package = await house.grant(client, 3, name="3 classes")
    session = await house.plan(start=house.now + timedelta(days=2, hours=1))
    house.move(minutes=1)
    booking = await house.book(session, client)
    house.move(minutes=1)
    await house.cancel(booking)
    house.move(minutes=1)
    again = await house.book(session, client)
    house.move(minutes=1)
    await adjust(house, package, 2, reason="a gift")
    assert await told(house, client) == [
        ("Received 3 classes: 3 credits", 3, 3),
        ("Booked Reformer Flow on Wed 6 Jan 10:00: 1 credit", -1, 2),
        ("Came back: Reformer Flow on Wed 6 Jan 10:00 was cancelled in time", 1, 3),
        ("Booked Reformer Flow on Wed 6 Jan 10:00: 1 credit", -1, 2),
        ("Adjusted by the studio: a gift", 2, 4),
    ]
    explanation = await explain(house, client)
    assert (explanation.balance, explanation.at.ToDatetime(tzinfo=UTC)) == (4, house.now)
    booked = explanation.entries[3]
    assert (booked.cause, booked.booking, booked.class_session) == (LedgerEntry.BOOKED, again.name, session)
    assert (booked.class_type_display_name, booked.local_start) == ("Reformer Flow", "2027-01-06T10:00")
    assert (booked.start_time, booked.time_zone) == (booking.start_time, "Europe/Berlin")
    assert (booked.client_package, booked.client_package_display_name) == (package.name, "3 classes")
    gift = explanation.entries[4]
    assert (gift.cause, gift.reason, gift.booking, gift.local_start) == (LedgerEntry.ADJUSTED, "a gift", "", "")
    assert gift.create_time.ToDatetime(tzinfo=UTC) == house.now


async def test_the_class_is_cancelled_and_takes_place_after_all(house: House) -> None:
    start = house.now + timedelta(days=2)
    session, client = await house.plan(start=start), await house.add_client()
    await house.book(session, client)
    await house.change(session, 2, cancelled=True, start=start)
    await house.change(session, 3, start=start)
    assert [amount for _, amount, _ in await told(house, client)] == [1, -1, 1, -1]
    words = [sentence for sentence, _, _ in await told(house, client)]
    assert words[2] == "Came back: the studio cancelled Reformer Flow on Wed 6 Jan 09:00"
    assert words[3].startswith("Booked again, since it takes place after all")


async def test_waiting_and_moving_up(house: House) -> None:
    """With rows as the waitlist makes them: what is set aside names the class, and paying with it moves nothing."""
    session, client = await house.plan(capacity=1), await house.add_client(credits=0)
    package = await house.grant(client, 2)
    hold = await set_aside(house, client, package)
    booking = await house.book(session, client)
    async with house.running.resources.database.transaction(house.tenant) as tx:
        tx.session.add(
            WaitlistEntry(
                tenant_id=house.tenant,
                id=new_id(),
                class_session_id=last_id(session),
                client_id=hold.client_id,
                credit_hold_id=hold.id,
                state="WAITING",
                join_time=house.now,
            )
        )
        await ledger.transfer(tx, hold.id, ledger.REDEEMED, 1, "promoted", booking_id=last_id(booking.name))
    assert await told(house, client) == [
        ("Received Pack: 2 credits", 2, 2),
        ("Set aside while you wait for Reformer Flow on Wed 6 Jan 09:00: 1 credit", -1, 1),
        ("Booked Reformer Flow on Wed 6 Jan 09:00: 1 credit", -1, 0),
        ("A place became free: what was set aside pays for Reformer Flow on Wed 6 Jan 09:00", 0, 0),
    ]


async def test_what_expired_is_told_at_once_and_the_same_once_posted(house: House) -> None:
    client = await house.add_client(credits=1)
    package = await house.grant(client, 3, valid_days=1)
    await house.plan()
    house.move(days=3)
    before = await explain(house, client)
    assert await house.credits(client) == before.balance == 1
    assert (before.entries[-1].sentence, before.entries[-1].amount) == ("Expired: 3 credits of Pack", -3)
    assert before.entries[-1].create_time == package.expire_time
    await tick(house)
    assert (await explain(house, client)).entries == before.entries
    assert (await explain(house, package)).balance == 0


async def test_the_balance_at_a_time(house: House) -> None:
    client = await house.add_client(credits=2)
    begin = house.now
    house.move(hours=1)
    package = await house.grant(client, 3, valid_days=1)
    end = package.expire_time.ToDatetime(tzinfo=UTC)
    await house.plan()
    house.move(days=5)
    for posted in (False, True):
        if posted:
            await tick(house)
        for instant, balance, entries in (
            (begin - timedelta(seconds=1), 0, 0),
            (begin, 2, 1),
            (begin + timedelta(hours=1), 5, 2),
            (end - timedelta(microseconds=1), 5, 2),
            (end, 2, 3),
            (house.now, 2, 3),
        ):
            explanation = await explain(house, client, at=instant)
            assert (explanation.balance, len(explanation.entries)) == (balance, entries)
    future = explain(house, client, at=house.now + timedelta(seconds=1))
    await refused(future, StatusCode.INVALID_ARGUMENT, "TIME_IN_FUTURE")


async def test_pages_carry_the_balance_on(house: House) -> None:
    client = await house.add_client(credits=0)
    packages = [await house.grant(client, credits) for credits in (1, 2, 3, 4)]
    await adjust(house, packages[0], 5)
    first = await explain(house, client, page_size=2)
    second = await explain(house, client, page_size=2, page_token=first.next_page_token)
    third = await explain(house, client, page_size=2, page_token=second.next_page_token)
    shown = [each.balance for page in (first, second, third) for each in page.entries]
    assert (shown, third.next_page_token) == ([1, 3, 6, 10, 15], "")
    assert {page.balance for page in (first, second, third)} == {15}
    other = explain(house, packages[0], page_token=first.next_page_token)
    await refused(other, StatusCode.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN")


async def test_only_ones_own(house: House) -> None:
    account = new_id()
    mine = await house.add_client(account=f"accounts/{account}")
    other = await house.add_client()
    own = house.as_account(account)
    assert (await explain(house, mine, stub=own)).balance == 1
    (entry_of_other,) = (await explain(house, other)).entries
    for what in (other, Client(name=entry_of_other.client_package)):
        await refused(explain(house, what, stub=own), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    for collection in ("clients", "clientPackages"):
        unknown = Client(name=f"{house.name}/{collection}/{new_id()}")
        await refused(explain(house, unknown), StatusCode.NOT_FOUND, "NOT_FOUND")


async def test_every_cause_has_words_and_a_name(house: House) -> None:
    (row,) = await house.running.sql(
        "SELECT pg_get_constraintdef(oid) AS rule FROM pg_constraint WHERE conname = 'ck_transfers_cause'"
    )
    causes = re.findall(r"'(\w+)'::text", row["rule"])
    assert len(causes) == 15
    for cause in causes:
        assert credit_words.sentence(entry(cause))
        assert LedgerEntry.Cause.Value(cause.upper())


@pytest.mark.parametrize("seed", range(4))
async def test_random_histories_add_up(house: House, seed: int) -> None:
    """Whatever happened: all entries together are what the client is said to have, then and later."""
    dice = random.Random(seed)
    client = await house.add_client(credits=0)
    packages = [await house.grant(client, 2, valid_days=dice.choice((0, 2))) for _ in range(3)]
    sessions = [await house.plan(start=house.now + timedelta(days=1, hours=2 * n)) for n in range(5)]
    bookings: list[Any] = []

    async def step() -> None:
        match dice.choices(("book", "cancel", "adjust", "revoke", "tick"), (6, 5, 3, 1, 2))[0]:
            case "book":
                bookings.append(await house.book(dice.choice(sessions), client))
            case "cancel":
                await house.cancel(dice.choice(bookings or [Booking()]))
            case "adjust":
                await adjust(house, dice.choice(packages), dice.choice((-1, 1)))
            case "revoke":
                await revoke(house, dice.choice(packages))
            case "tick":
                await tick(house)

    past: list[tuple[datetime, int]] = []
    for _ in range(25):
        house.move(hours=dice.randrange(1, 5))
        # Refused is fine.
        await outcome(step())
        explanation = await explain(house, client, page_size=200)
        past.append((house.now, explanation.balance))
        assert explanation.balance == await house.credits(client)
        running = 0
        for each in explanation.entries:
            running += each.amount
            assert each.balance == running >= 0
        assert running == explanation.balance
    for instant, balance in past:
        assert (await explain(house, client, at=instant)).balance == balance
    assert bookings
    assert await house.violations() == {}
