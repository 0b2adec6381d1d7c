"""Which clients became another one: booking merges two records of one person, and may take that back."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import insert

from services.chassis.db.unit_of_work import UnitOfWork
from services.notify.models import ClientMerge


@dataclass(frozen=True)
class MergeState:
    """A merge after a change. `undone`: the duplicate is a client of its own again."""

    id: UUID
    version: int
    survivor_id: UUID
    duplicate_id: UUID
    undone: bool


async def put(tx: UnitOfWork, state: MergeState) -> tuple[ClientMerge, bool] | None:
    """Takes a merge's state over; with it whether the merge was known as made. None when a newer state is known."""
    merge = ClientMerge
    known = await tx.session.scalar(
        select(merge).where(merge.tenant_id == tx.tenant, merge.id == state.id).with_for_update()
    )
    if known is None:
        values = {"survivor_id": state.survivor_id, "duplicate_id": state.duplicate_id, "version": state.version}
        row = insert(merge).values(tenant_id=tx.tenant, id=state.id, undone=state.undone, taken={}, **values)
        made = await tx.session.scalar(row.on_conflict_do_nothing().returning(merge))
        return (made, False) if made else await put(tx, state)
    if known.version >= state.version:
        return None
    was_made = not known.undone
    known.version, known.undone = state.version, state.undone
    return known, was_made


async def current(tx: UnitOfWork, client_id: UUID) -> UUID:
    """The client, or the one that it became."""
    merge = ClientMerge
    into = select(merge.survivor_id).where(merge.tenant_id == tx.tenant, merge.undone.is_(False))
    passed = {client_id}
    while survivor_id := await tx.session.scalar(into.where(merge.duplicate_id == client_id)):
        # What is told in another order than it happened may lead in a circle for a while.
        if survivor_id in passed:
            break
        passed.add(client_id := survivor_id)
    return client_id


async def all_of(tx: UnitOfWork, client_id: UUID) -> Sequence[UUID]:
    """The client and those that became it."""
    merge, found = ClientMerge, [client_id]
    became = select(merge.duplicate_id).where(merge.tenant_id == tx.tenant, merge.undone.is_(False))
    newest = {client_id}
    while newest := {*await tx.session.scalars(became.where(merge.survivor_id.in_(newest)))} - {*found}:
        found += sorted(newest)
    return found


async def forget(tx: UnitOfWork, client_id: UUID) -> None:
    """Of who is no more it is not kept what it took over."""
    merge = ClientMerge
    mine = or_(merge.survivor_id == client_id, merge.duplicate_id == client_id)
    for row in await tx.session.scalars(select(merge).where(merge.tenant_id == tx.tenant, mine)):
        row.taken = {}
