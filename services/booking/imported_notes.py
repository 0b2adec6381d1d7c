"""Notes of a file are written about clients, encrypted with their keys as if somebody had typed them.

A note that was imported before stays as it is: staff may have changed it since.
"""

from collections.abc import Sequence
from uuid import UUID

from services.booking.import_rows import NoteRow
from services.booking.imported_results import Numbered, Result, clients_of, known_ids, remember_ids
from services.booking.locks import lock_clients
from services.booking.models import ClientNote, Import
from services.booking.person_keys import PersonKeys
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import new_id


async def write(keys: PersonKeys, tx: UnitOfWork, found: Import, rows: Sequence[Numbered[NoteRow]]) -> list[Result]:
    """Writes what is new, in the name of who imports."""
    known = await known_ids(tx, found.source, found.kind, {row.value.external_id for row in rows})
    clients = await clients_of(tx, found.source, rows)
    await lock_clients(tx, {client for client in clients.values() if isinstance(client, UUID)})
    results: list[Result] = []
    ids: dict[str, UUID] = {}
    for row in rows:
        value, client = row.value, clients[row.line]
        if value.external_id in known:
            results.append(Result(row.line, "UNCHANGED", resource_id=known[value.external_id]))
            continue
        if not isinstance(client, UUID):
            results.append(Result(row.line, "REFUSED", client))
            continue
        note_id = ids[value.external_id] = new_id()
        tx.session.add(
            ClientNote(
                tenant_id=tx.tenant,
                id=note_id,
                client_id=client,
                kind=value.kind,
                body=await keys.encrypt(tx, client, value.body),
                key_id=client,
                author=found.principal,
                pinned=False,
                create_time=tx.now(),
                update_time=tx.now(),
            )
        )
        results.append(Result(row.line, "CREATED", resource_id=note_id))
    await tx.session.flush()
    await remember_ids(tx, found, ids)
    return results
