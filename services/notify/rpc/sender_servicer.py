"""SenderService: decode, call the noun, encode."""

from typing import Any

from powerhouse.notify.v1 import sender_service_pb2 as pb
from powerhouse.notify.v1.sender_service_pb2_grpc import SenderServiceServicer
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import parse_name
from services.chassis.resources import Resources
from services.chassis.rpc.codec import masked_fields, to_timestamp
from services.notify import senders
from services.notify.models import Sender

_NAME = "studios/*/sender"


class SenderServicer(SenderServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._database = resources.database

    async def GetSender(self, request: pb.GetSenderRequest, context: Any) -> pb.Sender:
        parse_name(request.name, _NAME, "name")
        async with self._database.read() as tx:
            return _encode(await senders.get(tx))

    async def UpdateSender(self, request: pb.UpdateSenderRequest, context: Any) -> pb.Sender:
        given = request.sender
        parse_name(given.name, _NAME, "sender.name")
        fields = masked_fields(request.update_mask, given, "sender", senders.MUTABLE)
        changes = {field: getattr(given, field) for field in fields}

        async def change(tx: UnitOfWork) -> pb.Sender:
            return _encode(await senders.update(tx, changes, given.etag))

        return await self._database.write(change)


def _encode(row: Sender) -> pb.Sender:
    return pb.Sender(
        name=f"studios/{row.tenant_id}/sender",
        mail_name=row.mail_name,
        mail_address=row.mail_address,
        reply_to=row.reply_to,
        sms_number=row.sms_number,
        postal_address=row.postal_address,
        etag=row.etag,
        update_time=to_timestamp(row.update_time),
    )
