"""From a booking to what became of its messages: booking, notify, the sandboxes and their webhooks by a gateway."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.booking.service import SERVICE as BOOKING
from services.chassis.ids import new_id
from services.identity.service import SERVICE as IDENTITY
from services.notify.providers.choice import providers_of
from tests.integration.notify.channels import Sandboxes
from tests.integration.notify.desk import ZONE, Desk, id_of
from tests.integration.notify.house import Post, new_email
from tests.integration.notify.webhook_house import Door, open_door
from tests.support.services import Mesh

DAY, TWO_HOURS = timedelta(days=1), timedelta(hours=2)
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@dataclass
class House:
    """A studio's front desk, and the door by which its providers come in."""

    desk: Desk
    door: Door


@pytest.fixture
async def house(mesh: Mesh, twins: Sandboxes) -> AsyncIterator[House]:
    providers_of.cache_clear()
    async with (
        mesh.running(IDENTITY) as identity,
        mesh.running(BOOKING) as booking,
        open_door(mesh, twins) as door,
    ):
        start = (mesh.clock.now().astimezone(ZONE) + 3 * DAY).replace(hour=10, minute=0, second=0, microsecond=0)
        desk = Desk(booking, Post(door.notify, identity, twins.url, door.studio), start, new_id())
        await desk.open()
        yield House(desk, door)


async def until(desk: Desk, instant: datetime) -> None:
    """Time passes, and what is due is sent."""
    desk.booking.mesh.clock.move(instant - desk.booking.mesh.clock.now())
    await desk.post.work_off()


async def log_of(desk: Desk, booking: Any) -> list[tuple[str, str, str, str]]:
    """The delivery log of a booking as the studio reads it, what was planned first at the top."""
    listed = await desk.post.listed(booking=booking.name)
    kinds, channels, states = (type(listed[0]).Kind, type(listed[0]).Channel, type(listed[0]).State)
    return [
        (kinds.Name(each.kind), channels.Name(each.channel), states.Name(each.state), each.reason)
        for each in sorted(listed, key=lambda each: (each.due_time.seconds, each.channel))
    ]


async def test_a_booking_its_reminders_and_what_the_client_answers(house: House) -> None:
    desk, door = house.desk, house.door
    email = new_email()
    booking = await desk.book(email, phone=desk.phone)
    await desk.carry_all()
    await desk.post.work_off()
    [confirmation] = await door.twins.messages(email)
    assert confirmation["from"].startswith("Kiez Pilates <")
    assert confirmation["subject"].startswith("You are booked: Reformer <Flow>")
    assert "Kiez Pilates" in confirmation["html"]
    assert confirmation["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert confirmation["headers"]["List-Unsubscribe"].startswith(f"<{door.url}/v1/unsubscribe/")

    await until(desk, desk.start - DAY - timedelta(seconds=1))
    assert len(await door.twins.messages(email)) == 1
    await until(desk, desk.start - DAY)
    reminder, _ = await door.twins.messages(email)
    [text] = await door.twins.messages(desk.phone)
    assert reminder["subject"].startswith("Reminder:")
    assert (text["from"], text["text"].split(":")[0]) == (desk.number, "Kiez Pilates")

    assert await door.twins.tell(text["id"], "delivered") == 200
    assert await door.twins.tell(reminder["id"], "delivered") == 200
    await desk.post.work_off()
    assert (await door.twins.write(desk.phone, desk.number, "STOP"))["status"] == 200
    await desk.post.work_off()
    await until(desk, desk.start - TWO_HOURS)
    assert len(await door.twins.messages(desk.phone)) == 1
    assert await log_of(desk, booking) == [
        ("BOOKING_CONFIRMATION", "EMAIL", "ACCEPTED", ""),
        ("REMINDER", "EMAIL", "DELIVERED", ""),
        ("REMINDER", "SMS", "DELIVERED", ""),
        ("REMINDER", "SMS", "SKIPPED", "SMS skipped - the number has sent STOP"),
    ]

    # The class moves by a week; by one click no more reminders come, and START lets the texts come again.
    link = reminder["headers"]["List-Unsubscribe"].strip("<>")
    assert (await door.client.get(link)).status_code == 200
    answer = await door.client.post(link, data=ONE_CLICK)
    assert answer.status_code == 200
    assert (await door.twins.write(desk.phone, desk.number, "START"))["status"] == 200
    await desk.move(2, desk.start + 7 * DAY, time_version=2)
    await desk.carry_all()
    await until(desk, desk.start - DAY)
    newest, *_ = await door.twins.messages(email)
    assert newest["subject"].startswith("Changed:")
    assert (await log_of(desk, booking))[-3:] == [
        ("REMINDER", "EMAIL", "SKIPPED", "E-mail skipped - client preference"),
        ("REMINDER", "SMS", "ACCEPTED", ""),
        ("REMINDER", "SMS", "PENDING", ""),
    ]


async def test_an_address_that_bounces_is_not_written_to_again(house: House) -> None:
    desk, door = house.desk, house.door
    email = new_email()
    booking = await desk.book(email)
    await desk.carry_all()
    await desk.post.work_off()
    [confirmation] = await door.twins.messages(email)
    assert await door.twins.tell(confirmation["id"], "bounced") == 200
    await desk.post.work_off()
    [delivery] = [row for row in await desk.post.listed(booking=booking.name) if row.accept_time.seconds]
    assert delivery.outcome == type(delivery).Outcome.BOUNCED
    await desk.announce(2, cancelled=True)
    await desk.carry_all()
    await desk.post.work_off()
    rows = await desk.post.notify.sql(
        "SELECT state, reason FROM deliveries WHERE kind = 'class_cancelled' AND channel = 'email' AND subject_id = $1",
        id_of(booking),
    )
    assert [tuple(row) for row in rows] == [("skipped", "E-mail skipped - an earlier one bounced")]
    assert len(await door.twins.messages(email)) == 1
