"""One chunk of a file after the other: read, tried or written, and reported, each in one transaction."""

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select

from services.booking import import_dates, import_files, import_rows, imported_notes, imports
from services.booking.import_files import Row, Window
from services.booking.import_rows import BookingRow, ClientRow, NoteRow, PackageRow, Reading, RefusalError
from services.booking.imported_bookings import book
from services.booking.imported_clients import save
from services.booking.imported_packages import grant
from services.booking.imported_results import Numbered, Result, among
from services.booking.models import Import, ImportKey, ImportRow
from services.booking.person_keys import PersonKeys
from services.chassis import blobs
from services.chassis.blobs import Blob
from services.chassis.db.database import Database
from services.chassis.db.records import insert_many
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import NotFound

# Bytes; of which the whole rows are read, so a row has to be shorter.
_WINDOW = 256 * 1024
# Of a kind, at once.
_ROWS = {"CLIENTS": 2000, "CLIENT_PACKAGES": 2000, "CLIENT_NOTES": 200, "BOOKINGS": 200}
_DATES = ("birth_date", "expire_date", "start_date")


@dataclass(frozen=True)
class _Kind:
    """How rows of a kind become what they mean, and how that is written."""

    parse: Callable[[Row, Reading], Any]
    write: Callable[[UnitOfWork, Import, Sequence[Numbered[Any]]], Awaitable[list[Result]]]


def _kind(name: str, keys: PersonKeys) -> _Kind:
    match name:
        case "CLIENTS":
            return _Kind(import_rows.parse_client, save)
        case "CLIENT_PACKAGES":
            return _Kind(import_rows.parse_package, grant)
        case "CLIENT_NOTES":
            return _Kind(import_rows.parse_note, partial(imported_notes.write, keys))
    return _Kind(import_rows.parse_booking, book)


async def advance(
    database: Database, keys: PersonKeys, tenant: UUID, import_id: UUID, run_id: UUID, position: int
) -> bool:
    """Does the chunk that begins at `position`, and makes the next one due. False when it is not wanted any more."""
    async with database.transaction(tenant) as tx:
        seen = await imports.get(tx, import_id)
        if not _is_next(seen, run_id, position):
            return False
        blob = await _blob(tx, seen)
    data = b"" if blob is None else await _bytes(database, tenant, blob, position)
    async with database.transaction(tenant) as tx:
        found = await imports.lock(tx, import_id)
        if not _is_next(found, run_id, position):
            return False
        last = position + len(data) >= found.size
        window = import_files.read(
            data, found.encoding, found.delimiter, found.line, last=last, at_most=_ROWS[found.kind]
        )
        if data and not window.size:
            await imports.end(tx, found, "FAILED", "ROW_TOO_LONG")
        elif blob is None:
            await imports.end(tx, found, "FAILED", "IMPORT_FILE_GONE")
        else:
            await _do(tx, found, _kind(found.kind, keys), window)
    return True


async def give_up(database: Database, tenant: UUID, import_id: UUID, run_id: UUID) -> None:
    """Ends a run that cannot go on."""
    async with database.transaction(tenant) as tx:
        found = await imports.lock(tx, import_id)
        if found.run_id == run_id and found.state in imports.IN_PROGRESS:
            await imports.end(tx, found, "FAILED", "INTERNAL")


async def _do(tx: UnitOfWork, found: Import, kind: _Kind, window: Window) -> None:
    trial, import_id = found.state == "CHECKING", found.id
    if found.position == found.first_position and found.date_order == import_dates.UNKNOWN:
        found.date_order = _date_order(found, window)
    rows, results = _parse(tx, found, kind, window)
    rows, twice = await _sift(tx, found, rows)
    results += twice
    # A check is the run itself, undone.
    async with tx.trial() if trial else nullcontext():
        results += await kind.write(tx, found, rows)
    found = await imports.lock(tx, import_id)
    await _report(tx, found, results, trial=trial)
    found.position, found.line = found.position + window.size, window.next_line
    if found.position >= found.size:
        found.rows_total = found.rows_created + found.rows_updated + found.rows_unchanged + found.rows_refused
        await imports.end(tx, found, "CHECKED" if trial else "DONE")
    else:
        found.touch(tx.now())
        await imports.enqueue(tx, found)


def _parse(tx: UnitOfWork, found: Import, kind: _Kind, window: Window) -> tuple[list[Numbered[Any]], list[Result]]:
    reading = Reading(found.header, found.columns, found.date_order, ZoneInfo(found.time_zone), tx.now())
    rows: list[Numbered[Any]] = []
    refused: list[Result] = []
    for row in window.rows:
        try:
            rows.append(Numbered(row.line, kind.parse(row, reading)))
        except RefusalError as refusal:
            column = found.columns.get(refusal.field, "")
            refused.append(Result(row.line, "REFUSED", refusal.reason, column=column))
    return rows, refused


async def _sift(
    tx: UnitOfWork, found: Import, rows: Sequence[Numbered[Any]]
) -> tuple[list[Numbered[Any]], list[Result]]:
    """Leaves out what an earlier row of the file says; people who share an address with another one are marked."""
    keys = {row.line: _keys(row.value) for row in rows}
    wanted = {key for each in keys.values() for key in each}
    known = select(ImportKey.key).where(
        ImportKey.tenant_id == tx.tenant, ImportKey.import_id == found.id, among(ImportKey.key, wanted)
    )
    seen = set((await tx.session.scalars(known)).all())
    new: dict[UUID, int] = {}
    kept: list[Numbered[Any]] = []
    twice: list[Result] = []
    for row in rows:
        identity, *address = keys[row.line]
        shares = bool(address) and address[0] in seen
        # The same address alone may be a family's; with the same name it is the same person.
        if identity in seen or (shares and address[1] in seen):
            twice.append(Result(row.line, "REFUSED", "DUPLICATE_IN_FILE"))
            continue
        kept.append(Numbered(row.line, row.value, shares_email=shares))
        for key in (identity, *address):
            if key not in seen:
                new[key] = row.line
        seen.update((identity, *address))
    common = {"tenant_id": tx.tenant, "import_id": found.id}
    await insert_many(tx, ImportKey, [{**common, "key": key, "line": line} for key, line in new.items()])
    return kept, twice


def _keys(row: ClientRow | PackageRow | NoteRow | BookingRow) -> list[UUID]:
    """By what a row is known again: its id; and of people with an address that, alone and with the name."""
    keys = [_digest("id", row.external_id)]
    if isinstance(row, ClientRow) and row.email:
        keys += [_digest("email", row.email), _digest("person", row.email, row.display_name.casefold())]
    return keys


def _digest(*parts: str) -> UUID:
    return UUID(bytes=hashlib.sha256("\0".join(parts).encode()).digest()[:16])


async def _report(tx: UnitOfWork, found: Import, results: Iterable[Result], *, trial: bool) -> None:
    rows = []
    for result in results:
        counter = f"rows_{result.outcome.lower()}"
        setattr(found, counter, getattr(found, counter) + 1)
        # What a check has made is not there any more.
        resource = None if trial and result.outcome == "CREATED" else result.resource_id
        rows.append(
            {
                "tenant_id": tx.tenant,
                "import_id": found.id,
                "line": result.line,
                "outcome": result.outcome,
                "reason": result.reason,
                "column": result.column,
                "resource_id": resource,
            }
        )
    await insert_many(tx, ImportRow, rows)


def _date_order(found: Import, window: Window) -> str:
    places = [found.header.index(found.columns[name]) for name in _DATES if name in found.columns]
    texts = (row.values[place] for row in window.rows for place in places if place < len(row.values))
    return import_dates.order_of(texts)


def _is_next(found: Import, run_id: UUID, position: int) -> bool:
    """Whoever comes a second time, or after a cancel, finds it moved on."""
    return found.state in imports.IN_PROGRESS and found.run_id == run_id and found.position == position


async def _blob(tx: UnitOfWork, found: Import) -> Blob | None:
    try:
        return await blobs.find(tx, found.sha256) if found.sha256 else None
    except NotFound:
        return None


async def _bytes(database: Database, tenant: UUID, blob: Blob, position: int) -> bytes:
    data = bytearray()
    async for piece in blobs.content(database, tenant, blob, position):
        data += piece
        if len(data) >= _WINDOW:
            break
    return bytes(data)
