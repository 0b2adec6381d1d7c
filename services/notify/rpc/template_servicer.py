"""TemplateService: decode, call the noun, encode."""

from typing import Any
from uuid import UUID

from powerhouse.booking.v1 import booking_service_pb2
from powerhouse.booking.v1.booking_service_pb2 import BatchGetRecipientsRequest
from powerhouse.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from powerhouse.notify.v1 import template_service_pb2 as pb
from powerhouse.notify.v1.notify_service_pb2 import Delivery
from powerhouse.notify.v1.template_service_pb2_grpc import TemplateServiceServicer
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import NotFound
from services.chassis.ids import parse_child
from services.chassis.resources import Resources
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import masked_fields, to_timestamp
from services.notify import class_facts, message_templates, senders, sms_segments, template_variables, templates
from services.notify.message_templates import MUTABLE, Template
from services.notify.models import Channel
from services.notify.templates import Frame, Source


class TemplateServicer(TemplateServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._resources, self._database, self._pager = resources, resources.database, resources.pager

    async def ListMessageTemplates(
        self, request: pb.ListMessageTemplatesRequest, context: Any
    ) -> pb.ListMessageTemplatesResponse:
        page = self._pager.page(f"message templates {request.parent}", request.page_size, request.page_token)
        async with self._database.read() as tx:
            found = await message_templates.list_all(tx)
        begin = next((n for n, each in enumerate(found, 1) if page.after and each.id == page.after[0]), 0)
        shown, token = page.cut(found[begin : begin + page.limit], lambda template: (template.id,))
        return pb.ListMessageTemplatesResponse(
            message_templates=[_encode(template) for template in shown], next_page_token=token
        )

    async def GetMessageTemplate(self, request: pb.GetMessageTemplateRequest, context: Any) -> pb.MessageTemplate:
        template_id = _id(request.name, "name")
        async with self._database.read() as tx:
            return _encode(await message_templates.get(tx, template_id))

    async def UpdateMessageTemplate(self, request: pb.UpdateMessageTemplateRequest, context: Any) -> pb.MessageTemplate:
        given = request.message_template
        template_id = _id(given.name, "message_template.name")
        fields = masked_fields(request.update_mask, given, "message_template", MUTABLE)
        changes = {field: getattr(given, field) for field in fields}

        async def change(tx: UnitOfWork) -> pb.MessageTemplate:
            return _encode(await message_templates.update(tx, template_id, changes, given.etag))

        return await self._database.write(change)

    async def ResetMessageTemplate(self, request: pb.ResetMessageTemplateRequest, context: Any) -> pb.MessageTemplate:
        template_id = _id(request.name, "name")

        async def change(tx: UnitOfWork) -> pb.MessageTemplate:
            return _encode(await message_templates.reset(tx, template_id, request.etag))

        return await self._database.write(change)

    async def PreviewMessageTemplate(
        self, request: pb.PreviewMessageTemplateRequest, context: Any
    ) -> pb.PreviewMessageTemplateResponse:
        template_id = _id(request.name, "name")
        async with self._database.read() as tx:
            template = await message_templates.get(tx, template_id)
            brand = await senders.brand(tx, "")
        source = template.source
        if request.HasField("draft"):
            source = Source(request.draft.subject, request.draft.html, request.draft.text)
            message_templates.sound(template.kind, template.channel, template.language, source)
        values = template_variables.sample(template.kind, template.language)
        if request.booking:
            facts = await self._facts(request.booking, template.language)
            values |= {name: fact for name, fact in facts.items() if name in values}
        return _preview(template, source, values, brand)

    async def _facts(self, booking_name: str, language: str) -> dict[str, str]:
        """Of the booking's class, as the message would say them now."""
        tenant = current_call().tenant
        booking_id = parse_child(booking_name, "studios/*/bookings/*", "booking", tenant)
        booking = self._resources.stubs.get(
            BookingServiceStub, booking_service_pb2.DESCRIPTOR.services_by_name["BookingService"], "booking"
        )
        request = BatchGetRecipientsRequest(parent=f"studios/{tenant}", booking_ids=[str(booking_id)])
        answer = await booking.BatchGetRecipients(request)
        if not answer.recipients:
            raise NotFound("booking")
        link = f"{self._resources.settings.public_url.rstrip('/')}/?studio={tenant}"
        return class_facts.values(answer.recipients[0], language, link=link, as_of=self._resources.clock.now())


def _preview(
    template: Template, source: Source, values: dict[str, str], brand: senders.Brand
) -> pb.PreviewMessageTemplateResponse:
    kind, language = template.kind, template.language
    if template.channel == Channel.SMS:
        text = templates.render_sms(kind, values, language=language, source=source, studio=brand.display_name)
        cost = sms_segments.measure(text)
        encoding = pb.SmsMeasure.Encoding.Value(cost.encoding.upper())
        return pb.PreviewMessageTemplateResponse(
            text=text, sms=pb.SmsMeasure(encoding=encoding, units=cost.units, segments=cost.segments)
        )
    if template.channel == Channel.PUSH:
        title, text = templates.render_push(kind, values, language=language, source=source, studio=brand.display_name)
        return pb.PreviewMessageTemplateResponse(subject=title, text=text)
    frame = Frame(studio=brand.display_name, postal_address=brand.postal_address)
    words = templates.render(kind, values, language=language, source=source, frame=frame)
    return pb.PreviewMessageTemplateResponse(subject=words.subject, html=words.html, text=words.text)


def _id(name: str, field: str) -> UUID:
    return parse_child(name, "studios/*/messageTemplates/*", field, current_call().tenant)


def _encode(template: Template) -> pb.MessageTemplate:
    return pb.MessageTemplate(
        name=f"studios/{current_call().tenant}/messageTemplates/{template.id}",
        kind=Delivery.Kind.Value(template.kind.upper()),
        channel=Delivery.Channel.Value(template.channel.upper()),
        language=template.language,
        subject=template.source.subject,
        html=template.source.html,
        text=template.source.text,
        variables=[*template_variables.VARIABLES[template.kind], "studio"],
        customised=template.version > 0,
        etag=template.etag,
        update_time=to_timestamp(template.update_time),
    )
