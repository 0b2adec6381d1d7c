"""ErasureService: decode, call the noun, encode."""

from typing import Any

from powerhouse.booking.v1 import erasure_service_pb2 as pb
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.booking.v1.erasure_service_pb2_grpc import ErasureServiceServicer
from services.booking import erasure
from services.booking.rpc.client_encoding import encode_client
from services.booking.rpc.names import child
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.resources import Resources


class ErasureServicer(ErasureServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._database = resources.database

    async def PreviewErasure(self, request: pb.PreviewErasureRequest, context: Any) -> pb.ErasurePreview:
        client_id = child(request.name, "clients", "name")
        async with self._database.read() as tx:
            return _encode(await erasure.preview(tx, client_id))

    async def EraseClient(self, request: pb.EraseClientRequest, context: Any) -> Client:
        client_id = child(request.name, "clients", "name")

        async def change(tx: UnitOfWork) -> Client:
            return encode_client(
                await erasure.erase(tx, client_id, cancel_future=request.cancel_future, etag=request.etag)
            )

        return await self._database.write(change)


def _encode(preview: erasure.Preview) -> pb.ErasurePreview:
    return pb.ErasurePreview(
        erasable=not preview.upcoming_bookings and not preview.waits,
        upcoming_bookings=preview.upcoming_bookings,
        waits=preview.waits,
        credits_left=preview.credits_left,
        import_files=preview.import_files,
        export_files=preview.export_files,
        kept=[
            pb.ErasurePreview.Kept(records=name, count=count, purpose=erasure.PURPOSES[name])
            for name, count in preview.kept.items()
        ],
    )
