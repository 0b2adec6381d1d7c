"""ClientNoteService: decode, call the noun, encode."""

from typing import Any

from powerhouse.booking.v1 import client_note_service_pb2 as pb
from powerhouse.booking.v1.client_note_pb2 import ClientNote
from powerhouse.booking.v1.client_note_service_pb2_grpc import ClientNoteServiceServicer
from powerhouse.policy.v1.policy_pb2 import Role
from services.booking import client_notes
from services.booking.client_notes import Note, Reader
from services.booking.person_keys import PersonKeys
from services.booking.rpc.names import child, name_of
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.resources import Resources
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import masked_fields, to_timestamp

_MANAGERS = {Role.ROLE_OWNER, Role.ROLE_MANAGER}


class ClientNoteServicer(ClientNoteServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources, keys: PersonKeys) -> None:
        self._database, self._pager, self._keys = resources.database, resources.pager, keys

    async def CreateClientNote(self, request: pb.CreateClientNoteRequest, context: Any) -> ClientNote:
        wanted = request.client_note
        client_id = child(wanted.client, "clients", "client_note.client")
        kind = ClientNote.Kind.Name(wanted.kind)

        async def change(tx: UnitOfWork) -> ClientNote:
            return _encode(
                await client_notes.create(
                    tx, self._keys, _reader(), client_id, kind=kind, body=wanted.body, pinned=wanted.pinned
                )
            )

        return await self._database.write(change)

    async def ListClientNotes(self, request: pb.ListClientNotesRequest, context: Any) -> pb.ListClientNotesResponse:
        client_id = child(request.client, "clients", "client")
        page = self._pager.page(f"clientNotes {request.client}", request.page_size, request.page_token)
        async with self._database.read() as tx:
            notes = await client_notes.list_of(tx, self._keys, _reader(), page, client_id)
        shown, token = page.cut(notes, lambda note: (note.row.pinned, note.row.create_time, note.row.id))
        return pb.ListClientNotesResponse(client_notes=[_encode(note) for note in shown], next_page_token=token)

    async def UpdateClientNote(self, request: pb.UpdateClientNoteRequest, context: Any) -> ClientNote:
        wanted = request.client_note
        note_id = child(wanted.name, "clientNotes", "client_note.name")
        fields = masked_fields(request.update_mask, wanted, "client_note", ("body", "pinned"))

        async def change(tx: UnitOfWork) -> ClientNote:
            values = {field: getattr(wanted, field) for field in fields}
            return _encode(await client_notes.update(tx, self._keys, _reader(), note_id, values, wanted.etag))

        return await self._database.write(change)

    async def DeleteClientNote(self, request: pb.DeleteClientNoteRequest, context: Any) -> ClientNote:
        note_id = child(request.name, "clientNotes", "name")

        async def change(tx: UnitOfWork) -> ClientNote:
            return _encode(await client_notes.remove(tx, _reader(), note_id, request.etag))

        return await self._database.write(change)


def _reader() -> Reader:
    call = current_call()
    return Reader(
        name=call.principal.name,
        account=call.principal.account_id,
        manages=bool(call.principal.roles_in(call.tenant) & _MANAGERS),
        reaches_all=call.whole_studio,
    )


def _encode(note: Note) -> ClientNote:
    row = note.row
    return ClientNote(
        name=name_of(row.tenant_id, "clientNotes", row.id),
        client=name_of(row.tenant_id, "clients", row.client_id),
        kind=ClientNote.Kind.Value(row.kind),
        body=note.body or "",
        pinned=row.pinned,
        restricted=note.body is None,
        author=row.author,
        etag=row.etag,
        create_time=to_timestamp(row.create_time),
        update_time=to_timestamp(row.update_time),
    )
