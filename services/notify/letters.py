"""Letters: whom a delivery goes to and what it says, asked of the owners of these facts at the moment it is sent.

One function per kind. Nothing personal is kept here: addresses, names and links live for the length of one call.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast
from urllib.parse import quote

import grpc

from powerhouse.booking.v1.booking_pb2 import BookableSession, Booking, Fee
from powerhouse.booking.v1.waitlist_pb2 import WaitlistEntry
from powerhouse.identity.v1 import identity_service_pb2
from powerhouse.identity.v1.identity_service_pb2 import GetMailLinkRequest, GetMailLinkResponse
from powerhouse.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.resources import Resources
from services.chassis.rpc.codec import from_timestamp
from services.notify import alerts
from services.notify.handing_over import Sending
from services.notify.models import Channel, Kind, State
from services.notify.preferences import Preferences
from services.notify.providers.mail import Mail
from services.notify.providers.sms import Sms
from services.notify.quiet_hours import send_time
from services.notify.recipients import Addressee, Recipient, Recipients, Subject
from services.notify.settings import NotifySettings
from services.notify.templates import day_and_time, render, render_sms, short_time

# One address and nothing beside it; whether it exists is for the provider to say.
_ADDRESS = re.compile(r"[^\s\x00-\x1f\x7f<>(),;:\"@]+@[^\s\x00-\x1f\x7f<>(),;:\"@]+")
_MAX_ADDRESS = 254
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
# To be replaced by the studio's own number.
SMS_SENDER = "+15005550006"

Letter = Mail | Sms


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


class BadAddress(Exception):
    """The address cannot be one, so no provider needs to be asked."""


@dataclass(frozen=True)
class Content:
    """Whom to write to, and the facts that the words are made of."""

    email: str
    values: dict[str, str]
    phone: str = ""
    # None for those who are no clients.
    preferences: Preferences | None = None
    useful_until: datetime | None = None


async def write(work: Resources, recipients: Recipients, sending: Sending) -> Letter:
    """The message of a delivery.

    Raises NotWanted, PutOff, BadAddress, or AioRpcError when an owner of the facts cannot be asked now.
    """
    content = await _WRITERS[sending.message_kind](work, recipients, sending)
    if sending.state == State.PENDING and content.preferences:
        _check_wishes(work.clock.now(), sending, content, content.preferences)
    if sending.channel == Channel.SMS:
        return _sms(sending, content)
    return _mail(work, sending, content)


def _check_wishes(now: datetime, sending: Sending, content: Content, wishes: Preferences) -> None:
    if refusal := wishes.refusal(sending.message_kind, sending.channel):
        raise NotWanted(refusal)
    # A mail makes no noise.
    if wishes.quiet is None or sending.channel == Channel.EMAIL:
        return
    until = content.useful_until or sending.useful_until or datetime.max.replace(tzinfo=UTC)
    moment = send_time(now, until, wishes.quiet, wishes.zone, earliest=now)
    if moment is None:
        raise NotWanted("quiet hours")
    if moment > now:
        raise PutOff(moment, "quiet hours")


def _mail(work: Resources, sending: Sending, content: Content) -> Mail:
    if not content.email:
        raise NotWanted("no e-mail address")
    if len(content.email) > _MAX_ADDRESS or not _ADDRESS.fullmatch(content.email):
        raise BadAddress("invalid e-mail address")
    words = render(sending.message_kind, content.values)
    sender = cast(NotifySettings, work.settings).mail_from
    return Mail(sender=sender, to=content.email, subject=words.subject, text=words.text, html=words.html)


def _sms(sending: Sending, content: Content) -> Sms:
    if not content.phone:
        raise NotWanted("no phone number")
    if not _E164.fullmatch(content.phone):
        raise BadAddress("invalid phone number")
    return Sms(sender=SMS_SENDER, to=content.phone, text=render_sms(sending.message_kind, content.values))


async def _confirmation(work: Resources, recipients: Recipients, sending: Sending) -> Content:
    _, content = await _about_place(work, recipients, sending)
    return content


async def _reminder(work: Resources, recipients: Recipients, sending: Sending) -> Content:
    recipient, content = await _about_place(work, recipients, sending)
    if recipient.time_version != sending.time_version:
        raise NotWanted("the class has moved")
    return content


async def _class_changed(work: Resources, recipients: Recipients, sending: Sending) -> Content:
    recipient, content = await _about_place(work, recipients, sending)
    before = sending.args.get("previous_start")
    content.values["previous_start"] = (
        day_and_time(datetime.fromisoformat(before), recipient.session.time_zone) if before else ""
    )
    return content


async def _class_cancelled(work: Resources, recipients: Recipients, sending: Sending) -> Content:
    addressee = await _addressee(recipients, Subject(sending.tenant_id, booking_id=sending.subject_id))
    session = addressee.recipient.session
    if session.availability != BookableSession.CANCELLED:
        raise NotWanted("the class is on again")
    if session.start_time.ToDatetime(tzinfo=UTC) <= work.clock.now():
        raise NotWanted("the class would have begun")
    return _content(work, sending, addressee)


async def _waitlist_offer(work: Resources, recipients: Recipients, sending: Sending) -> Content:
    addressee = await _addressee(recipients, Subject(sending.tenant_id, waitlist_entry_id=sending.subject_id))
    recipient = addressee.recipient
    if recipient.waitlist_state != WaitlistEntry.OFFERED:
        raise NotWanted("the place is not offered any more")
    expires = from_timestamp(recipient, "offer_expire_time")
    if expires is None or expires <= work.clock.now():
        raise NotWanted("the offer has expired")
    content = _content(work, sending, addressee)
    content.values["offer_until"] = day_and_time(expires, recipient.session.time_zone)
    return content


async def _fee_due(work: Resources, recipients: Recipients, sending: Sending) -> Content:
    addressee = await _addressee(recipients, Subject(sending.tenant_id, fee_id=sending.subject_id))
    recipient = addressee.recipient
    if recipient.fee_state != Fee.DUE:
        raise NotWanted(f"the fee is {Fee.State.Name(recipient.fee_state).lower()}")
    content = _content(work, sending, addressee)
    content.values["reason"] = "a late cancellation" if recipient.fee_kind == Fee.LATE_CANCEL else "an absence"
    content.values["amount"] = f"{recipient.amount_minor / 100:.2f} {recipient.currency_code}"
    return content


async def _about_place(work: Resources, recipients: Recipients, sending: Sending) -> tuple[Recipient, Content]:
    """Of a booking that still holds its place in a class that is still to come."""
    addressee = await _addressee(recipients, Subject(sending.tenant_id, booking_id=sending.subject_id))
    recipient = addressee.recipient
    session = recipient.session
    if recipient.state != Booking.CONFIRMED:
        raise NotWanted(f"the booking is {Booking.State.Name(recipient.state).lower().replace('_', ' ')}")
    if session.availability == BookableSession.CANCELLED:
        raise NotWanted("the class is cancelled")
    if session.start_time.ToDatetime(tzinfo=UTC) <= work.clock.now():
        raise NotWanted("the class has begun")
    content = _content(work, sending, addressee)
    until = from_timestamp(recipient, "free_cancel_until")
    content.values["free_cancel_until"] = _deadline(sending, until, session.time_zone)
    return recipient, content


async def _addressee(recipients: Recipients, subject: Subject) -> Addressee:
    addressee = await recipients.of(subject)
    if addressee is None:
        what = "fee" if subject.fee_id else "wait" if subject.waitlist_entry_id else "booking"
        raise NotWanted(f"the {what} is not there any more")
    return addressee


def _content(work: Resources, sending: Sending, addressee: Addressee) -> Content:
    """The facts of a place in a class."""
    recipient = addressee.recipient
    session = recipient.session
    start = session.start_time.ToDatetime(tzinfo=UTC)
    values = {
        "name": recipient.guardian_display_name or recipient.display_name,
        # Whose place it is, when it is not the reader's own.
        "dependant": recipient.display_name if recipient.guardian_display_name else "",
        "class_type": session.class_type_display_name,
        "instructor": session.instructor_display_name,
        "room": session.room_display_name,
        "location": session.location_display_name,
        "spot": recipient.spot,
        "start": day_and_time(start, session.time_zone),
        "start_short": short_time(start, session.time_zone),
        "time_zone": session.time_zone,
        "link": f"{_public_url(work)}/?studio={sending.tenant_id}",
    }
    return Content(recipient.email, values, recipient.phone, addressee.preferences, start)


async def _delivery_alert(work: Resources, _recipients: Recipients, sending: Sending) -> Content:
    staff = {person.account_id: person for person in await alerts.staff_of(work, sending.tenant_id)}
    person = staff.get(str(sending.subject_id))
    if person is None:
        raise NotWanted("the account does not run the studio any more")
    reasons = ", ".join(f"{reason} ({count})" for reason, count in sending.args["reasons"])
    values = {
        "name": person.display_name,
        "count": str(sending.args["count"]),
        "reasons": reasons,
        "link": f"{_public_url(work)}/?studio={sending.tenant_id}",
    }
    return Content(person.email, values)


async def _invitation(work: Resources, _recipients: Recipients, sending: Sending) -> Content:
    link = await _mail_link(work, GetMailLinkRequest(invitation_id=str(sending.subject_id)))
    role = Role.Name(link.role).removeprefix("ROLE_").lower().replace("_", " ")
    return Content(link.email, _with_link(work, "accept-invitation", link) | {"role": role})


async def _password_reset(work: Resources, _recipients: Recipients, sending: Sending) -> Content:
    link = await _mail_link(work, GetMailLinkRequest(password_reset_id=str(sending.subject_id)))
    return Content(link.email, _with_link(work, "reset-password", link))


_WRITERS: dict[Kind, Callable[[Resources, Recipients, Sending], Awaitable[Content]]] = {
    Kind.BOOKING_CONFIRMATION: _confirmation,
    Kind.REMINDER: _reminder,
    Kind.WAITLIST_PROMOTED: _confirmation,
    Kind.WAITLIST_OFFER: _waitlist_offer,
    Kind.CLASS_CANCELLED: _class_cancelled,
    Kind.CLASS_CHANGED: _class_changed,
    Kind.FEE_DUE: _fee_due,
    Kind.DELIVERY_ALERT: _delivery_alert,
    Kind.INVITATION: _invitation,
    Kind.PASSWORD_RESET: _password_reset,
}
# Kinds that can be sent; the others are still to be written.
KINDS = tuple(_WRITERS)


def _deadline(sending: Sending, until: datetime | None, zone: str) -> str:
    """Until when cancelling is free, empty when that was over as the booking was made.

    Measured from the delivery's own time, not from now: a second attempt must say what the first one said.
    """
    return day_and_time(until, zone) if until is not None and until > sending.due_time else ""


async def _mail_link(work: Resources, request: GetMailLinkRequest) -> GetMailLinkResponse:
    identity = work.stubs.get(
        IdentityServiceStub, identity_service_pb2.DESCRIPTOR.services_by_name["IdentityService"], "identity"
    )
    try:
        return await identity.GetMailLink(request)
    except grpc.aio.AioRpcError as error:
        if error.code() in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND):
            raise NotWanted("the link was used, withdrawn or has expired") from None
        raise


def _with_link(work: Resources, path: str, link: GetMailLinkResponse) -> dict[str, str]:
    """The secret travels behind `#`, which browsers keep to themselves: no log and no Referer ever shows it."""
    return {
        "name": link.display_name,
        "link": f"{_public_url(work)}/{path}#token={quote(link.token, safe='')}",
        "expires": day_and_time(link.expire_time.ToDatetime(tzinfo=UTC), "UTC"),
    }


def _public_url(work: Resources) -> str:
    return work.settings.public_url.rstrip("/")
