"""Notes on clients: general ones for all staff, and health notes for those who must know.

Owners and managers read health notes, and whoever teaches a class that the client is booked on; others see only that
there is one. Instructors reach nobody's notes but those of the clients they teach.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, tuple_

from services.booking.models import Booking, ClassSession, Client, ClientNote
from services.booking.person_keys import PersonKeys
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import NotFound, PermissionDenied, check_etag
from services.chassis.ids import new_id

HEALTH = "HEALTH"
# How long after a class its instructor may still read and write about who was there.
_AFTER_CLASS = timedelta(days=1)


@dataclass(frozen=True)
class Reader:
    """Who asks: the name that audit gives it, the account if it is a person, and how far its roles reach."""

    name: str
    account: UUID | None
    # Owner or manager.
    manages: bool
    # All clients of the studio, not only those it teaches.
    reaches_all: bool


@dataclass(frozen=True)
class Note:
    """A note as its reader may see it."""

    row: ClientNote
    # None when it is not for this reader.
    body: str | None


async def create(
    tx: UnitOfWork, keys: PersonKeys, reader: Reader, client_id: UUID, *, kind: str, body: str, pinned: bool
) -> Note:
    """Anybody who reaches the client may write either kind. Raises NotFound, PermissionDenied."""
    reads_health = await _access(tx, reader, client_id)
    if await tx.session.get(Client, (tx.tenant, client_id)) is None:
        raise NotFound("client")
    row = ClientNote(
        tenant_id=tx.tenant,
        id=new_id(),
        client_id=client_id,
        kind=kind,
        body=await keys.encrypt(tx, client_id, body),
        key_id=client_id,
        author=reader.name,
        pinned=pinned,
        create_time=tx.now(),
        update_time=tx.now(),
    )
    tx.session.add(row)
    await tx.session.flush()
    tx.note_change("kind", None, kind)
    return Note(row, body if reads_health or kind != HEALTH else None)


async def list_of(tx: UnitOfWork, keys: PersonKeys, reader: Reader, page: Page, client_id: UUID) -> Sequence[Note]:
    """A client's notes: pinned ones first, then the newest. Raises PermissionDenied."""
    reads_health = await _access(tx, reader, client_id)
    key = tuple_(ClientNote.pinned, ClientNote.create_time, ClientNote.id)
    query = select(ClientNote).where(ClientNote.tenant_id == tx.tenant, ClientNote.client_id == client_id)
    if page.after:
        query = query.where(key < tuple(page.after))
    query = query.order_by(ClientNote.pinned.desc(), ClientNote.create_time.desc(), ClientNote.id.desc())
    rows = (await tx.session.scalars(query.limit(page.limit))).all()
    open_rows = [row for row in rows if reads_health or row.kind != HEALTH]
    bodies = await keys.decrypt(tx, [(row.key_id, row.body) for row in open_rows])
    body_of = dict(zip((row.id for row in open_rows), bodies, strict=True))
    return [Note(row, body_of.get(row.id)) for row in rows]


async def update(
    tx: UnitOfWork, keys: PersonKeys, reader: Reader, note_id: UUID, values: Mapping[str, object], etag: str
) -> Note:
    """Changes `body` or `pinned`. Raises NotFound, Aborted/ETAG_MISMATCH, PermissionDenied/HEALTH_NOTE_RESTRICTED."""
    row = await _open(tx, reader, note_id, etag)
    if "body" in values:
        row.body, row.key_id = await keys.encrypt(tx, row.client_id, str(values["body"])), row.client_id
    if "pinned" in values:
        row.pinned = bool(values["pinned"])
    row.touch(tx.now())
    await tx.session.flush()
    (body,) = await keys.decrypt(tx, [(row.key_id, row.body)])
    return Note(row, body)


async def remove(tx: UnitOfWork, reader: Reader, note_id: UUID, etag: str) -> Note:
    """Deletes a note for good. Raises as `update`."""
    row = await _open(tx, reader, note_id, etag)
    await tx.session.delete(row)
    await tx.session.flush()
    return Note(row, None)


async def _open(tx: UnitOfWork, reader: Reader, note_id: UUID, etag: str) -> ClientNote:
    query = select(ClientNote).where(ClientNote.tenant_id == tx.tenant, ClientNote.id == note_id)
    row = (await tx.session.scalars(query.with_for_update())).one_or_none()
    if row is None:
        if not reader.reaches_all:
            raise PermissionDenied()
        raise NotFound("client_note")
    if not await _access(tx, reader, row.client_id) and row.kind == HEALTH:
        raise PermissionDenied("only who may read a health note may change it", reason="HEALTH_NOTE_RESTRICTED")
    check_etag(etag, row.etag)
    return row


async def _access(tx: UnitOfWork, reader: Reader, client_id: UUID) -> bool:
    """Whether the reader may read health notes of the client. Raises PermissionDenied when it may read none at all."""
    reads_health = reader.manages or await _teaches(tx, reader.account, client_id)
    if not (reader.reaches_all or reads_health):
        raise PermissionDenied()
    return reads_health


async def _teaches(tx: UnitOfWork, account: UUID | None, client_id: UUID) -> bool:
    if account is None:
        return False
    same_session = (ClassSession.tenant_id == Booking.tenant_id) & (ClassSession.id == Booking.class_session_id)
    taught = (
        select(Booking.id)
        .join(ClassSession, same_session)
        .where(Booking.tenant_id == tx.tenant, Booking.client_id == client_id)
        .where(Booking.cancel_time.is_(None))
        .where(ClassSession.instructor_account_id == account, ClassSession.end_time > tx.now() - _AFTER_CLASS)
    )
    return await tx.session.scalar(taught.limit(1)) is not None
