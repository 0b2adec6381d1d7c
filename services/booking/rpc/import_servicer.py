"""ImportService: decode, call the noun, encode."""

import csv
import io
from collections.abc import AsyncIterator
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from powerhouse.booking.v1 import import_service_pb2 as pb
from powerhouse.booking.v1.import_service_pb2_grpc import ImportServiceServicer
from services.booking import imports
from services.booking.rpc.import_encoding import encode_import, encode_row
from services.booking.rpc.names import child
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import parse_name
from services.chassis.resources import Resources
from services.chassis.rpc.call import current_call
from services.chassis.rpc.uploads import pieces

_REPORT = ("line", "outcome", "reason", "column", "message", "resource")
# Rows of the report that are in memory at once.
_ROWS = 2000


class ImportServicer(ImportServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._database, self._pager = resources.database, resources.pager

    async def UploadImport(self, requests: AsyncIterator[pb.UploadImportRequest], context: Any) -> pb.Import:
        first = await anext(requests)
        parse_name(first.parent, "studios/*", "parent")
        kind = pb.Import.Kind.Name(first.kind)
        blob, layout = await imports.receive(
            self._database,
            current_call().tenant,
            pieces(requests, "file"),
            encoding=pb.Import.Encoding.Name(first.encoding),
            delimiter=first.delimiter,
        )

        async def change(tx: UnitOfWork) -> pb.Import:
            return encode_import(await imports.create(tx, blob, layout, kind=kind, source=first.source))

        return await self._database.write(change)

    async def GetImport(self, request: pb.GetImportRequest, context: Any) -> pb.Import:
        import_id = child(request.name, "imports", "name")
        async with self._database.read() as tx:
            return encode_import(await imports.get(tx, import_id))

    async def ListImports(self, request: pb.ListImportsRequest, context: Any) -> pb.ListImportsResponse:
        page = self._pager.page(f"imports {request.parent}", request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows = await imports.list_newest(tx, page)
        shown, token = page.cut(rows, lambda row: (row.id,))
        return pb.ListImportsResponse(imports=[encode_import(row) for row in shown], next_page_token=token)

    async def CheckImport(self, request: pb.CheckImportRequest, context: Any) -> pb.Import:
        return await self._start(request, trial=True)

    async def RunImport(self, request: pb.RunImportRequest, context: Any) -> pb.Import:
        return await self._start(request, trial=False)

    async def CancelImport(self, request: pb.CancelImportRequest, context: Any) -> pb.Import:
        import_id = child(request.name, "imports", "name")

        async def change(tx: UnitOfWork) -> pb.Import:
            return encode_import(await imports.cancel(tx, import_id))

        return await self._database.write(change)

    async def ListImportRows(self, request: pb.ListImportRowsRequest, context: Any) -> pb.ListImportRowsResponse:
        import_id = child(request.parent, "imports", "parent")
        outcome = pb.ImportRow.Outcome.Name(request.outcome) if request.outcome else None
        page = self._pager.page(f"rows {request.parent} {outcome}", request.page_size, request.page_token)
        after = int(str(page.after[0])) if page.after else 0
        async with self._database.read() as tx:
            kind = (await imports.get(tx, import_id)).kind
            rows = await imports.list_rows(tx, import_id, after=after, limit=page.limit, outcome=outcome)
        shown, token = page.cut(rows, lambda row: (row.line,))
        return pb.ListImportRowsResponse(rows=[encode_row(kind, row) for row in shown], next_page_token=token)

    async def DownloadImportReport(
        self, request: pb.DownloadImportReportRequest, context: Any
    ) -> AsyncIterator[HttpBody]:
        import_id = child(request.name, "imports", "name")
        async with self._database.read() as tx:
            kind = (await imports.get(tx, import_id)).kind
        yield HttpBody(content_type="text/csv; charset=utf-8", data=_lines([_REPORT]))
        after = 0
        while True:
            async with self._database.read() as tx:
                rows = await imports.list_rows(tx, import_id, after=after, limit=_ROWS)
            if not rows:
                return
            yield HttpBody(data=_lines([_values(encode_row(kind, row)) for row in rows]))
            after = rows[-1].line

    async def _start(self, request: pb.CheckImportRequest | pb.RunImportRequest, *, trial: bool) -> pb.Import:
        import_id, reading = child(request.name, "imports", "name"), request.reading
        order = pb.Import.DateOrder.Name(reading.date_order) if reading.date_order else None

        async def change(tx: UnitOfWork) -> pb.Import:
            started = await imports.start(
                tx,
                import_id,
                trial=trial,
                principal=current_call().principal.name,
                columns=reading.columns,
                date_order=order,
                time_zone=reading.time_zone,
            )
            return encode_import(started)

        return await self._database.write(change)


def _values(row: pb.ImportRow) -> tuple[str, ...]:
    return (str(row.line), pb.ImportRow.Outcome.Name(row.outcome), row.reason, row.column, row.message, row.resource)


def _lines(rows: list[tuple[str, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
