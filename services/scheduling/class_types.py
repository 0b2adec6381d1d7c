"""Class types: the kinds of class a studio teaches."""

from typing import Any
from uuid import UUID

from services.chassis.db.unit_of_work import UnitOfWork
from services.scheduling import catalogue, session_events, studios
from services.scheduling.models import ClassType

MUTABLE = ("display_name", "description", "duration_minutes")


async def create(tx: UnitOfWork, *, display_name: str, description: str, duration_minutes: int) -> ClassType:
    await studios.lock(tx)
    class_type = ClassType(
        tenant_id=tx.tenant, display_name=display_name, description=description, duration_minutes=duration_minutes
    )
    tx.session.add(class_type)
    await tx.session.flush()
    return class_type


async def update(tx: UnitOfWork, class_type_id: UUID, etag: str, changes: dict[str, Any]) -> ClassType:
    """Changes some of MUTABLE; a new name reaches the sessions to come, a new length only new sessions."""
    class_type = await catalogue.open_for_change(tx, ClassType, class_type_id, etag)
    if "display_name" in catalogue.apply(tx, class_type, changes):
        await session_events.republish_users(tx, class_type)
    return class_type
