"""Stationery: what a studio gives to all of its messages, loaded once for many: its words, its name, the ways out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import NO_TENANT
from services.notify import message_templates, senders, templates, unsubscribe
from services.notify.links import Links
from services.notify.local_words import spoken
from services.notify.models import Channel, Kind
from services.notify.preferences import CLIENT_KINDS
from services.notify.senders import Brand
from services.notify.templates import Frame, Source, Words


@dataclass(frozen=True)
class Wayout:
    """How the reader of a mail chooses what comes: a client's links, signed for a mail that was planned `since`."""

    links: Links
    public_url: str
    client_id: UUID
    since: datetime


@dataclass(frozen=True)
class Stationery:
    """Of one studio."""

    tenant: UUID
    brand: Brand
    own_words: Mapping[tuple[Kind, Channel, str], Source]

    def source(self, kind: Kind, channel: Channel, language: str) -> Source:
        """The studio's own template, else the house's."""
        own = self.own_words.get((kind, channel, spoken(language)))
        return own or templates.house(kind, channel, spoken(language))

    def sms(self, kind: Kind, values: Mapping[str, str], language: str) -> str:
        """The text of an SMS, from the studio's number (`brand.sms_number`)."""
        source = self.source(kind, Channel.SMS, language)
        return templates.render_sms(kind, values, language=language, source=source, studio=self.brand.display_name)

    def push(self, kind: Kind, values: Mapping[str, str], language: str) -> tuple[str, str]:
        """Title and text of a push message."""
        source = self.source(kind, Channel.PUSH, language)
        return templates.render_push(kind, values, language=language, source=source, studio=self.brand.display_name)

    def mail(
        self, kind: Kind, values: Mapping[str, str], language: str, wayout: Wayout | None
    ) -> tuple[Words, dict[str, str]]:
        """The words of a mail from `brand.mail_from`, and its further headers; the same each time, to the letter."""
        headers = {"Reply-To": self.brand.reply_to} if self.brand.reply_to else {}
        preferences_link = unsubscribe_link = ""
        if wayout and kind in CLIENT_KINDS:
            token = wayout.links.token(self.tenant, wayout.client_id, kind, language, wayout.since)
            preferences_link = unsubscribe.preferences_link(wayout.public_url, token)
            unsubscribe_link = unsubscribe.link(wayout.public_url, token)
            headers |= unsubscribe.headers(wayout.public_url, token)
        frame = Frame(self.brand.display_name, self.brand.postal_address, preferences_link, unsubscribe_link)
        source = self.source(kind, Channel.EMAIL, language)
        return templates.render(kind, values, language=language, source=source, frame=frame), headers


def plain(mail_from: str) -> Stationery:
    """The platform's own paper, for messages of no studio."""
    brand = Brand(display_name="", time_zone="UTC", mail_from=mail_from, reply_to="", sms_number="", postal_address="")
    return Stationery(NO_TENANT, brand, {})


async def load(tx: UnitOfWork, mail_from: str) -> Stationery:
    """Of the transaction's studio, in two statements; `mail_from` is the platform's own sender."""
    return Stationery(tx.tenant, await senders.brand(tx, mail_from), await message_templates.own(tx))
