"""Letters: whom a delivery goes to and what it says, asked of the owners of these facts at the moment it is sent.

One function per kind. Nothing personal is kept here: addresses, names and links live for the length of one call.
"""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from urllib.parse import quote

import grpc

from powerhouse.booking.v1 import booking_service_pb2
from powerhouse.booking.v1.booking_pb2 import BookableSession, Booking
from powerhouse.booking.v1.booking_service_pb2 import BatchGetRecipientsRequest
from powerhouse.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from powerhouse.identity.v1 import identity_service_pb2
from powerhouse.identity.v1.identity_service_pb2 import GetMailLinkRequest, GetMailLinkResponse
from powerhouse.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.resources import Resources
from services.chassis.rpc.codec import from_timestamp
from services.notify.local_words import day_and_time
from services.notify.models import Delivery, Kind
from services.notify.providers.mail import Mail
from services.notify.templates import render

# One address and nothing beside it; whether it exists is for the provider to say.
_ADDRESS = re.compile(r"[^\s\x00-\x1f\x7f<>(),;:\"@]+@[^\s\x00-\x1f\x7f<>(),;:\"@]+")
_MAX_ADDRESS = 254


class NotWanted(Exception):
    """There is no one to send it to, or no reason to any more. `reason` is told to the studio."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BadAddress(Exception):
    """The address cannot be one, so no provider needs to be asked."""


async def write(work: Resources, delivery: Delivery, *, sender: str) -> Mail:
    """The mail of a delivery.

    Raises NotWanted, BadAddress, or AioRpcError when an owner of the facts cannot be asked now.
    """
    address, values = await _WRITERS[Kind(delivery.kind)](work, delivery)
    if not address:
        raise NotWanted("no e-mail address")
    if len(address) > _MAX_ADDRESS or not _ADDRESS.fullmatch(address):
        raise BadAddress
    words = render(Kind(delivery.kind), values)
    return Mail(sender=sender, to=address, subject=words.subject, text=words.text, html=words.html)


async def _confirmation(work: Resources, delivery: Delivery) -> tuple[str, dict[str, str]]:
    booking = work.stubs.get(
        BookingServiceStub, booking_service_pb2.DESCRIPTOR.services_by_name["BookingService"], "booking"
    )
    answer = await booking.BatchGetRecipients(
        BatchGetRecipientsRequest(parent=f"studios/{delivery.tenant_id}", booking_ids=[str(delivery.subject_id)])
    )
    if not answer.recipients:
        raise NotWanted("the booking is not there any more")
    recipient = answer.recipients[0]
    session = recipient.session
    if recipient.state != Booking.CONFIRMED:
        raise NotWanted(f"the booking is {Booking.State.Name(recipient.state).lower().replace('_', ' ')}")
    if session.availability == BookableSession.CANCELLED:
        raise NotWanted("the class is cancelled")
    start = session.start_time.ToDatetime(tzinfo=UTC)
    if start <= work.clock.now():
        raise NotWanted("the class has begun")
    return recipient.email, {
        "name": recipient.guardian_display_name or recipient.display_name,
        # Whose place it is, when it is not the reader's own.
        "dependant": recipient.display_name if recipient.guardian_display_name else "",
        "class_type": session.class_type_display_name,
        "instructor": session.instructor_display_name,
        "room": session.room_display_name,
        "location": session.location_display_name,
        "spot": recipient.spot,
        "start": day_and_time(start, session.time_zone),
        "time_zone": session.time_zone,
        "free_cancel_until": _deadline(delivery, from_timestamp(recipient, "free_cancel_until"), session.time_zone),
        "link": f"{_public_url(work)}/?studio={delivery.tenant_id}",
    }


async def _invitation(work: Resources, delivery: Delivery) -> tuple[str, dict[str, str]]:
    link = await _mail_link(work, GetMailLinkRequest(invitation_id=str(delivery.subject_id)))
    role = Role.Name(link.role).removeprefix("ROLE_").lower().replace("_", " ")
    return link.email, _with_link(work, "accept-invitation", link) | {"role": role}


async def _password_reset(work: Resources, delivery: Delivery) -> tuple[str, dict[str, str]]:
    link = await _mail_link(work, GetMailLinkRequest(password_reset_id=str(delivery.subject_id)))
    return link.email, _with_link(work, "reset-password", link)


_WRITERS: dict[Kind, Callable[[Resources, Delivery], Awaitable[tuple[str, dict[str, str]]]]] = {
    Kind.BOOKING_CONFIRMATION: _confirmation,
    Kind.INVITATION: _invitation,
    Kind.PASSWORD_RESET: _password_reset,
}


def _deadline(delivery: Delivery, until: datetime | None, zone: str) -> str:
    """Until when cancelling is free, empty when that was over as the booking was made.

    Measured from the delivery's own time, not from now: a second attempt must say what the first one said.
    """
    return day_and_time(until, zone) if until is not None and until > delivery.due_time else ""


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
