"""DropInService: decode, call the noun, encode."""

from typing import Any

from powerhouse.booking.v1 import drop_in_service_pb2 as pb
from powerhouse.booking.v1.booking_pb2 import Booking
from powerhouse.booking.v1.drop_in_service_pb2_grpc import DropInServiceServicer
from services.booking import drop_ins
from services.booking.rpc.encoding import encode_booking
from services.booking.rpc.names import child, name_of
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import parse_name
from services.chassis.resources import Resources
from services.chassis.rpc.codec import to_timestamp


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

    async def GetDropIn(self, request: pb.GetDropInRequest, context: Any) -> pb.DropIn:
        booking_id = child(request.booking, "bookings", "booking")
        client_id = child(request.client, "clients", "client")
        async with self._database.read() as tx:
            return _encode(await drop_ins.get(tx, booking_id, client_id))

    async def ReleaseDropIn(self, request: pb.ReleaseDropInRequest, context: Any) -> pb.DropIn:
        booking_id = child(request.booking, "bookings", "booking")

        async def change(tx: UnitOfWork) -> pb.DropIn:
            return _encode(await drop_ins.release(tx, booking_id))

        return await self._database.write(change)


def _encode(place: drop_ins.DropIn) -> pb.DropIn:
    booking = place.booking
    return pb.DropIn(
        booking=name_of(booking.tenant_id, "bookings", booking.id),
        client=name_of(booking.tenant_id, "clients", booking.client_id),
        state=Booking.State.Value(booking.state),
        price_minor=place.price_minor,
        currency_code=booking.currency_code,
        class_type=name_of(booking.tenant_id, "classTypes", place.class_type_id),
        start_time=to_timestamp(booking.start_time),
        hold_expire_time=to_timestamp(booking.hold_expire_time),
        version=booking.version,
        paid=place.paid,
    )
