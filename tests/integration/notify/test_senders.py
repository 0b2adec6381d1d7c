"""In whose name messages go out, and which studio a number is of."""

from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from powerhouse.notify.v1 import sender_service_pb2 as pb
from powerhouse.policy.v1.policy_pb2 import Role
from powerhouse.scheduling.v1 import scheduling_service_pb2, studio_pb2
from powerhouse.scheduling.v1.events_pb2 import StudioChanged
from powerhouse.scheduling.v1.scheduling_service_pb2_grpc import SchedulingServiceStub
from services.chassis.ids import new_id
from services.chassis.messaging import inbox
from services.chassis.messaging.envelope import COLUMNS, Envelope
from services.notify import senders
from services.notify.consumers import consumers
from services.scheduling.service import SERVICE as SCHEDULING
from tests.integration.notify.studio import NotifyStubs, Studio
from tests.support.services import reason_of

PLATFORM = "Powerhouse <studio@powerhouse.example>"


async def change(studio: Studio, etag: str = "", **fields: str) -> pb.Sender:
    stub = studio.staff(Role.ROLE_MANAGER)
    sender = pb.Sender(name=f"{studio.name}/sender", etag=etag, **fields)
    answer: pb.Sender = await stub.UpdateSender(pb.UpdateSenderRequest(sender=sender, request_id=uuid4().hex))
    return answer


async def brand(studio: Studio) -> senders.Brand:
    async with studio.notify.resources.database.transaction(studio.id) as tx:
        return await senders.brand(tx, PLATFORM)


async def owner_of(studio: Studio, number: str) -> Any:
    # As an inbound message asks: before any studio is known.
    async with studio.notify.resources.database.transaction() as tx:
        return await senders.studio_of(tx, number)


async def test_a_studio_without_a_sender_writes_under_its_name_from_the_platforms_address(studio: Studio) -> None:
    found = await brand(studio)
    assert (found.display_name, found.time_zone) == ("Kiez Pilates", "Europe/Berlin")
    assert found.mail_from == "Kiez Pilates <studio@powerhouse.example>"
    assert (found.reply_to, found.sms_number) == ("", "")


async def test_a_studio_writes_in_its_own_name_and_is_found_by_its_number(studio: Studio) -> None:
    number = f"+4930{str(new_id().int)[-8:]}"
    changed = await change(
        studio,
        mail_name="Kiez am Kanal",
        mail_address="hallo@mail.kiez.example",
        reply_to="team@kiez.example",
        sms_number=f" {number[:5]} {number[5:]} ",
        postal_address="Oranienstr. 1, 10999 Berlin",
    )
    assert (changed.sms_number, changed.etag) == (number, "1")
    found = await brand(studio)
    assert found.mail_from == "Kiez am Kanal <hallo@mail.kiez.example>"
    assert (found.reply_to, found.postal_address) == ("team@kiez.example", "Oranienstr. 1, 10999 Berlin")
    assert await owner_of(studio, number) == studio.id
    # Another number, and the one before is nobody's.
    other = f"+4989{str(new_id().int)[-8:]}"
    await change(studio, sms_number=other)
    assert (await owner_of(studio, number), await owner_of(studio, other)) == (None, studio.id)
    rival = Studio(studio.booking, studio.notify)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await change(rival, sms_number=other)
    assert reason_of(refusal.value) == "NUMBER_TAKEN"
    assert await owner_of(studio, other) == studio.id


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"sms_number": "call me"}, "PHONE_INVALID"),
        ({"sms_number": "030 123456"}, "PHONE_INVALID"),
        ({"mail_address": "not an address"}, "INVALID_FIELD"),
        ({"reply_to": "a@b.example\r\nBcc: all@c.example"}, "INVALID_FIELD"),
        ({"mail_name": "Evil <evil@evil.example>"}, "INVALID_FIELD"),
        ({"mail_name": "x\r\nBcc: all@c.example"}, "INVALID_FIELD"),
        ({"mail_name": "a" * 81}, "INVALID_FIELD"),
    ],
)
async def test_what_would_break_a_header_or_reach_nobody_is_refused(
    studio: Studio, fields: dict[str, str], reason: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await change(studio, **fields)
    assert reason_of(refusal.value) == reason


async def test_who_has_seen_an_older_sender_reads_again_and_the_front_desk_may_not(studio: Studio) -> None:
    await change(studio, mail_name="One")
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await change(studio, etag="0", mail_name="Two")
    assert reason_of(refusal.value) == "ETAG_MISMATCH"
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await studio.staff().GetSender(pb.GetSenderRequest(name=f"{studio.name}/sender"))
    assert reason_of(refusal.value) == "ROLE_REQUIRED"
    stub = studio.notify.as_account(NotifyStubs, roles={studio.id: [Role.ROLE_OWNER]})
    assert (await stub.GetSender(pb.GetSenderRequest(name=f"{studio.name}/sender"))).mail_name == "One"


async def test_notify_knows_a_studio_as_scheduling_tells_it_in_whatever_order(studio: Studio) -> None:
    async with studio.notify.mesh.running(SCHEDULING) as scheduling:
        account = new_id()
        person = scheduling.as_account(SchedulingServiceStub, account)
        made = await person.CreateStudio(
            scheduling_service_pb2.CreateStudioRequest(
                studio=studio_pb2.Studio(display_name="Before", time_zone="Asia/Tokyo", currency_code="JPY"),
                request_id=uuid4().hex,
            )
        )
        known = Studio(studio.booking, studio.notify, id=UUID(made.name.split("/")[1]))
        owner = scheduling.as_account(SchedulingServiceStub, account, roles={known.id: [Role.ROLE_OWNER]})
        renamed = studio_pb2.Studio(name=made.name, display_name="After", time_zone="Asia/Tokyo")
        await owner.UpdateStudio(scheduling_service_pb2.UpdateStudioRequest(studio=renamed, request_id=uuid4().hex))
        rows = await scheduling.sql(
            f"SELECT {COLUMNS} FROM outbox WHERE aggregate_id = $1 AND type = $2 ORDER BY version DESC",
            known.id,
            StudioChanged.DESCRIPTOR.full_name,
        )
        assert len(rows) == 2
        for row in rows:
            await inbox.apply(known.notify.resources.database, consumers, [Envelope.of_row(row)])
    found = await brand(known)
    assert (found.display_name, found.time_zone) == ("After", "Asia/Tokyo")
