"""The waiver as a term of booking: who has not signed gets no place, and is told what to sign."""

from typing import Any

import grpc
import pytest
from grpc import StatusCode

from powerhouse.booking.v1 import booking_service_pb2 as pb
from powerhouse.booking.v1.client_pb2 import Client
from services.chassis.ids import new_id
from tests.integration.booking.house import House, key, outcome, refused
from tests.integration.booking.lines import accept, explained, full, join, queue, read, rule, states, tick
from tests.integration.booking.test_booking_series import ALL, AVAILABLE, book, preview, request, tuesdays
from tests.integration.booking.test_client_waivers import publish, sign
from tests.support.services import metadata_of

NOT_SIGNED = "WAIVER_NOT_SIGNED"


@pytest.fixture
async def strict(house: House) -> House:
    """A studio that asks for its waiver."""
    await publish(house)
    await rule(house, waiver_required=True)
    return house


def wanted(session: str, client: Client, **rest: Any) -> pb.NewBooking:
    return pb.NewBooking(class_session=session, client=client.name, **rest)


def create(house: House, booking: pb.NewBooking) -> Any:
    return house.staff.CreateBooking(pb.CreateBookingRequest(parent=house.name, booking=booking, request_id=key()))


async def test_who_has_not_signed_is_refused_and_told_what_to_sign(strict: House) -> None:
    account = new_id()
    session, client = await strict.plan(), await strict.add_client(account=f"accounts/{account}")
    stub = strict.as_account(account)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await strict.book(session, client, stub=stub)
    assert metadata_of(refusal.value) == {"waiver": f"{strict.name}/waiver"}
    await refused(strict.book(session, client, stub=stub), StatusCode.FAILED_PRECONDITION, NOT_SIGNED)
    tried = await stub.PreviewBooking(pb.PreviewBookingRequest(parent=strict.name, booking=wanted(session, client)))
    assert (tried.bookable, tried.reason) == (False, NOT_SIGNED)
    assert (await strict.counters(session), await strict.credits(client)) == ((8, 8, 0), 1)

    await sign(strict, client, stub=stub)
    assert (
        await stub.PreviewBooking(pb.PreviewBookingRequest(parent=strict.name, booking=wanted(session, client)))
    ).bookable
    await strict.book(session, client, stub=stub)
    assert await strict.violations() == {}


async def test_a_new_text_is_signed_anew_and_bookings_made_before_stay(strict: House) -> None:
    (first, second), client = await strict.plan_many(2), await strict.add_client(credits=2)
    await sign(strict, client)
    booking = await strict.book(first, client)
    await publish(strict, "At my very own risk.")
    assert await outcome(strict.book(second, client)) == NOT_SIGNED
    assert (await strict.get(booking)).state == booking.state
    await sign(strict, client, version=2)
    await strict.book(second, client)


async def test_without_a_waiver_or_the_term_nobody_is_asked(house: House) -> None:
    (first, second), client = await house.plan_many(2), await house.add_client(credits=2)
    await rule(house, waiver_required=True)
    await house.book(first, client)
    await publish(house)
    assert await outcome(house.book(second, client)) == NOT_SIGNED
    await rule(house, waiver_required=False)
    await house.book(second, client)


async def test_staff_may_let_it_pass_and_the_audit_says_why(strict: House) -> None:
    session, client = await strict.plan(), await strict.add_client()
    assert await outcome(create(strict, wanted(session, client))) == NOT_SIGNED
    await create(strict, wanted(session, client, override_reason="signed on paper"))
    (entry,) = await strict.running.sql(
        "SELECT changes ->> 'override' AS why FROM audit_entries WHERE tenant_id = $1 AND method = 'CreateBooking'",
        strict.tenant,
    )
    assert entry["why"] == '["", "signed on paper"]'


async def test_the_guardian_signs_for_the_child_and_the_host_for_the_guest(strict: House) -> None:
    account = new_id()
    session = await strict.plan()
    parent = await strict.add_client("Pia", account=f"accounts/{account}", credits=2)
    child = await strict.add_client("Kim", account=f"accounts/{account}")
    stub = strict.as_account(account)
    await sign(strict, parent, stub=stub)
    # One signature is for one person.
    assert await outcome(strict.book(session, child, stub=stub)) == NOT_SIGNED
    await sign(strict, child, stub=stub, name="Pia for Kim")
    await strict.book(session, child, stub=stub)
    # A guest has no account to sign with: the client who brings it answers for it.
    await rule(strict, max_guests=1)
    await create(strict, wanted(session, parent, guest_display_name="Gus"))
    other = await strict.add_client("Olga")
    assert await outcome(create(strict, wanted(session, other, guest_display_name="Gus"))) == NOT_SIGNED


async def test_many_at_once_are_each_asked(strict: House) -> None:
    session = await strict.plan(capacity=20)
    people = [await strict.add_client(f"Client {number}") for number in range(12)]
    for client in people[::2]:
        await sign(strict, client)
    assert await strict.count([strict.book(session, client) for client in people]) == {"BOOKED": 6, NOT_SIGNED: 6}
    assert await strict.violations() == {}


async def test_a_series_is_refused_with_its_reason(strict: House) -> None:
    sessions, client = await tuesdays(strict, 2), await strict.add_client(credits=2)
    assert [week.reason for week in await preview(strict, request(sessions[0], client, 2, ALL))] == [NOT_SIGNED] * 2
    for mode in (ALL, AVAILABLE):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await book(strict, request(sessions[0], client, 2, mode))
        assert metadata_of(refusal.value) == {
            "day": "2027-03-09",
            "reason": NOT_SIGNED,
            "waiver": f"{strict.name}/waiver",
        }
    await sign(strict, client)
    assert len((await book(strict, request(sessions[0], client, 2, ALL))).weeks) == 2


async def test_who_has_not_signed_does_not_wait(house: House) -> None:
    session, _ = await full(house)
    client = await house.add_client()
    await publish(house)
    await rule(house, waiver_required=True)
    await refused(join(house, session, client), StatusCode.FAILED_PRECONDITION, NOT_SIGNED)
    await sign(house, client)
    await join(house, session, client)


async def test_a_place_goes_past_who_has_not_signed_the_new_text_until_they_do(house: House) -> None:
    session, (booked, *_) = await full(house)
    first, second = [await house.add_client(name) for name in ("First", "Second")]
    waiting = await queue(house, session, first, second)
    await publish(house)
    await rule(house, waiver_required=True)
    await sign(house, second)
    await house.cancel(booked)
    assert await states(house, *waiting) == ["WAITING", "PROMOTED"]
    assert (await read(house, waiting[0])).passed_over == "the studio's waiver was not signed for you"
    assert "the studio's waiver was not signed for you" in (await explained(house, waiting[0])).summary

    (promoted,) = (await house.staff.ListBookings(pb.ListBookingsRequest(parent=house.name, active_only=True))).bookings
    await house.cancel(promoted)
    assert await states(house, waiting[0]) == ["WAITING"]
    await sign(house, first)
    await tick(house)
    assert await states(house, waiting[0]) == ["PROMOTED"]
    assert await house.violations() == {}


async def test_an_offer_is_accepted_once_the_waiver_is_signed(house: House) -> None:
    await rule(house, waitlist_mode="TIMED_OFFER")
    session, (booked, *_) = await full(house)
    client = await house.add_client()
    (entry,) = await queue(house, session, client)
    await house.cancel(booked)
    await publish(house)
    await rule(house, waiver_required=True)
    await refused(accept(house, entry), StatusCode.FAILED_PRECONDITION, NOT_SIGNED)
    await sign(house, client)
    await accept(house, entry)
    assert await states(house, entry) == ["PROMOTED"]
