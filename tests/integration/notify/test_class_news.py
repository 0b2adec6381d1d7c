"""What clients read of a class that changes: how it was beside how it is, and that their place is gone."""

import random
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from powerhouse.booking.v1 import booking_pb2
from powerhouse.booking.v1.events_pb2 import ClassChanged, ClientsDisplaced
from services.chassis.ids import new_id
from tests.integration.notify.desk import Desk, id_of
from tests.integration.notify.house import envelope_of, new_email
from tests.integration.notify.phones import Phones

NEWS = "SELECT * FROM deliveries WHERE kind = $1 AND booking_id = $2 ORDER BY time_version, channel"


async def news(desk: Desk, kind: str, booking: booking_pb2.Booking) -> list[Any]:
    return await desk.post.notify.sql(NEWS, kind, id_of(booking))


def another_room(desk: Desk, name: str) -> None:
    desk.facts |= {"room_id": str(new_id())}
    desk.room = name


def another_instructor(desk: Desk, name: str) -> None:
    desk.facts |= {"instructor_id": str(new_id()), "instructor_display_name": name}


@pytest.mark.parametrize("seed", range(3))
async def test_a_change_says_how_it_was_when_the_client_last_heard(desk: Desk, phones: Phones, seed: int) -> None:
    email = new_email()
    booking = await desk.book(email, phone=desk.phone)
    await desk.carry_all()
    await desk.post.work_off()
    start = desk.start
    another_room(desk, "Red Room")
    await desk.announce(2)
    await desk.move(3, start + timedelta(hours=1), 2)
    another_room(desk, "Green Room")
    another_instructor(desk, "Bo Berg")
    await desk.announce(4, time_version=2)
    await desk.move(5, start + timedelta(hours=2), 3)
    told = await desk.booking.events(ClassChanged, desk.post.studio)
    random.Random(seed).shuffle(told)
    for event in (*told, *told):
        await desk.post.apply([envelope_of(event, desk.post.studio)])
    await desk.post.work_off()
    mails = [mail for mail in await desk.post.mails(email) if mail["subject"].startswith("Changed: ")]
    [text] = [mail["text"] for mail in mails]
    for line in (
        "Different now:      time, instructor, room",
        f"{start:%H:%M}\n  Instructor before:  Jana Vogt\n  Room before:        Blue Room, Kreuzberg\n",
        f"{start + timedelta(hours=2):%H:%M} (Europe/Berlin)\n  Instructor:  Bo Berg\n  Where:       Green Room, Kreuz",
    ):
        assert line in text
    [sms] = [text for text in phones.texts(desk.phone) if "Changed" in text]
    assert f"{start + timedelta(hours=2):%H:%M} (was " in sms
    states = [(row["channel"], row["time_version"], row["state"]) for row in await news(desk, "class_changed", booking)]
    assert [each for each in states if each[2] != "skipped"] == [("email", 5, "accepted"), ("sms", 5, "accepted")]


async def test_in_german_too_and_nothing_of_what_is_again_as_it_was(desk: Desk) -> None:
    email = new_email()
    booking = await desk.book(email)
    await desk.booking.sql("UPDATE clients SET language = 'de' WHERE id = $1", UUID(booking.client.rpartition("/")[2]))
    await desk.carry_all()
    await desk.post.work_off()
    usual = desk.facts["room_id"]
    another_room(desk, "Red Room")
    await desk.announce(2)
    await desk.carry_all()
    another_instructor(desk, "Bo Berg")
    desk.facts["room_id"], desk.room = usual, "Blue Room"
    await desk.announce(3)
    await desk.carry_all()
    await desk.post.work_off()
    [text] = [mail["text"] for mail in await desk.post.mails(email) if mail["subject"].startswith("Geändert: ")]
    assert "Neu ist:             Kursleitung\n  Kursleitung bisher:  Jana Vogt\n" in text
    assert "Raum bisher" not in text
    # There and back before anybody is told is no news at all.
    another_room(desk, "Red Room")
    await desk.announce(4)
    await desk.carry_all()
    desk.facts["room_id"], desk.room = usual, "Blue Room"
    await desk.announce(5)
    await desk.carry_all()
    await desk.post.work_off()
    assert (await news(desk, "class_changed", booking))[-1]["reason"] == "the class is again as the client knows it"


async def cut(desk: Desk, version: int, capacity: int) -> None:
    desk.facts["capacity"] = capacity
    await desk.announce(version)


async def test_who_loses_a_place_is_told_once(desk: Desk, phones: Phones) -> None:
    first, email = await desk.book(new_email()), new_email()
    last = await desk.book(email, phone=desk.phone)
    await desk.carry_all()
    await desk.post.work_off()
    await cut(desk, 2, 1)
    for event in (await desk.booking.events(ClientsDisplaced, desk.post.studio)) * 2:
        await desk.post.apply([envelope_of(event, desk.post.studio)])
    await desk.carry_all()
    await desk.post.work_off()
    assert await news(desk, "displaced", first) == []
    assert [(row["channel"], row["state"]) for row in await news(desk, "displaced", last)] == [
        ("email", "accepted"),
        ("sms", "accepted"),
    ]
    [mail] = [mail for mail in await desk.post.mails(email) if mail["subject"].startswith("Your place is gone: ")]
    assert "You stand at the head of the waitlist, with the credit that paid" in mail["text"]
    [text] = [text for text in phones.texts(desk.phone) if "is gone" in text]
    assert "yours is gone. You head the waitlist: " in text


async def test_who_has_a_place_again_before_it_is_sent_is_not_told_that_it_is_gone(desk: Desk) -> None:
    await desk.book(new_email())
    email = new_email()
    last = await desk.book(email)
    await desk.carry_all()
    await desk.post.work_off()
    # By day: the line rests at night.
    desk.booking.mesh.clock.move(desk.start.replace(hour=12) - timedelta(days=1) - desk.booking.mesh.clock.now())
    await cut(desk, 2, 1)
    await cut(desk, 3, 2)
    await desk.carry_all()
    await desk.post.work_off()
    told = [(row["state"], row["reason"]) for row in await news(desk, "displaced", last)]
    assert told == [("skipped", "the client has a place again")] * 2
    subjects = [mail["subject"].partition(":")[0] for mail in await desk.post.mails(email)]
    assert sorted(subjects) == ["You are booked", "You are in"]


async def test_where_there_is_no_line_the_credit_is_back(desk: Desk) -> None:
    email = new_email()
    await desk.book(new_email())
    last = await desk.book(email)
    await desk.carry_all()
    await desk.post.work_off()
    # Later than a wait may begin.
    desk.booking.mesh.clock.move(desk.start - desk.booking.mesh.clock.now() - timedelta(minutes=5))
    await cut(desk, 2, 1)
    await desk.carry_all()
    await desk.post.work_off()
    assert [row["state"] for row in await news(desk, "displaced", last) if row["channel"] == "email"] == ["accepted"]
    [mail] = [mail for mail in await desk.post.mails(email) if mail["subject"].startswith("Your place is gone: ")]
    assert "your place is gone. The credit that paid is back." in mail["text"]
