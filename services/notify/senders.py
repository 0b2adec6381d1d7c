"""Senders: in whose name a studio's messages go out, and which studio a message that comes in is for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parseaddr
from uuid import UUID

import phonenumbers
from sqlalchemy import Uuid, delete, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import AlreadyExists, InvalidArgument, check_etag
from services.notify.models import Sender, SenderNumber, Studio

MUTABLE = ("mail_name", "mail_address", "reply_to", "sms_number", "postal_address")
# What would end a name in a header, or begin something else.
_NOT_IN_NAMES = re.compile(r'[\x00-\x1f\x7f<>"@,;:\\]')


@dataclass(frozen=True)
class Brand:
    """A studio as its messages show it."""

    # Empty while notify has not heard of it.
    display_name: str
    time_zone: str
    # `Name <address>`.
    mail_from: str
    reply_to: str
    # E.164; a studio without one sends no texts.
    sms_number: str
    postal_address: str


async def put_studio(tx: UnitOfWork, *, version: int, display_name: str, time_zone: str) -> None:
    """What scheduling says of the studio, unless something newer is known."""
    row = insert(Studio).values(tenant_id=tx.tenant, version=version, display_name=display_name, time_zone=time_zone)
    news = {name: row.excluded[name] for name in ("version", "display_name", "time_zone")}
    await tx.session.execute(
        row.on_conflict_do_update(index_elements=["tenant_id"], set_=news, where=Studio.version < row.excluded.version)
    )


async def brand(tx: UnitOfWork, mail_from: str) -> Brand:
    """The studio's own names and addresses, or the platform's: `mail_from`, under the studio's name."""
    # Of either table there may be no row: nothing is joined to both.
    nothing = select(literal(tx.tenant, Uuid).label("tenant_id")).subquery()
    query = (
        select(Studio, Sender)
        .select_from(nothing)
        .outerjoin(Studio, Studio.tenant_id == nothing.c.tenant_id)
        .outerjoin(Sender, Sender.tenant_id == nothing.c.tenant_id)
    )
    studio, sender = (await tx.session.execute(query)).one()
    sender = sender or _empty(tx)
    platform_name, platform_address = parseaddr(mail_from)
    display_name = studio.display_name if studio else ""
    name = _NOT_IN_NAMES.sub(" ", sender.mail_name or display_name or platform_name)
    return Brand(
        display_name=display_name,
        time_zone=studio.time_zone if studio else "UTC",
        mail_from=f"{' '.join(name.split())} <{sender.mail_address or platform_address}>",
        reply_to=sender.reply_to,
        sms_number=sender.sms_number,
        postal_address=sender.postal_address,
    )


async def get(tx: UnitOfWork) -> Sender:
    """The studio's sender; an empty one while nobody has set it."""
    return await tx.session.get(Sender, tx.tenant) or _empty(tx)


async def update(tx: UnitOfWork, changes: Mapping[str, str], etag: str) -> Sender:
    """Changes some of MUTABLE.

    Raises Aborted/ETAG_MISMATCH, InvalidArgument/PHONE_INVALID, AlreadyExists/NUMBER_TAKEN.
    """
    nothing = {"tenant_id": tx.tenant, "version": 0, **dict.fromkeys(MUTABLE, "")}
    await tx.session.execute(insert(Sender).values(nothing).on_conflict_do_nothing())
    sender = await tx.session.get_one(Sender, tx.tenant, with_for_update=True)
    check_etag(etag, sender.etag)
    for field, typed in changes.items():
        value = _number(typed) if field == "sms_number" else " ".join(typed.split())
        tx.note_change(field, bool(getattr(sender, field)), bool(value))
        setattr(sender, field, value)
    if "sms_number" in changes:
        await _take_number(tx, sender.sms_number)
    sender.touch(tx.now())
    await tx.session.flush()
    return sender


async def studio_of(tx: UnitOfWork, number: str) -> UUID | None:
    """The studio whose number this is, E.164; asked before any studio is known."""
    return await tx.session.scalar(select(SenderNumber.studio_id).where(SenderNumber.number == number))


def _empty(tx: UnitOfWork) -> Sender:
    return Sender(tenant_id=tx.tenant, version=0, **dict.fromkeys(MUTABLE, ""))


async def _take_number(tx: UnitOfWork, number: str) -> None:
    await tx.session.execute(delete(SenderNumber).where(SenderNumber.studio_id == tx.tenant))
    if not number:
        return
    try:
        await tx.session.execute(insert(SenderNumber).values(number=number, studio_id=tx.tenant))
    except IntegrityError:
        raise AlreadyExists(
            "another studio sends from this number", reason="NUMBER_TAKEN", field="sender.sms_number"
        ) from None


def _number(typed: str) -> str:
    """In E.164; empty stays empty."""
    if not typed.strip():
        return ""
    try:
        number = phonenumbers.parse(typed, None)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or number.extension or not phonenumbers.is_possible_number(number):
        raise InvalidArgument(
            "sender.sms_number", "is no number with a country code, like +49 30 123456", reason="PHONE_INVALID"
        )
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
