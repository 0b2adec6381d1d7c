"""Text messages: the provider sends whatever it is told as often as it is told, so nothing is ever told twice."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from services.chassis.clock import real_now
from services.notify import deliveries, letters
from services.notify.handing_over import Begun, Notes, read
from services.notify.models import Outcome
from services.notify.providers.answers import Deferred, NotAsked, Rejected, Unclear
from services.notify.providers.keys import parse_key
from tests.integration.notify.desk import Desk, id_of
from tests.integration.notify.house import new_email
from tests.integration.notify.phones import NAME, Phones

UNCLEAR = Unclear("the SMS provider did not answer in time")


async def planned(desk: Desk, count: int = 1) -> Any:
    """The id of a booking whose reminder two hours before is due, and nothing else of it; or of several, as a list."""
    await desk.post.work_off()
    bookings = [id_of(await desk.book(new_email(), phone=desk.phone)) for _ in range(count)]
    await desk.carry_all()
    await desk.post.notify.sql(
        "UPDATE deliveries SET due_at = CASE WHEN offset_minutes = 120 THEN $2 ELSE due_at + interval '9 days' END,"
        " useful_until = due_at + interval '99 days' WHERE subject_id = ANY ($1)",
        bookings,
        desk.booking.mesh.clock.now(),
    )
    return bookings if count > 1 else bookings[0]


async def text_of(desk: Desk, booking: Any) -> asyncpg.Record:
    [row] = await desk.post.notify.sql(
        "SELECT * FROM deliveries WHERE subject_id = $1 AND offset_minutes = 120", booking
    )
    return row


async def later(desk: Desk, **since_first: float) -> None:
    """The pause is over, and so much time has passed since the first call."""
    await desk.post.notify.sql(
        "UPDATE deliveries SET retry_at = NULL,"
        " first_attempt_time = first_attempt_time - make_interval(secs => $1) WHERE state IN ('sending', 'unknown')",
        timedelta(**since_first).total_seconds(),
    )
    await desk.post.run_once()


async def test_taken_without_an_answer_it_is_found_and_not_sent_again(desk: Desk, phones: Phones) -> None:
    booking = await planned(desk)
    phones.answers = [(True, UNCLEAR)]
    await desk.post.run_once()
    row = await text_of(desk, booking)
    assert (row["state"], row["attempts"], row["lease_token"]) == ("unknown", 1, None)
    assert timedelta(seconds=30) < row["retry_at"] - real_now() <= timedelta(seconds=60)
    await later(desk, seconds=60)
    row = await text_of(desk, booking)
    assert (row["state"], row["attempts"], row["provider_message_id"]) == ("accepted", 1, phones.ids[0])
    assert len(phones.texts(desk.phone)) == 1


async def test_lost_without_an_answer_it_is_looked_for_twice_and_given_up(desk: Desk, phones: Phones) -> None:
    booking = await planned(desk)
    phones.answers = [(False, UNCLEAR)]
    await desk.post.run_once()
    await later(desk, seconds=60)
    row = await text_of(desk, booking)
    assert (row["state"], row["reason"]) == ("unknown", "the SMS provider does not know it yet")
    await later(desk, seconds=60)
    row = await text_of(desk, booking)
    assert (row["state"], row["reason"]) == ("failed", "the SMS provider does not know it; not sent again")
    assert (phones.looked, phones.texts(desk.phone)) == (2, [])


async def test_where_nobody_can_look_it_is_given_up_in_a_quarter_of_an_hour(desk: Desk, phones: Phones) -> None:
    booking = await planned(desk)
    phones.answers, phones.blind = [(True, UNCLEAR)], True
    await desk.post.run_once()
    await later(desk, minutes=14)
    assert (await text_of(desk, booking))["state"] == "unknown"
    await later(desk, minutes=2)
    assert (await text_of(desk, booking))["state"] == "failed"
    assert len(phones.texts(desk.phone)) == 1


async def test_of_two_with_the_same_words_one_is_on_its_way_at_a_time(desk: Desk, phones: Phones) -> None:
    """Else one that was lost would be found as the other, which then had no id of its own."""
    first, second = await planned(desk, 2)
    phones.answers = [(False, UNCLEAR), (True, UNCLEAR)]
    await desk.post.run_once()
    lost, waiting = await text_of(desk, first), await text_of(desk, second)
    if waiting["attempts"]:
        first, second, lost, waiting = second, first, waiting, lost
    assert (lost["state"], waiting["state"], waiting["attempts"]) == ("unknown", "pending", 0)
    for _ in range(2):
        await later(desk, seconds=60)
        assert (await text_of(desk, second))["attempts"] == 0 or (await text_of(desk, first))["state"] == "failed"
    lost = await text_of(desk, first)
    assert (lost["state"], lost["reason"]) == ("failed", "the SMS provider does not know it; not sent again")
    await desk.post.notify.sql("UPDATE deliveries SET retry_at = NULL WHERE subject_id = $1", second)
    await desk.post.run_once()
    await later(desk, seconds=60)
    found = await text_of(desk, second)
    assert (found["state"], found["provider_message_id"], found["words_hash"]) == ("accepted", phones.ids[0], None)
    assert len(phones.texts(desk.phone)) == 1


async def test_two_with_the_same_words_do_not_begin_at_once(desk: Desk, phones: Phones) -> None:
    """Also by two processes, which share no batch: what the one has not committed the other cannot see."""
    rows = [await text_of(desk, booking) for booking in await planned(desk, 2)]
    database, token = desk.post.notify.resources.database, uuid4()
    ids = [row["id"] for row in rows]
    claimed = await database.queue(deliveries.QUEUE.claim, database.clock.now(), ids, ["reminder"], token, 60.0)
    assert len(claimed) == 2
    begins = await asyncio.gather(
        *(Notes(database).begin(read(row), NAME, b"the same words") for row in claimed for _ in range(4))
    )
    texts = {read(row).id for row in claimed}
    open_now = await desk.post.notify.sql(
        "SELECT state FROM deliveries WHERE id = ANY ($1) ORDER BY state", list(texts)
    )
    assert [row["state"] for row in open_now] == ["pending", "sending"]
    assert Begun.TWIN in begins


@pytest.mark.parametrize("error", [RuntimeError("died"), TimeoutError()])
async def test_dying_while_it_is_sent_it_is_looked_for(desk: Desk, phones: Phones, error: Exception) -> None:
    booking = await planned(desk)
    phones.answers = [(True, error)]
    await desk.post.run_once()
    assert (await text_of(desk, booking))["state"] == "sending"
    await later(desk, seconds=5)
    row = await text_of(desk, booking)
    assert (row["state"], row["attempts"], row["provider_message_id"]) == ("accepted", 1, phones.ids[0])
    assert len(phones.texts(desk.phone)) == 1


async def test_who_lost_the_lease_writes_nothing(desk: Desk, phones: Phones) -> None:
    """A process that slept past its lease wakes up in the middle of a call."""
    booking = await planned(desk)

    async def lose(_key: str) -> None:
        await desk.post.notify.sql(
            "UPDATE deliveries SET lease_token = gen_random_uuid() WHERE subject_id = $1", booking
        )

    phones.meanwhile = lose
    await desk.post.run_once()
    assert (await text_of(desk, booking))["state"] == "sending"
    phones.meanwhile = None
    await desk.post.notify.sql("UPDATE deliveries SET lease_token = NULL WHERE subject_id = $1", booking)
    await later(desk, seconds=10)
    assert (await text_of(desk, booking))["state"] == "accepted"
    assert len(phones.texts(desk.phone)) == 1


async def test_who_lost_the_lease_calls_nobody(desk: Desk, phones: Phones, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that slept past its lease wakes up just before a call: somebody else may be making it."""
    booking = await planned(desk)
    write = letters.write

    async def lose(*args: Any) -> Any:
        written = await write(*args)
        await desk.post.notify.sql(
            "UPDATE deliveries SET lease_token = gen_random_uuid() WHERE subject_id = $1", booking
        )
        return written

    monkeypatch.setattr(letters, "write", lose)
    await desk.post.run_once()
    row = await text_of(desk, booking)
    assert (row["state"], row["attempts"], phones.texts(desk.phone)) == ("pending", 0, [])


@pytest.mark.parametrize(
    ("answers", "state", "attempts", "texts"),
    [
        ([Deferred("429", 0.01)], "accepted", 2, 1),
        ([Deferred("429", 0.01)] * 3, "failed", 3, 0),
        ([Rejected("not a mobile number")], "failed", 1, 0),
        ([NotAsked("a pause", 0.01)] * 4, "accepted", 1, 1),
    ],
)
async def test_what_was_certainly_not_taken(
    desk: Desk, phones: Phones, answers: list[Exception], state: str, attempts: int, texts: int
) -> None:
    booking = await planned(desk)
    phones.answers = [(False, answer) for answer in answers]
    await desk.post.work_off()
    row = await text_of(desk, booking)
    assert (row["state"], row["attempts"], len(phones.texts(desk.phone))) == (state, attempts, texts)


async def test_without_a_number_there_is_no_text(desk: Desk, phones: Phones) -> None:
    booking = await planned(desk)
    await desk.booking.sql("UPDATE clients SET phone = NULL WHERE phone = $1", desk.phone)
    await desk.post.work_off()
    row = await text_of(desk, booking)
    assert (row["state"], row["attempts"], row["reason"]) == ("skipped", 0, "no phone number")


async def report(desk: Desk, phones: Phones, key: str, outcome: Outcome | None, reason: str = "") -> bool:
    tenant, delivery = parse_key(key) or (None, None)
    assert tenant
    async with desk.post.notify.resources.database.transaction(tenant) as tx:
        return await deliveries.report(
            tx,
            provider=NAME,
            provider_message_id=phones.ids[0] if phones.ids else "SM",
            delivery_id=delivery,
            outcome=outcome,
            reason=reason,
            at=desk.booking.mesh.clock.now(),
        )


async def test_the_providers_word_may_come_before_its_answer(desk: Desk, phones: Phones) -> None:
    booking = await planned(desk)

    async def tell(key: str) -> None:
        assert await report(desk, phones, key, Outcome.DELIVERED)

    phones.meanwhile = tell
    await desk.post.run_once()
    row = await text_of(desk, booking)
    assert (row["state"], row["outcome"], row["provider_message_id"], row["lease_token"]) == (
        "delivered",
        "delivered",
        phones.ids[0],
        None,
    )


async def test_the_providers_word_ends_the_doubt(desk: Desk, phones: Phones) -> None:
    booking = await planned(desk)
    phones.answers = [(True, UNCLEAR)]
    await desk.post.run_once()
    [(_, key, _, _)] = phones.taken
    assert await report(desk, phones, key, None)
    assert (await text_of(desk, booking))["state"] == "accepted"
    await later(desk, seconds=60)
    assert phones.looked == 0


@pytest.mark.parametrize(
    ("told", "state", "outcome"),
    [
        ([None, Outcome.DELIVERED], "delivered", "delivered"),
        ([Outcome.DELIVERED, None, Outcome.DELIVERED], "delivered", "delivered"),
        ([Outcome.BOUNCED, Outcome.DELIVERED], "failed", "bounced"),
        ([Outcome.DELIVERED, Outcome.BOUNCED, Outcome.BOUNCED], "failed", "bounced"),
        ([Outcome.COMPLAINED, Outcome.DELIVERED], "delivered", "complained"),
        ([Outcome.FAILED], "failed", "failed"),
    ],
)
async def test_words_come_twice_and_in_any_order(
    desk: Desk, phones: Phones, told: list[Outcome | None], state: str, outcome: str
) -> None:
    booking = await planned(desk)
    await desk.post.run_once()
    [(_, key, _, _)] = phones.taken
    for word in told:
        await report(desk, phones, key, word, "a reason")
    row = await text_of(desk, booking)
    assert (row["state"], row["outcome"]) == (state, outcome)


async def test_of_what_was_never_sent_no_word_is_believed(desk: Desk, phones: Phones) -> None:
    booking = await planned(desk)
    row = await text_of(desk, booking)
    assert not await report(desk, phones, f"{row['tenant_id'].hex}-{row['id'].hex}", Outcome.DELIVERED)
    assert (await text_of(desk, booking))["state"] == "pending"
