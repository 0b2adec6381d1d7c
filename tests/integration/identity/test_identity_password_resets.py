"""Forgotten passwords: a link by mail, for an hour, once."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from powerhouse.identity.v1 import identity_service_pb2 as pb
from powerhouse.identity.v1.events_pb2 import PasswordResetRequested
from powerhouse.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from tests.integration.identity.house import PASSWORD, Browser, new_email, reason, reasons, refused, verifications
from tests.support.services import Running, fields_of, reason_of

EXPIRED = ("FAILED_PRECONDITION", "LINK_EXPIRED")
NEW = "another long password"


async def test_a_reset_sets_the_password_and_ends_every_session(browser: Browser, identity: Running) -> None:
    email = new_email()
    session = (await browser.sign_up(email)).session_token
    token = (await _mail_link(identity, await _ask(browser, email.upper()))).token
    await _reset(browser, token)
    assert await reason(browser.exchange(session_token=session)) == ("UNAUTHENTICATED", "SESSION_EXPIRED")
    assert await reason(browser.sign_in(email, PASSWORD)) == ("UNAUTHENTICATED", "WRONG_CREDENTIALS")
    await browser.sign_in(email, NEW)


async def test_a_link_works_once_and_voids_the_others(browser: Browser, identity: Running) -> None:
    email = new_email()
    await browser.sign_up(email)
    asked = [await _ask(browser, email) for _ in range(2)]
    one, other = [(await _mail_link(identity, reset)).token for reset in asked]
    assert sorted(await reasons([_reset(browser, one), _reset(browser, one)])) == ["", "LINK_EXPIRED"]
    assert await reason(_reset(browser, other)) == EXPIRED
    assert await reason(_mail_link(identity, asked[1])) == EXPIRED


async def test_a_link_works_once_even_at_the_same_moment(browser: Browser, identity: Running) -> None:
    """Two uses are held up at the account's row until both have come that far; then they race."""
    email = new_email()
    await browser.sign_up(email)
    token = (await _mail_link(identity, await _ask(browser, email))).token
    holder = await asyncpg.connect(f"{identity.mesh.admin_url}/powerhouse_identity")
    try:
        async with holder.transaction():
            await holder.execute("SELECT 1 FROM accounts WHERE email = $1 FOR UPDATE", email)
            uses = asyncio.create_task(reasons([_reset(browser, token), _reset(browser, token)]))
            while len(await identity.sql("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")) < 2:
                assert not uses.done()
    finally:
        await holder.close()
    assert sorted(await uses) == ["", "LINK_EXPIRED"]


async def test_a_link_lives_for_an_hour(browser: Browser, identity: Running) -> None:
    email = new_email()
    await browser.sign_up(email)
    reset = await _ask(browser, email)
    link = await _mail_link(identity, reset)
    assert (link.email, link.display_name) == (email, "Ada")
    rows = await identity.sql(
        "UPDATE password_resets SET expire_time = now() WHERE id = $1 RETURNING expire_time - create_time AS life",
        reset,
    )
    assert rows[0]["life"] < timedelta(hours=1)
    assert await reason(_reset(browser, link.token)) == EXPIRED
    assert await reason(_mail_link(identity, reset)) == EXPIRED


async def test_an_unknown_address_looks_like_a_known_one(browser: Browser, identity: Running) -> None:
    known, unknown = new_email(), new_email()
    await browser.sign_up(known)
    requests = [pb.RequestPasswordResetRequest(email=email) for email in (known, unknown)]
    answers = [await browser.call("RequestPasswordReset", request) for request in requests]
    assert answers == [pb.RequestPasswordResetResponse()] * 2
    # The same rows too; only notify learns that there is nothing to send.
    assert await reason(_mail_link(identity, await _ask(browser, unknown))) == EXPIRED


@pytest.mark.parametrize("password", ["short", "password123", "{email}"])
async def test_a_weak_new_password_leaves_the_link_alive(browser: Browser, identity: Running, password: str) -> None:
    email = new_email()
    await browser.sign_up(email)
    token = (await _mail_link(identity, await _ask(browser, email))).token
    error = await refused(_reset(browser, token, password.format(email=email)))
    assert (reason_of(error), fields_of(error)) == ("WEAK_PASSWORD", ["new_password"])
    await _reset(browser, token)


async def test_a_forged_link_costs_no_hashing(browser: Browser, identity: Running) -> None:
    email = new_email()
    await browser.sign_up(email)
    reset = await _ask(browser, email)
    before = verifications()
    for forged in ("x", reset, UUID(reset).hex + "0" * 64):
        assert await reason(_reset(browser, forged)) == EXPIRED
    assert verifications() == before


async def test_a_reset_opens_a_throttled_account(browser: Browser, identity: Running) -> None:
    email = new_email()
    await browser.sign_up(email)
    await reasons(browser.sign_in(email, "not the password") for _ in range(6))
    token = (await _mail_link(identity, await _ask(browser, email))).token
    await _reset(browser, token)
    await browser.sign_in(email, NEW)


async def test_signing_in_with_the_old_password_never_outlives_a_reset(browser: Browser, identity: Running) -> None:
    """Whatever comes first: no session that the old password opened is alive when both have answered."""
    for _ in range(5):
        email = new_email()
        await browser.sign_up(email)
        token = (await _mail_link(identity, await _ask(browser, email))).token
        await asyncio.gather(_reset(browser, token), browser.sign_in(email, PASSWORD), return_exceptions=True)
        alive = await identity.sql(
            "SELECT 1 FROM sessions JOIN accounts a ON a.id = account_id WHERE email = $1", email
        )
        assert alive == []


async def _ask(browser: Browser, email: str) -> str:
    """Asks for a link and returns the id that notify is told."""
    await browser.call("RequestPasswordReset", pb.RequestPasswordResetRequest(email=email))
    rows = await browser.running.sql(
        "SELECT payload ->> 'passwordResetId' AS id FROM outbox WHERE type = $1 ORDER BY create_time DESC LIMIT 1",
        PasswordResetRequested.DESCRIPTOR.full_name,
    )
    return str(rows[0]["id"])


def _reset(browser: Browser, token: str, password: str = NEW) -> Any:
    return browser.call("ResetPassword", pb.ResetPasswordRequest(token=token, new_password=password))


async def _mail_link(identity: Running, reset_id: str) -> pb.GetMailLinkResponse:
    notify = identity.as_service(IdentityServiceStub, "notify")
    answer: pb.GetMailLinkResponse = await notify.GetMailLink(pb.GetMailLinkRequest(password_reset_id=reset_id))
    return answer
