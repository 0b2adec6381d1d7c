"""Clients as booking knows them, asked in a request or a job. Call these outside of any transaction."""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import grpc

from powerhouse.booking.v1 import sale_service_pb2
from powerhouse.booking.v1.sale_service_pb2_grpc import SaleServiceStub
from services.chassis.errors import FailedPrecondition, PermissionDenied
from services.chassis.rpc.stubs import Stubs

if TYPE_CHECKING:
    # Only the stub file knows it: what an asynchronous channel makes of SaleServiceStub.
    from powerhouse.booking.v1.sale_service_pb2_grpc import SaleServiceAsyncStub


@dataclass(frozen=True)
class Buyer:
    """A client, or the one it became by merges, and who acts for it."""

    client_id: UUID
    account_id: UUID | None


def sale_stub(stubs: Stubs) -> "SaleServiceAsyncStub":
    """Booking, where it serves payments."""
    return stubs.get(SaleServiceStub, sale_service_pb2.DESCRIPTOR.services_by_name["SaleService"], "booking")


async def find(stubs: Stubs, studio_id: UUID, client_id: UUID, account: UUID | None) -> Buyer:
    """Who buys; with `account` only a client it acts for.

    Raises PermissionDenied for any other, known or not, when narrowed; else FailedPrecondition/CLIENT_UNKNOWN.
    """
    studio = f"studios/{studio_id}"
    request = sale_service_pb2.GetBuyerRequest(parent=studio, client=f"{studio}/clients/{client_id}")
    try:
        found = await sale_stub(stubs).GetBuyer(request)
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.NOT_FOUND:
            raise
        found = sale_service_pb2.Buyer(archived=True)
    if account is not None and found.account != f"accounts/{account}":
        raise PermissionDenied()
    if found.archived:
        raise FailedPrecondition("the studio has no such client", reason="CLIENT_UNKNOWN")
    return Buyer(
        client_id=UUID(found.client.rpartition("/")[2]),
        account_id=UUID(found.account.rpartition("/")[2]) if found.account else None,
    )
