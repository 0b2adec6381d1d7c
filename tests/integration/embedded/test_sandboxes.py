"""The sandboxes of SendGrid, Twilio and mail servers, called by the providers' own SDKs as they come."""

import os
import signal
import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import Mail
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from embedded.children import answers
from embedded.processes import free_port
from embedded.sandboxes.faults import Faults
from embedded.sandboxes.keys import Keys

STUDIO, ANN = "+4930123456", "+4915112345678"


@dataclass
class Running:
    """Running sandboxes."""

    url: str
    smtp_port: int
    keys: Keys

    @property
    def twilio(self) -> Client:
        return Client(self.keys.twilio_account, self.keys.twilio_token, http_client=Redirected(self.url))

    def captured(self, to: str) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = httpx.get(f"{self.url}/sandbox/messages", params={"to": to}).json()["messages"]
        return messages


class Redirected(TwilioHttpClient):  # type: ignore[misc]  # the SDK has no types
    """The SDK's own client, but for the host."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def request(self, method: str, url: str, *args: Any, **more: Any) -> Any:
        parts = urlsplit(url)
        return super().request(method, f"{self._url}{parts.path}?{parts.query}", *args, **more)


MAIL: dict[str, Any] = {
    "personalizations": [{"to": [{"email": "ann@example.com"}]}],
    "from": {"email": "hello@north.example"},
    "subject": "You are booked",
    "content": [{"type": "text/plain", "value": "Monday."}],
}


@contextmanager
def sandboxes(directory: Path, keys: Keys) -> Iterator[Running]:
    """All sandboxes as one process."""
    port, smtp = free_port(), free_port()
    command = [sys.executable, "-m", "embedded.sandboxes", "--port", str(port), "--directory", str(directory)]
    command += ["--smtp-port", str(smtp)]
    with subprocess.Popen(command, env={**os.environ, **keys.of_sandbox()}, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 60
            while not answers(port):
                assert time.monotonic() < deadline, "the sandboxes did not start"
                time.sleep(0.05)
            yield Running(f"http://127.0.0.1:{port}", smtp, keys)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with sandboxes(tmp_path_factory.mktemp("sandboxes"), Keys()) as started:
        yield started


def test_sendgrids_sdk_sends_what_its_helpers_make(running: Running) -> None:
    mail = Mail("hello@north.example", "ann@example.com", "You are booked", "Monday.", "<p>Monday.</p>")
    answer = SendGridAPIClient(running.keys.sendgrid, host=running.url).send(mail)
    assert (answer.status_code, answer.body) == (202, b"")
    [message] = running.captured("Ann@example.com")
    assert message["id"] == answer.headers["X-Message-Id"]
    assert (message["subject"], message["text"], message["html"]) == ("You are booked", "Monday.", "<p>Monday.</p>")
    assert message["attachments"] == []


def test_only_pdf_is_opened_at_the_address_of_the_page(running: Running) -> None:
    page = {"content": "PHNjcmlwdD4=", "filename": "a page.html", "type": "text/html"}
    headers = {"authorization": f"Bearer {running.keys.sendgrid}"}
    sent = httpx.post(f"{running.url}/v3/mail/send", json=MAIL | {"attachments": [page]}, headers=headers)
    message = running.captured("ann@example.com")[0]
    assert message["id"] == sent.headers["x-message-id"]
    [file] = message["attachments"]
    opened = httpx.get(f"{running.url}{file['path']}")
    assert (opened.headers["content-type"], opened.content) == ("application/octet-stream", b"<script>")
    assert httpx.get(f"{running.url}/sandbox/messages/{message['id']}/attachments/1/x").status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ([], 400),
        ({"personalizations": [{"to": [{"email": "nobody"}]}]}, 400),
        ({"personalizations": [{"to": []}], "from": {"email": "a@b.co"}, "subject": "x", "content": []}, 400),
        (MAIL | {"attachments": [{"content": "JVBERg=="}]}, 400),
        (MAIL | {"attachments": [{"content": "%PDF", "filename": "a.pdf"}]}, 400),
        (MAIL | {"attachments": [{"content": "JVBERg==", "filename": "a.pdf", "type": "text/plain; charset=x"}]}, 400),
        (MAIL | {"attachments": [{"content": "JVBERg==", "filename": "a.pdf", "disposition": "hidden"}]}, 400),
        (MAIL | {"subject": "x" * 30 * 2**20}, 413),
    ],
)
def test_sendgrid_refuses_in_its_form(running: Running, body: object, status: int) -> None:
    headers = {"authorization": f"Bearer {running.keys.sendgrid}"}
    answer = httpx.post(f"{running.url}/v3/mail/send", json=body, headers=headers)
    assert answer.status_code == status
    assert answer.json()["errors"][0]["message"]
    assert (
        httpx.post(f"{running.url}/v3/mail/send", json=body, headers={"authorization": "Bearer x"}).status_code == 401
    )


def test_twilios_sdk_creates_fetches_and_lists(running: Running) -> None:
    created = running.twilio.messages.create(to=ANN, from_=STUDIO, body="Monday at ten")
    fetched = running.twilio.messages(created.sid).fetch()
    assert (fetched.body, fetched.to, fetched.from_) == ("Monday at ten", ANN, STUDIO)
    assert (fetched.status, fetched.error_code, fetched.direction) == ("queued", None, "outbound-api")
    assert datetime.now(UTC) - fetched.date_sent < timedelta(minutes=1)
    others = [running.twilio.messages.create(to="+4915112345679", from_=STUDIO, body=str(n)).sid for n in range(7)]
    listed = running.twilio.messages.list(to="+4915112345679", page_size=3)
    assert [message.sid for message in listed] == list(reversed(others))
    now = datetime.now(UTC)
    for query, count in (
        ({"date_sent_after": now - timedelta(hours=1)}, 7),
        ({"date_sent_after": now + timedelta(hours=1)}, 0),
        ({"date_sent_before": now + timedelta(hours=1)}, 7),
        ({"date_sent": now.date()}, 7),
        ({"from_": "+4930000000"}, 0),
    ):
        assert len(running.twilio.messages.list(to="+4915112345679", **query)) == count, query
    with pytest.raises(TwilioRestException) as missing:
        running.twilio.messages("SM" + "0" * 32).fetch()
    assert missing.value.code == 20404


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"to": ""}, 21604),
        ({"to": "12"}, 21211),
        ({"from_": ""}, 21603),
        ({"body": ""}, 21602),
        ({"body": "x" * 1601}, 21617),
        ({"to": "+15005550009"}, 21614),
    ],
)
def test_twilio_refuses_in_its_form(running: Running, changes: dict[str, str], code: int) -> None:
    with pytest.raises(TwilioRestException) as refused:
        running.twilio.messages.create(**{"to": ANN, "from_": STUDIO, "body": "x", **changes})
    assert (refused.value.status, refused.value.code) == (400, code)


def test_who_wrote_stop_gets_nothing_until_start(running: Running) -> None:
    number = "+4915112340000"
    for word, refused in (("stop", True), ("start", False)):
        # Nobody listens for webhooks here; the provider's own list is kept all the same.
        body = {"from": number, "to": STUDIO, "text": word}
        assert httpx.post(f"{running.url}/sandbox/inbound", json=body).status_code == 502
        if refused:
            with pytest.raises(TwilioRestException, match="unsubscribed"):
                running.twilio.messages.create(to=number, from_=STUDIO, body="x")
        else:
            running.twilio.messages.create(to=number, from_=STUDIO, body="x")


def test_strangers_are_not_let_in(running: Running) -> None:
    stranger = Client(running.keys.twilio_account, "wrong", http_client=Redirected(running.url))
    with pytest.raises(TwilioRestException) as refused:
        stranger.messages.create(to=ANN, from_=STUDIO, body="x")
    assert (refused.value.status, refused.value.code) == (401, 20003)
    foreign = Client("AC" + "0" * 32, running.keys.twilio_token, http_client=Redirected(running.url))
    with pytest.raises(TwilioException, match="401"):
        foreign.messages.list()


def test_a_mail_server_keeps_what_it_gets(running: Running) -> None:
    with smtplib.SMTP("127.0.0.1", running.smtp_port) as server:
        server.sendmail(
            "a@b.example", ["bcc@example.com"], "From: A <a@b.example>\nTo: t@example.com\nSubject: S\n\nHi"
        )
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            server.sendmail("a@b.example", ["nobody"], "Hi")
    [message] = running.captured("bcc@example.com")
    assert (message["subject"], message["text"].strip(), message["to"]) == ("S", "Hi", ["t@example.com"])


def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    keys = Keys()
    with sandboxes(tmp_path, keys) as running:
        callback = "https://studio.example/webhooks/twilio/AC/deliveries/the-key"
        sid = running.twilio.messages.create(to=ANN, from_=STUDIO, body="x", status_callback=callback).sid
    with sandboxes(tmp_path, keys) as running:
        assert running.twilio.messages(sid).fetch().body == "x"
        running.twilio.messages.create(to=ANN, from_=STUDIO, body="x", status_callback=callback)
        accepted = httpx.get(f"{running.url}/sandbox/accepted").json()
        assert accepted == {"keys": 1, "messages": 2, "twice": {"the-key": 2}}


def test_faults_strike_whom_and_how_often_they_are_told_to() -> None:
    faults = Faults()
    faults.set(
        {"twilio:reject_500": 2, "slow": {"count": 1, "seconds": 3}, "reject_429": {"count": 1000, "share": 0.1}}
    )
    assert [bool(faults.happens("reject_500", name)) for name in ("resend", "twilio", "twilio", "twilio")] == [
        False, True, True, False,
    ]  # fmt: skip
    assert [knob and knob.seconds for knob in (faults.happens("slow", "push"), faults.happens("slow", "push"))] == [
        3,
        None,
    ]
    struck = sum(bool(faults.happens("reject_429", "resend")) for _ in range(1000))
    assert 60 < struck < 140
    assert faults.left() == {"reject_429": {"count": 1000 - struck, "after": 0, "seconds": 1, "share": 0.1}}
    for nonsense in ({"explode": 1}, {"pigeon:slow": 1}, {"slow": -1}, {"slow": {"share": 2}}, {"slow": {"x": 1}}):
        with pytest.raises(ValueError, match="`"):
            faults.set(nonsense)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/sandbox/messages/none/events", {"event": "delivered"}, 404),
        ("/sandbox/inbound", {"from": ANN}, 422),
        ("/sandbox/inbound", [], 422),
    ],
)
def test_nonsense_is_told_from_sense(running: Running, path: str, body: object, status: int) -> None:
    assert httpx.post(f"{running.url}{path}", json=body).status_code == status
    sid = running.twilio.messages.create(to=ANN, from_=STUDIO, body="x").sid
    assert httpx.post(f"{running.url}/sandbox/messages/{sid}/events", json={"event": "complained"}).status_code == 422
