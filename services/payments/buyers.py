"""What booking knows of those who buy and of what can be sold. Call these outside of any transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import grpc

from powerhouse.booking.v1 import sale_service_pb2
from powerhouse.booking.v1.sale_service_pb2_grpc import SaleServiceStub
from services.chassis.errors import FailedPrecondition, NotFound, PermissionDenied
from services.chassis.rpc.stubs import Stubs

if TYPE_CHECKING:
    # Only the stub file knows it: what an asynchronous channel makes of SaleServiceStub.
    from powerhouse.booking.v1.sale_service_pb2_grpc import SaleServiceAsyncStub


@dataclass(frozen=True)
class Buyer:
    """A client, or the one it became by merges, and who acts for it."""

    client_id: UUID
    account_id: UUID | None
    # Staff sell; else it buys itself.
    by_staff: bool


def sale_stub(stubs: Stubs) -> "SaleServiceAsyncStub":
    """Booking, where it serves payments."""
    return stubs.get(SaleServiceStub, sale_service_pb2.DESCRIPTOR.services_by_name["SaleService"], "booking")


async def find(stubs: Stubs, studio_id: UUID, client_id: UUID, account: UUID | None) -> Buyer:
    """Who buys; with `account` only a client it acts for.

    Raises PermissionDenied for any other, known or not, when narrowed; else NotFound,
    FailedPrecondition/CLIENT_ARCHIVED.
    """
    studio = f"studios/{studio_id}"
    request = sale_service_pb2.GetBuyerRequest(parent=studio, client=f"{studio}/clients/{client_id}")
    try:
        found = await sale_stub(stubs).GetBuyer(request)
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.NOT_FOUND:
            raise
        found = sale_service_pb2.Buyer()
    if account is not None and found.account != f"accounts/{account}":
        raise PermissionDenied()
    if not found.client:
        raise NotFound("client")
    if found.archived:
        raise FailedPrecondition("the studio has archived this client", reason="CLIENT_ARCHIVED")
    return Buyer(
        client_id=UUID(found.client.rpartition("/")[2]),
        account_id=UUID(found.account.rpartition("/")[2]) if found.account else None,
        by_staff=account is None,
    )


@dataclass(frozen=True)
class Reader:
    """Whom a document is for; empty when it is known no more."""

    display_name: str
    language: str


async def reader(stubs: Stubs, studio_id: UUID, client_id: UUID) -> Reader:
    """A client as what is written to it names it, archived or not."""
    studio = f"studios/{studio_id}"
    request = sale_service_pb2.GetBuyerRequest(parent=studio, client=f"{studio}/clients/{client_id}")
    try:
        found = await sale_stub(stubs).GetBuyer(request)
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.NOT_FOUND:
            raise
        found = sale_service_pb2.Buyer()
    return Reader(found.display_name, found.language)


async def require_class_types(stubs: Stubs, studio_id: UUID, class_types: Sequence[str]) -> None:
    """Raises NotFound for one of which the studio has never planned a class."""
    if not class_types:
        return
    request = sale_service_pb2.CheckClassTypesRequest(parent=f"studios/{studio_id}", class_types=class_types)
    try:
        await sale_stub(stubs).CheckClassTypes(request)
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.NOT_FOUND:
            raise
        raise NotFound("class_type") from error
