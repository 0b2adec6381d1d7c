"""Packages of a file become packages of clients with the credits that remain, all of a chunk at once.

A package that was imported before stays as it is, whatever the file says: its credits may have been used since.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import Text, func, select

from services.booking import changes, ledger
from services.booking.import_rows import PackageRow
from services.booking.imported_results import Numbered, Result, among, clients_of, known_ids, remember_ids
from services.booking.locks import lock_clients
from services.booking.models import ClassSession, ClientPackage, Import
from services.chassis.db.records import insert_many
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import new_id


async def grant(tx: UnitOfWork, found: Import, rows: Sequence[Numbered[PackageRow]]) -> list[Result]:
    """Grants what is new."""
    known = await known_ids(tx, found.source, found.kind, {row.value.external_id for row in rows})
    clients = await clients_of(tx, found.source, rows)
    await lock_clients(tx, {client for client in clients.values() if isinstance(client, UUID)})
    types = await _class_types(tx, {name for row in rows for name in row.value.class_types})
    reason = f"imported from {found.source or 'a file'}"
    results: list[Result] = []
    packages: list[dict[str, object]] = []
    grants: list[tuple[UUID, int]] = []
    ids: dict[str, UUID] = {}
    for row in rows:
        value, client = row.value, clients[row.line]
        if value.external_id in known:
            results.append(Result(row.line, "UNCHANGED", resource_id=known[value.external_id]))
            continue
        if not isinstance(client, UUID):
            results.append(Result(row.line, "REFUSED", client))
            continue
        if not types.keys() >= set(value.class_types):
            results.append(Result(row.line, "REFUSED", "CLASS_TYPE_UNKNOWN", column=found.columns["class_types"]))
            continue
        package_id = ids[value.external_id] = new_id()
        packages.append(
            {
                "tenant_id": tx.tenant,
                "id": package_id,
                "client_id": client,
                "display_name": value.display_name,
                "credits_granted": value.credits_granted,
                "expire_time": value.expire_time,
                "class_type_ids": sorted({each for name in value.class_types for each in types[name]}),
                "reason": reason,
                "version": 1,
                "create_time": tx.now(),
                "update_time": tx.now(),
            }
        )
        if value.credits_left:
            grants.append((package_id, value.credits_left))
        results.append(Result(row.line, "CREATED", resource_id=package_id))
    if packages:
        await insert_many(tx, ClientPackage, packages)
        await ledger.issue(tx, grants, reason)
        await remember_ids(tx, found, ids)
        await changes.publish_packages(tx, list(ids.values()))
    return results


async def _class_types(tx: UnitOfWork, names: Collection[str]) -> dict[str, set[UUID]]:
    """Lower-case name of a class type → the ids that its classes have, of those of which one was ever planned."""
    name = func.lower(ClassSession.class_type_display_name, type_=Text())
    query = select(name, ClassSession.class_type_id).where(ClassSession.tenant_id == tx.tenant, among(name, names))
    found: dict[str, set[UUID]] = defaultdict(set)
    for each, class_type in (await tx.session.execute(query.distinct())).all() if names else ():
        found[each].add(class_type)
    return found
