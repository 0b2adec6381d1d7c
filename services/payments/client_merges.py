"""Clients who are one: booking merges two records of one person, and may take that back.

Nothing moves here. Whoever asks for a client's things asks for those of everybody who became it, so that two who are
two again have exactly what each had, and what the one got meanwhile.
"""

from collections.abc import Collection, Mapping
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from services.chassis.db.unit_of_work import UnitOfWork
from services.payments.models import ClientMerge


async def tell(tx: UnitOfWork, merge: ClientMerge) -> None:
    """Keeps what booking says of a merge, if it is newer."""
    told = {column.name: getattr(merge, column.name) for column in ClientMerge.__table__.columns}
    row = insert(ClientMerge).values(told)
    newer = row.on_conflict_do_update(
        index_elements=["tenant_id", "id"], set_=told, where=ClientMerge.version < merge.version
    )
    await tx.session.execute(newer)


async def all_of(tx: UnitOfWork, client_id: UUID) -> list[UUID]:
    """The client, first, and all who became it."""
    merge, found, newest = ClientMerge, [client_id], {client_id}
    became = select(merge.duplicate_id).where(merge.tenant_id == tx.tenant, merge.undone.is_(False))
    # What is told in another order than it happened may lead in a circle for a while.
    while newest := {*await tx.session.scalars(became.where(merge.survivor_id.in_(newest)))} - {*found}:
        found += sorted(newest)
    return found


async def current(tx: UnitOfWork, client_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """For each client who it is now: itself, or the one that it became."""
    merge = ClientMerge
    into = select(merge.duplicate_id, merge.survivor_id).where(merge.tenant_id == tx.tenant, merge.undone.is_(False))
    became: dict[UUID, UUID] = {}
    asked: set[UUID] = set()
    while newest := {*client_ids, *became.values()} - asked:
        rows = await tx.session.execute(into.where(merge.duplicate_id.in_(newest)))
        became |= {row.duplicate_id: row.survivor_id for row in rows}
        asked |= newest
    return {each: _last(became, each) for each in client_ids}


def _last(became: Mapping[UUID, UUID], client_id: UUID) -> UUID:
    passed: set[UUID] = set()
    while client_id in became and client_id not in passed:
        passed.add(client_id)
        client_id = became[client_id]
    return client_id
