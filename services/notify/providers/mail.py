"""What notify asks of a mail provider, whichever it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from services.notify.providers.gate import Gate


@dataclass(frozen=True)
class Attachment:
    """A file that comes with a mail."""

    file_name: str
    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Mail:
    """One mail to one person. `to` is a bare address; `subject` is one line."""

    sender: str
    to: str
    subject: str
    text: str
    html: str
    # Further headers, such as Reply-To and List-Unsubscribe.
    headers: Mapping[str, str] = field(default_factory=dict)
    attachments: Sequence[Attachment] = ()

    @property
    def reply_to(self) -> str:
        """The address that providers want by itself instead of among the headers; empty for none."""
        return self.headers.get("Reply-To", "")

    @property
    def other_headers(self) -> dict[str, str]:
        return {name: value for name, value in self.headers.items() if name != "Reply-To"}


class MailProvider(Protocol):
    """Takes mails. Its webhooks, where it has any, bring the key back."""

    @property
    def name(self) -> str:
        """What deliveries and metrics call it."""
        ...

    @property
    def gate(self) -> Gate:
        """What each call passes."""
        ...

    @property
    def remembers_keys(self) -> bool:
        """Whether the same key sends once, for at least `deliveries.KEY_LIFETIME`, however often it is called.

        Without it a repeat after Unclear could send twice: only the provider's own word settles such a delivery.
        """
        ...

    async def send(self, mail: Mail, key: str) -> str:
        """Hands a mail over and returns the provider's id of it.

        Raises Rejected, Deferred, Unclear or AcceptedBefore.
        """
        ...
