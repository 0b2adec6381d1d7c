"""Signing up, signing in, signing out."""

import asyncio
import json

import asyncpg
import pytest
from argon2 import PasswordHasher

from powerhouse.identity.v1 import identity_service_pb2 as pb
from powerhouse.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from services.chassis.ids import NO_TENANT, new_id
from tests.integration.identity.house import (
    PASSWORD,
    Browser,
    Studio,
    new_email,
    reason,
    reasons,
    refused,
    verifications,
)
from tests.support.services import Running, fields_of, reason_of


async def test_a_new_account_is_signed_in(browser: Browser) -> None:
    email = new_email()
    answer = await browser.sign_up(f"  {email.upper()} ", name=" Ada Lovelace ")
    assert (answer.account.email, answer.account.display_name) == (email, "Ada Lovelace")
    principal = await browser.exchange(session_token=answer.session_token)
    assert principal.name == answer.account.name
    assert principal.roles == {}


async def test_an_address_has_one_account_however_it_is_written(browser: Browser, identity: Running) -> None:
    email = new_email()
    await browser.sign_up(email)
    assert await reason(browser.sign_up(email.upper())) == ("ALREADY_EXISTS", "EMAIL_TAKEN")
    with pytest.raises(asyncpg.UniqueViolationError):
        await identity.sql("INSERT INTO accounts VALUES ($1, $2, '', '', now(), now())", new_id(), email.title())


async def test_of_many_at_once_one_gets_the_address(browser: Browser) -> None:
    email = new_email()
    assert sorted(await reasons(browser.sign_up(email) for _ in range(6))) == ["", *["EMAIL_TAKEN"] * 5]


@pytest.mark.parametrize(
    ("password", "email"),
    [
        ("too short", None),
        ("Password123", None),
        ("1212121212", None),
        ("Ada.Lovelace@example.test", "ada.lovelace@example.test"),
        ("ada.lovelace", "ada.lovelace@example.test"),
    ],
)
async def test_weak_passwords_are_refused(browser: Browser, password: str, email: str | None) -> None:
    error = await refused(browser.sign_up(email, password))
    assert (error.code().name, reason_of(error), fields_of(error)) == (
        "INVALID_ARGUMENT",
        "WEAK_PASSWORD",
        ["password"],
    )


@pytest.mark.parametrize("email", ["nobody", "a@b", "a b@c.de", "a@b@c.de", "@c.de"])
async def test_what_is_no_address_is_refused(browser: Browser, email: str) -> None:
    for call in (browser.sign_up(email), browser.sign_in(email)):
        error = await refused(call)
        assert (reason_of(error), fields_of(error)) == ("INVALID_EMAIL", ["email"])


@pytest.mark.parametrize("name", ["   ", "two\nlines", "a\0b"])
async def test_a_name_is_one_line_of_text(browser: Browser, name: str) -> None:
    assert fields_of(await refused(browser.sign_up(name=name))) == ["display_name"]


async def test_a_wrong_password_and_an_unknown_address_look_and_cost_the_same(browser: Browser) -> None:
    email = new_email()
    await browser.sign_up(email)
    before = verifications()
    wrong = await refused(browser.sign_in(email, "not the password"))
    between = verifications()
    unknown = await refused(browser.sign_in(new_email(), "not the password"))
    after = verifications()
    assert (wrong.code(), wrong.details(), reason_of(wrong)) == (unknown.code(), unknown.details(), reason_of(unknown))
    assert reason_of(wrong) == "WRONG_CREDENTIALS"
    assert between - before == after - between == 1


async def test_signing_in_ignores_how_the_address_and_accents_are_written(browser: Browser) -> None:
    email = new_email()
    await browser.sign_up(email, "a pässword composed")
    answer = await browser.sign_in(email.upper(), "a pa\u0308ssword composed")
    assert answer.account.email == email
    assert answer.session_token


async def test_a_hash_of_yesterdays_parameters_is_replaced(browser: Browser, identity: Running) -> None:
    email = new_email()
    await browser.sign_up(email)
    old = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    await identity.sql("UPDATE accounts SET password_hash = $1 WHERE email = $2", old, email)
    await reason(browser.sign_in(email, "not the password"))
    assert await _hash_of(identity, email) == old
    await browser.sign_in(email)
    assert "$m=19456,t=2,p=1$" in await _hash_of(identity, email)
    await browser.sign_in(email)


async def test_signing_out_ends_this_session_only_and_may_be_repeated(browser: Browser, identity: Running) -> None:
    email = new_email()
    one = (await browser.sign_up(email)).session_token
    other = (await browser.sign_in(email)).session_token
    me = identity.as_principal(IdentityServiceStub, await browser.exchange("identity", session_token=one))
    for _ in range(2):
        assert await me.SignOut(pb.SignOutRequest()) == pb.SessionResponse()
    assert await reason(browser.exchange(session_token=one)) == ("UNAUTHENTICATED", "SESSION_EXPIRED")
    await browser.exchange(session_token=other)


async def test_my_account_shows_me_and_my_roles(studio: Studio, identity: Running) -> None:
    answer = await studio.as_owner().GetMyAccount(pb.GetMyAccountRequest())
    assert answer.account.name == f"accounts/{studio.owner}"
    assert [binding.name.rpartition("/")[0] for binding in answer.role_bindings] == [f"{studio.name}/roleBindings"]
    nobody = identity.as_account(IdentityServiceStub)
    assert await reason(nobody.GetMyAccount(pb.GetMyAccountRequest())) == ("NOT_FOUND", "NOT_FOUND")
    stranger = identity.anonymous(IdentityServiceStub)
    assert await reason(stranger.GetMyAccount(pb.GetMyAccountRequest())) == ("UNAUTHENTICATED", "NOT_SIGNED_IN")


async def test_signing_in_is_audited_by_id(browser: Browser, identity: Running) -> None:
    email = new_email()
    name = (await browser.sign_up(email)).account.name
    await browser.sign_in(email)
    await reason(browser.sign_in(email, "not the password"))
    rows = await identity.sql(
        "SELECT * FROM audit_entries WHERE tenant_id = $1 AND resource = $2 ORDER BY id", NO_TENANT, name
    )
    assert [row["method"] for row in rows] == ["SignUp", "SignIn"]


async def test_nothing_personal_leaves_the_tables_it_belongs_to(
    browser: Browser, identity: Running, capfd: pytest.CaptureFixture[str]
) -> None:
    email, name, password = new_email(), "Zebulon Canary", "canary password 7"
    answer = await browser.sign_up(email, password, name)
    await asyncio.gather(
        reason(browser.sign_in(email, "canary wrong 7")),
        browser.call("RequestPasswordReset", pb.RequestPasswordResetRequest(email=email)),
    )
    stored = {}
    for table in ("outbox", "jobs", "audit_entries", "idempotency", "attempts", "sessions", "password_resets"):
        rows = await identity.sql(f"SELECT to_jsonb(t)::text AS row FROM {table} t")
        stored[table] = json.dumps([row["row"] for row in rows])
    logged = "".join(capfd.readouterr())
    for canary in (email, name, "canary", answer.session_token):
        assert canary not in logged
        assert [table for table, text in stored.items() if canary in text] == []


async def _hash_of(identity: Running, email: str) -> str:
    rows = await identity.sql("SELECT password_hash FROM accounts WHERE email = $1", email)
    return str(rows[0]["password_hash"])
