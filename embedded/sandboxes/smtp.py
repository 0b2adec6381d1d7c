"""A mail server that keeps what it gets."""

import asyncio
import secrets
from email import message_from_bytes
from email.policy import default

from aiosmtpd.smtp import SMTP, Envelope, Session

from embedded.sandboxes.answers import ADDRESS, log
from embedded.sandboxes.faults import Faults
from embedded.sandboxes.messages import Attachment, Messages


class SmtpSandbox:
    """aiosmtpd's handler."""

    def __init__(self, messages: Messages, faults: Faults) -> None:
        self._messages, self._faults = messages, faults

    async def listen(self, port: int) -> asyncio.Server:
        """Serves on this port, without TLS: it is for this machine only."""
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: SMTP(self, hostname="sandbox"), "127.0.0.1", port)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Refuses what is no address."""
        if not ADDRESS.fullmatch(address):
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Takes a mail, unless the weather is bad."""
        if knob := self._faults.happens("slow", "smtp"):
            await asyncio.sleep(knob.seconds)
        if self._faults.happens("reject_429", "smtp") or self._faults.happens("reject_500", "smtp"):
            return "451 4.3.0 try again later"
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=default)
        text, html = mail.get_body(("plain",)), mail.get_body(("html",))
        body = {
            "from": str(mail["From"] or envelope.mail_from),
            "to": [str(mail["To"])],
            "bcc": [to for to in envelope.rcpt_tos if to not in str(mail["To"])],
            "subject": str(mail["Subject"]),
            "text": text.get_content() if text else None,
            "html": html.get_content() if html else None,
            "reply_to": str(mail["Reply-To"]) if mail["Reply-To"] else None,
            "headers": {name: str(value) for name, value in mail.items()},
        }
        attachments = [
            Attachment(part.get_filename() or "", part.get_content_type(), content)
            for part in mail.iter_attachments()
            if isinstance(content := part.get_payload(decode=True), bytes)
        ]
        made, key = secrets.token_hex(8), mail["X-Delivery"]
        message_id = self._messages.accept(made, "email", "smtp", body, key, attachments=attachments)
        log("mail_accepted", provider="smtp", id=message_id)
        if knob := self._faults.happens("accept_then_hang", "smtp"):
            await asyncio.sleep(knob.seconds)
        if self._faults.happens("accept_then_close", "smtp") and server.transport:
            server.transport.close()
        return f"250 OK {message_id}"
