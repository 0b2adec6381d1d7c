"""Rosters: who comes, and what to know of them."""

from datetime import date, timedelta
from typing import Any

import pytest
from grpc import StatusCode

from powerhouse.booking.v1.attendance_service_pb2 import GetRosterRequest, Roster
from powerhouse.booking.v1.client_note_pb2 import ClientNote
from powerhouse.booking.v1.client_note_service_pb2 import CreateClientNoteRequest
from powerhouse.policy.v1.policy_pb2 import Role
from services.booking.client_flags import is_soon
from services.chassis.ids import new_id
from tests.integration.booking.front_desk import book, check_in, mark_absent, rule, soon
from tests.integration.booking.house import House, key, refused


async def roster(house: House, session: str, stub: Any = None) -> Roster:
    read: Roster = await (stub or house.staff).GetRoster(GetRosterRequest(class_session=session))
    return read


async def test_who_holds_a_place_by_spot(house: House) -> None:
    session = await house.plan(capacity=3, spots=["Window", "Door", "Aisle"])
    for name, spot in (("Ada", "Aisle"), ("Bea", "Window")):
        await house.book(session, await house.add_client(name), spot=spot)
    await house.cancel(await house.book(session, await house.add_client("Cleo"), spot="Door"))
    read = await roster(house, session)
    assert [entry.display_name for entry in read.entries] == ["Bea", "Ada"]
    assert [entry.booking.spot for entry in read.entries] == ["Window", "Aisle"]
    assert (read.session.class_session, read.session.free_places) == (session, 1)


async def test_by_name_in_a_room_without_spots(house: House) -> None:
    session = await house.plan()
    for name in ("Cleo", "Ada", "Bea"):
        await house.book(session, await house.add_client(name))
    assert [entry.display_name for entry in (await roster(house, session)).entries] == ["Ada", "Bea", "Cleo"]
    assert (await roster(house, await house.plan())).entries == []


async def test_instructors_see_what_they_teach(house: House) -> None:
    account = new_id()
    own, other = await house.plan(instructor_account_id=str(account)), await house.plan()
    stub = house.as_role(Role.ROLE_INSTRUCTOR, account)
    assert (await roster(house, own, stub)).session.class_session == own
    for session in (other, f"{house.name}/classSessions/{new_id()}"):
        await refused(roster(house, session, stub), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    # The account alone is not enough.
    await refused(roster(house, own, house.as_account(account)), StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")


async def test_of_an_unknown_session(house: House) -> None:
    await refused(roster(house, f"{house.name}/classSessions/{new_id()}"), StatusCode.NOT_FOUND, "NOT_FOUND")


async def test_a_first_visit(house: House) -> None:
    """Before it nobody was in a class; who was absent, or cancelled, was not."""
    await rule(house, no_show_marking="ALWAYS")
    came, missed, cancelled = [await house.add_client(name, credits=3) for name in ("came", "missed", "cancelled")]
    first, second = await soon(house), await soon(house, minutes=180)
    await check_in(house, await house.book(first, came))
    await house.book(first, missed)
    await house.cancel(await house.book(first, cancelled))
    house.move(hours=2)
    await mark_absent(house)
    for client in (came, missed, cancelled):
        await house.book(second, client)
    entries = (await roster(house, second)).entries
    assert {entry.display_name: entry.first_visit for entry in entries} == {
        "came": False,
        "missed": True,
        "cancelled": True,
    }
    assert all(entry.first_visit for entry in (await roster(house, first)).entries)


async def test_guests_and_who_has_not_paid(house: House) -> None:
    await rule(house, drop_in_price_minor=2000, max_guests=1)
    session = await house.plan()
    client = await house.add_client("Ada", credits=2, birth_date="1990-01-06")
    await house.book(session, client)
    await book(house, session, client, guest_display_name="Zoe")
    await book(house, session, await house.add_client("Bea", credits=0), drop_in=True)
    told = {
        entry.display_name: (entry.guest_of, entry.first_visit, entry.birthday_soon, entry.unpaid)
        for entry in (await roster(house, session)).entries
    }
    assert told == {
        "Ada": ("", True, True, False),
        "Zoe": ("Ada", False, False, False),
        "Bea": ("", True, False, True),
    }


async def test_notes_show_that_they_are_there(house: House) -> None:
    await rule(house, max_guests=1)
    session, client = await house.plan(), await house.add_client("Ada", credits=2)
    await house.book(session, client)
    await book(house, session, client, guest_display_name="Zoe")
    for kind in (ClientNote.GENERAL, ClientNote.HEALTH):
        note = ClientNote(client=client.name, kind=kind, body="Slipped disc")
        await house.staff.CreateClientNote(
            CreateClientNoteRequest(parent=house.name, client_note=note, request_id=key())
        )
        read = await roster(house, session)
        told = [(entry.display_name, entry.has_general_note, entry.has_health_note) for entry in read.entries]
        assert sorted(told) == [("Ada", True, kind == ClientNote.HEALTH), ("Zoe", False, False)]


@pytest.mark.parametrize(
    ("born", "ahead", "soon"),
    [
        (date(1990, 1, 6), 0, True),
        (date(1990, 1, 6), 6, True),
        (date(1990, 1, 6), 7, False),
        (date(1990, 1, 6), -1, False),
        (date(1990, 12, 31), 6, True),
    ],
)
def test_birthdays(born: date, ahead: int, soon: bool) -> None:
    assert is_soon(born, born.replace(year=2027) - timedelta(days=ahead)) is soon


@pytest.mark.parametrize(
    ("day", "soon"),
    [(date(2027, 2, 28), True), (date(2027, 3, 1), False), (date(2028, 2, 29), True), (date(2028, 3, 1), False)],
)
def test_who_was_born_on_a_leap_day(day: date, soon: bool) -> None:
    assert is_soon(date(2000, 2, 29), day) is soon
