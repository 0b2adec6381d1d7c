"""One event, one mail: whatever comes twice, fails half-way or dies in between."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from powerhouse.identity.v1 import identity_service_pb2 as identity_pb
from powerhouse.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from powerhouse.notify.v1.notify_service_pb2 import Delivery
from services.chassis.ids import NO_TENANT, new_id
from services.chassis.jobs.sweeper import sweep
from services.notify import sending
from services.notify.jobs import outbound
from services.notify.providers.answers import Unclear
from services.notify.providers.choice import Providers, providers_of
from services.notify.providers.gate import Gate
from services.notify.providers.keys import key_of
from services.notify.providers.resend import ResendMail
from services.notify.providers.routes import MailRoute
from services.notify.sending import MAX_RUNS
from services.notify.service import SERVICE as NOTIFY
from tests.integration.notify.channels import mail_to, new_key
from tests.integration.notify.dying import die
from tests.integration.notify.house import KEY, Post, new_email
from tests.support.services import Mesh


async def test_an_event_that_comes_twice_makes_one_delivery_and_one_mail(post: Post) -> None:
    invitation, email = await post.invite()
    [envelope] = await post.carry(post.identity, invitation)
    await post.apply([envelope])
    # The same fact under another id: the unique key of the delivery holds where the inbox cannot.
    await post.apply([replace(envelope, event_id=str(new_id()))])
    await post.work_off()
    delivery = await post.delivery(invitation)
    [mail] = await post.mails(email)
    assert (delivery["state"], delivery["attempts"], delivery["reason"]) == ("accepted", 1, "")
    assert mail["id"] == delivery["provider_message_id"]
    assert mail["idempotency_key"] == key_of(post.studio, delivery["id"])
    assert mail["subject"] == "You are invited to a studio on Powerhouse"
    assert "as front desk" in mail["text"]
    assert "/accept-invitation#token=" in mail["text"]


async def test_four_workers_at_once_send_once(post: Post) -> None:
    invitations = [await post.invite() for _ in range(8)]
    for invitation, _ in invitations:
        await post.carry(post.identity, invitation)
    await asyncio.gather(*(post.work_off() for _ in range(4)))
    for invitation, email in invitations:
        assert (await post.delivery(invitation))["attempts"] == 1
        assert len(await post.mails(email)) == 1


async def test_a_password_reset_is_of_no_studio_and_in_no_list(post: Post) -> None:
    email = new_email()
    public = post.identity.anonymous(IdentityServiceStub)
    await public.SignUp(identity_pb.SignUpRequest(email=email, password="long enough to pass", display_name="Ann <b>"))
    await public.RequestPasswordReset(identity_pb.RequestPasswordResetRequest(email=email))
    [row] = await post.identity.sql("SELECT id FROM password_resets ORDER BY create_time DESC LIMIT 1")
    delivery = await post.send(post.identity, row["id"])
    [mail] = await post.mails(email)
    assert delivery["tenant_id"] == NO_TENANT
    assert delivery["state"] == "accepted"
    assert "/reset-password#token=" in mail["text"]
    assert "Ann &lt;b&gt;" in mail["html"]
    assert not [listed for listed in await post.listed() if listed.kind == Delivery.PASSWORD_RESET]


async def test_a_reset_for_nobody_sends_nothing(post: Post) -> None:
    email = new_email()
    public = post.identity.anonymous(IdentityServiceStub)
    await public.RequestPasswordReset(identity_pb.RequestPasswordResetRequest(email=email))
    [row] = await post.identity.sql("SELECT id FROM password_resets ORDER BY create_time DESC LIMIT 1")
    delivery = await post.send(post.identity, row["id"])
    assert (delivery["state"], delivery["attempts"]) == ("skipped", 0)
    assert delivery["reason"] == "the link was used, withdrawn or has expired"
    assert not await post.mails(email)


@pytest.mark.parametrize(
    ("fault", "attempts"),
    [
        ({"accept_then_500": 1}, 2),
        ({"accept_then_500": 2}, 3),
        ({"accept_then_close": 1}, 2),
        ({"reject_500": 2}, 3),
        ({"reject_429": {"count": 2, "seconds": 1}}, 3),
    ],
)
async def test_a_provider_that_stumbles_still_sends_once(post: Post, fault: dict[str, object], attempts: int) -> None:
    invitation, email = await post.invite()
    await post.misbehave(**fault)
    delivery = await post.send(post.identity, invitation)
    assert (delivery["state"], delivery["attempts"]) == ("accepted", attempts)
    [mail] = await post.mails(email)
    assert mail["accepted_count"] == 1
    assert mail["id"] == delivery["provider_message_id"]


@pytest.mark.parametrize(
    ("fault", "mails", "reason"),
    [
        ({"reject_500": 9}, 0, "the mail provider answered 500 application_error"),
        ({"reject_429": {"count": 9, "seconds": 1}}, 0, "the mail provider answered 429 rate_limit_exceeded"),
        ({"accept_then_500": 9}, 1, "the mail provider answered 500 application_error"),
    ],
)
async def test_the_third_attempt_is_the_last(post: Post, fault: dict[str, object], mails: int, reason: str) -> None:
    invitation, email = await post.invite()
    await post.misbehave(**fault)
    delivery = await post.send(post.identity, invitation)
    assert (delivery["state"], delivery["attempts"], delivery["reason"]) == ("failed", 3, reason)
    assert len(await post.mails(email)) == mails


def by_resend(post: Post, url: str, timeout: float = 10) -> Providers:
    """Mail by Resend alone."""
    resend = ResendMail(KEY, url, Gate("the mail provider", 1000), timeout=timeout)
    post.notify.resources.others.push_async_callback(resend.close)
    return Providers(MailRoute([resend]), None, None)


async def test_retry_after_is_honoured(post: Post) -> None:
    invitation, _ = await post.invite()
    await post.misbehave(reject_429={"count": 1, "seconds": 120})
    await post.carry(post.identity, invitation)
    await post.run_once()
    [job] = await post.notify.sql(
        "SELECT *, retry_at - clock_timestamp() AS pause FROM deliveries WHERE subject_id = $1", invitation
    )
    assert job["lease_token"] is None
    assert timedelta(seconds=100) < job["pause"] <= timedelta(seconds=120)
    assert (await post.delivery(invitation))["state"] == "pending"
    await post.notify.sql("UPDATE deliveries SET retry_at = NULL")
    providers_of.cache_clear()
    await post.work_off()


async def test_a_pause_of_the_provider_costs_no_call_of_what_it_may_have(post: Post) -> None:
    (first, email), (second, _) = await post.invite(), await post.invite()
    await post.carry(post.identity, first)
    await post.misbehave(accept_then_500=1)
    await post.run_once()
    # Another mail is told to wait, and so is the repeat of the first.
    await post.misbehave(reject_429={"count": 1, "seconds": 60})
    await post.notify.sql("UPDATE deliveries SET retry_at = clock_timestamp() + interval '1 minute'")
    await post.carry(post.identity, second)
    await post.run_once()
    await post.notify.sql("UPDATE deliveries SET retry_at = NULL")
    await post.run_once()
    delivery = await post.delivery(first)
    assert (delivery["state"], delivery["attempts"], delivery["lease_token"]) == ("sending", 1, None)
    assert delivery["reason"] == "the mail provider gets a pause"
    await post.notify.sql("UPDATE deliveries SET retry_at = NULL")
    providers_of.cache_clear()
    await post.work_off()
    delivery = await post.delivery(first)
    assert (delivery["state"], delivery["attempts"]) == ("accepted", 2)
    assert len(await post.mails(email)) == 1


async def test_a_slow_provider_accepts_once(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "providers_of", lambda _: by_resend(post, post.sandbox, timeout=0.2))
    invitation, email = await post.invite()
    await post.misbehave(slow={"count": 1, "seconds": 0.4})
    delivery = await post.send(post.identity, invitation)
    assert (delivery["state"], delivery["attempts"]) == ("accepted", 2)
    await asyncio.sleep(0.5)
    [mail] = await post.mails(email)
    assert mail["accepted_count"] == 1


async def test_connections_to_providers_are_closed_with_the_process(mesh: Mesh, sandbox: str) -> None:
    async with mesh.running(NOTIFY, {"RESEND_API_KEY": KEY, "RESEND_API_URL": sandbox}) as notify:
        provider = providers_of(notify.resources).mail.choose()
        assert provider
        await provider.send(mail_to(new_email()), new_key())
    with pytest.raises(Unclear):
        await provider.send(mail_to(new_email()), new_key())


async def test_a_provider_nobody_reaches_fails_with_its_reason(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "providers_of", lambda _: by_resend(post, "http://127.0.0.1:1"))
    invitation, _ = await post.invite()
    delivery = await post.send(post.identity, invitation)
    assert (delivery["state"], delivery["attempts"]) == ("failed", 3)
    assert delivery["reason"] == "the mail provider could not be reached"


async def test_other_words_under_the_same_key_are_refused_and_the_first_acceptance_counts(post: Post) -> None:
    invitation, email = await post.invite()
    await post.carry(post.identity, invitation)
    await post.misbehave(accept_then_500=1)
    await post.run_once()
    assert (await post.delivery(invitation))["state"] == "sending"
    await post.identity.sql("UPDATE invitations SET role = 2 WHERE id = $1", invitation)
    await post.work_off()
    delivery = await post.delivery(invitation)
    assert (delivery["state"], delivery["attempts"]) == ("accepted", 2)
    assert delivery["reason"].startswith("accepted earlier with other words")
    [mail] = await post.mails(email)
    assert "front desk" in mail["text"]


async def test_a_crash_after_the_provider_accepted_sends_once(post: Post) -> None:
    invitation, email = await post.invite()
    await post.carry(post.identity, invitation)
    await die(post.notify, {"RESEND_API_KEY": KEY, "RESEND_API_URL": post.sandbox})
    delivery = await post.delivery(invitation)
    assert (delivery["state"], delivery["attempts"], delivery["provider_message_id"]) == ("sending", 1, "")
    assert len(await post.mails(email)) == 1

    await post.notify.sql("UPDATE deliveries SET lease_until = clock_timestamp() - interval '1 second'")
    assert await sweep(post.notify.resources.database, outbound)
    await post.work_off()
    delivery = await post.delivery(invitation)
    [mail] = await post.mails(email)
    assert (delivery["state"], delivery["attempts"]) == ("accepted", 2)
    assert mail["id"] == delivery["provider_message_id"]
    assert mail["accepted_count"] == 1


async def test_an_open_outcome_is_not_asked_again_when_the_provider_has_forgotten_the_key(post: Post) -> None:
    invitation, email = await post.invite()
    await post.carry(post.identity, invitation)
    await post.notify.sql(
        "UPDATE deliveries SET state = 'sending', attempts = 1,"
        " first_attempt_time = clock_timestamp() - interval '24 hours' WHERE subject_id = $1",
        invitation,
    )
    await post.work_off()
    delivery = await post.delivery(invitation)
    assert (delivery["state"], delivery["attempts"]) == ("failed", 1)
    assert not await post.mails(email)


async def test_a_bad_address_fails_at_once(post: Post) -> None:
    for address, attempts, reason in [
        ("nobody@nowhere", 1, "the mail provider answered 422 validation_error"),
        ("a@example.test\r\nBcc: b@example.test", 0, "invalid e-mail address"),
        ("Ann <a@example.test>, b@example.test", 0, "invalid e-mail address"),
    ]:
        invitation, _ = await post.invite()
        await post.identity.sql("UPDATE invitations SET email = $2 WHERE id = $1", invitation, address)
        delivery = await post.send(post.identity, invitation)
        assert (delivery["state"], delivery["attempts"], delivery["reason"]) == ("failed", attempts, reason)


async def test_a_mail_waits_for_whom_it_asks(post: Post) -> None:
    invitation, email = await post.invite()
    await post.carry(post.identity, invitation)
    target = post.notify.mesh.targets["identity"]
    stubs = post.notify.resources.stubs
    await stubs.close()
    post.notify.mesh.targets["identity"] = "127.0.0.1:1"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await post.work_off()
    assert (await post.delivery(invitation))["state"] == "pending"
    assert not await post.mails(email)

    # It does not wait for ever.
    await post.notify.sql(
        "UPDATE deliveries SET runs = $1, retry_at = NULL, lease_token = NULL WHERE state = 'pending'", MAX_RUNS - 1
    )
    await post.work_off()
    delivery = await post.delivery(invitation)
    assert (delivery["state"], delivery["attempts"]) == ("failed", 0)
    assert "could not be asked: UNAVAILABLE" in delivery["reason"]
    await stubs.close()
    post.notify.mesh.targets["identity"] = target


async def test_nothing_personal_is_kept_or_logged(post: Post, capfd: pytest.CaptureFixture[str]) -> None:
    invitation, email = await post.invite()
    await post.misbehave(accept_then_500=1)
    await post.send(post.identity, invitation)
    [mail] = await post.mails(email)
    token = mail["text"].partition("#token=")[2].split()[0]
    kept = []
    for table in ("deliveries", "jobs", "inbox", "outbox", "dead_letters"):
        kept += [row[0] for row in await post.notify.sql(f"SELECT t::text FROM {table} t")]
    kept += [row[0] for row in await post.identity.sql("SELECT t::text FROM outbox t")]
    logged = "".join(capfd.readouterr())
    assert "not_sent" in logged
    for secret in (email, token):
        assert not [line for line in kept if secret in line]
        assert secret not in logged


async def test_the_database_guards_the_way_of_a_delivery(post: Post) -> None:
    invitation, _ = await post.invite()
    await post.send(post.identity, invitation)
    for change in ("state = 'pending'", "state = 'failed', reason = 'x', accept_time = NULL", "reason = 'x'"):
        with pytest.raises(asyncpg.CheckViolationError):
            await post.notify.sql(f"UPDATE deliveries SET {change} WHERE subject_id = $1", invitation)
    with pytest.raises(asyncpg.UniqueViolationError):
        await post.notify.sql(
            "INSERT INTO deliveries SELECT (jsonb_populate_record(d, jsonb_build_object('id', gen_random_uuid(),"
            " 'state', 'pending', 'accept_time', null))).* FROM deliveries d WHERE subject_id = $1",
            invitation,
        )
    fresh, _ = await post.invite()
    await post.carry(post.identity, fresh)
    for change in ("state = 'accepted', accept_time = now()", "state = 'skipped'", "attempts = 4"):
        with pytest.raises(asyncpg.CheckViolationError):
            await post.notify.sql(f"UPDATE deliveries SET {change} WHERE subject_id = $1", fresh)
    await post.work_off()
