"""Content: whom a delivery goes to and the facts its words are made of; what the kinds in `contents.py` share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from services.chassis.resources import Resources
from services.notify import class_facts
from services.notify.handing_over import Sending
from services.notify.models import Channel
from services.notify.providers.mail import Attachment
from services.notify.recipients import Addressee, Recipients, Subject
from services.notify.stationery import Stationery


class NotWanted(Exception):
    """There is no one to send it to, or no reason to any more. `reason` is told to the studio."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PutOff(Exception):
    """It leaves later, for that reason."""

    def __init__(self, until: datetime, reason: str) -> None:
        super().__init__(reason)
        self.until, self.reason = until, reason


@dataclass(frozen=True, kw_only=True)
class Content:
    """Whom to write to, and the facts that the words are made of."""

    email: str
    phone: str = ""
    # Why one of these is not written to, by channel.
    suppressed: dict[Channel, str]
    language: str
    values: dict[str, str]
    stationery: Stationery
    # The client, with what it wants; None for those who are none.
    addressee: Addressee | None = None
    useful_until: datetime | None = None
    # Fetches the file that comes with a mail, for one that certainly leaves. Raises as what collects the rest.
    attachment: Callable[[], Awaitable[Attachment]] | None = None


async def addressee_of(recipients: Recipients, subject: Subject) -> Addressee:
    """Whom booking names. Raises NotWanted, AioRpcError."""
    addressee = await recipients.of(subject)
    if addressee is None:
        names = {"fee": subject.fee_id, "wait": subject.waitlist_entry_id, "client": subject.client_id}
        what = next((name for name, asked in names.items() if asked), "booking")
        raise NotWanted(f"the {what} is not there any more")
    return addressee


def about_class(work: Resources, sending: Sending, addressee: Addressee) -> Content:
    """The facts of a class, for a client."""
    recipient, language = addressee.recipient, language_of(addressee)
    # A deadline is measured from the delivery's own time: a second attempt must say what the first one said.
    link, as_of = studio_link(work, sending), sending.due_time
    return Content(
        email=recipient.email,
        phone=recipient.phone,
        suppressed=addressee.suppressed,
        language=language,
        values=class_facts.values(recipient, language, link=link, as_of=as_of),
        stationery=addressee.stationery,
        addressee=addressee,
        # Of a fee people read after the class.
        useful_until=recipient.session.start_time.ToDatetime(tzinfo=UTC) if not recipient.fee_id else None,
    )


def about_client(addressee: Addressee, link: str) -> Content:
    """To a client, about no class."""
    recipient = addressee.recipient
    return Content(
        email=recipient.email,
        suppressed=addressee.suppressed,
        language=language_of(addressee),
        values={
            "name": recipient.guardian_display_name or recipient.display_name,
            "dependant": recipient.display_name if recipient.guardian_display_name else "",
            "link": link,
        },
        stationery=addressee.stationery,
        addressee=addressee,
    )


def language_of(addressee: Addressee) -> str:
    """Which the client reads."""
    return addressee.preferences.language or addressee.recipient.language


def studio_link(work: Resources, sending: Sending) -> str:
    """To the page of the studio."""
    return f"{public_url(work)}/?studio={sending.tenant_id}"


def public_url(work: Resources) -> str:
    """What links begin with."""
    return work.settings.public_url.rstrip("/")
