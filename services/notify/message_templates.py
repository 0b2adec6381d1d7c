"""A studio's own words: overriding the house's for one kind, channel and language, and going back to them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, delete, select
from sqlalchemy.dialects.postgresql import insert

from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import InvalidArgument, NotFound, check_etag
from services.chassis.ids import derived_id
from services.notify import template_checks, template_variables, templates
from services.notify.local_words import LANGUAGES
from services.notify.models import Channel, Kind, MessageTemplate
from services.notify.templates import Source

MUTABLE = ("subject", "html", "text")
# Of no studio, so not a studio's to word.
_NOT_OF_STUDIOS = {Kind.PASSWORD_RESET}


@dataclass(frozen=True)
class Template:
    """The words that hold for a kind, channel and language. `version` is 0 while they are the house's."""

    id: UUID
    kind: Kind
    channel: Channel
    language: str
    source: Source
    version: int
    update_time: datetime | None

    @property
    def etag(self) -> str:
        return str(self.version)


async def list_all(tx: UnitOfWork) -> list[Template]:
    """Every template of the studio, its own and the house's, in the order of the kinds."""
    rows = {row.id: row for row in await tx.session.scalars(_mine(tx))}
    return [_of(key, template_id, rows.get(template_id)) for template_id, key in _keys(tx.tenant)]


async def get(tx: UnitOfWork, template_id: UUID) -> Template:
    """Raises NotFound."""
    row = await tx.session.scalar(_mine(tx).where(MessageTemplate.id == template_id))
    return _of(_key(tx.tenant, template_id), template_id, row)


async def own(tx: UnitOfWork) -> dict[tuple[Kind, Channel, str], Source]:
    """The studio's own words, by kind, channel and language; few, so that sending loads them at once."""
    return {
        (Kind(row.kind), Channel(row.channel), row.language): Source(row.subject, row.html, row.text)
        for row in await tx.session.scalars(_mine(tx))
    }


async def update(tx: UnitOfWork, template_id: UUID, changes: Mapping[str, str], etag: str) -> Template:
    """Words of its own for the studio. Raises NotFound, Aborted/ETAG_MISMATCH, InvalidArgument as `sound`."""
    kind, channel, language = _key(tx.tenant, template_id)
    house = templates.house(kind, channel, language)
    first = insert(MessageTemplate).values(
        tenant_id=tx.tenant,
        id=template_id,
        kind=kind,
        channel=channel,
        language=language,
        subject=house.subject,
        html=house.html,
        text=house.text,
        version=0,
    )
    await tx.session.execute(first.on_conflict_do_nothing())
    row = await tx.session.get_one(MessageTemplate, (tx.tenant, template_id), with_for_update=True)
    check_etag(etag, row.etag)
    for field, value in changes.items():
        setattr(row, field, value.replace("\r\n", "\n"))
    sound(kind, channel, language, Source(row.subject, row.html, row.text))
    tx.note_change("version", row.version, row.version + 1)
    row.touch(tx.now())
    await tx.session.flush()
    return _of((kind, channel, language), template_id, row)


async def reset(tx: UnitOfWork, template_id: UUID, etag: str) -> Template:
    """Back to the house's words. Raises NotFound, Aborted/ETAG_MISMATCH."""
    key = _key(tx.tenant, template_id)
    row = await tx.session.get(MessageTemplate, (tx.tenant, template_id), with_for_update=True)
    check_etag(etag, row.etag if row else "0")
    mine = MessageTemplate.tenant_id == tx.tenant, MessageTemplate.id == template_id
    await tx.session.execute(delete(MessageTemplate).where(*mine))
    tx.note_change("version", row.version if row else 0, 0)
    return _of(key, template_id, None)


def sound(kind: Kind, channel: Channel, language: str, source: Source) -> None:
    """Raises InvalidArgument with the reason, field and words of what is wrong with a template."""
    try:
        template_checks.check(kind, channel, source, language)
    except template_checks.Unsound as fault:
        field = f"message_template.{fault.field}"
        raise InvalidArgument(field, fault.message, reason=fault.reason) from None


def _keys(tenant: UUID) -> Iterator[tuple[UUID, tuple[Kind, Channel, str]]]:
    for kind in Kind:
        if kind in _NOT_OF_STUDIOS:
            continue
        for channel in template_variables.channels(kind):
            for language in LANGUAGES:
                yield _id(tenant, kind, channel, language), (kind, channel, language)


def _id(tenant: UUID, kind: Kind, channel: Channel, language: str) -> UUID:
    """Known before there is a row."""
    return derived_id(tenant, f"message template {kind} {channel} {language}")


def _key(tenant: UUID, template_id: UUID) -> tuple[Kind, Channel, str]:
    for candidate, key in _keys(tenant):
        if candidate == template_id:
            return key
    raise NotFound("message_template")


def _mine(tx: UnitOfWork) -> Select[MessageTemplate]:
    return select(MessageTemplate).where(MessageTemplate.tenant_id == tx.tenant)


def _of(key: tuple[Kind, Channel, str], template_id: UUID, row: MessageTemplate | None) -> Template:
    kind, channel, language = key
    return Template(
        id=template_id,
        kind=kind,
        channel=channel,
        language=language,
        source=Source(row.subject, row.html, row.text) if row else templates.house(kind, channel, language),
        version=row.version if row else 0,
        update_time=row.update_time if row else None,
    )
