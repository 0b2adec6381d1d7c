"""Imports: files of other systems, how they are read, and how far they are. `import_chunks` does the work."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from services.booking import import_columns, import_files
from services.booking.import_files import Inspection, Layout
from services.booking.models import ClassSession, Import, ImportKey, ImportRow
from services.chassis import blobs
from services.chassis.blobs import Blob
from services.chassis.db.database import Database
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, InvalidArgument, NotFound
from services.chassis.ids import new_id

# Bytes.
MAX_FILE = 100 * 1024 * 1024
JOB = "import_chunk"
# Of a file, from its last check or run.
_KEPT = timedelta(days=30)
IN_PROGRESS = ("CHECKING", "RUNNING")


async def receive(
    database: Database, tenant: UUID, pieces: AsyncIterator[bytes], *, encoding: str, delimiter: str
) -> tuple[Blob, Layout]:
    """Stores a file and finds out how it is laid out; `create` makes an import of it.

    Raises InvalidArgument BLOB_TOO_LARGE, BLOB_TYPE_NOT_ACCEPTED, FILE_NOT_DECODABLE, UNKNOWN_DELIMITER, NO_HEADER,
    DUPLICATE_COLUMN.
    """
    inspection = Inspection(encoding)

    async def inspected() -> AsyncIterator[bytes]:
        async for piece in pieces:
            inspection.feed(piece)
            yield piece

    blob = await blobs.store(
        database, tenant, inspected(), field="file", limit=MAX_FILE, type_of=import_files.text_type
    )
    return blob, import_files.layout(inspection.head, inspection.encoding(), delimiter)


async def create(tx: UnitOfWork, blob: Blob, layout: Layout, *, kind: str, source: str) -> Import:
    """An import of a stored file; the one that is there when the same file waits already."""
    waiting = select(Import).where(
        Import.tenant_id == tx.tenant, Import.state == "UPLOADED", Import.sha256 == blob.sha256,
        Import.kind == kind, Import.source == source, Import.encoding == layout.encoding,
        Import.delimiter == layout.delimiter,
    )  # fmt: skip
    if (found := await tx.session.scalar(waiting.limit(1))) is not None:
        return found
    made = Import(
        tenant_id=tx.tenant,
        id=new_id(),
        kind=kind,
        source=source,
        sha256=blob.sha256,
        size=blob.size,
        encoding=layout.encoding,
        delimiter=layout.delimiter,
        header=layout.header,
        columns=import_columns.suggest(kind, layout.header),
        date_order="DATE_ORDER_UNSPECIFIED",
        time_zone=await _latest_zone(tx),
        first_position=layout.start,
        first_line=layout.line,
        position=layout.start,
        line=layout.line,
        create_time=tx.now(),
        update_time=tx.now(),
    )
    tx.session.add(made)
    await tx.session.flush()
    await tx.session.refresh(made)
    await blobs.use(tx, blob.sha256, user_of(made))
    return made


async def get(tx: UnitOfWork, import_id: UUID) -> Import:
    """Raises NotFound."""
    found = await tx.session.get(Import, (tx.tenant, import_id))
    if found is None:
        raise NotFound("import")
    return found


async def lock(tx: UnitOfWork, import_id: UUID) -> Import:
    """The import, kept as it is for this transaction. Raises NotFound."""
    query = select(Import).where(Import.tenant_id == tx.tenant, Import.id == import_id).with_for_update()
    found = (await tx.session.scalars(query.execution_options(populate_existing=True))).one_or_none()
    if found is None:
        raise NotFound("import")
    return found


async def list_newest(tx: UnitOfWork, page: Page) -> Sequence[Import]:
    """Newest first."""
    query = select(Import).where(Import.tenant_id == tx.tenant)
    if page.after:
        query = query.where(Import.id < page.after[0])
    return (await tx.session.scalars(query.order_by(Import.id.desc()).limit(page.limit))).all()


async def start(
    tx: UnitOfWork,
    import_id: UUID,
    *,
    trial: bool,
    principal: str,
    columns: Mapping[str, str],
    date_order: str | None,
    time_zone: str,
) -> Import:
    """Begins to read the file from its first row; a trial writes nothing but the report.

    What is empty stays as it is. Raises NotFound, InvalidArgument UNKNOWN_IMPORT_FIELD, UNKNOWN_COLUMN,
    COLUMN_REQUIRED, UNKNOWN_TIME_ZONE, FailedPrecondition IMPORT_IN_PROGRESS, IMPORT_FILE_GONE.
    """
    found = await lock(tx, import_id)
    if found.state in IN_PROGRESS:
        raise _in_progress()
    if found.sha256 is None:
        raise FailedPrecondition("its file was deleted; upload it again", reason="IMPORT_FILE_GONE")
    found.columns = dict(columns) or found.columns
    found.date_order = date_order or found.date_order
    found.time_zone = _zone(time_zone or found.time_zone)
    import_columns.check(found.kind, found.header, found.columns)
    found.state = "CHECKING" if trial else "RUNNING"
    found.run_id, found.principal, found.reason = new_id(), principal, ""
    found.position, found.line = found.first_position, found.first_line
    found.rows_created = found.rows_updated = found.rows_unchanged = found.rows_refused = 0
    found.touch(tx.now())
    try:
        await tx.session.flush()
    except IntegrityError:
        raise _in_progress() from None
    rows = delete(ImportRow).where(ImportRow.tenant_id == tx.tenant, ImportRow.import_id == import_id)
    await tx.session.execute(rows)
    await forget_keys(tx, import_id)
    await enqueue(tx, found)
    tx.note_change("state", "", found.state)
    return found


async def cancel(tx: UnitOfWork, import_id: UUID) -> Import:
    """Stops it where it is. Raises NotFound, FailedPrecondition/IMPORT_OVER."""
    found = await lock(tx, import_id)
    if found.state in ("DONE", "FAILED", "CANCELLED"):
        raise FailedPrecondition("the import has ended", reason="IMPORT_OVER")
    tx.note_change("state", found.state, "CANCELLED")
    await end(tx, found, "CANCELLED")
    return found


async def end(tx: UnitOfWork, found: Import, state: str, reason: str = "") -> None:
    """Ends the check or run of a locked import."""
    found.state, found.reason = state, reason
    found.touch(tx.now())
    await forget_keys(tx, found.id)
    await tx.session.flush()


async def enqueue(tx: UnitOfWork, found: Import) -> None:
    """Makes the next chunk due. It is known by its place, so that it is one."""
    args = {"import": str(found.id), "run": str(found.run_id), "position": found.position}
    await tx.enqueue(JOB, f"{found.run_id}:{found.position}", args=args)


async def list_rows(
    tx: UnitOfWork, import_id: UUID, *, after: int, limit: int, outcome: str | None = None
) -> Sequence[ImportRow]:
    """The report, by line, behind the line `after`."""
    row = ImportRow
    query = select(row).where(row.tenant_id == tx.tenant, row.import_id == import_id, row.line > after)
    if outcome is not None:
        query = query.where(row.outcome == outcome)
    return (await tx.session.scalars(query.order_by(row.line).limit(limit))).all()


async def forget_keys(tx: UnitOfWork, import_id: UUID) -> None:
    """Of a file that is no longer being read."""
    await tx.session.execute(
        delete(ImportKey).where(ImportKey.tenant_id == tx.tenant, ImportKey.import_id == import_id)
    )


async def release_files(tx: UnitOfWork, *, all_of_them: bool = False) -> None:
    """Deletes files after 30 days; all of them when a person who may be in them is erased.

    Raises FailedPrecondition/IMPORT_IN_PROGRESS for all of them while one is being read.
    """
    kept = select(Import).where(Import.tenant_id == tx.tenant, Import.sha256.is_not(None))
    if not all_of_them:
        kept = kept.where(Import.update_time < tx.now() - _KEPT, Import.state.not_in(IN_PROGRESS))
    for found in (await tx.session.scalars(kept.order_by(Import.id).with_for_update())).all():
        if found.state in IN_PROGRESS:
            raise _in_progress()
        assert found.sha256 is not None
        await blobs.remove(tx, found.sha256, user_of(found))
        # Its columns are of no use any more, and may hold a value where a name was missing.
        found.sha256, found.header, found.columns = None, [], {}
        found.touch(tx.now())


def user_of(found: Import) -> str:
    """By what name an import keeps its blob."""
    return f"imports/{found.id}"


async def _latest_zone(tx: UnitOfWork) -> str:
    query = select(ClassSession.time_zone).where(ClassSession.tenant_id == tx.tenant)
    return await tx.session.scalar(query.order_by(ClassSession.start_time.desc()).limit(1)) or "UTC"


def _zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidArgument("reading.time_zone", "is no IANA time zone", reason="UNKNOWN_TIME_ZONE") from None


def _in_progress() -> FailedPrecondition:
    return FailedPrecondition("an import of the studio is in progress; wait or cancel it", reason="IMPORT_IN_PROGRESS")
