"""Any mail server, by SMTP."""

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from urllib.parse import unquote, urlsplit

import aiosmtplib

from services.notify.providers.answers import Deferred, NotReached, Rejected, Unclear
from services.notify.providers.gate import Gate
from services.notify.providers.mail import Mail
from services.notify.providers.wire import TIMEOUT

NAME = "smtp"
KEY_HEADER = "X-Delivery"
_THIS_MACHINE = ("127.0.0.1", "::1", "localhost")


class SmtpMail:
    """A MailProvider at `smtp://user:password@host:587` (STARTTLS where offered) or `smtps://…` (TLS at once)."""

    name = NAME
    remembers_keys = False

    def __init__(self, url: str, gate: Gate, *, timeout: float = TIMEOUT) -> None:
        parts = urlsplit(url)
        # A password never leaves this machine in the clear, whatever the server offers.
        secret = bool(parts.username) and parts.hostname not in _THIS_MACHINE
        self._account = {
            "hostname": parts.hostname,
            "port": parts.port,
            "username": unquote(parts.username) if parts.username else None,
            "password": unquote(parts.password) if parts.password else None,
            "use_tls": parts.scheme == "smtps",
            "start_tls": True if parts.scheme == "smtp" and secret else None,
        }
        self._timeout, self.gate = timeout, gate

    async def send(self, mail: Mail, key: str) -> str:
        message = _message(mail, key)
        async with self.gate.passing():
            server = aiosmtplib.SMTP(**self._account, timeout=self._timeout)  # type: ignore[arg-type]  # as listed above
            try:
                await server.connect()
            except aiosmtplib.SMTPAuthenticationError as error:
                raise Deferred(f"the mail server refused our login: {error.code}") from None
            except (aiosmtplib.SMTPException, OSError):
                raise NotReached("the mail server could not be reached") from None
            try:
                await server.send_message(message, sender=parseaddr(mail.sender)[1], recipients=[mail.to])
            except aiosmtplib.SMTPRecipientsRefused as error:
                raise _refused(error.recipients[0].code) from None
            except aiosmtplib.SMTPResponseException as error:
                raise _refused(error.code) from None
            except (aiosmtplib.SMTPException, OSError):
                raise Unclear("the mail server broke off") from None
            finally:
                server.close()
        return str(message["Message-ID"])


def _message(mail: Mail, key: str) -> EmailMessage:
    message = EmailMessage(SMTP)
    message["From"], message["To"], message["Subject"] = mail.sender, mail.to, mail.subject
    # Of the key alone: who gets a mail twice can tell.
    message["Message-ID"] = f"<{key}@{parseaddr(mail.sender)[1].rpartition('@')[2]}>"
    message[KEY_HEADER] = key
    for name, value in mail.headers.items():
        message[name] = value
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    for file in mail.attachments:
        main, _, sub = file.media_type.partition("/")
        message.add_attachment(file.content, maintype=main, subtype=sub, filename=file.file_name)
    return message


def _refused(code: int) -> Deferred | Rejected:
    """An SMTP answer is always a clear one: 4xx for now, 5xx for good."""
    reason = f"the mail server answered {code}"
    return Rejected(reason) if code >= 500 else Deferred(reason)
