"""What locations, rooms, class types and instructors have in common: finding, changing, archiving, bringing back."""

from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import select, tuple_

from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, NotFound, check_etag
from services.scheduling import studios, timetable
from services.scheduling.models import Catalogued, resource_name

T = TypeVar("T", bound=Catalogued)


async def get(tx: UnitOfWork, kind: type[T], resource_id: UUID) -> T:
    """One of the studio's, archived or not. Raises NotFound."""
    row = await tx.session.get(kind, (tx.tenant, resource_id))
    if row is None:
        raise NotFound(resource_name(tx.tenant, kind.COLLECTION, resource_id))
    return row


async def list_page(tx: UnitOfWork, kind: type[T], page: Page, *, show_archived: bool) -> Sequence[T]:
    """The studio's by name."""
    query = select(kind).where(kind.tenant_id == tx.tenant)
    if not show_archived:
        query = query.where(kind.archive_time.is_(None))
    if page.after:
        query = query.where(tuple_(kind.display_name, kind.id) > tuple_(*page.after))
    return (await tx.session.scalars(query.order_by(kind.display_name, kind.id).limit(page.limit))).all()


async def open_for_change(tx: UnitOfWork, kind: type[T], resource_id: UUID, etag: str) -> T:
    """One that may be changed now: locked, known at this etag, and not archived."""
    await studios.lock(tx)
    row = await get(tx, kind, resource_id)
    check_etag(etag, row.etag)
    require_active(row)
    return row


def apply(tx: UnitOfWork, row: Catalogued, changes: dict[str, Any]) -> set[str]:
    """Sets the given fields and returns those that differ from before; touches the row when there are any."""
    changed = {field for field, value in changes.items() if getattr(row, field) != value}
    for field in changed:
        # Names may be those of people, which stay out of the audit.
        if field != "display_name":
            tx.note_change(field, getattr(row, field), changes[field])
        setattr(row, field, changes[field])
    if changed:
        row.touch(tx.now())
    return changed


async def archive(tx: UnitOfWork, kind: type[T], resource_id: UUID, etag: str) -> T:
    """Takes it out of use. Raises FailedPrecondition STILL_IN_USE while a session that is not over needs it."""
    row = await open_for_change(tx, kind, resource_id, etag)
    await timetable.require_unused(tx, row)
    row.archive_time = tx.now()
    row.touch(tx.now())
    await tx.session.flush()
    return row


async def restore(tx: UnitOfWork, kind: type[T], resource_id: UUID) -> T:
    """Brings an archived one back. Raises FailedPrecondition NOT_ARCHIVED."""
    await studios.lock(tx)
    row = await get(tx, kind, resource_id)
    if row.archive_time is None:
        raise FailedPrecondition("it is not archived", reason="NOT_ARCHIVED", metadata={"resource": row.name})
    row.archive_time = None
    row.touch(tx.now())
    await tx.session.flush()
    return row


def require_active(row: Catalogued) -> None:
    """Raises FailedPrecondition ARCHIVED for what is no longer in use."""
    if row.archive_time is not None:
        raise FailedPrecondition("it is archived", reason="ARCHIVED", metadata={"resource": row.name})
