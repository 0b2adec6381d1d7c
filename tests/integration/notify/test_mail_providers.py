"""Each mail provider against its sandbox, through its own SDK: what it takes, what it refuses, what is not known."""

import asyncio
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiosmtpd.smtp import SMTP, AuthResult

from embedded.processes import free_port
from embedded.sandboxes.faults import Faults
from embedded.sandboxes.messages import Messages
from embedded.sandboxes.smtp import SmtpSandbox
from services.notify.providers.answers import AcceptedBefore, Deferred, NotReached, NotSent, Rejected, Unclear
from services.notify.providers.smtp import SmtpMail
from tests.integration.notify.channels import HANG, NOBODY, PATIENCE, Sandboxes, gate, mail_to, new_key

PROVIDERS = ("resend", "sendgrid", "smtp")


def new_address() -> str:
    return f"someone-{uuid4().hex[:12]}@example.test"


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_mail_arrives_whole_and_under_its_key(twins: Sandboxes, name: str) -> None:
    to, key = new_address(), new_key()
    mail = mail_to(to)
    message_id = await twins.mail(name).send(mail, key)
    [got] = await twins.messages(to)
    assert (got["provider"], got["idempotency_key"], got["channel"]) == (name, key, "email")
    assert (got["from"], got["to"], got["subject"]) == (mail.sender, [to], mail.subject)
    assert (got["text"].strip(), got["html"].strip()) == (mail.text.strip(), mail.html)
    assert got["headers"].items() >= mail.other_headers.items()
    assert got["reply_to"] == ["desk@north.example"]
    [file] = got["attachments"]
    assert [await twins.file(file)] == mail.attachments
    assert (file["file_name"], file["media_type"]) == ("quittung-000042.pdf", "application/pdf")
    assert file["size"] == len(mail.attachments[0].content)
    if name == "smtp":
        assert got["headers"]["Message-ID"] == message_id == f"<{key}@north.example>"
    else:
        assert got["id"] == message_id
        assert {"name": "delivery", "value": key} in got["tags"]


# What the weather does -> what it means, and how many mails the provider has then.
WEATHER: dict[str, tuple[object, type[NotSent], int]] = {
    "reject_429": ({"count": 1, "seconds": 7}, Deferred, 0),
    "reject_500": (1, Unclear, 0),
    "reject_html": (1, Unclear, 0),
    "slow": (HANG, Unclear, 1),
    "accept_then_500": (1, Unclear, 1),
    "accept_then_close": (1, Unclear, 1),
    "accept_then_hang": (HANG, Unclear, 1),
    "accept_then_html": (1, Unclear, 1),
}


@pytest.mark.parametrize("fault", WEATHER)
@pytest.mark.parametrize("name", ["resend", "sendgrid"])
async def test_every_fault_says_what_is_known(twins: Sandboxes, name: str, fault: str) -> None:
    knob, meaning, accepted = WEATHER[fault]
    await twins.weather(**{f"{name}:{fault}": knob})
    to = new_address()
    with pytest.raises(NotSent) as answer:
        await twins.mail(name).send(mail_to(to), new_key())
    assert type(answer.value) is meaning
    assert answer.value.retry_after == (7 if fault == "reject_429" else None)
    assert to not in answer.value.reason
    if fault == "slow":
        # Still under way there; it shall not meet the weather of the next test.
        async with asyncio.timeout(60):
            while not await twins.messages(to):  # noqa: ASYNC110 - there is nothing to be told by
                await asyncio.sleep(0.05)
    assert len(await twins.messages(to)) == accepted


@pytest.mark.parametrize("fault", ["reject_429", "reject_500"])
async def test_a_mail_server_that_says_no_for_now_has_not_taken_it(twins: Sandboxes, fault: str) -> None:
    await twins.weather(**{f"smtp:{fault}": 1})
    to = new_address()
    with pytest.raises(Deferred, match="the mail server answered 451"):
        await twins.mail("smtp").send(mail_to(to), new_key())
    assert await twins.messages(to) == []


@pytest.mark.parametrize("fault", ["accept_then_close", "accept_then_hang"])
async def test_a_mail_server_that_falls_silent_may_have_taken_it(twins: Sandboxes, fault: str) -> None:
    await twins.weather(**{f"smtp:{fault}": HANG})
    to = new_address()
    with pytest.raises(Unclear):
        await twins.mail("smtp").send(mail_to(to), new_key())
    assert len(await twins.messages(to)) == 1


@pytest.mark.parametrize("name", PROVIDERS)
async def test_who_was_never_reached_has_nothing(twins: Sandboxes, name: str) -> None:
    with pytest.raises(NotReached):
        await twins.mail(name, url=NOBODY).send(mail_to(new_address()), new_key())


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_bad_address_is_refused_for_good(twins: Sandboxes, name: str) -> None:
    with pytest.raises(Rejected):
        await twins.mail(name).send(mail_to("nobody@nowhere"), new_key())


@pytest.mark.parametrize("name", ["resend", "sendgrid"])
async def test_a_wrong_key_is_our_trouble_and_not_the_mails(twins: Sandboxes, name: str) -> None:
    provider = type(twins.mail(name))("wrong", twins.url, twins.mail(name).gate)  # type: ignore[call-arg]
    with pytest.raises(Deferred):
        await provider.send(mail_to(new_address()), new_key())


async def test_resend_remembers_keys(twins: Sandboxes) -> None:
    to, key, provider = new_address(), new_key(), twins.mail("resend")
    await twins.weather(accept_then_500=1)
    with pytest.raises(Unclear):
        await provider.send(mail_to(to), key)
    message_id = await provider.send(mail_to(to), key)
    [got] = await twins.messages(to)
    assert (got["id"], got["accepted_count"]) == (message_id, 1)
    [file] = mail_to(to).attachments
    other = replace(mail_to(to), attachments=[replace(file, content=b"%PDF of another day")])
    for changed in (other, replace(mail_to(to), attachments=[]), replace(mail_to(to), text="other words")):
        with pytest.raises(AcceptedBefore):
            await provider.send(changed, key)


async def test_the_others_do_not_and_say_so(twins: Sandboxes) -> None:
    for name in ("sendgrid", "smtp"):
        to, key, provider = new_address(), new_key(), twins.mail(name, timeout=PATIENCE)
        assert not provider.remembers_keys
        await provider.send(mail_to(to), key)
        await provider.send(mail_to(to), key)
        assert [got["accepted_count"] for got in await twins.messages(to)] == [2, 2]


async def test_a_mail_server_knows_us_by_our_password(tmp_path: Path) -> None:
    def knows(_server: object, _session: object, _envelope: object, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"studio", b"p@ss:word"))

    messages, port = Messages(tmp_path), free_port()
    handler = SmtpSandbox(messages, Faults())
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(handler, authenticator=knows, auth_required=True, auth_require_tls=False),
        ["127.0.0.1", "127.0.0.2"],
        port,
    )
    async with server:
        for password, answer in (("p%40ss%3Aword", None), ("wrong", Deferred)):
            provider = SmtpMail(f"smtp://studio:{password}@127.0.0.1:{port}", gate(), timeout=5)
            with pytest.raises(answer) if answer else nullcontext():
                await provider.send(mail_to("ann@example.test"), new_key())
        # To another machine it goes by TLS only, which this server does not offer.
        provider = SmtpMail(f"smtp://studio:p%40ss%3Aword@127.0.0.2:{port}", gate(), timeout=5)
        with pytest.raises(NotReached):
            await provider.send(mail_to("ann@example.test"), new_key())
    assert len(messages.newest(None, 10)) == 1
