"""Tags: a studio's own labels for its clients. Only staff see them."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, func, insert, select, tuple_
from sqlalchemy.exc import IntegrityError

from services.booking.models import CLIENT_TAG_NAME, ClientTag, ClientTagLink
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import AlreadyExists, InvalidArgument, NotFound, check_etag
from services.chassis.ids import new_id


async def create(tx: UnitOfWork, display_name: str) -> ClientTag:
    """Raises AlreadyExists/TAG_NAME_TAKEN, InvalidArgument for an empty name."""
    tag = ClientTag(
        tenant_id=tx.tenant,
        id=new_id(),
        display_name=_clean(display_name),
        create_time=tx.now(),
        update_time=tx.now(),
    )
    tx.session.add(tag)
    await _flush(tx)
    return tag


async def list_by_name(tx: UnitOfWork, page: Page) -> Sequence[ClientTag]:
    """All of the studio's, by name."""
    query = select(ClientTag).where(ClientTag.tenant_id == tx.tenant)
    if page.after:
        query = query.where(tuple_(ClientTag.display_name, ClientTag.id) > tuple(page.after))
    return (await tx.session.scalars(query.order_by(ClientTag.display_name, ClientTag.id).limit(page.limit))).all()


async def rename(tx: UnitOfWork, tag_id: UUID, display_name: str, etag: str) -> ClientTag:
    """Raises NotFound, Aborted/ETAG_MISMATCH, and as `create`."""
    tag = await _open(tx, tag_id, etag)
    tag.display_name = _clean(display_name)
    tag.touch(tx.now())
    await _flush(tx)
    return tag


async def remove(tx: UnitOfWork, tag_id: UUID, etag: str) -> ClientTag:
    """Deletes the tag, which takes it off everybody. Raises NotFound, Aborted/ETAG_MISMATCH."""
    tag = await _open(tx, tag_id, etag)
    bearers = select(func.count()).where(ClientTagLink.tenant_id == tx.tenant, ClientTagLink.tag_id == tag_id)
    tx.note_change("clients", await tx.session.scalar(bearers), 0)
    await tx.session.delete(tag)
    await tx.session.flush()
    return tag


async def put_on(tx: UnitOfWork, client_id: UUID, tag_ids: Sequence[UUID]) -> None:
    """Makes these the client's tags. Raises NotFound for one that the studio does not have."""
    await lock(tx, tag_ids)
    link, wanted = ClientTagLink, set(tag_ids)
    own = (link.tenant_id == tx.tenant, link.client_id == client_id)
    held = set(await tx.session.scalars(select(link.tag_id).where(*own)))
    if lost := held - wanted:
        await tx.session.execute(delete(link).where(*own, link.tag_id.in_(lost)))
    rows = [{"tenant_id": tx.tenant, "client_id": client_id, "tag_id": tag} for tag in wanted - held]
    if rows:
        await tx.session.execute(insert(link), rows)
    if held != wanted:
        tx.note_change("tags", sorted(map(str, held)), sorted(map(str, wanted)))


async def lock(tx: UnitOfWork, tag_ids: Sequence[UUID]) -> None:
    """Keeps tags from being deleted. Raises NotFound for one that the studio does not have."""
    known = select(ClientTag.id).where(ClientTag.tenant_id == tx.tenant, ClientTag.id.in_(tag_ids))
    if set(await tx.session.scalars(known.with_for_update(read=True, key_share=True))) != set(tag_ids):
        raise NotFound("client_tag")


async def _open(tx: UnitOfWork, tag_id: UUID, etag: str) -> ClientTag:
    query = select(ClientTag).where(ClientTag.tenant_id == tx.tenant, ClientTag.id == tag_id)
    tag = (await tx.session.scalars(query.with_for_update())).one_or_none()
    if tag is None:
        raise NotFound("client_tag")
    check_etag(etag, tag.etag)
    return tag


def _clean(display_name: str) -> str:
    if not display_name.strip():
        raise InvalidArgument("client_tag.display_name", "is required")
    return display_name.strip()


async def _flush(tx: UnitOfWork) -> None:
    try:
        await tx.session.flush()
    except IntegrityError as error:
        if getattr(getattr(error.orig, "__cause__", None), "constraint_name", None) != CLIENT_TAG_NAME:
            raise
        raise AlreadyExists(
            "the studio has a tag of this name", reason="TAG_NAME_TAKEN", field="client_tag.display_name"
        ) from None
