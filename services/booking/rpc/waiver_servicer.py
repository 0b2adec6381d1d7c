"""WaiverService: decode, call the noun, encode."""

from typing import Any

from powerhouse.booking.v1 import waiver_service_pb2 as pb
from powerhouse.booking.v1.waiver_pb2 import Waiver, WaiverSignature
from powerhouse.booking.v1.waiver_service_pb2_grpc import WaiverServiceServicer
from services.booking import models, waiver_signatures, waivers
from services.booking.person_keys import PersonKeys
from services.booking.rpc.names import child, name_of, only_own, optional
from services.booking.waiver_signatures import Signature
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import parse_name
from services.chassis.resources import Resources
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import to_timestamp


class WaiverServicer(WaiverServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources, keys: PersonKeys) -> None:
        self._database, self._pager, self._keys = resources.database, resources.pager, keys

    async def GetWaiver(self, request: pb.GetWaiverRequest, context: Any) -> Waiver:
        parse_name(request.name, "studios/*/waiver", "name")
        async with self._database.read() as tx:
            return _encode(await waivers.get(tx, request.version))

    async def PublishWaiver(self, request: pb.PublishWaiverRequest, context: Any) -> Waiver:
        parse_name(request.waiver.name, "studios/*/waiver", "waiver.name")

        async def change(tx: UnitOfWork) -> Waiver:
            return _encode(await waivers.publish(tx, request.waiver.title, request.waiver.text))

        return await self._database.write(change)

    async def SignWaiver(self, request: pb.SignWaiverRequest, context: Any) -> WaiverSignature:
        client_id, account = child(request.client, "clients", "client"), only_own()

        async def change(tx: UnitOfWork) -> WaiverSignature:
            return _encode_signature(
                await waiver_signatures.sign(
                    tx,
                    self._keys,
                    client_id,
                    request.waiver_version,
                    request.typed_name,
                    signed_by=current_call().principal.name,
                    account=account,
                )
            )

        return await self._database.write(change)

    async def ListWaiverSignatures(
        self, request: pb.ListWaiverSignaturesRequest, context: Any
    ) -> pb.ListWaiverSignaturesResponse:
        query = f"waiverSignatures {request.parent} {request.client}"
        page = self._pager.page(query, request.page_size, request.page_token)
        client_id = optional(request.client, "clients", "client")
        async with self._database.read() as tx:
            rows = await waiver_signatures.list_newest(tx, self._keys, page, account=only_own(), client_id=client_id)
        shown, token = page.cut(rows, lambda signature: (signature.row.create_time, signature.row.id))
        return pb.ListWaiverSignaturesResponse(
            waiver_signatures=[_encode_signature(signature) for signature in shown], next_page_token=token
        )


def _encode(waiver: models.Waiver) -> Waiver:
    return Waiver(
        name=f"studios/{waiver.tenant_id}/waiver",
        version=waiver.version,
        title=waiver.title,
        text=waiver.text,
        create_time=to_timestamp(waiver.create_time),
    )


def _encode_signature(signature: Signature) -> WaiverSignature:
    row = signature.row
    return WaiverSignature(
        name=name_of(row.tenant_id, "waiverSignatures", row.id),
        client=name_of(row.tenant_id, "clients", row.client_id),
        waiver_version=row.waiver_version,
        typed_name=signature.typed_name,
        signed_by=row.signed_by,
        recorded_by_staff=row.recorded_by_staff,
        sign_time=to_timestamp(row.create_time),
    )
