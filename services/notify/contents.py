"""Contents: whom a delivery goes to and the facts its words are made of, asked of their owners as it is sent.

One function per kind. Nothing personal is kept here: addresses, names and links live for the length of one call.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import cast
from urllib.parse import quote
from uuid import UUID

import grpc

from powerhouse.booking.v1.booking_pb2 import BookableSession, Booking
from powerhouse.booking.v1.waitlist_pb2 import WaitlistEntry
from powerhouse.identity.v1 import identity_service_pb2
from powerhouse.identity.v1.identity_service_pb2 import GetMailLinkRequest, GetMailLinkResponse
from powerhouse.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from powerhouse.payments.v1 import gift_card_service_pb2
from powerhouse.payments.v1.gift_card_service_pb2 import TakeGiftCardLetterRequest, TakeGiftCardLetterResponse
from powerhouse.payments.v1.gift_card_service_pb2_grpc import GiftCardServiceStub
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import NO_TENANT
from services.chassis.resources import Resources
from services.chassis.rpc.codec import from_timestamp
from services.notify import (
    dispute_alerts,
    generation_summaries,
    money_contents,
    money_facts,
    staff,
    stationery,
    suppressions,
)
from services.notify.content import Content, NotWanted, about_class, addressee_of, public_url, studio_link
from services.notify.handing_over import Sending
from services.notify.local_words import day_and_time, money, phrase, short_time
from services.notify.models import Channel, Kind
from services.notify.recipients import Recipients, Subject
from services.notify.settings import NotifySettings
from services.notify.template_variables import YES

_IN_LINE = (WaitlistEntry.WAITING, WaitlistEntry.OFFERED)


async def collect(work: Resources, recipients: Recipients, sending: Sending) -> Content:
    """The content of a delivery.

    Raises NotWanted, PutOff, or AioRpcError when an owner of the facts cannot be asked now.
    """
    return await _COLLECTORS[sending.message_kind](work, recipients, sending)


async def _about_place(work: Resources, recipients: Recipients, sending: Sending) -> Content:
    """Of a booking that still holds its place in a class that is still to come."""
    addressee = await addressee_of(recipients, Subject(sending.tenant_id, booking_id=sending.subject_id))
    recipient = addressee.recipient
    if recipient.state != Booking.CONFIRMED:
        raise NotWanted(f"the booking is {Booking.State.Name(recipient.state).lower().replace('_', ' ')}")
    if recipient.session.availability == BookableSession.CANCELLED:
        raise NotWanted("the class is cancelled")
    if recipient.session.start_time.ToDatetime(tzinfo=UTC) <= work.clock.now():
        raise NotWanted("the class has begun")
    return about_class(work, sending, addressee)


async def _reminder(work: Resources, recipients: Recipients, sending: Sending) -> Content:
    content = await _about_place(work, recipients, sending)
    assert content.addressee
    if content.addressee.recipient.time_version != sending.time_version:
        raise NotWanted("the class has moved")
    return content


async def _class_changed(work: Resources, recipients: Recipients, sending: Sending) -> Content:
    content = await _about_place(work, recipients, sending)
    assert content.addressee
    session, language = content.addressee.recipient.session, content.language
    told = {what: each["was"] for what, each in sending.args.get("previous", {}).items()}
    now = {
        "time": session.start_time.ToDatetime(tzinfo=UTC).isoformat(),
        "instructor": session.instructor_display_name,
        "room": f"{session.room_display_name}, {session.location_display_name}",
    }
    before = {what: was for what, was in told.items() if was != now[what]}
    # What is again as the client knows it is no change.
    changes = [change for change in sending.args["changes"] if change in before or change not in told]
    if not changes:
        raise NotWanted("the class is again as the client knows it")
    content.values["changes"] = ", ".join(phrase(change, language) for change in changes)
    start = datetime.fromisoformat(before["time"]) if "time" in before else None
    content.values["previous_start"] = day_and_time(start, session.time_zone, language) if start else ""
    content.values["previous_start_short"] = short_time(start, session.time_zone, language) if start else ""
    content.values["previous_instructor"] = before.get("instructor", "")
    content.values["previous_room"] = before.get("room", "")
    return content


async def _displaced(work: Resources, recipients: Recipients, sending: Sending) -> Content:
    """Of a place that is gone: by the wait that it became, else by the booking that it was."""
    waits = sending.subject_id != sending.booking_id
    subject = {"waitlist_entry_id" if waits else "booking_id": sending.subject_id}
    addressee = await addressee_of(recipients, Subject(sending.tenant_id, **subject))
    recipient = addressee.recipient
    if recipient.waitlist_state == WaitlistEntry.PROMOTED or recipient.state == Booking.CONFIRMED:
        raise NotWanted("the client has a place again")
    if recipient.session.start_time.ToDatetime(tzinfo=UTC) <= work.clock.now():
        raise NotWanted("the class has begun")
    content = about_class(work, sending, addressee)
    content.values["waiting"] = YES if recipient.waitlist_state in _IN_LINE else ""
    content.values["guest"] = YES if sending.args["guest"] else ""
    return content


async def _class_cancelled(work: Resources, recipients: Recipients, sending: Sending) -> Content:
    addressee = await addressee_of(recipients, Subject(sending.tenant_id, booking_id=sending.subject_id))
    session = addressee.recipient.session
    if session.availability != BookableSession.CANCELLED:
        raise NotWanted("the class is on again")
    if session.start_time.ToDatetime(tzinfo=UTC) <= work.clock.now():
        raise NotWanted("the class would have begun")
    return about_class(work, sending, addressee)


async def _waitlist_offer(work: Resources, recipients: Recipients, sending: Sending) -> Content:
    addressee = await addressee_of(recipients, Subject(sending.tenant_id, waitlist_entry_id=sending.subject_id))
    recipient = addressee.recipient
    if recipient.waitlist_state != WaitlistEntry.OFFERED:
        raise NotWanted("the place is not offered any more")
    expires = from_timestamp(recipient, "offer_expire_time")
    if expires is None or expires <= work.clock.now():
        raise NotWanted("the offer has expired")
    content = about_class(work, sending, addressee)
    content.values["offer_until"] = day_and_time(expires, recipient.session.time_zone, content.language)
    return content


async def _delivery_alert(work: Resources, _recipients: Recipients, sending: Sending) -> Content:
    person = await _who_runs_it(work, sending, sending.subject_id)
    values = {
        "count": str(sending.args["count"]),
        "reasons": ", ".join(f"{reason} ({count})" for reason, count in sending.args["reasons"]),
    }
    return await _to_no_client(work, sending, person.email, person.display_name, values)


async def _generation_summary(work: Resources, _recipients: Recipients, sending: Sending) -> Content:
    person = await _who_runs_it(work, sending, UUID(sending.args["account"]))
    values = generation_summaries.values(sending.args, _STAFF_LANGUAGE)
    return await _to_no_client(work, sending, person.email, person.display_name, values)


async def _dispute_alert(work: Resources, _recipients: Recipients, sending: Sending) -> Content:
    person = await _who_runs_it(work, sending, UUID(sending.args["account"]))
    told = await money_facts.of_dispute(work, sending.tenant_id, UUID(sending.args["dispute"]))
    if told.dispute.status != sending.args["status"]:
        raise NotWanted("the dispute is in another state")
    values = dispute_alerts.values(told, _STAFF_LANGUAGE)
    content = await _to_no_client(work, sending, person.email, person.display_name, values)
    due, zone = from_timestamp(told.dispute, "due_time"), content.stationery.brand.time_zone
    content.values["due"] = day_and_time(due, zone, _STAFF_LANGUAGE) if due else ""
    return content


async def _invitation(work: Resources, _recipients: Recipients, sending: Sending) -> Content:
    link = await _mail_link(work, GetMailLinkRequest(invitation_id=str(sending.subject_id)))
    role = phrase(Role.Name(link.role).removeprefix("ROLE_").lower(), _STAFF_LANGUAGE)
    values = _with_link(work, "accept-invitation", link) | {"role": role}
    return await _to_no_client(work, sending, link.email, link.display_name, values)


async def _password_reset(work: Resources, _recipients: Recipients, sending: Sending) -> Content:
    link = await _mail_link(work, GetMailLinkRequest(password_reset_id=str(sending.subject_id)))
    return await _to_no_client(work, sending, link.email, link.display_name, _with_link(work, "reset-password", link))


async def _gift_card(work: Resources, _recipients: Recipients, sending: Sending) -> Content:
    taken = await _gift_card_letter(work, sending)
    letter, language = taken.letter, taken.letter.language
    values = {
        "sender": letter.sender_display_name,
        "amount": money(taken.amount_minor, taken.currency_code, language),
        "code": taken.code,
        "message": letter.message,
    }
    content = await _to_no_client(
        work, sending, letter.recipient_email, letter.recipient_display_name, values, language
    )
    expires, zone = from_timestamp(taken, "expire_time"), content.stationery.brand.time_zone
    content.values["expires"] = day_and_time(expires, zone, language) if expires else ""
    return content


# Of those who work there nobody has said which language they read.
_STAFF_LANGUAGE = "en"


async def _to_no_client(
    work: Resources,
    sending: Sending,
    email: str,
    name: str,
    values: dict[str, str],
    language: str = _STAFF_LANGUAGE,
) -> Content:
    """For those of whom booking knows nothing, on the studio's paper if it is about one."""
    mail_from = cast(NotifySettings, work.settings).mail_from
    suppressed: dict[Channel, str] = {}
    if sending.tenant_id == NO_TENANT:
        paper = stationery.plain(mail_from)
    else:
        async with work.database.transaction(sending.tenant_id) as tx:
            paper = await stationery.load(tx, mail_from)
            if why := (await suppressions.find(tx, [address := (Channel.EMAIL, email)])).get(address):
                suppressed[Channel.EMAIL] = why
    return Content(
        email=email,
        suppressed=suppressed,
        language=language,
        values={"name": name, "link": studio_link(work, sending), **values},
        stationery=paper,
    )


async def _who_runs_it(work: Resources, sending: Sending, account: UUID) -> staff.Person:
    people = {person.account_id: person for person in await staff.who_run(work, sending.tenant_id)}
    person = people.get(str(account))
    if person is None:
        raise NotWanted("the account does not run the studio any more")
    return person


_COLLECTORS: dict[Kind, Callable[[Resources, Recipients, Sending], Awaitable[Content]]] = {
    Kind.BOOKING_CONFIRMATION: _about_place,
    Kind.REMINDER: _reminder,
    Kind.WAITLIST_PROMOTED: _about_place,
    Kind.WAITLIST_OFFER: _waitlist_offer,
    Kind.CLASS_CANCELLED: _class_cancelled,
    Kind.CLASS_CHANGED: _class_changed,
    Kind.DISPLACED: _displaced,
    Kind.FEE_DUE: money_contents.fee_due,
    Kind.RECEIPT: money_contents.receipt,
    Kind.GIFT_CARD: _gift_card,
    Kind.GENERATION_SUMMARY: _generation_summary,
    Kind.DELIVERY_ALERT: _delivery_alert,
    Kind.INVITATION: _invitation,
    Kind.PASSWORD_RESET: _password_reset,
    Kind.FEE_DECLINED: money_contents.fee_declined,
    Kind.MEMBERSHIP_JOINED: money_contents.membership_joined,
    Kind.MEMBERSHIP_PAST_DUE: money_contents.membership_past_due,
    Kind.MEMBERSHIP_CANCELLED: money_contents.membership_cancelled,
    Kind.MEMBERSHIP_ENDED: money_contents.membership_ended,
    Kind.MEMBERSHIP_PAUSED: money_contents.membership_paused,
    Kind.PURCHASE_RETURNED: money_contents.purchase_returned,
    Kind.DISPUTE_ALERT: _dispute_alert,
}
# Kinds that can be sent.
KINDS = tuple(_COLLECTORS)


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


async def _gift_card_letter(work: Resources, sending: Sending) -> TakeGiftCardLetterResponse:
    payments = work.stubs.get(
        GiftCardServiceStub, gift_card_service_pb2.DESCRIPTOR.services_by_name["GiftCardService"], "payments"
    )
    studio = f"studios/{sending.tenant_id}"
    request = TakeGiftCardLetterRequest(
        parent=studio, gift_card=f"{studio}/giftCards/{sending.subject_id}", number=sending.time_version
    )
    try:
        return await payments.TakeGiftCardLetter(request)
    except grpc.aio.AioRpcError as error:
        if error.code() == grpc.StatusCode.FAILED_PRECONDITION:
            raise NotWanted(cast(str, error.details())) from None
        raise


def _with_link(work: Resources, path: str, link: GetMailLinkResponse) -> dict[str, str]:
    """The secret travels behind `#`, which browsers keep to themselves: no log and no Referer ever shows it."""
    return {
        "link": f"{public_url(work)}/{path}#token={quote(link.token, safe='')}",
        "expires": day_and_time(link.expire_time.ToDatetime(tzinfo=UTC), "UTC", _STAFF_LANGUAGE),
    }
