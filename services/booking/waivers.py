"""The waiver of a studio: versions of one text, of which the newest is in force."""

from uuid import UUID

from sqlalchemy import Boolean, ColumnElement, func, select
from sqlalchemy.dialects.postgresql import insert

from services.booking.models import Client, Waiver
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import Aborted, NotFound


async def get(tx: UnitOfWork, version: int) -> Waiver:
    """That version, or the one in force for 0. Raises NotFound."""
    query = select(Waiver).where(Waiver.tenant_id == tx.tenant)
    query = query.where(Waiver.version == version) if version else query.order_by(Waiver.version.desc()).limit(1)
    waiver = (await tx.session.scalars(query)).one_or_none()
    if waiver is None:
        raise NotFound("waiver")
    return waiver


async def publish(tx: UnitOfWork, title: str, text: str) -> Waiver:
    """Puts a new version in force. Raises Aborted/ETAG_MISMATCH when two are published at once."""
    newest = await tx.session.scalar(select(func.max(Waiver.version)).where(Waiver.tenant_id == tx.tenant)) or 0
    row = insert(Waiver).values(tenant_id=tx.tenant, version=newest + 1, title=title, text=text, create_time=tx.now())
    made: Waiver | None = await tx.session.scalar(row.on_conflict_do_nothing().returning(Waiver))
    if made is None:
        raise Aborted("another version was published meanwhile", reason="ETAG_MISMATCH")
    tx.note_change("version", newest, made.version)
    return made


async def is_signed(tx: UnitOfWork, client_id: UUID) -> bool:
    """Whether the version in force was signed for the client; so it is where there is none."""
    query = select(must_sign()).where(Client.tenant_id == tx.tenant, Client.id == client_id)
    return not await tx.session.scalar(query)


def must_sign() -> ColumnElement[bool]:
    """Whether the version in force is unsigned by the client of the same query."""
    return func.must_sign_v1(Client.tenant_id, Client.id, type_=Boolean())
