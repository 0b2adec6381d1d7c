"""FeeService: decode, call the noun, encode."""

from typing import Any

from powerhouse.booking.v1 import booking_pb2
from powerhouse.booking.v1 import fee_service_pb2 as pb
from powerhouse.booking.v1.fee_service_pb2_grpc import FeeServiceServicer
from services.booking import cancellations, fees
from services.booking.models import Fee
from services.booking.rpc.encoding import encode_booking
from services.booking.rpc.names import child, name_of, only_own, optional
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.resources import Resources
from services.chassis.rpc.codec import to_timestamp


class FeeServicer(FeeServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._database, self._pager = resources.database, resources.pager

    async def ListFees(self, request: pb.ListFeesRequest, context: Any) -> pb.ListFeesResponse:
        query = f"fees {request.parent} {request.client} {request.due_only}"
        page = self._pager.page(query, request.page_size, request.page_token)
        client_id = optional(request.client, "clients", "client")
        async with self._database.read() as tx:
            rows = await fees.list_latest(tx, page, account=only_own(), client_id=client_id, due_only=request.due_only)
        shown, token = page.cut(rows, lambda row: (row.create_time, row.id))
        return pb.ListFeesResponse(fees=[_encode(row) for row in shown], next_page_token=token)

    async def GetFee(self, request: pb.GetFeeRequest, context: Any) -> booking_pb2.Fee:
        fee_id = child(request.name, "fees", "name")
        async with self._database.read() as tx:
            return _encode(await fees.get(tx, fee_id, only_own()))

    async def WaiveBooking(self, request: pb.WaiveBookingRequest, context: Any) -> booking_pb2.Booking:
        booking_id = child(request.name, "bookings", "name")

        async def change(tx: UnitOfWork) -> booking_pb2.Booking:
            booking = await cancellations.waive(tx, booking_id, reason=request.reason, etag=request.etag)
            return encode_booking(booking)

        return await self._database.write(change)


def _encode(fee: Fee) -> booking_pb2.Fee:
    return booking_pb2.Fee(
        name=name_of(fee.tenant_id, "fees", fee.id),
        booking=name_of(fee.tenant_id, "bookings", fee.booking_id),
        client=name_of(fee.tenant_id, "clients", fee.client_id),
        kind=booking_pb2.Fee.Kind.Value(fee.kind),
        amount_minor=fee.amount_minor,
        currency_code=fee.currency_code,
        state=booking_pb2.Fee.State.Value(fee.state),
        reason=fee.reason,
        etag=fee.etag,
        create_time=to_timestamp(fee.create_time),
        update_time=to_timestamp(fee.update_time),
    )
