"""Twilio's SDK against the sandbox: what it takes, what it refuses, what is not known, and how that is looked up."""

from datetime import UTC, datetime, timedelta

import pytest

from services.notify.providers.answers import Deferred, NotReached, NotSent, Rejected, Unclear
from services.notify.providers.sms import Sms
from tests.integration.notify.channels import HANG, NOBODY, Sandboxes, new_key, new_number

STUDIO = "+4930123456"


def sms_to(number: str, text: str = "Pilates Monday at 10:00. Bring socks 🙂") -> Sms:
    return Sms(sender=STUDIO, to=number, text=text)


async def test_a_message_arrives_and_reports_under_its_key(twins: Sandboxes) -> None:
    to, key = new_number(), new_key()
    sid = await twins.sms().send(sms_to(to), key)
    [got] = await twins.messages(to)
    assert (got["id"], got["from"], got["text"], got["channel"]) == (sid, STUDIO, sms_to(to).text, "sms")
    assert (got["idempotency_key"], got["accepted_count"]) == (key, 1)
    assert got["callback"].endswith(f"/webhooks/twilio/{twins.keys.twilio_account}/deliveries/{key}")


WEATHER: dict[str, tuple[object, type[NotSent], int]] = {
    "reject_429": ({"count": 1, "seconds": 7}, Deferred, 0),
    "reject_500": (1, Unclear, 0),
    "reject_html": (1, Unclear, 0),
    "accept_then_500": (1, Unclear, 1),
    "accept_then_close": (1, Unclear, 1),
    "accept_then_hang": (HANG, Unclear, 1),
    "accept_then_html": (1, Unclear, 1),
}


@pytest.mark.parametrize("fault", WEATHER)
async def test_every_fault_says_what_is_known_and_a_look_tells_the_rest(twins: Sandboxes, fault: str) -> None:
    knob, meaning, accepted = WEATHER[fault]
    since = datetime.now(UTC)
    await twins.weather(**{f"twilio:{fault}": knob})
    to, provider = new_number(), twins.sms()
    with pytest.raises(NotSent) as answer:
        await provider.send(sms_to(to), new_key())
    assert type(answer.value) is meaning
    assert answer.value.retry_after == (7 if fault == "reject_429" else None)
    assert to not in answer.value.reason
    if meaning is Unclear:
        found = await provider.find(sms_to(to), since)
        assert found == [got["id"] for got in await twins.messages(to)]
        assert len(found) == accepted


@pytest.mark.parametrize(
    ("number", "meaning", "reason"),
    [
        ("not a number", Rejected, "not a phone number"),
        ("+15005550001", Rejected, "not a phone number"),
        ("+15005550009", Rejected, "not a mobile number"),
        ("+15005550004", Rejected, "unsubscribed"),
        ("+15005550003", Rejected, "the number's country is not allowed in the SMS account"),
        ("+15005550002", Rejected, "the number cannot be reached"),
        ("+15005550008", Deferred, "the SMS provider answered 21611"),
    ],
)
async def test_refusals_have_their_reasons(twins: Sandboxes, number: str, meaning: type[NotSent], reason: str) -> None:
    with pytest.raises(NotSent) as answer:
        await twins.sms().send(sms_to(number), new_key())
    assert (type(answer.value), answer.value.reason) == (meaning, reason)


async def test_a_text_too_long_is_refused_for_good(twins: Sandboxes) -> None:
    with pytest.raises(Rejected, match="the SMS provider answered 21617"):
        await twins.sms().send(sms_to(new_number(), "x" * 1601), new_key())


async def test_who_was_never_reached_has_nothing(twins: Sandboxes) -> None:
    with pytest.raises(NotReached):
        await twins.sms(url=NOBODY).send(sms_to(new_number()), new_key())


async def test_a_look_finds_these_words_alone_through_all_pages(twins: Sandboxes) -> None:
    to, provider = new_number(), twins.sms(timeout=5)
    first = await provider.send(sms_to(to), new_key())
    for number in range(60):
        await provider.send(sms_to(to, f"other words {number}"), new_key())
    await provider.send(sms_to(new_number()), new_key())
    second = await provider.send(sms_to(to), new_key())
    since = datetime.now(UTC) - timedelta(minutes=1)
    assert await provider.find(sms_to(to), since) == [first, second]
    assert await provider.find(sms_to(to), datetime.now(UTC) + timedelta(minutes=1)) == []


async def test_a_look_that_fails_finds_nothing_and_says_so(twins: Sandboxes) -> None:
    await twins.weather(accept_then_html=1)
    with pytest.raises(Unclear):
        await twins.sms().find(sms_to(new_number()), datetime.now(UTC))
