"""Single places: held, paid in time or too late, given up."""

import asyncio
import json
from typing import Any

import grpc
import pytest
from grpc import StatusCode

from powerhouse.booking.v1.booking_pb2 import Booking
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.booking.v1.drop_in_service_pb2 import ConfirmDropInRequest
from powerhouse.booking.v1.drop_in_service_pb2_grpc import DropInServiceStub
from services.booking.desk import Wanted, book_within
from services.chassis.ids import new_id
from tests.integration.booking.front_desk import book, expire_holds, mark_paid, pay, rule, soon, state_of, told
from tests.integration.booking.house import House, last_id, outcome, refused


@pytest.fixture
async def shop(house: House) -> House:
    """A studio that sells single places and holds them for 15 minutes."""
    await rule(house, drop_in_price_minor=2000, max_guests=2)
    return house


async def hold(house: House, session: str = "", **fields: Any) -> Booking:
    """A held place of a new client, in a new class unless one is named."""
    held: Booking = await book(
        house, session or await house.plan(), await house.add_client(credits=0), drop_in=True, **fields
    )
    assert held.state == Booking.PENDING_PAYMENT
    return held


async def let_expire(house: House) -> None:
    house.move(minutes=15)
    assert await expire_holds(house) >= 1


class TestHolds:
    async def test_without_a_price_there_is_none(self, house: House) -> None:
        call = book(house, await house.plan(), await house.add_client(), drop_in=True)
        await refused(call, StatusCode.FAILED_PRECONDITION, "DROP_IN_NOT_OFFERED")

    async def test_a_job_is_due_at_the_end_of_each(self, shop: House) -> None:
        session = await shop.plan()
        held = await hold(shop, session)
        await shop.book(session, await shop.add_client())
        (job,) = await shop.running.sql("SELECT * FROM jobs WHERE tenant_id = $1", shop.tenant)
        assert (job["kind"], job["dedup_key"]) == ("expire_drop_in", str(last_id(held.name)))
        assert json.loads(job["args"]) == {"booking_id": str(last_id(held.name))}
        assert job["due_at"] == held.hold_expire_time.ToDatetime(job["due_at"].tzinfo)

    async def test_what_is_not_paid_is_given_up(self, shop: House) -> None:
        session = await shop.plan(capacity=1)
        held = await hold(shop, session)
        assert await outcome(shop.book(session, await shop.add_client())) == "SESSION_FULL"
        await let_expire(shop)
        assert await told(shop, held) == ["PENDING_PAYMENT", "EXPIRED"]
        assert await shop.counters(session) == (1, 1, 0)
        await shop.book(session, await shop.add_client())
        assert await shop.violations() == {}

    async def test_what_was_paid_or_cancelled_stays_so(self, shop: House) -> None:
        paid, cancelled = await hold(shop), await hold(shop)
        await pay(shop, paid, str(new_id()))
        await shop.cancel(cancelled)
        shop.move(minutes=15)
        assert await expire_holds(shop) == 2
        assert (await state_of(shop, paid), await state_of(shop, cancelled)) == ("CONFIRMED", "CANCELLED_EARLY")
        assert await shop.violations() == {}


class TestPayments:
    async def test_confirm(self, shop: House) -> None:
        held, payment = await hold(shop), str(new_id())
        paid = await pay(shop, held, payment)
        assert paid.state == Booking.CONFIRMED
        assert await pay(shop, held, payment) == paid
        assert await told(shop, held) == ["PENDING_PAYMENT", "CONFIRMED"]
        (kept,) = await shop.running.sql(
            "SELECT payment_id, reason FROM drop_in_payments WHERE tenant_id = $1", shop.tenant
        )
        assert (str(kept["payment_id"]), kept["reason"]) == (payment, "")
        assert await shop.violations() == {}

    async def test_the_same_again_after_a_cancellation(self, shop: House) -> None:
        held, payment = await hold(shop), str(new_id())
        await pay(shop, held, payment)
        cancelled = await shop.cancel(held)
        assert await pay(shop, held, payment) == cancelled

    async def test_twice_by_two(self, shop: House) -> None:
        held = await hold(shop)
        await pay(shop, held, str(new_id()))
        await refused(pay(shop, held, str(new_id())), StatusCode.FAILED_PRECONDITION, "ALREADY_PAID")
        await refused(mark_paid(shop, held), StatusCode.FAILED_PRECONDITION, "ALREADY_PAID")

    async def test_two_by_one(self, shop: House) -> None:
        one, other, payment = await hold(shop), await hold(shop), str(new_id())
        await pay(shop, one, payment)
        await refused(pay(shop, other, payment), StatusCode.ALREADY_EXISTS, "PAYMENT_USED")
        assert await state_of(shop, other) == "PENDING_PAYMENT"

    async def test_what_a_credit_paid(self, shop: House) -> None:
        booking = await shop.book(await shop.plan(), await shop.add_client())
        await refused(pay(shop, booking, str(new_id())), StatusCode.FAILED_PRECONDITION, "NOT_A_DROP_IN")
        unknown = Booking(name=f"{shop.name}/bookings/{new_id()}")
        await refused(pay(shop, unknown, str(new_id())), StatusCode.NOT_FOUND, "NOT_FOUND")
        await refused(pay(shop, booking, "gone"), StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")

    async def test_only_payments_may_say_so(self, shop: House) -> None:
        held = await hold(shop)
        request = ConfirmDropInRequest(parent=shop.name, booking=held.name, payment_id=str(new_id()))
        for stub in (shop.staff, shop.running.as_service(DropInServiceStub, "notify")):
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await stub.ConfirmDropIn(request)
            assert refusal.value.code() is StatusCode.PERMISSION_DENIED

    async def test_many_at_once_confirm_once(self, shop: House) -> None:
        held, payment = await hold(shop), str(new_id())
        calls = [pay(shop, held, payment) for _ in range(5)] + [pay(shop, held, str(new_id())) for _ in range(5)]
        said = await shop.count(calls)
        assert set(said) <= {"BOOKED", "ALREADY_PAID"}
        assert said["BOOKED"] in (1, 5)
        assert await told(shop, held) == ["PENDING_PAYMENT", "CONFIRMED"]


class TestTooLate:
    async def test_a_free_place_is_booked_again(self, shop: House) -> None:
        session = await shop.plan(capacity=2, spots=["A", "B"])
        held = await hold(shop, session, spot="B")
        await let_expire(shop)
        again = await pay(shop, held, str(new_id()))
        assert (again.state, again.spot, again.HasField("cancel_time")) == (Booking.CONFIRMED, "B", False)
        assert await shop.counters(session) == (2, 2, 1)
        assert await told(shop, held) == ["PENDING_PAYMENT", "EXPIRED", "CONFIRMED"]
        assert await shop.violations() == {}

    async def test_with_another_spot_when_its_own_is_taken(self, shop: House) -> None:
        session = await shop.plan(capacity=3, spots=["A", "B", "C"])
        held = await hold(shop, session, spot="A")
        await let_expire(shop)
        await shop.book(session, await shop.add_client(), spot="A")
        assert (await pay(shop, held, str(new_id()))).spot == "B"
        assert await shop.violations() == {}

    @pytest.mark.parametrize("why", ["full", "started", "cancelled", "booked", "waited for", "given back"])
    async def test_the_place_is_gone(self, shop: House, why: str) -> None:
        start = shop.now
        session = await soon(shop, minutes=30, capacity=2)
        held = await hold(shop, session)
        if why == "given back":
            await shop.cancel(held)
        else:
            await let_expire(shop)
        match why:
            case "full":
                for _ in range(2):
                    await shop.book(session, await shop.add_client())
            case "started":
                shop.move(minutes=15)
            case "cancelled":
                await shop.change(session, 2, start=start, cancelled=True)
            case "booked":
                client = Client(name=held.client)
                await shop.grant(client)
                await shop.book(session, client)
            case "waited for":
                await wait_for(shop, session)
        before = await shop.counters(session)
        await refused(pay(shop, held, str(new_id())), StatusCode.FAILED_PRECONDITION, "PLACE_GONE")
        await refused(mark_paid(shop, held), StatusCode.FAILED_PRECONDITION, "PLACE_GONE")
        assert await shop.counters(session) == before
        assert await shop.running.sql("SELECT FROM drop_in_payments WHERE tenant_id = $1", shop.tenant) == []

    async def test_a_guest_comes_beside_the_client(self, shop: House) -> None:
        session, client = await shop.plan(), await shop.add_client()
        guest = await book(shop, session, client, drop_in=True, guest_display_name="Zoe")
        await shop.book(session, client)
        await let_expire(shop)
        assert (await pay(shop, guest, str(new_id()))).state == Booking.CONFIRMED

    async def test_a_guest_who_has_a_place_by_now(self, shop: House) -> None:
        session, client = await shop.plan(), await shop.add_client(credits=0)
        guest = await book(shop, session, client, drop_in=True, guest_display_name="Zoe")
        await let_expire(shop)
        await book(shop, session, client, drop_in=True, guest_display_name="Zoe")
        await refused(pay(shop, guest, str(new_id())), StatusCode.FAILED_PRECONDITION, "PLACE_GONE")

    async def test_the_last_place_goes_to_one(self, shop: House) -> None:
        """Late payments and bookings for the last place: as many as there are places, and the count is right."""
        session = await shop.plan(capacity=2)
        held = [await hold(shop, session) for _ in range(2)]
        await let_expire(shop)
        calls = [pay(shop, booking, str(new_id())) for booking in held]
        calls += [shop.book(session, await shop.add_client()) for _ in range(4)]
        said = await shop.count(calls)
        assert said["BOOKED"] == 2
        assert set(said) <= {"BOOKED", "PLACE_GONE", "SESSION_FULL"}
        assert await shop.counters(session) == (2, 2, 2)
        assert await shop.violations() == {}

    async def test_while_somebody_else_takes_the_place(self, shop: House) -> None:
        """A booking that has not committed yet counts: the payment waits for it."""
        session = await shop.plan(capacity=1)
        held, other = await hold(shop, session), await shop.add_client()
        await let_expire(shop)
        wanted = Wanted(
            tenant=shop.tenant,
            principal="accounts/other",
            method="/powerhouse.booking.v1.BookingService/CreateBooking",
            request_id=new_id(),
            request_hash=new_id(),
            class_session=last_id(session),
            client=last_id(other.name),
            account=None,
        )
        async with shop.running.resources.database.transaction(shop.tenant) as tx:
            await book_within(tx, wanted)
            paying = asyncio.create_task(outcome(pay(shop, held, str(new_id()))))
            while not (paying.done() or await shop.running.is_held_up()):
                pass
        assert await paying == "PLACE_GONE"
        assert await shop.counters(session) == (1, 1, 1)

    async def test_paying_in_the_moment_it_ends(self, shop: House) -> None:
        """Whichever is first, the place is paid and held once."""
        sessions = [await shop.plan(capacity=1) for _ in range(6)]
        held = [await hold(shop, session) for session in sessions]
        shop.move(minutes=15)
        await asyncio.gather(expire_holds(shop), *(pay(shop, booking, str(new_id())) for booking in held))
        for session, booking in zip(sessions, held, strict=True):
            assert await state_of(shop, booking) == "CONFIRMED"
            assert await shop.counters(session) == (1, 1, 1)
        assert await shop.violations() == {}


async def wait_for(house: House, session: str) -> None:
    """Somebody has the first claim on a free place of a class."""
    client = await house.add_client()
    hold_id = new_id()
    await house.running.sql(
        "INSERT INTO credit_holds (tenant_id, id, client_id, client_package_id, credits, create_time)"
        " SELECT tenant_id, $2, client_id, id, 0, now() FROM client_packages WHERE client_id = $1",
        last_id(client.name),
        hold_id,
    )
    await house.running.sql(
        "INSERT INTO waitlist_entries (tenant_id, id, class_session_id, client_id, credit_hold_id, state, join_time,"
        " version) VALUES ($1, $2, $3, $4, $5, 'WAITING', now(), 1)",
        house.tenant,
        new_id(),
        last_id(session),
        last_id(client.name),
        hold_id,
    )


class TestAtTheDesk:
    async def test_staff_note_how_it_was_paid(self, shop: House) -> None:
        held = await hold(shop)
        paid = await mark_paid(shop, held, reason="card reader")
        assert paid.state == Booking.CONFIRMED
        (entry,) = await shop.running.sql(
            "SELECT changes FROM audit_entries WHERE tenant_id = $1 AND method = 'MarkDropInPaid'", shop.tenant
        )
        assert json.loads(entry["changes"]) == {
            "state": ["PENDING_PAYMENT", "CONFIRMED"],
            "paid": ["", "card reader"],
        }
        # Money that comes over the net as well goes back.
        await refused(pay(shop, held, str(new_id())), StatusCode.FAILED_PRECONDITION, "ALREADY_PAID")

    async def test_with_a_reason_and_of_what_was_read(self, shop: House) -> None:
        held = await hold(shop)
        await refused(mark_paid(shop, held, reason=""), StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
        await refused(mark_paid(shop, held, etag="9"), StatusCode.ABORTED, "ETAG_MISMATCH")
        credit = await shop.book(await shop.plan(), await shop.add_client())
        await refused(mark_paid(shop, credit), StatusCode.FAILED_PRECONDITION, "NOT_A_DROP_IN")

    async def test_not_by_clients(self, shop: House) -> None:
        call = mark_paid(shop, await hold(shop), stub=shop.as_account(new_id()))
        await refused(call, StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")

    async def test_after_the_hold(self, shop: House) -> None:
        held = await hold(shop)
        await let_expire(shop)
        assert (await mark_paid(shop, held)).state == Booking.CONFIRMED
