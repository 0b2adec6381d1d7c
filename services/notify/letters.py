"""Letters: a delivery's content put into the words of its studio, if it is wanted, and by now."""

import re
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

from services.chassis.resources import Resources
from services.notify import contents, push_subscriptions
from services.notify.content import Content, NotWanted, PutOff
from services.notify.handing_over import Sending
from services.notify.links import Links
from services.notify.models import Channel, State
from services.notify.providers.mail import Mail
from services.notify.providers.push import Push
from services.notify.providers.sms import Sms
from services.notify.pushing import Notice
from services.notify.quiet_hours import send_time
from services.notify.recipients import Recipients
from services.notify.settings import NotifySettings
from services.notify.stationery import Wayout
from services.notify.template_variables import VARIABLES

# One address and nothing beside it; whether it exists is for the provider to say.
_ADDRESS = re.compile(r"[^\s\x00-\x1f\x7f<>(),;:\"@]+@[^\s\x00-\x1f\x7f<>(),;:\"@]+")
_MAX_ADDRESS = 254
# For how long a browser that is off may miss a push message that never gets stale.
_PUSH_LIFETIME = timedelta(days=1)
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")

Letter = Mail | Sms | Notice


class BadAddress(Exception):
    """The address cannot be one, so no provider needs to be asked."""


async def write(work: Resources, recipients: Recipients, sending: Sending) -> Letter:
    """The message of a delivery.

    Raises NotWanted, PutOff, BadAddress, or AioRpcError when an owner of the facts cannot be asked now.
    """
    content = await contents.collect(work, recipients, sending)
    # What a provider may have already is not asked about again.
    if sending.state == State.PENDING:
        _check_wishes(work.clock.now(), sending, content)
    values = {name: content.values[name] for name in VARIABLES[sending.message_kind]}
    if sending.channel == Channel.SMS:
        return _sms(sending, content, values)
    if sending.channel == Channel.PUSH:
        return await _notice(work, sending, content, values)
    return await _mail(cast(NotifySettings, work.settings), sending, content, values)


def _check_wishes(now: datetime, sending: Sending, content: Content) -> None:
    kind, channel = sending.message_kind, sending.channel
    wishes = content.addressee.preferences if content.addressee else None
    if wishes and (refusal := wishes.refusal(kind, channel)):
        raise NotWanted(refusal)
    if suppressed := content.suppressed.get(channel):
        raise NotWanted(suppressed)
    quiet = wishes.quiet_for(kind, channel) if wishes else None
    if wishes is None or quiet is None:
        return
    until = _useful_until(sending, content) or datetime.max.replace(tzinfo=UTC)
    moment = send_time(now, until, quiet, wishes.zone, earliest=now)
    if moment is None:
        raise NotWanted("quiet hours")
    if moment > now:
        raise PutOff(moment, "quiet hours")


async def _mail(settings: NotifySettings, sending: Sending, content: Content, values: dict[str, str]) -> Mail:
    if not content.email:
        raise NotWanted("no e-mail address")
    if len(content.email) > _MAX_ADDRESS or not _ADDRESS.fullmatch(content.email):
        raise BadAddress("invalid e-mail address")
    wayout = None
    if content.addressee:
        client_id = UUID(content.addressee.recipient.client_id)
        wayout = Wayout(Links(settings.secret), settings.public_url, client_id, sending.create_time)
    words, headers = content.stationery.mail(sending.message_kind, values, content.language, wayout)
    sender = content.stationery.brand.mail_from
    return Mail(
        sender=sender,
        to=content.email,
        subject=words.subject,
        text=words.text,
        html=words.html,
        headers=headers,
        attachments=[await content.attachment()] if content.attachment else [],
    )


def _sms(sending: Sending, content: Content, values: dict[str, str]) -> Sms:
    if not content.phone:
        raise NotWanted("no phone number")
    if not _E164.fullmatch(content.phone):
        raise BadAddress("invalid phone number")
    number = content.stationery.brand.sms_number
    if not number:
        raise NotWanted("the studio has no number to send texts from")
    text = content.stationery.sms(sending.message_kind, values, content.language)
    return Sms(sender=number, to=content.phone, text=text)


async def _notice(work: Resources, sending: Sending, content: Content, values: dict[str, str]) -> Notice:
    assert content.addressee
    recipient = content.addressee.recipient
    client_id = UUID(recipient.client_id)
    to = {}
    if recipient.account_id:
        async with work.database.transaction(sending.tenant_id) as tx:
            to = await push_subscriptions.browsers(tx, client_id, UUID(recipient.account_id))
    if not to:
        raise NotWanted("no browser of the client listens")
    title, text = content.stationery.push(sending.message_kind, values, content.language)
    now = work.clock.now()
    lifetime = (_useful_until(sending, content) or now + _PUSH_LIFETIME) - now
    pushes = {
        id: Push(browser, title, text, values["link"], max(0, int(lifetime.total_seconds())))
        for id, browser in to.items()
    }
    return Notice(sending.tenant_id, client_id, pushes)


def _useful_until(sending: Sending, content: Content) -> datetime | None:
    return min((end for end in (content.useful_until, sending.useful_until) if end is not None), default=None)
