"""NotifyService on the wire."""

from datetime import datetime
from typing import Any
from uuid import UUID

from powerhouse.notify.v1 import notify_service_pb2 as pb
from powerhouse.notify.v1.notify_service_pb2_grpc import NotifyServiceServicer
from services.chassis.db.database import Database
from services.chassis.db.paging import Pager
from services.chassis.ids import parse_child
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import to_timestamp
from services.notify import deliveries, delivery_views
from services.notify.models import Delivery, Kind, Outcome


class NotifyServicer(NotifyServiceServicer):
    """Decodes, calls, encodes."""

    def __init__(self, database: Database, pager: Pager) -> None:
        self._database, self._pager = database, pager

    async def ListDeliveries(self, request: pb.ListDeliveriesRequest, context: Any) -> pb.ListDeliveriesResponse:
        wanted = _wanted(request)
        query = " ".join(f"{column} {value}" for column, value in wanted.items())
        page = self._pager.page(f"deliveries {request.parent} {query}", request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows = await delivery_views.list_newest(tx, page, wanted)
        shown, token = page.cut(rows, lambda row: (row.id,))
        return pb.ListDeliveriesResponse(deliveries=[_encode(row) for row in shown], next_page_token=token)

    async def GetDelivery(self, request: pb.GetDeliveryRequest, context: Any) -> pb.Delivery:
        delivery_id = parse_child(request.name, "studios/*/deliveries/*", "name", current_call().tenant)
        async with self._database.read() as tx:
            return _encode(await deliveries.get(tx, delivery_id))


def _wanted(request: pb.ListDeliveriesRequest) -> dict[str, Any]:
    """Columns of Delivery and the values that the request wants of them."""
    tenant, wanted = current_call().tenant, dict[str, Any]()
    if request.booking:
        wanted["booking_id"] = parse_child(request.booking, "studios/*/bookings/*", "booking", tenant)
    if request.client:
        wanted["client_id"] = parse_child(request.client, "studios/*/clients/*", "client", tenant)
    if request.kind:
        wanted["kind"] = pb.Delivery.Kind.Name(request.kind).lower()
    if request.channel:
        wanted["channel"] = pb.Delivery.Channel.Name(request.channel).lower()
    if request.state:
        wanted["state"] = pb.Delivery.State.Name(request.state).lower()
    return wanted


def _encode(row: Delivery) -> pb.Delivery:
    def name(collection: str, id: UUID | None) -> str:
        return f"studios/{row.tenant_id}/{collection}/{id}" if id else ""

    def subject(collection: str, kind: Kind) -> str:
        return name(collection, row.subject_id) if row.kind == kind else ""

    return pb.Delivery(
        name=name("deliveries", row.id),
        kind=pb.Delivery.Kind.Value(row.kind.upper()),
        channel=pb.Delivery.Channel.Value(row.channel.upper()),
        state=pb.Delivery.State.Value(row.state.upper()),
        outcome=_OUTCOMES[row.outcome],
        booking=name("bookings", row.booking_id),
        client=name("clients", row.client_id),
        class_session=name("classSessions", row.class_session_id),
        invitation=subject("invitations", Kind.INVITATION),
        waitlist_entry=subject("waitlistEntries", Kind.WAITLIST_OFFER),
        fee=subject("fees", Kind.FEE_DUE),
        offset_minutes=row.offset_minutes,
        time_version=row.time_version,
        due_time=to_timestamp(row.due_time),
        send_time=to_timestamp(row.due_at),
        useful_until=to_timestamp(row.useful_until),
        accept_time=to_timestamp(row.accept_time),
        outcome_time=to_timestamp(row.outcome_time),
        attempts=row.attempts,
        provider=row.provider,
        provider_message_id=row.provider_message_id,
        reason=row.reason,
        story=[_encode_step(step) for step in row.story],
        create_time=to_timestamp(row.create_time),
    )


def _encode_step(step: dict[str, str]) -> pb.Delivery.Step:
    return pb.Delivery.Step(
        time=to_timestamp(datetime.fromisoformat(step["at"])),
        what=step["what"],
        reason=step.get("reason", ""),
        provider=step.get("provider", ""),
        provider_message_id=step.get("id", ""),
    )


_OUTCOMES = {
    "": pb.Delivery.OUTCOME_UNSPECIFIED,
    Outcome.DELIVERED: pb.Delivery.ARRIVED,
    Outcome.BOUNCED: pb.Delivery.BOUNCED,
    Outcome.COMPLAINED: pb.Delivery.COMPLAINED,
    Outcome.FAILED: pb.Delivery.UNDELIVERABLE,
}
