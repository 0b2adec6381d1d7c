"""The mail sandbox, called by the provider's own SDK and by hand."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import resend
from resend.exceptions import MissingRequiredFieldsError, RateLimitError, ResendError

from embedded.children import answers
from embedded.processes import free_port

KEY = "re_test_0123456789"
MAIL: resend.Emails.SendParams = {
    "from": "Studio North <hello@north.example>",
    "to": ["Ann <Ann@example.com>"],
    "subject": "You are booked",
    "text": "Monday at ten.",
    "html": "<p>Monday at ten.</p>",
    "headers": {"X-Kind": "booking_confirmation"},
}


@contextmanager
def sandbox(directory: Path) -> Iterator[str]:
    """A running sandbox's address."""
    port = free_port()
    command = [sys.executable, "-m", "embedded.sandboxes", "--port", str(port), "--directory", str(directory)]
    with subprocess.Popen(command, env={**os.environ, "RESEND_API_KEY": KEY}, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 60
            while not answers(port):
                assert time.monotonic() < deadline, "the sandbox did not start"
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox(tmp_path_factory.mktemp("mail")) as url:
        yield url


@pytest.fixture
def url(shared: str) -> str:
    httpx.put(f"{shared}/sandbox/faults", json={})
    call(shared)
    return shared


def call(url: str) -> None:
    """Points the SDK at a sandbox."""
    resend.api_key, resend.api_url = KEY, url


def captured(url: str, to: str) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = httpx.get(f"{url}/sandbox/messages", params={"to": to}).json()["messages"]
    return messages


def send(to: str, key: str | None = None, **changes: str) -> str:
    mail: Any = {**MAIL, "to": [to], **changes}
    answer = resend.Emails.send(mail, {"idempotency_key": key} if key else None)
    return str(answer["id"])


def test_captures_what_the_sdk_sends(url: str) -> None:
    message_id = str(resend.Emails.send(MAIL)["id"])
    (message,) = captured(url, "ANN@example.com")
    assert message["id"] == message_id
    assert {name: message[name] for name in MAIL} == MAIL
    assert (message["idempotency_key"], message["accepted_count"]) == (None, 1)
    found = resend.Emails.get(message_id)
    assert (found["id"], found["subject"], found["to"]) == (message_id, MAIL["subject"], MAIL["to"])
    assert httpx.get(f"{url}/sandbox/messages", params={"limit": 1}).json()["messages"][0]["id"] == message_id


def test_a_key_is_honoured_once(url: str) -> None:
    first = send("once@example.com", "booking-1")
    assert send("once@example.com", "booking-1") == first
    with pytest.raises(ResendError) as refused:
        send("once@example.com", "booking-1", subject="Something else")
    assert (refused.value.code, refused.value.error_type) == (409, "invalid_idempotent_request")
    (message,) = captured(url, "once@example.com")
    assert (message["idempotency_key"], message["accepted_count"]) == ("booking-1", 1)


def test_a_restart_forgets_neither_mails_nor_keys(tmp_path: Path) -> None:
    with sandbox(tmp_path) as url:
        call(url)
        first = send("kept@example.com", "booking-2")
    with sandbox(tmp_path) as url:
        call(url)
        assert send("kept@example.com", "booking-2") == first
        assert len(captured(url, "kept@example.com")) == 1


@pytest.mark.parametrize(
    ("changes", "status", "name", "text"),
    [
        ({"to": None}, 422, "missing_required_field", "`to`"),
        ({"subject": ""}, 422, "missing_required_field", "`subject`"),
        ({"html": None, "text": None}, 422, "missing_required_field", "`html` or `text`"),
        ({"to": "nobody"}, 422, "validation_error", "Invalid `to`"),
        ({"from": "Studio"}, 422, "validation_error", "Invalid `from`"),
        ({"to": ["a@b.co"] * 51}, 422, "validation_error", "at most 50"),
        ({"headers": "x"}, 422, "validation_error", "`headers`"),
        ({"attachments": "x"}, 422, "validation_error", "must be a list"),
        ({"attachments": [{"filename": "a.pdf"}]}, 422, "invalid_attachment", "`content`"),
        ({"attachments": [{"filename": "a.pdf", "content": "%PDF"}]}, 422, "invalid_attachment", "`content`"),
        ({"attachments": [{"content": "JVBERg=="}]}, 422, "invalid_attachment", "`filename`"),
        ({"text": "x" * 40 * 2**20}, 422, "validation_error", "40MB"),
    ],
)
def test_refuses_in_the_providers_form(url: str, changes: dict[str, Any], status: int, name: str, text: str) -> None:
    answer = httpx.post(f"{url}/emails", json={**MAIL, **changes}, headers={"authorization": f"Bearer {KEY}"})
    body = answer.json()
    assert (answer.status_code, body["statusCode"], body["name"]) == (status, status, name)
    assert text in body["message"]


def test_refuses_bad_json_and_bad_keys(url: str) -> None:
    good = {"authorization": f"Bearer {KEY}"}
    assert httpx.post(f"{url}/emails", content=b"{", headers=good).status_code == 400
    assert httpx.post(f"{url}/emails", content=b"[]", headers=good).status_code == 422
    assert httpx.post(f"{url}/emails", json=MAIL).json()["name"] == "missing_api_key"
    wrong = httpx.post(f"{url}/emails", json=MAIL, headers={"authorization": "Bearer x"})
    assert (wrong.status_code, wrong.json()["name"]) == (403, "invalid_api_key")
    too_long = httpx.post(f"{url}/emails", json=MAIL, headers={**good, "idempotency-key": "k" * 257})
    assert too_long.json()["name"] == "invalid_idempotency_key"
    assert httpx.get(f"{url}/emails/none", headers=good).status_code == 404
    with pytest.raises(MissingRequiredFieldsError):
        send("x@example.com", subject="")


@pytest.mark.parametrize("fault", ["accept_then_500", "accept_then_close"])
def test_an_answer_may_be_lost_after_the_mail_was_accepted(url: str, fault: str) -> None:
    httpx.put(f"{url}/sandbox/faults", json={fault: 1})
    to = f"{fault}@example.com"
    with pytest.raises(ResendError):
        send(to, fault)
    assert len(captured(url, to)) == 1
    assert send(to, fault) == captured(url, to)[0]["id"]
    assert captured(url, to)[0]["accepted_count"] == 1


def test_refusals_accept_nothing_and_end_after_their_count(url: str) -> None:
    httpx.put(f"{url}/sandbox/faults", json={"reject_500": 1, "reject_429": {"count": 1, "seconds": 7}})
    with pytest.raises(RateLimitError) as limited:
        send("refused@example.com", "k-refused")
    assert limited.value.headers["retry-after"] == "7"
    with pytest.raises(ResendError) as failed:
        send("refused@example.com", "k-refused")
    assert failed.value.code == 500
    assert captured(url, "refused@example.com") == []
    assert httpx.get(f"{url}/sandbox/faults").json() == {}
    send("refused@example.com", "k-refused")
    assert len(captured(url, "refused@example.com")) == 1


def test_slow_is_slow_and_unknown_faults_are_refused(url: str) -> None:
    httpx.put(f"{url}/sandbox/faults", json={"slow": {"count": 1, "seconds": 0.5}})
    started = time.monotonic()
    send("slow@example.com")
    assert time.monotonic() - started >= 0.5
    for nonsense in ({"explode": 1}, {"slow": -1}, {"slow": {"times": 1}}, {"slow": "often"}):
        assert httpx.put(f"{url}/sandbox/faults", json=nonsense).status_code == 422


def test_the_page_names_no_foreign_host(url: str) -> None:
    for path in ("/sandbox", "/sandbox/page.css", "/sandbox/page.js"):
        answer = httpx.get(f"{url}{path}")
        assert answer.status_code == 200
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "://" not in answer.text
