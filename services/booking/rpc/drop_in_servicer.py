"""DropInService: decode, call the noun, encode."""

from typing import Any

from powerhouse.booking.v1 import drop_in_service_pb2 as pb
from powerhouse.booking.v1.booking_pb2 import Booking
from powerhouse.booking.v1.drop_in_service_pb2_grpc import DropInServiceServicer
from services.booking import drop_ins
from services.booking.rpc.encoding import encode_booking
from services.booking.rpc.names import child
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import parse_name
from services.chassis.resources import Resources


class DropInServicer(DropInServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._database = resources.database

    async def MarkDropInPaid(self, request: pb.MarkDropInPaidRequest, context: Any) -> Booking:
        booking_id = child(request.name, "bookings", "name")

        async def change(tx: UnitOfWork) -> Booking:
            return encode_booking(await drop_ins.mark_paid(tx, booking_id, reason=request.reason, etag=request.etag))

        return await self._database.write(change)

    async def ConfirmDropIn(self, request: pb.ConfirmDropInRequest, context: Any) -> Booking:
        booking_id = child(request.booking, "bookings", "booking")
        (payment_id,) = parse_name(request.payment_id, "*", "payment_id")

        async def change(tx: UnitOfWork) -> Booking:
            return encode_booking(await drop_ins.confirm(tx, booking_id, payment_id))

        return await self._database.write(change)
