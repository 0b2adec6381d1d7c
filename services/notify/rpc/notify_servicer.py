"""NotifyService on the wire."""

from typing import Any

from powerhouse.notify.v1 import notify_service_pb2 as pb
from powerhouse.notify.v1.notify_service_pb2_grpc import NotifyServiceServicer
from services.chassis.db.database import Database
from services.chassis.db.paging import Pager
from services.chassis.ids import parse_child
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import to_timestamp
from services.notify import deliveries
from services.notify.models import Delivery, Kind


class NotifyServicer(NotifyServiceServicer):
    """Decodes, calls, encodes."""

    def __init__(self, database: Database, pager: Pager) -> None:
        self._database, self._pager = database, pager

    async def ListDeliveries(self, request: pb.ListDeliveriesRequest, context: Any) -> pb.ListDeliveriesResponse:
        tenant = current_call().tenant
        booking = request.booking
        booking_id = parse_child(booking, "studios/*/bookings/*", "booking", tenant) if booking else None
        page = self._pager.page(f"deliveries {request.parent} {booking}", request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows = await deliveries.list_newest(tx, page, booking_id)
        shown, token = page.cut(rows, lambda row: (row.id,))
        return pb.ListDeliveriesResponse(deliveries=[_encode(row) for row in shown], next_page_token=token)

    async def GetDelivery(self, request: pb.GetDeliveryRequest, context: Any) -> pb.Delivery:
        delivery_id = parse_child(request.name, "studios/*/deliveries/*", "name", current_call().tenant)
        async with self._database.read() as tx:
            return _encode(await deliveries.get(tx, delivery_id))


def _encode(row: Delivery) -> pb.Delivery:
    studio = f"studios/{row.tenant_id}"
    return pb.Delivery(
        name=f"{studio}/deliveries/{row.id}",
        kind=pb.Delivery.Kind.Value(row.kind.upper()),
        state=pb.Delivery.State.Value(row.state.upper()),
        booking=f"{studio}/bookings/{row.subject_id}" if row.kind == Kind.BOOKING_CONFIRMATION else "",
        invitation=f"{studio}/invitations/{row.subject_id}" if row.kind == Kind.INVITATION else "",
        due_time=to_timestamp(row.due_time),
        accept_time=to_timestamp(row.accept_time),
        attempts=row.attempts,
        provider_message_id=row.provider_message_id,
        reason=row.reason,
        create_time=to_timestamp(row.create_time),
    )
