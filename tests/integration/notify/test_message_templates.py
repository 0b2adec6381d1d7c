"""A studio's own words: saved when they are sound, seen before, and taken back."""

from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from powerhouse.notify.v1 import template_service_pb2 as pb
from powerhouse.notify.v1.notify_service_pb2 import Delivery
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from services.notify import stationery
from services.notify.models import Channel, Kind
from tests.integration.notify.desk import Desk
from tests.integration.notify.studio import Studio
from tests.support.services import fields_of, reason_of

Template = pb.MessageTemplate


async def all_of(studio: Studio) -> dict[tuple[int, int, str], Template]:
    """By kind, channel and language; page by page."""
    found, token = list[Template](), ""
    while token or not found:
        request = pb.ListMessageTemplatesRequest(parent=studio.name, page_size=7, page_token=token)
        answer = await studio.staff().ListMessageTemplates(request)
        found, token = [*found, *answer.message_templates], answer.next_page_token
    by_key = {(each.kind, each.channel, each.language): each for each in found}
    assert len(by_key) == len(found)
    return by_key


async def change(studio: Studio, template: Template, etag: str = "", **fields: str) -> Template:
    given = Template(name=template.name, etag=etag, **fields)
    request = pb.UpdateMessageTemplateRequest(message_template=given, request_id=uuid4().hex)
    answer: Template = await studio.staff(Role.ROLE_MANAGER).UpdateMessageTemplate(request)
    return answer


async def preview(studio: Studio, template: Template, **fields: Any) -> pb.PreviewMessageTemplateResponse:
    request = pb.PreviewMessageTemplateRequest(name=template.name, **fields)
    answer: pb.PreviewMessageTemplateResponse = await studio.staff().PreviewMessageTemplate(request)
    return answer


async def used(studio: Studio, kind: Kind, channel: Channel, language: str) -> str:
    """The text that sending would take."""
    async with studio.notify.resources.database.transaction(studio.id) as tx:
        return (await stationery.load(tx, "")).source(kind, channel, language).text


async def test_a_studio_words_a_message_and_goes_back(studio: Studio) -> None:
    templates = await all_of(studio)
    assert len(templates) == 2 * (len(Kind) - 1 + 2 * 7 + 2)
    house = templates[Delivery.REMINDER, Delivery.SMS, "de"]
    assert (house.customised, house.etag) == (False, "0")
    assert {"class_type", "start_short", "studio"} <= {*house.variables}
    words = "Hi {{ name }}, {{ class_type }} {{ start_short }}!"
    changed = await change(studio, house, etag="0", text=words)
    assert (changed.text, changed.customised, changed.etag) == (words, True, "1")
    assert await used(studio, Kind.REMINDER, Channel.SMS, "de-AT") == words
    assert await used(studio, Kind.REMINDER, Channel.SMS, "en") != words
    assert await used(Studio(studio.booking, studio.notify), Kind.REMINDER, Channel.SMS, "de") == house.text
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await change(studio, house, etag="0", text=words)
    assert reason_of(refusal.value) == "ETAG_MISMATCH"
    reset = pb.ResetMessageTemplateRequest(name=house.name, etag="1", request_id=uuid4().hex)
    assert await studio.staff(Role.ROLE_OWNER).ResetMessageTemplate(reset) == house
    assert await used(studio, Kind.REMINDER, Channel.SMS, "de") == house.text


async def test_an_unsound_template_is_refused_at_save_and_the_sound_one_stays(studio: Studio) -> None:
    template = (await all_of(studio))[Delivery.REMINDER, Delivery.EMAIL, "en"]
    for field, words, reason in (
        ("text", "{{ class_type }} {{ start }} {{ sart }}", "UNKNOWN_VARIABLE"),
        ("html", "<p>{{ class_type }} {{ start }}", "HTML_UNBALANCED"),
        ("text", "{{ name }}", "MISSING_VARIABLE"),
        ("subject", "{{ name", "TEMPLATE_SYNTAX"),
        ("text", "x" * 10_001, "INVALID_FIELD"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await change(studio, template, **{field: words})
        assert (reason_of(refusal.value), fields_of(refusal.value)) == (reason, [f"message_template.{field}"])
        if reason == "UNKNOWN_VARIABLE":
            assert "sart" in str(refusal.value.details())
    assert (await all_of(studio))[Delivery.REMINDER, Delivery.EMAIL, "en"] == template


async def test_samples_are_shown_with_what_a_text_costs(studio: Studio) -> None:
    templates = await all_of(studio)
    sms = templates[Delivery.REMINDER, Delivery.SMS, "en"]
    shown = await preview(studio, sms)
    assert shown.text.startswith("Kiez Pilates: Reminder: Reformer Flow, Tue 24 Nov, 18:30")
    assert (shown.sms.encoding, shown.sms.segments, shown.sms.units) == (pb.SmsMeasure.GSM_7, 1, len(shown.text))
    draft = Template(text="{{ class_type }} {{ start_short }} 🧘" + " и так далее" * 6)
    costly = await preview(studio, sms, draft=draft)
    assert (costly.sms.encoding, costly.sms.segments) == (pb.SmsMeasure.UCS_2, 2)
    mail = await preview(studio, templates[Delivery.CLASS_CHANGED, Delivery.EMAIL, "de"])
    assert mail.subject.startswith("Geändert: Reformer Flow, Dienstag, 24. November 2026")
    assert "Kiez Pilates" in mail.html
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await preview(studio, sms, draft=Template(text="{{ nothing }}"))
    assert reason_of(refusal.value) == "UNKNOWN_VARIABLE"
    # A draft is kept nowhere.
    assert (await all_of(studio))[Delivery.REMINDER, Delivery.SMS, "en"] == sms


async def test_a_template_of_another_studio_is_not_there(studio: Studio) -> None:
    template = next(iter((await all_of(studio)).values()))
    other = Studio(studio.booking, studio.notify)
    foreign = f"{other.name}/messageTemplates/{template.name.rpartition('/')[2]}"
    for name, code in (
        (foreign, grpc.StatusCode.NOT_FOUND),
        (template.name, grpc.StatusCode.PERMISSION_DENIED),
        (f"{other.name}/messageTemplates/{new_id()}", grpc.StatusCode.NOT_FOUND),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await other.staff().GetMessageTemplate(pb.GetMessageTemplateRequest(name=name))
        assert refusal.value.code() == code


async def test_a_preview_of_a_booking_says_what_its_message_would(desk: Desk) -> None:
    booking = await desk.book("ann@example.test", name="Ann Adler")
    studio = Studio(desk.booking, desk.post.notify, id=desk.post.studio)
    templates = await all_of(studio)
    reminder = templates[Delivery.REMINDER, Delivery.EMAIL, "de"]
    shown = await preview(studio, reminder, booking=booking.name)
    for fact in ("Hallo Ann Adler", "10:00 (Europe/Berlin)", "Jana Vogt", "Blue Room, Kreuzberg", booking.spot):
        assert fact in shown.text
    assert "Reformer &lt;Flow&gt;" in shown.html
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await preview(studio, reminder, booking=f"{studio.name}/bookings/{new_id()}")
    assert refusal.value.code() == grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await preview(studio, reminder, booking=f"studios/{UUID(int=1)}/bookings/{new_id()}")
    assert reason_of(refusal.value) == "FOREIGN_RESOURCE"
