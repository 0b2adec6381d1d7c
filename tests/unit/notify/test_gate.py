"""The gate before a provider, with a clock that the test holds."""

from uuid import uuid4

import pytest

from services.notify.providers.answers import Deferred, NotAsked, NotReached, NotSent, Rejected, Unclear
from services.notify.providers.gate import FAILURES, PAUSE, Gate
from services.notify.providers.keys import key_of, parse_key
from services.notify.providers.mail import Mail
from services.notify.providers.routes import MailRoute


class Seconds:
    """A clock that stands until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def call(gate: Gate, answer: NotSent | None = None) -> None:
    async with gate.passing():
        if answer:
            raise answer


async def fail(gate: Gate, times: int, answer: NotSent | None = None) -> None:
    for _ in range(times):
        with pytest.raises((Unclear, NotReached)):
            await call(gate, answer or Unclear("?"))


@pytest.mark.parametrize("answer", [Unclear("?"), NotReached("?")])
async def test_a_provider_that_is_down_is_left_alone(answer: NotSent) -> None:
    clock = Seconds()
    gate = Gate("it", 1000, clock)
    await fail(gate, FAILURES, answer)
    with pytest.raises(NotAsked) as refusal:
        await call(gate)
    assert refusal.value.retry_after == gate.closed_for == PAUSE


async def test_a_few_failures_are_nothing_and_an_answer_ends_the_count() -> None:
    gate = Gate("it", 1000, Seconds())
    for answer in (None, Rejected("no"), Deferred("not now")):
        await fail(gate, FAILURES - 1)
        if answer:
            with pytest.raises(type(answer)):
                await call(gate, answer)
        else:
            await call(gate)
    await fail(gate, FAILURES - 1)
    assert gate.closed_for == 0


async def test_after_the_pause_one_goes_first() -> None:
    clock = Seconds()
    gate = Gate("it", 1000, clock)
    await fail(gate, FAILURES)
    clock.now += PAUSE
    async with gate.passing():
        # While the first one is under way the others wait.
        with pytest.raises(NotAsked):
            await call(gate)
    await call(gate)
    await fail(gate, FAILURES)
    clock.now += PAUSE
    await fail(gate, 1)
    with pytest.raises(NotAsked):
        await call(gate)


async def test_a_pause_that_is_asked_for_is_given() -> None:
    clock = Seconds()
    gate = Gate("it", 1000, clock)
    with pytest.raises(Deferred):
        await call(gate, Deferred("too many", 7))
    with pytest.raises(NotAsked) as refusal:
        await call(gate)
    assert refusal.value.retry_after == 7
    clock.now += 7
    await call(gate)


async def test_calls_beyond_the_rate_wait_their_turn() -> None:
    gate = Gate("it", 2, Seconds())
    await call(gate)
    await call(gate)
    assert not gate._limiter.has_capacity()


class Twin:
    """A mail provider that sends nothing."""

    def __init__(self, name: str, *, remembers_keys: bool) -> None:
        self.name, self.remembers_keys, self.gate = name, remembers_keys, Gate(name, 1000, Seconds())

    async def send(self, mail: Mail, key: str) -> str:
        raise NotImplementedError


async def test_the_second_is_asked_when_the_first_certainly_has_nothing() -> None:
    first, second = Twin("resend", remembers_keys=True), Twin("sendgrid", remembers_keys=False)
    route = MailRoute([first, second])
    assert route.choose() is first
    assert route.choose("resend") is second
    assert route.choose("sendgrid") is first
    await fail(first.gate, FAILURES)
    assert route.choose() is second
    await fail(second.gate, FAILURES)
    # When nobody is well, in order.
    assert route.choose() is first


async def test_nobody_else_is_asked_while_the_first_may_have_it() -> None:
    first, second = Twin("resend", remembers_keys=True), Twin("sendgrid", remembers_keys=False)
    route = MailRoute([first, second])
    await fail(first.gate, FAILURES)
    assert route.choose("resend", may_have_it=True) is first
    assert route.choose("sendgrid", may_have_it=True) is None
    assert route.choose("smtp", may_have_it=True) is None
    assert MailRoute([first]).choose("resend") is first


def test_keys_are_read_back_and_nothing_else_is() -> None:
    studio, delivery = uuid4(), uuid4()
    assert parse_key(key_of(studio, delivery)) == (studio, delivery)
    for text in ("", str(delivery), f"{studio}-{delivery}", f"{key_of(studio, delivery)}0", "g" * 32 + "-" + "0" * 32):
        assert parse_key(text) is None
