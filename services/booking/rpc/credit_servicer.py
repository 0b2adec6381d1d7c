"""CreditService: decode, call the noun, encode."""

from datetime import date
from typing import Any
from uuid import UUID

from powerhouse.booking.v1 import credit_service_pb2 as pb
from powerhouse.booking.v1.client_package_pb2 import ClientPackage
from powerhouse.booking.v1.credit_service_pb2_grpc import CreditServiceServicer
from services.booking import clients, credit_history, credits
from services.booking.rpc.credit_encoding import encode_entry, encode_package
from services.booking.rpc.names import child, only_own, optional
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import InvalidArgument
from services.chassis.resources import Resources
from services.chassis.rpc.codec import from_timestamp, to_timestamp


class CreditServicer(CreditServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._database, self._pager = resources.database, resources.pager

    async def GrantClientPackage(self, request: pb.GrantClientPackageRequest, context: Any) -> ClientPackage:
        wanted = request.client_package
        client_id = child(wanted.client, "clients", "client_package.client")
        class_type_ids = [child(name, "classTypes", "client_package.class_types") for name in wanted.class_types]
        expire_date = _decode_date(wanted.expire_date)

        async def change(tx: UnitOfWork) -> ClientPackage:
            package = await credits.grant(
                tx,
                client_id=client_id,
                display_name=wanted.display_name,
                kind=ClientPackage.Kind.Name(wanted.kind or ClientPackage.PACK),
                credits=wanted.credits,
                class_type_ids=class_type_ids,
                valid_days=wanted.valid_days,
                starts_on_first_use=wanted.starts_on_first_use,
                expire_date=expire_date,
                time_zone=wanted.time_zone,
                reason=wanted.reason,
            )
            return encode_package(package)

        return await self._database.write(change)

    async def GetClientPackage(self, request: pb.GetClientPackageRequest, context: Any) -> ClientPackage:
        package_id = child(request.name, "clientPackages", "name")
        async with self._database.read() as tx:
            return encode_package(await credits.get(tx, package_id, only_own()))

    async def ListClientPackages(
        self, request: pb.ListClientPackagesRequest, context: Any
    ) -> pb.ListClientPackagesResponse:
        page = self._pager.page(f"packages {request.parent} {request.client}", request.page_size, request.page_token)
        client_id = optional(request.client, "clients", "client")
        async with self._database.read() as tx:
            rows = await credits.list_packages(tx, page, account=only_own(), client_id=client_id)
        shown, token = page.cut(rows, lambda row: (row.create_time, row.id))
        return pb.ListClientPackagesResponse(
            client_packages=[encode_package(row) for row in shown], next_page_token=token
        )

    async def AdjustCredits(self, request: pb.AdjustCreditsRequest, context: Any) -> ClientPackage:
        package_id = child(request.name, "clientPackages", "name")

        async def change(tx: UnitOfWork) -> ClientPackage:
            return encode_package(
                await credits.adjust(tx, package_id, delta=request.delta, reason=request.reason, etag=request.etag)
            )

        return await self._database.write(change)

    async def RevokeClientPackage(self, request: pb.RevokeClientPackageRequest, context: Any) -> ClientPackage:
        package_id = child(request.name, "clientPackages", "name")

        async def change(tx: UnitOfWork) -> ClientPackage:
            return encode_package(await credits.revoke(tx, package_id, reason=request.reason, etag=request.etag))

        return await self._database.write(change)

    async def ExplainClientPackage(
        self, request: pb.ExplainClientPackageRequest, context: Any
    ) -> pb.BalanceExplanation:
        package_id = child(request.name, "clientPackages", "name")
        async with self._database.read() as tx:
            package = await credits.get(tx, package_id, only_own())
            return await self._explain(tx, request, package.client_id, package_id)

    async def ExplainClientCredits(
        self, request: pb.ExplainClientCreditsRequest, context: Any
    ) -> pb.BalanceExplanation:
        client_id = child(request.name, "clients", "name")
        async with self._database.read() as tx:
            await clients.get(tx, client_id, only_own())
            return await self._explain(tx, request, client_id, None)

    async def _explain(
        self,
        tx: UnitOfWork,
        request: pb.ExplainClientPackageRequest | pb.ExplainClientCreditsRequest,
        client_id: UUID,
        package_id: UUID | None,
    ) -> pb.BalanceExplanation:
        wanted = from_timestamp(request, "at")
        page = self._pager.page(f"explanation {request.name} {wanted}", request.page_size, request.page_token)
        at, balance, entries = await credit_history.explain(
            tx, page, client_id=client_id, package_id=package_id, at=wanted
        )
        shown, token = page.cut(entries, lambda entry: (entry.create_time, entry.transfer_id, entry.package_id))
        return pb.BalanceExplanation(
            balance=balance,
            at=to_timestamp(at),
            entries=[encode_entry(tx.tenant, entry) for entry in shown],
            next_page_token=token,
        )


def _decode_date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise InvalidArgument("client_package.expire_date", "is no date", reason="EXPIRE_DATE_INVALID") from None
