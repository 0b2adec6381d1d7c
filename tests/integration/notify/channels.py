"""The sandboxes with an account at every provider, and the providers that call them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from embedded.children import answers
from embedded.processes import free_port
from embedded.sandboxes.keys import Keys
from services.notify.providers.gate import Gate
from services.notify.providers.keys import key_of
from services.notify.providers.mail import Attachment, Mail, MailProvider
from services.notify.providers.resend import ResendMail
from services.notify.providers.sendgrid import SendGridMail
from services.notify.providers.smtp import SmtpMail
from services.notify.providers.twilio import TwilioSms

# Seconds a test gives a provider; a sandbox that hangs does so for longer.
PATIENCE = 0.4
HANG = {"count": 1, "seconds": 0.8}
NOBODY = "http://127.0.0.1:1"


@dataclass
class Sandboxes:
    """All sandboxes, running."""

    url: str
    smtp_url: str
    keys: Keys
    # Where its webhooks go; the test may listen there.
    webhooks_port: int
    _client: httpx.AsyncClient = field(default_factory=httpx.AsyncClient)
    # The providers that a test has made keep connections until its end.
    opened: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def weather(self, **faults: object) -> None:
        """What goes wrong from now on; nothing for good weather."""
        answer = await self._client.put(f"{self.url}/sandbox/faults", json=faults)
        answer.raise_for_status()

    async def messages(self, to: str) -> list[dict[str, Any]]:
        """What was accepted for an address, newest first."""
        answer = await self._client.get(f"{self.url}/sandbox/messages", params={"to": to})
        messages: list[dict[str, Any]] = answer.raise_for_status().json()["messages"]
        return messages

    async def file(self, attachment: dict[str, Any]) -> Attachment:
        """An attachment as whoever opens it gets it."""
        answer = (await self._client.get(f"{self.url}{attachment['path']}")).raise_for_status()
        name = attachment["path"].rpartition("/")[2]
        return Attachment(name, answer.headers["content-type"], answer.content)

    async def newest(self) -> list[dict[str, Any]]:
        """What was accepted for anybody, newest first."""
        answer = await self._client.get(f"{self.url}/sandbox/messages", params={"limit": 500})
        messages: list[dict[str, Any]] = answer.raise_for_status().json()["messages"]
        return messages

    async def tell(self, message_id: str, event: str) -> int:
        """Has the provider tell what became of a message; the receiver's status."""
        answer = await self._client.post(f"{self.url}/sandbox/messages/{message_id}/events", json={"event": event})
        return int(answer.raise_for_status().json()["status"])

    async def write(self, sender: str, to: str, text: str) -> dict[str, Any]:
        """Somebody answers by SMS; what the receiver said."""
        body = {"from": sender, "to": to, "text": text}
        answer = await self._client.post(f"{self.url}/sandbox/inbound", json=body)
        said: dict[str, Any] = answer.raise_for_status().json()
        return said

    async def browser(self) -> dict[str, Any]:
        """The subscription of a new browser."""
        subscription: dict[str, Any] = (await self._client.post(f"{self.url}/sandbox/push")).json()
        return subscription

    def mail(self, name: str, *, url: str = "", timeout: float = PATIENCE) -> MailProvider:
        """A mail provider with a gate of its own; at another address when one is given."""
        url = url or self.url
        if name == "resend":
            resend = ResendMail(self.keys.resend, url, gate(), timeout=timeout)
            self.opened.push_async_callback(resend.close)
            return resend
        if name == "sendgrid":
            return SendGridMail(self.keys.sendgrid, url, gate(), timeout=timeout)
        return SmtpMail(url.replace("http", "smtp") if url != self.url else self.smtp_url, gate(), timeout=timeout)

    def sms(self, *, url: str = "", timeout: float = PATIENCE) -> TwilioSms:
        """The SMS provider with a gate of its own."""
        callback = f"http://127.0.0.1:{self.webhooks_port}/webhooks/twilio/{self.keys.twilio_account}"
        keys = self.keys
        return TwilioSms(keys.twilio_account, keys.twilio_token, url or self.url, callback, gate(), timeout=timeout)


@contextmanager
def sandboxes(directory: Path) -> Iterator[Sandboxes]:
    """All sandboxes as one process."""
    keys, port, smtp, webhooks = Keys(), free_port(), free_port(), free_port()
    command = [sys.executable, "-m", "embedded.sandboxes", "--port", str(port), "--directory", str(directory)]
    command += ["--smtp-port", str(smtp), "--webhooks", f"http://127.0.0.1:{webhooks}/webhooks"]
    with subprocess.Popen(command, env={**os.environ, **keys.of_sandbox()}, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 60
            while not answers(port):
                assert time.monotonic() < deadline, "the sandboxes did not start"
                time.sleep(0.05)
            yield Sandboxes(f"http://127.0.0.1:{port}", f"smtp://127.0.0.1:{smtp}", keys, webhooks)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)


def gate() -> Gate:
    return Gate("the provider", 1000)


def new_key() -> str:
    """The key of some delivery."""
    return key_of(uuid4(), uuid4())


def new_number() -> str:
    """A phone number that nobody else writes to."""
    return f"+49151{uuid4().int % 10**8:08}"


def mail_to(address: str) -> Mail:
    """A mail with everything that one can have."""
    return Mail(
        sender="Studio Nørd <hello@north.example>",
        to=address,
        subject="Grüße: Monday at ten",
        text="Monday at ten, " + "in a long line " * 20,
        html="<p>Monday at <b>ten</b> 🙂</p>",
        headers={
            "Reply-To": "desk@north.example",
            "List-Unsubscribe": "<https://studio.example/u/1>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
        attachments=[Attachment("quittung-000042.pdf", "application/pdf", b"%PDF-1.7\r\n" + bytes(range(256)) * 60)],
    )
