"""Instructors: who teaches, and what they may teach."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select

from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, NotFound
from services.scheduling import catalogue, session_events, studios
from services.scheduling.models import ClassType, Instructor, resource_name

MUTABLE = ("display_name", "account", "class_types")


async def create(
    tx: UnitOfWork, *, display_name: str, account_id: UUID | None, class_type_ids: Sequence[UUID]
) -> Instructor:
    """`class_type_ids` is what they may teach, empty for everything. Raises NotFound for an unknown one."""
    await studios.lock(tx)
    await _check_class_types(tx, class_type_ids)
    instructor = Instructor(
        tenant_id=tx.tenant, display_name=display_name, account_id=account_id, class_type_ids=list(class_type_ids)
    )
    tx.session.add(instructor)
    await tx.session.flush()
    return instructor


async def update(tx: UnitOfWork, instructor_id: UUID, etag: str, changes: dict[str, Any]) -> Instructor:
    """Sets some of display_name, account_id, class_type_ids. Sessions they already have stay theirs."""
    instructor = await catalogue.open_for_change(tx, Instructor, instructor_id, etag)
    await _check_class_types(tx, changes.get("class_type_ids", ()))
    if catalogue.apply(tx, instructor, changes) & {"display_name", "account_id"}:
        await session_events.republish_users(tx, instructor)
    return instructor


def require_teaches(instructor: Instructor, class_type: ClassType) -> None:
    """Raises FailedPrecondition CLASS_TYPE_NOT_TAUGHT."""
    if instructor.class_type_ids and class_type.id not in instructor.class_type_ids:
        raise FailedPrecondition(
            "this instructor does not teach that class type",
            reason="CLASS_TYPE_NOT_TAUGHT",
            metadata={"instructor": instructor.name, "class_type": class_type.name},
        )


async def _check_class_types(tx: UnitOfWork, class_type_ids: Sequence[UUID]) -> None:
    if not class_type_ids:
        return
    known = set(
        await tx.session.scalars(
            select(ClassType.id).where(ClassType.tenant_id == tx.tenant, ClassType.id.in_(class_type_ids))
        )
    )
    for class_type_id in class_type_ids:
        if class_type_id not in known:
            raise NotFound(resource_name(tx.tenant, ClassType.COLLECTION, class_type_id))
