"""Studios: creating one, its settings, and the lock that every writer of a studio takes."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select, tuple_

from powerhouse.scheduling.v1.events_pb2 import StudioCreated
from services.chassis import blobs
from services.chassis.blobs import Blob
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import InvalidArgument, NotFound, check_etag
from services.chassis.ids import new_id
from services.scheduling.currencies import check_currency
from services.scheduling.local_time import check_zone
from services.scheduling.models import Studio, StudioId

MUTABLE = ("display_name", "time_zone", "generation_weeks")
# Bytes.
MAX_LOGO = 5 * 1024 * 1024

_LOGO = "studio logo"
_DEFAULT_GENERATION_WEEKS = 4


async def create(
    tx: UnitOfWork, *, display_name: str, time_zone: str, currency_code: str, generation_weeks: int, account_id: UUID
) -> Studio:
    """Creates a studio; identity makes `account_id` its owner when it hears of it. 0 weeks mean 4."""
    check_zone(time_zone, "studio.time_zone")
    check_currency(currency_code, "studio.currency_code")
    studio_id = new_id()
    await tx.enter(studio_id)
    tx.session.add(StudioId(studio_id=studio_id))
    await tx.session.flush()
    studio = Studio(
        tenant_id=studio_id,
        display_name=display_name,
        time_zone=time_zone,
        currency_code=currency_code,
        generation_weeks=generation_weeks or _DEFAULT_GENERATION_WEEKS,
    )
    tx.session.add(studio)
    await tx.session.flush()
    await tx.publish(
        StudioCreated(studio_id=str(studio_id), account_id=str(account_id)),
        aggregate="studio",
        aggregate_id=studio_id,
        version=studio.version,
    )
    return studio


async def get(tx: UnitOfWork) -> Studio:
    """The studio of the transaction. Raises NotFound."""
    return _found(tx, await tx.session.get(Studio, tx.tenant))


async def lock(tx: UnitOfWork) -> Studio:
    """The studio's row, locked until the transaction ends. Raises NotFound.

    Every write in a studio begins here. So its writers take turns: what a rule has read stays true until the commit,
    locks have one order, and overlapping inserts meet the constraint one after the other instead of in a deadlock.
    """
    return _found(tx, await tx.session.get(Studio, tx.tenant, with_for_update={"key_share": True}))


async def list_page(tx: UnitOfWork, studio_ids: Collection[UUID], page: Page) -> Sequence[Studio]:
    """Studios by name; the transaction must see all of `studio_ids`."""
    query = select(Studio).where(Studio.tenant_id.in_(studio_ids))
    if page.after:
        query = query.where(tuple_(Studio.display_name, Studio.tenant_id) > tuple_(*page.after))
    query = query.order_by(Studio.display_name, Studio.tenant_id).limit(page.limit)
    return (await tx.session.scalars(query)).all()


async def update(tx: UnitOfWork, etag: str, changes: dict[str, Any]) -> Studio:
    """Changes some of MUTABLE."""
    studio = await lock(tx)
    check_etag(etag, studio.etag)
    if "time_zone" in changes:
        check_zone(changes["time_zone"], "studio.time_zone")
    if changes.get("generation_weeks") == 0:
        raise InvalidArgument("studio.generation_weeks", "must be 1 to 8")
    for field, value in changes.items():
        tx.note_change(field, getattr(studio, field), value)
        setattr(studio, field, value)
    if changes:
        studio.touch(tx.now())
    return studio


async def set_logo(tx: UnitOfWork, blob: Blob) -> Studio:
    """Shows a stored image as the logo, and no more the one before."""
    studio = await lock(tx)
    if studio.logo == blob.sha256:
        return studio
    if studio.logo:
        await blobs.let_go(tx, studio.logo, _LOGO)
    await blobs.use(tx, blob.sha256, _LOGO)
    tx.note_change("logo", studio.logo.hex() if studio.logo else "", blob.etag)
    studio.logo = blob.sha256
    studio.touch(tx.now())
    return studio


async def logo(tx: UnitOfWork) -> Blob:
    """Raises NotFound while there is none."""
    studio = await get(tx)
    if studio.logo is None:
        raise NotFound("logo")
    return await blobs.find(tx, studio.logo)


def image_type(head: bytes) -> str | None:
    """The content type of an image that browsers show everywhere, by its first bytes; None for anything else."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    return "image/webp" if head.startswith(b"RIFF") and head[8:12] == b"WEBP" else None


async def all_ids(tx: UnitOfWork) -> Sequence[UUID]:
    """The ids of all studios, whatever the transaction may see."""
    return (await tx.session.scalars(select(StudioId.studio_id).order_by(StudioId.studio_id))).all()


def _found(tx: UnitOfWork, studio: Studio | None) -> Studio:
    if studio is None:
        raise NotFound(f"studios/{tx.tenant}")
    return studio
