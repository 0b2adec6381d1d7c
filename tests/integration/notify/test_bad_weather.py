"""All faults at once, at every provider, and a worker that dies amid its calls: accepted once, or it says why not."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import orjson
import pytest

from services.booking.service import SERVICE as BOOKING
from services.chassis.ids import new_id
from services.chassis.jobs.sweeper import sweep
from services.identity.service import SERVICE as IDENTITY
from services.notify import sending
from services.notify.jobs import outbound
from services.notify.providers import gate
from services.notify.providers.choice import Providers
from services.notify.providers.keys import key_of
from services.notify.providers.routes import MailRoute
from tests.integration.notify.channels import Sandboxes, new_number
from tests.integration.notify.desk import ZONE, Desk
from tests.integration.notify.dying import die
from tests.integration.notify.house import Post, new_email
from tests.integration.notify.test_whole_path import House
from tests.integration.notify.webhook_house import open_door
from tests.support.services import Mesh

# Each has three deliveries that are due.
BOOKINGS = 20
SHARE = 0.1
PATIENCE = 1.0
WEATHER = {
    "slow": {"seconds": 0.4, "share": SHARE},
    "reject_429": {"seconds": 1, "share": SHARE},
    "reject_500": {"share": SHARE},
    "accept_then_500": {"share": SHARE},
    "accept_then_html": {"share": SHARE},
    "accept_then_hang": {"seconds": 1.5 * PATIENCE, "share": SHARE},
}
# Texts are taken without an answer while the first mail is on its way, upon whose answer the worker dies.
BEFORE = {"twilio:accept_then_hang": {"seconds": 3}, "resend:slow": {"seconds": 1}}
FAILOVER = {"POWERHOUSE_MAIL_FAILOVER": "sendgrid"}
# The leases of the dead are over, and twenty seconds pass for what is looked for.
LATER = """
UPDATE deliveries SET
    lease_until = CASE WHEN lease_token IS NOT NULL THEN clock_timestamp() - interval '1 second' END,
    retry_at = CASE WHEN state <> 'unknown' THEN retry_at END,
    first_attempt_time = first_attempt_time - interval '20 seconds'
WHERE state IN ('pending', 'sending', 'unknown') AND attempts > 0
"""
ROUNDS = 60


@pytest.fixture
async def house(mesh: Mesh, twins: Sandboxes, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """A studio with a large class; text messages, mail, and another provider of mail when the first fails."""
    providers = Providers(
        MailRoute([twins.mail(name, timeout=PATIENCE) for name in ("resend", "sendgrid")]),
        twins.sms(timeout=PATIENCE),
        None,
    )
    monkeypatch.setattr(sending, "providers_of", lambda _: providers)
    monkeypatch.setattr(gate, "PAUSE", 0.5)
    async with (
        mesh.running(IDENTITY) as identity,
        mesh.running(BOOKING) as booking,
        open_door(mesh, twins, FAILOVER) as door,
    ):
        await door.notify.sql("TRUNCATE deliveries, jobs")
        start = mesh.clock.now().astimezone(ZONE) + timedelta(days=3)
        desk = Desk(booking, Post(door.notify, identity, twins.url, door.studio), start, new_id())
        desk.facts |= {"capacity": BOOKINGS, "spots": []}
        await desk.open()
        yield House(desk, door)


async def be_due(house: House, most: int = 1000) -> None:
    """Some more reminders of the day before; the text two hours before has the same words."""
    await house.desk.post.notify.sql(
        "UPDATE deliveries SET due_at = $1 WHERE id IN (SELECT id FROM deliveries"
        " WHERE offset_minutes = 1440 AND due_at > $1 ORDER BY id LIMIT $2)",
        house.desk.booking.mesh.clock.now(),
        most,
    )


async def rows(house: House) -> dict[str, Any]:
    """All deliveries that are due, by their keys."""
    due = await house.desk.post.notify.sql(
        "SELECT * FROM deliveries WHERE due_at <= $1", house.desk.booking.mesh.clock.now()
    )
    return {key_of(row["tenant_id"], row["id"]): row for row in due}


async def taken(house: House) -> list[dict[str, Any]]:
    """What the providers have accepted of this studio."""
    return [
        each
        for each in await house.door.twins.newest()
        if each["idempotency_key"].startswith(house.desk.post.studio.hex)
    ]


async def tell(house: House) -> None:
    """The providers tell of mails until it is heard; of text messages nothing is told, so they have to be found."""
    heard = {key for key, row in (await rows(house)).items() if row["state"] == "delivered"}
    mails = [each for each in await taken(house) if each["channel"] == "email" and each["idempotency_key"] not in heard]
    told = (house.door.twins.tell(mail["id"], "delivered") for mail in mails)
    for answer in await asyncio.gather(*told, return_exceptions=True):
        assert answer == 200 or isinstance(answer, httpx.HTTPError), answer
    await house.door.work_off()


async def test_each_is_accepted_once_or_says_why_not(house: House) -> None:
    desk, notify = house.desk, house.desk.post.notify
    for _ in range(BOOKINGS):
        await desk.book(new_email(), phone=new_number())
    await desk.carry_all()
    await be_due(house, BOOKINGS // 2)
    twins = house.door.twins
    await twins.weather(**{name: {"count": 10**9} | knob for name, knob in BEFORE.items()})
    await die(notify, {**twins.keys.of_notify(twins.url), "POWERHOUSE_PUBLIC_URL": house.door.url, **FAILOVER})
    await be_due(house)
    await twins.weather(**{name: {"count": 10**9} | knob for name, knob in WEATHER.items()})
    for _ in range(ROUNDS):
        await notify.sql(LATER)
        await sweep(notify.resources.database, outbound)
        await asyncio.gather(desk.post.run_once(), desk.post.run_once())
        await tell(house)
        if not any(row["state"] in ("pending", "sending", "unknown") for row in (await rows(house)).values()):
            break
        # A provider that asked for a pause gets some of it.
        await asyncio.sleep(0.5)

    found, messages = await rows(house), await taken(house)
    times = Counter(message["idempotency_key"] for message in messages)
    stories = Counter(line["what"] for row in found.values() for line in orjson.loads(row["story"]))
    assert len(found) == 3 * BOOKINGS
    assert {key for key, row in found.items() if row["state"] in ("accepted", "delivered")} == times.keys()
    assert set(times.values()) == {1}
    assert all(row["reason"] for row in found.values() if row["state"] not in ("accepted", "delivered"))
    assert {row["state"] for row in found.values()} <= {"accepted", "delivered", "failed"}
    # The weather was as bad as it was meant to be.
    assert stories["found"]
