"""Guessing is slow: per account, per client address, and for all attempts at once."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from powerhouse.identity.v1 import identity_service_pb2 as pb
from powerhouse.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from services.identity import throttle
from tests.integration.identity.house import (
    PASSWORD,
    Browser,
    new_email,
    reason,
    reasons,
    refused,
    retry_after,
    verifications,
)
from tests.support.services import Running

WRONG = "not the password"


@pytest.mark.parametrize("known", [True, False])
async def test_five_failures_close_an_address_known_or_not(browser: Browser, identity: Running, known: bool) -> None:
    email = new_email()
    if known:
        await browser.sign_up(email)
    for _ in range(5):
        assert await reason(browser.sign_in(email, WRONG)) == ("UNAUTHENTICATED", "WRONG_CREDENTIALS")
    before = verifications()
    elsewhere = Browser(identity)
    for visitor, password in ((browser, WRONG), (elsewhere, PASSWORD)):
        error = await refused(visitor.sign_in(email.upper(), password))
        assert error.code().name == "RESOURCE_EXHAUSTED"
        assert timedelta(minutes=14) < timedelta(seconds=retry_after(error)) <= timedelta(minutes=15)
    assert verifications() == before


@pytest.fixture
async def slow_counting(identity: Running) -> AsyncIterator[None]:
    """Between counting and being counted lies time enough for everybody else."""
    await identity.sql("""
        CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END'
    """)
    await identity.sql("CREATE TRIGGER dawdle BEFORE INSERT ON attempts FOR EACH STATEMENT EXECUTE FUNCTION dawdle()")
    yield
    await identity.sql("DROP FUNCTION dawdle CASCADE")


@pytest.mark.usefixtures("slow_counting")
async def test_attempts_at_the_same_time_are_counted_before_they_are_tried(browser: Browser) -> None:
    email = new_email()
    await browser.sign_up(email)
    before = verifications()
    found = await reasons(browser.sign_in(email, WRONG) for _ in range(20))
    assert sorted(found) == ["TOO_MANY_ATTEMPTS"] * 15 + ["WRONG_CREDENTIALS"] * 5
    assert verifications() - before == 5


async def test_other_accounts_at_the_same_client_stay_open(browser: Browser) -> None:
    closed, open_ = new_email(), new_email()
    await browser.sign_up(open_)
    await reasons(browser.sign_in(closed, WRONG) for _ in range(6))
    await browser.sign_in(open_)


async def test_success_forgives(browser: Browser) -> None:
    email = new_email()
    await browser.sign_up(email)
    for _ in range(2):
        assert await reasons(browser.sign_in(email, WRONG) for _ in range(4)) == ["WRONG_CREDENTIALS"] * 4
        await browser.sign_in(email)


async def test_failures_count_for_fifteen_minutes(browser: Browser, identity: Running) -> None:
    email = new_email()
    await browser.sign_up(email)
    await reasons(browser.sign_in(email, WRONG) for _ in range(5))
    await _age_attempts(identity, timedelta(minutes=14))
    error = await refused(browser.sign_in(email))
    assert 0 < retry_after(error) <= 60
    await _age_attempts(identity, timedelta(minutes=1))
    await browser.sign_in(email)


async def test_a_client_that_tries_many_accounts_is_stopped(
    browser: Browser, identity: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "FAILURES_PER_CLIENT", 8)
    found = await reasons(browser.sign_in(new_email(), WRONG) for _ in range(12))
    assert sorted(found) == ["TOO_MANY_ATTEMPTS"] * 4 + ["WRONG_CREDENTIALS"] * 8
    assert await reason(browser.sign_up()) == ("RESOURCE_EXHAUSTED", "TOO_MANY_ATTEMPTS")
    await Browser(identity).sign_up()


async def test_asking_who_has_an_account_counts_but_signing_up_does_not(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "FAILURES_PER_CLIENT", 3)
    email = new_email()
    await browser.sign_up(email)
    for _ in range(4):
        await browser.sign_up()
    for _ in range(3):
        assert await reason(browser.sign_up(email)) == ("ALREADY_EXISTS", "EMAIL_TAKEN")
    assert await reason(browser.sign_up()) == ("RESOURCE_EXHAUSTED", "TOO_MANY_ATTEMPTS")


@pytest.mark.parametrize("known", [True, False])
async def test_reset_mails_cannot_be_sent_without_end(browser: Browser, known: bool) -> None:
    email = new_email()
    if known:
        await browser.sign_up(email)
    request = pb.RequestPasswordResetRequest(email=email)
    found = await reasons(browser.call("RequestPasswordReset", request) for _ in range(6))
    assert sorted(found) == [*[""] * 5, "TOO_MANY_ATTEMPTS"]


async def test_a_program_cannot_make_up_addresses(identity: Running) -> None:
    """The public port has no member of the mesh behind it whose word on addresses counts."""
    stub = identity.anonymous(IdentityServiceStub)
    before = await identity.sql("SELECT count(DISTINCT subject) FROM attempts")
    for number in range(3):
        request = pb.SignInRequest(email="same@example.test", password=WRONG)
        await reason(stub.SignIn(request, metadata=(("x-forwarded-for", f"192.0.2.{number}"),)))
    after = await identity.sql("SELECT count(DISTINCT subject) FROM attempts")
    # One for the account, one for the client.
    assert after[0]["count"] - before[0]["count"] <= 2


async def _age_attempts(identity: Running, by: timedelta) -> None:
    await identity.sql("UPDATE attempts SET create_time = create_time - $1::interval", by)
