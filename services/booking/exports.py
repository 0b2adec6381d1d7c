"""Exports: everything booking holds of a studio as a zip, written by a job, a blob for seven days."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import column, select, table, tuple_, update

from services.booking import export_files
from services.booking.export_files import ZipStream
from services.booking.export_tables import TABLES
from services.booking.models import Export
from services.booking.person_keys import PersonKeys
from services.chassis import blobs
from services.chassis.blobs import Blob
from services.chassis.db.database import Database
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, NotFound
from services.chassis.ids import new_id

JOB = "write_export"
KEPT = timedelta(days=7)
# Of a job that nobody runs any more.
_LOST_AFTER = timedelta(days=1)
_ROWS = 2000
# Bytes.
_MAX_FILE = 8 * 1024**3


async def request(tx: UnitOfWork) -> Export:
    """A new export, or the one that is being written."""
    running = select(Export).where(Export.tenant_id == tx.tenant, Export.state == "RUNNING").with_for_update()
    found = (await tx.session.scalars(running)).one_or_none()
    if found is not None and tx.now() - found.create_time < _LOST_AFTER:
        return found
    if found is not None:
        found.state = "FAILED"
        found.touch(tx.now())
        await tx.session.flush()
    made = Export(tenant_id=tx.tenant, id=new_id(), create_time=tx.now(), update_time=tx.now())
    tx.session.add(made)
    await tx.session.flush()
    await tx.session.refresh(made)
    await tx.enqueue(JOB, str(made.id), args={"export": str(made.id)})
    return made


async def get(tx: UnitOfWork, export_id: UUID) -> Export:
    """Raises NotFound."""
    found = await tx.session.get(Export, (tx.tenant, export_id))
    if found is None:
        raise NotFound("export")
    return found


async def list_newest(tx: UnitOfWork, page: Page) -> Sequence[Export]:
    """Newest first."""
    query = select(Export).where(Export.tenant_id == tx.tenant)
    if page.after:
        query = query.where(Export.id < page.after[0])
    return (await tx.session.scalars(query.order_by(Export.id.desc()).limit(page.limit))).all()


async def file(tx: UnitOfWork, export_id: UUID) -> Blob:
    """Raises NotFound, FailedPrecondition EXPORT_NOT_READY, EXPORT_EXPIRED."""
    found = await get(tx, export_id)
    if found.state == "EXPIRED":
        raise FailedPrecondition("its file is gone; request another one", reason="EXPORT_EXPIRED")
    if found.sha256 is None:
        raise FailedPrecondition("it is not ready", reason="EXPORT_NOT_READY")
    tx.resource = f"studios/{tx.tenant}/exports/{export_id}"
    return await blobs.find(tx, found.sha256)


async def write(database: Database, keys: PersonKeys, tenant: UUID, export_id: UUID) -> bool:
    """Writes the file; False when it is not wanted any more. Beginning anew is harmless."""
    async with database.transaction(tenant) as tx:
        if (await get(tx, export_id)).state != "RUNNING":
            return False
    counts: dict[str, int] = {}
    blob = await blobs.store(
        database,
        tenant,
        _zip(database, keys, tenant, export_id, counts),
        field="export",
        limit=_MAX_FILE,
        type_of=lambda _head: "application/zip",
    )
    async with database.transaction(tenant) as tx:
        found = await _lock(tx, export_id)
        if found.state != "RUNNING":
            return False
        await blobs.use(tx, blob.sha256, user_of(found))
        found.state, found.sha256, found.size = "READY", blob.sha256, blob.size
        found.rows, found.progress_percent = sum(counts.values()), 100
        found.expire_time = tx.now() + KEPT
        found.touch(tx.now())
    return True


async def give_up(database: Database, tenant: UUID, export_id: UUID) -> None:
    """Ends an export that cannot be written."""
    async with database.transaction(tenant) as tx:
        found = await _lock(tx, export_id)
        if found.state == "RUNNING":
            found.state = "FAILED"
            found.touch(tx.now())


async def expire(tx: UnitOfWork, *, all_of_them: bool = False) -> None:
    """Lets files go whose time is over; all of them, also the one being written, when a person in them is erased."""
    if all_of_them:
        running = update(Export).where(Export.tenant_id == tx.tenant, Export.state == "RUNNING")
        await tx.session.execute(running.values(state="FAILED", version=Export.version + 1, update_time=tx.now()))
    ready = select(Export).where(Export.tenant_id == tx.tenant, Export.state == "READY")
    if not all_of_them:
        ready = ready.where(Export.expire_time < tx.now())
    for found in (await tx.session.scalars(ready.with_for_update())).all():
        assert found.sha256 is not None
        await blobs.remove(tx, found.sha256, user_of(found))
        found.state, found.sha256 = "EXPIRED", None
        found.touch(tx.now())


def user_of(found: Export) -> str:
    """By what name an export keeps its blob."""
    return f"exports/{found.id}"


async def _zip(
    database: Database, keys: PersonKeys, tenant: UUID, export_id: UUID, counts: dict[str, int]
) -> AsyncIterator[bytes]:
    """The bytes of the zip. Memory holds a page of rows; compressing is left to a thread."""
    stream = ZipStream()
    stream.open("README.txt")
    yield stream.write(export_files.readme())
    for number, name in enumerate(TABLES):
        for kind, (form, end) in export_files.FORMATS.items():
            stream.open(f"{name}.{kind}")
            counts[name], first = 0, True
            async for rows in _pages(database, keys, tenant, name):
                yield await asyncio.to_thread(lambda rows=rows, first=first: stream.write(form(name, rows, first)))  # type: ignore[misc]  # noqa: B023
                counts[name] += len(rows)
                first = False
            yield stream.write(end)
        async with database.transaction(tenant) as tx:
            (await _lock(tx, export_id)).progress_percent = (number + 1) * 99 // len(TABLES)
    async with database.transaction(tenant) as tx:
        made = tx.now()
    stream.open("manifest.json")
    yield stream.write(export_files.manifest(tenant, made, counts))
    yield stream.finish()


async def _pages(database: Database, keys: PersonKeys, tenant: UUID, name: str) -> AsyncIterator[Sequence[Any]]:
    """The rows of a table by its key, at least one page, which may be empty; each in its own transaction."""
    wanted = TABLES[name]
    columns = [*wanted.columns, *(["key_id"] if wanted.sealed else [])]
    source = table(name, column("tenant_id"), *(column(each) for each in columns))
    key = [source.c[each] for each in wanted.key]
    query = select(*(source.c[each] for each in columns)).where(source.c.tenant_id == tenant)
    query = query.order_by(*key).limit(_ROWS)
    after: tuple[object, ...] = ()
    while True:
        page = query.where(tuple_(*key) > tuple_(*after)) if after else query
        async with database.transaction(tenant) as tx:
            rows: Sequence[Any] = (await tx.session.execute(page)).mappings().all()
            if sealed := wanted.sealed:
                texts = await keys.decrypt(tx, [(row["key_id"], row[sealed]) for row in rows])
                rows = [{**row, sealed: opened} for row, opened in zip(rows, texts, strict=True)]
        yield rows
        if len(rows) < _ROWS:
            return
        after = tuple(rows[-1][each] for each in wanted.key)


async def _lock(tx: UnitOfWork, export_id: UUID) -> Export:
    query = select(Export).where(Export.tenant_id == tx.tenant, Export.id == export_id).with_for_update()
    found = (await tx.session.scalars(query.execution_options(populate_existing=True))).one_or_none()
    if found is None:
        raise NotFound("export")
    return found
