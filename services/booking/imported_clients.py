"""People of a file become clients, all of a chunk at once.

A row is the client that its id was imported as, else the one who has its e-mail address. An address that another client
has is left out, since families share one: the report says so. Empty values change nothing.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import select

from powerhouse.booking.v1.events_pb2 import ClientChanged
from services.booking.import_rows import ClientRow
from services.booking.imported_results import Numbered, Result, among, known_ids, owners_of, remember_ids
from services.booking.locks import lock_clients
from services.booking.models import Client, ExternalId, Import
from services.chassis.db.records import insert_many
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import new_id

_EMPTY: dict[str, object] = {
    "email": None,
    "phone": None,
    "birth_date": None,
    "language": "",
    "emergency_contact_name": "",
    "emergency_contact_phone": None,
    "is_self": False,
    "version": 1,
}


async def save(tx: UnitOfWork, found: Import, rows: Sequence[Numbered[ClientRow]]) -> list[Result]:
    """Creates or completes the clients. The caller tries again when somebody else took an address meanwhile."""
    known = await known_ids(tx, found.source, found.kind, {row.value.external_id for row in rows})
    owners = await owners_of(tx, {row.value.email for row in rows} - {""})
    taken = await _imported(tx, found.source, set(owners.values()))
    matched: dict[int, UUID] = {}
    for row in rows:
        owner = owners.get(row.value.email)
        free = owner is not None and owner not in taken and not row.shares_email
        client_id = known.get(row.value.external_id) or (owner if free else None)
        if client_id is not None:
            matched[row.line] = client_id
    await lock_clients(tx, set(matched.values()))
    clients = await _load(tx, set(matched.values()))
    results: list[Result] = []
    made: list[dict[str, object]] = []
    changed: list[Client] = []
    ids: dict[str, UUID] = {}
    for row in rows:
        values = dict(row.value.values)
        client = clients[matched[row.line]] if row.line in matched else None
        owner = owners.get(row.value.email)
        shared = row.shares_email or (owner is not None and (client is None or owner != client.id))
        note = ""
        if shared and row.value.email:
            values["email"], note = None, "EMAIL_SHARED"
        if client is None:
            client_id = new_id()
            common = {"tenant_id": tx.tenant, "id": client_id, "create_time": tx.now(), "update_time": tx.now()}
            made.append({**_EMPTY, **values, **common})
            results.append(Result(row.line, "CREATED", note, resource_id=client_id))
        elif client.archive_time is not None:
            results.append(Result(row.line, "REFUSED", "CLIENT_ARCHIVED", resource_id=client.id))
            continue
        else:
            client_id = client.id
            if different := _complete(client, values):
                client.touch(tx.now())
                changed.append(client)
            results.append(Result(row.line, "UPDATED" if different else "UNCHANGED", note, resource_id=client_id))
        ids[row.value.external_id] = client_id
    await insert_many(tx, Client, made)
    await tx.session.flush()
    await remember_ids(tx, found, ids)
    await _publish(tx, [UUID(str(client["id"])) for client in made], changed)
    return results


def _complete(client: Client, values: Mapping[str, object]) -> bool:
    """Whether anything was different."""
    different = {name: value for name, value in values.items() if value and getattr(client, name) != value}
    if str(different.get("email", "")).lower() == (client.email or "").lower():
        different.pop("email", None)
    for name, value in different.items():
        setattr(client, name, value)
    return bool(different)


async def _imported(tx: UnitOfWork, source: str, client_ids: set[UUID]) -> set[UUID]:
    """Those of them who have an id of this source that is not just a digest: another id is another person."""
    query = select(ExternalId.id).where(
        ExternalId.tenant_id == tx.tenant,
        among(ExternalId.id, client_ids),
        ExternalId.source == source,
        ExternalId.external_id.not_like("row:%"),
    )
    return set((await tx.session.scalars(query)).all())


async def _load(tx: UnitOfWork, ids: set[UUID]) -> dict[UUID, Client]:
    query = select(Client).where(Client.tenant_id == tx.tenant, among(Client.id, ids))
    return {client.id: client for client in await tx.session.scalars(query.execution_options(populate_existing=True))}


async def _publish(tx: UnitOfWork, made: Sequence[UUID], changed: Sequence[Client]) -> None:
    versions = [(client_id, 1) for client_id in made] + [(client.id, client.version) for client in changed]
    events = [(ClientChanged(client_id=str(client_id)), client_id, version) for client_id, version in versions]
    await tx.publish_all(events, aggregate="client")
