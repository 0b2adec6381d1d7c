"""ExportService: decode, call the noun, encode."""

from collections.abc import AsyncIterator
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from powerhouse.booking.v1 import export_service_pb2 as pb
from powerhouse.booking.v1.export_service_pb2_grpc import ExportServiceServicer
from services.booking import exports
from services.booking.models import Export
from services.booking.rpc.names import child, name_of
from services.chassis import blobs
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import parse_name
from services.chassis.resources import Resources
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import to_timestamp


class ExportServicer(ExportServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._database, self._pager = resources.database, resources.pager

    async def RequestExport(self, request: pb.RequestExportRequest, context: Any) -> pb.Export:
        parse_name(request.parent, "studios/*", "parent")

        async def change(tx: UnitOfWork) -> pb.Export:
            return _encode(await exports.request(tx))

        return await self._database.write(change)

    async def GetExport(self, request: pb.GetExportRequest, context: Any) -> pb.Export:
        export_id = child(request.name, "exports", "name")
        async with self._database.read() as tx:
            return _encode(await exports.get(tx, export_id))

    async def ListExports(self, request: pb.ListExportsRequest, context: Any) -> pb.ListExportsResponse:
        page = self._pager.page(f"exports {request.parent}", request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows = await exports.list_newest(tx, page)
        shown, token = page.cut(rows, lambda row: (row.id,))
        return pb.ListExportsResponse(exports=[_encode(row) for row in shown], next_page_token=token)

    async def DownloadExport(self, request: pb.DownloadExportRequest, context: Any) -> AsyncIterator[HttpBody]:
        export_id = child(request.name, "exports", "name")
        tenant = current_call().tenant

        async def note(tx: UnitOfWork) -> HttpBody:
            """Taking it away is audited as a write is."""
            blob = await exports.file(tx, export_id)
            return HttpBody(content_type=blob.content_type, data=blob.sha256)

        head = await self._database.write(note)
        async with self._database.read() as tx:
            blob = await blobs.find(tx, head.data)
        await context.send_initial_metadata((("etag", blob.etag),))
        content_type = blob.content_type
        async for data in blobs.content(self._database, tenant, blob):
            yield HttpBody(content_type=content_type, data=data)
            content_type = ""


def _encode(found: Export) -> pb.Export:
    return pb.Export(
        name=name_of(found.tenant_id, "exports", found.id),
        state=pb.Export.State.Value(found.state),
        progress_percent=found.progress_percent,
        rows=found.rows,
        size_bytes=found.size,
        create_time=to_timestamp(found.create_time),
        expire_time=to_timestamp(found.expire_time),
        etag=found.etag,
    )
