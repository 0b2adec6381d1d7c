"""The audit log of a studio's roles, keys and invitations. The chassis writes it; here it is read."""

from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from sqlalchemy import column, select, table

from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class Entry:
    """Who did what, when."""

    tenant_id: UUID
    id: UUID
    principal: str
    method: str
    resource: str
    create_time: datetime


_ENTRIES = table("audit_entries", *(column(field.name) for field in fields(Entry)))


async def page_of(tx: UnitOfWork, page: Page) -> tuple[list[Entry], str]:
    """The studio's entries, newest first, and the token of the next page."""
    query = select(_ENTRIES).where(_ENTRIES.c.tenant_id == tx.tenant).order_by(_ENTRIES.c.id.desc()).limit(page.limit)
    if page.after:
        query = query.where(_ENTRIES.c.id < page.after[0])
    rows = [Entry(*row) for row in await tx.session.execute(query)]
    return page.cut(rows, lambda entry: (entry.id,))
