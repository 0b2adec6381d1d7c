"""NotifyService on the wire."""

from datetime import datetime
from typing import Any
from uuid import UUID

from powerhouse.notify.v1 import notify_service_pb2 as pb
from powerhouse.notify.v1.notify_service_pb2_grpc import NotifyServiceServicer
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import parse_child, parse_name
from services.chassis.resources import Resources
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import masked_fields, to_timestamp
from services.notify import deliveries, delivery_views, reminder_settings
from services.notify.models import Channel, Delivery, Kind, Outcome, ReminderSettings


class NotifyServicer(NotifyServiceServicer):
    """Decodes, calls, encodes."""

    def __init__(self, resources: Resources) -> None:
        self._resources, self._database, self._pager = resources, resources.database, resources.pager

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

    async def GetGiftCardDelivery(self, request: pb.GetGiftCardDeliveryRequest, context: Any) -> pb.Delivery:
        call = current_call()
        card_id = parse_child(request.name, "studios/*/giftCards/*", "name", call.tenant)
        account = None if call.whole_studio else call.account()
        async with self._database.read() as tx:
            return _encode(await deliveries.of_gift_card(tx, card_id, account))

    async def GetReminderSettings(self, request: pb.GetReminderSettingsRequest, context: Any) -> pb.ReminderSettings:
        parse_name(request.name, "studios/*/reminderSettings", "name")
        async with self._database.read() as tx:
            return _encode_settings(await reminder_settings.get(tx))

    async def UpdateReminderSettings(
        self, request: pb.UpdateReminderSettingsRequest, context: Any
    ) -> pb.ReminderSettings:
        wanted = request.reminder_settings
        parse_name(wanted.name, "studios/*/reminderSettings", "reminder_settings.name")
        fields = masked_fields(request.update_mask, wanted, "reminder_settings", reminder_settings.MUTABLE)
        decoded = _decode_settings(wanted, current_call().tenant)
        changes = {field: decoded[field] for field in fields}
        await reminder_settings.require_class_types(
            self._resources, current_call().tenant, changes.get("class_types", {})
        )

        async def change(tx: UnitOfWork) -> pb.ReminderSettings:
            return _encode_settings(await reminder_settings.update(tx, changes, wanted.etag))

        return await self._database.write(change)


def _decode_settings(wanted: pb.ReminderSettings, tenant: UUID) -> dict[str, Any]:
    return {
        "offsets": _decode_offsets(wanted.offsets),
        "class_types": {
            str(parse_child(each.class_type, "studios/*/classTypes/*", "class_type", tenant)): _decode_offsets(
                each.offsets
            )
            for each in wanted.class_types
        },
    }


def _decode_offsets(wanted: pb.ReminderSettings.Offsets) -> dict[str, list[int]]:
    return {channel: sorted(getattr(wanted, f"{channel}_minutes"), reverse=True) for channel in Channel}


def _encode_settings(row: ReminderSettings) -> pb.ReminderSettings:
    studio = f"studios/{row.tenant_id}"
    return pb.ReminderSettings(
        name=f"{studio}/reminderSettings",
        offsets=_encode_offsets(row.offsets),
        class_types=[
            pb.ReminderSettings.OfClassType(class_type=f"{studio}/classTypes/{id}", offsets=_encode_offsets(offsets))
            for id, offsets in sorted(row.class_types.items())
        ],
        etag=row.etag,
        update_time=to_timestamp(row.update_time),
    )


def _encode_offsets(offsets: dict[str, list[int]]) -> pb.ReminderSettings.Offsets:
    return pb.ReminderSettings.Offsets(**{f"{channel}_minutes": minutes for channel, minutes in offsets.items()})


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
        gift_card=subject("giftCards", Kind.GIFT_CARD),
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
