"""Contents of what clients read about money: receipts, fees, memberships, purchases that are given back."""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from google.protobuf.message import Message

from powerhouse.booking.v1.booking_pb2 import BookableSession, Booking, Fee
from powerhouse.payments.v1.catalogue_pb2 import PricingOption
from powerhouse.payments.v1.fact_service_pb2 import FeeFacts, MembershipFacts
from powerhouse.payments.v1.membership_pb2 import Membership
from powerhouse.payments.v1.purchase_service_pb2 import Purchase
from services.chassis.resources import Resources
from services.chassis.rpc.codec import from_timestamp
from services.notify import money_facts
from services.notify.content import Content, NotWanted, PutOff, about_class, about_client, addressee_of, public_url
from services.notify.handing_over import Sending
from services.notify.local_words import day_and_time, every, money, phrase
from services.notify.models import Channel, State
from services.notify.recipients import Recipients, Subject
from services.notify.template_variables import YES

# The provider's code for a card that the client's bank wants to ask its owner about.
_BANK_ASKS = "authentication_required"
# A card that is not tried for so long, since the payment provider is away: the client shall know of the fee by now.
_PATIENCE = timedelta(hours=1)
_ASK_AGAIN = timedelta(minutes=5)
_HELD = (Booking.CONFIRMED, Booking.ATTENDED)


async def receipt(work: Resources, recipients: Recipients, sending: Sending) -> Content:
    """A document as the event told of it: those never change. Its PDF comes with the mail."""
    args = sending.args
    addressee = await addressee_of(recipients, Subject(sending.tenant_id, client_id=sending.client_id))
    content = about_client(addressee, _pay_link(work, sending, "purchase", args["purchase"]))
    zone, language = content.stationery.brand.time_zone, content.language
    content.values["refunded"] = YES if args["refunded"] else ""
    content.values["number"] = f"{args['number']:06d}"
    content.values["amount"] = money(args["amount_minor"], args["currency_code"], language)
    content.values["description"] = args["description"]
    content.values["date"] = day_and_time(datetime.fromisoformat(args["time"]), zone, language)
    whose = (sending.tenant_id, sending.subject_id, addressee.recipient.display_name)
    return replace(content, attachment=partial(money_facts.receipt_document, work, *whose, language))


async def fee_due(work: Resources, recipients: Recipients, sending: Sending) -> Content:
    """A fee that booking says is due, unless a card is tried: a receipt tells of that, or the news of its decline."""
    content = await _about_fee(work, recipients, sending, sending.subject_id)
    # What a provider may have already is not asked about again.
    if sending.state == State.PENDING:
        await _let_the_card_go_first(work, sending)
    return content


async def _let_the_card_go_first(work: Resources, sending: Sending) -> None:
    """Raises NotWanted, PutOff."""
    charge, now = (await money_facts.of_fee(work, sending.tenant_id, sending.subject_id)).charge, work.clock.now()
    if charge == FeeFacts.TRIED:
        raise NotWanted("a card was tried, of which another mail tells")
    if charge == FeeFacts.TO_COME and now < sending.due_time + _PATIENCE:
        raise PutOff(now + _ASK_AGAIN, "a card may be tried first")


async def fee_declined(work: Resources, recipients: Recipients, sending: Sending) -> Content:
    """A fee that a card did not pay, while it is still owed. The first mail is of no use once there is the last."""
    told = await money_facts.of_purchase(work, sending.tenant_id, sending.subject_id)
    purchase, again = told.purchase, from_timestamp(told, "next_charge_time")
    if purchase.state != Purchase.OPEN:
        raise NotWanted(f"the fee is {Purchase.State.Name(purchase.state).lower()}")
    if again is None and not sending.args["last"]:
        raise NotWanted("the card is not tried again, of which another mail tells")
    if sending.args["fee"]:
        content = await _about_fee(work, recipients, sending, UUID(sending.args["fee"]))
    else:
        content = await _to_client(recipients, sending, "")
        content.values.update(dict.fromkeys(("class_type", "start", "time_zone"), ""))
    quote, zone = purchase.quote, content.stationery.brand.time_zone
    content.values["link"] = _pay_link(work, sending, "purchase", sending.subject_id)
    content.values["amount"] = money(quote.total_minor - quote.gift_minor, quote.currency_code, content.language)
    content.values["description"] = quote.display_name
    content.values["next_attempt"] = day_and_time(again, zone, content.language) if again else ""
    content.values["bank_asks"] = YES if purchase.attempts and purchase.attempts[0].code == _BANK_ASKS else ""
    return content


async def membership_joined(work: Resources, recipients: Recipients, sending: Sending) -> Content:
    """A welcome: what it costs, when it renews, how it ends."""
    told = await money_facts.of_membership(work, sending.tenant_id, sending.subject_id)
    membership = told.membership
    _require(membership, Membership.ACTIVE)
    if membership.cancel_at_period_end:
        raise NotWanted("the membership is cancelled")
    content = await _about_membership(work, recipients, sending, told)
    unit = PricingOption.Interval.Name(membership.interval).lower()
    content.values["interval"] = every(membership.interval_count, unit, content.language)
    content.values["credits"] = "" if membership.unlimited else str(membership.quote.credits)
    return content


async def membership_past_due(work: Resources, recipients: Recipients, sending: Sending) -> Content:
    """A renewal that was declined, unless it is paid by now or was tried again."""
    told = await money_facts.of_membership(work, sending.tenant_id, sending.subject_id)
    membership = told.membership
    _require(membership, Membership.PAST_DUE)
    if len(membership.dunning.attempts) > sending.args["attempts"]:
        raise NotWanted("the card was tried again, of which another mail tells")
    link = _pay_link(work, sending, "membership", sending.subject_id)
    content = await _about_membership(work, recipients, sending, told, link)
    due, language = membership.dunning.due_minor, content.language
    content.values["amount"] = money(due, membership.quote.currency_code, language)
    content.values["next_attempt"] = _day(membership.dunning, "next_attempt_time", content)
    last = membership.dunning.attempts[-1:]
    content.values["bank_asks"] = YES if any(each.code == _BANK_ASKS for each in last) else ""
    return content


async def membership_cancelled(work: Resources, recipients: Recipients, sending: Sending) -> Content:
    """That it ends, or has ended, and until when what was paid can be used."""
    told = await money_facts.of_membership(work, sending.tenant_id, sending.subject_id)
    if not told.membership.cancel_at_period_end:
        _require(told.membership, Membership.ENDED)
    content = await _about_membership(work, recipients, sending, told)
    over = told.membership.state == Membership.ENDED
    content.values["ends"] = "" if over else _day(told.membership, "period_end_time", content)
    content.values["usable_until"] = _day(told, "usable_until_time", content)
    return content


async def membership_ended(work: Resources, recipients: Recipients, sending: Sending) -> Content:
    """That it has ended since nobody paid."""
    told = await money_facts.of_membership(work, sending.tenant_id, sending.subject_id)
    _require(told.membership, Membership.ENDED)
    return await _about_membership(work, recipients, sending, told)


async def membership_paused(work: Resources, recipients: Recipients, sending: Sending) -> Content:
    """That it rests, until when, or that it goes on."""
    told = await money_facts.of_membership(work, sending.tenant_id, sending.subject_id)
    _require(told.membership, Membership.ACTIVE if sending.args["resumed"] else Membership.PAUSED)
    content = await _about_membership(work, recipients, sending, told)
    content.values["resumed"] = YES if sending.args["resumed"] else ""
    content.values["next_charge"] = content.values["renews"] if sending.args["resumed"] else ""
    content.values["resumes"] = _day(told.membership, "resume_time", content)
    content.values["usable_until"] = _day(told, "usable_until_time", content)
    return content


async def purchase_returned(work: Resources, recipients: Recipients, sending: Sending) -> Content:
    """A place that was paid and could not be had; the money goes back.

    What booking says of it now decides the words: who has the place all the same paid it elsewhere.
    """
    told = await money_facts.of_purchase(work, sending.tenant_id, sending.subject_id)
    purchase = told.purchase
    if not purchase.booking:
        raise NotWanted("it was for no place")
    booking_id = UUID(purchase.booking.rpartition("/")[2])
    addressee = await addressee_of(recipients, Subject(sending.tenant_id, booking_id=booking_id))
    content, recipient = about_class(work, sending, addressee), addressee.recipient
    if recipient.state in _HELD and sending.channel != Channel.EMAIL:
        raise NotWanted("the client has the place")
    content.values["amount"] = money(purchase.quote.total_minor, purchase.quote.currency_code, content.language)
    content.values["held"] = YES if recipient.state in _HELD else ""
    content.values["cancelled"] = YES if recipient.session.availability == BookableSession.CANCELLED else ""
    return content


async def _about_fee(work: Resources, recipients: Recipients, sending: Sending, fee_id: UUID) -> Content:
    addressee = await addressee_of(recipients, Subject(sending.tenant_id, fee_id=fee_id))
    recipient = addressee.recipient
    if recipient.fee_state != Fee.DUE:
        raise NotWanted(f"the fee is {Fee.State.Name(recipient.fee_state).lower()}")
    content = about_class(work, sending, addressee)
    content.values["reason"] = phrase(Fee.Kind.Name(recipient.fee_kind).lower(), content.language)
    content.values["amount"] = money(recipient.amount_minor, recipient.currency_code, content.language)
    return content


async def _about_membership(
    work: Resources, recipients: Recipients, sending: Sending, told: MembershipFacts, link: str = ""
) -> Content:
    content = await _to_client(recipients, sending, link or f"{public_url(work)}/?studio={sending.tenant_id}")
    quote = told.membership.quote
    content.values["membership"] = quote.display_name
    content.values["amount"] = money(quote.total_minor, quote.currency_code, content.language)
    content.values["renews"] = _day(told.membership, "period_end_time", content)
    return content


async def _to_client(recipients: Recipients, sending: Sending, link: str) -> Content:
    return about_client(await addressee_of(recipients, Subject(sending.tenant_id, client_id=sending.client_id)), link)


def _require(membership: Membership, state: "Membership.State.ValueType") -> None:
    """Raises NotWanted."""
    if membership.state != state:
        raise NotWanted(f"the membership is {Membership.State.Name(membership.state).lower().replace('_', ' ')}")


def _day(told: Message, field: str, content: Content) -> str:
    """When that is, on the clocks of the studio; empty for never."""
    instant = from_timestamp(told, field)
    return day_and_time(instant, content.stationery.brand.time_zone, content.language) if instant else ""


def _pay_link(work: Resources, sending: Sending, what: str, resource_id: UUID | str) -> str:
    return f"{public_url(work)}/pay?{what}=studios/{sending.tenant_id}/{what}s/{resource_id}"
