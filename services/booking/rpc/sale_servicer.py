"""SaleService: decode, call the noun, encode."""

from typing import Any
from uuid import UUID

from powerhouse.booking.v1 import sale_service_pb2 as pb
from powerhouse.booking.v1.client_package_pb2 import ClientPackage
from powerhouse.booking.v1.sale_service_pb2_grpc import SaleServiceServicer
from services.booking import credits, sales
from services.booking.rpc.credit_encoding import encode_package
from services.booking.rpc.names import child, name_of
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.resources import Resources


class SaleServicer(SaleServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._database = resources.database

    async def GetBuyer(self, request: pb.GetBuyerRequest, context: Any) -> pb.Buyer:
        client_id = child(request.client, "clients", "client")
        async with self._database.read() as tx:
            client = await sales.buyer(tx, client_id)
        return pb.Buyer(
            client=name_of(client.tenant_id, "clients", client.id),
            account=f"accounts/{client.account_id}" if client.account_id else "",
            archived=client.archive_time is not None,
            display_name=client.display_name,
            language=client.language,
        )

    async def CheckClassTypes(self, request: pb.CheckClassTypesRequest, context: Any) -> pb.CheckClassTypesResponse:
        class_type_ids = [child(name, "classTypes", "class_types") for name in request.class_types]
        async with self._database.read() as tx:
            await credits.require_planned(tx, class_type_ids)
        return pb.CheckClassTypesResponse()

    async def GrantPurchase(self, request: pb.GrantPurchaseRequest, context: Any) -> ClientPackage:
        client_id = child(request.client, "clients", "client")
        class_type_ids = [child(name, "classTypes", "class_types") for name in request.class_types]

        async def change(tx: UnitOfWork) -> ClientPackage:
            package = await sales.grant(
                tx,
                UUID(request.purchase_id),
                client_id,
                display_name=request.display_name,
                credits_sold=request.credits,
                class_type_ids=class_type_ids,
                valid_days=request.valid_days,
                starts_on_first_use=request.starts_on_first_use,
            )
            return encode_package(package)

        return await self._database.write(change)

    async def GetSoldPackage(self, request: pb.GetSoldPackageRequest, context: Any) -> ClientPackage:
        async with self._database.read() as tx:
            return encode_package(await sales.package_of(tx, UUID(request.purchase_id)))

    async def FreezeCredits(self, request: pb.FreezeCreditsRequest, context: Any) -> ClientPackage:
        async def change(tx: UnitOfWork) -> ClientPackage:
            package = await sales.freeze(tx, UUID(request.purchase_id), UUID(request.refund_id), request.credits)
            return encode_package(package)

        return await self._database.write(change)

    async def UnfreezeCredits(self, request: pb.UnfreezeCreditsRequest, context: Any) -> ClientPackage:
        async def change(tx: UnitOfWork) -> ClientPackage:
            return encode_package(await sales.unfreeze(tx, UUID(request.refund_id)))

        return await self._database.write(change)
