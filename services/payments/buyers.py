"""What booking knows of who buys, and of what can be sold and given. Call these outside of any transaction."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import grpc
from google.rpc import status_pb2

from powerhouse.booking.v1 import drop_in_service_pb2, sale_service_pb2
from powerhouse.booking.v1.booking_pb2 import Booking
from powerhouse.booking.v1.drop_in_service_pb2_grpc import DropInServiceStub
from powerhouse.booking.v1.sale_service_pb2_grpc import SaleServiceStub
from services.chassis.errors import FailedPrecondition, NotFound, PermissionDenied
from services.chassis.rpc import status
from services.chassis.rpc.stubs import Stubs

if TYPE_CHECKING:
    # Only the stub files know them: what an asynchronous channel makes of the stubs.
    from powerhouse.booking.v1.drop_in_service_pb2_grpc import DropInServiceAsyncStub
    from powerhouse.booking.v1.sale_service_pb2_grpc import SaleServiceAsyncStub


@dataclass(frozen=True)
class Buyer:
    """A client, or the one it became by merges, and who acts for it."""

    client_id: UUID
    account_id: UUID | None
    # Staff sell; else it buys itself.
    by_staff: bool
    # Whose cards pay: its guardian, or it itself.
    payer_id: UUID


@dataclass(frozen=True)
class Place:
    """A place in a class that is paid singly."""

    booking_id: UUID
    # A name of booking's Booking.State.
    state: str
    # By the policy it was booked under.
    price_minor: int
    currency_code: str
    class_type_id: UUID
    start_time: datetime
    paid: bool


def sale_stub(stubs: Stubs) -> "SaleServiceAsyncStub":
    """Booking, where it serves payments."""
    return stubs.get(SaleServiceStub, sale_service_pb2.DESCRIPTOR.services_by_name["SaleService"], "booking")


def drop_in_stub(stubs: Stubs) -> "DropInServiceAsyncStub":
    """Booking's single places."""
    service = drop_in_service_pb2.DESCRIPTOR.services_by_name["DropInService"]
    return stubs.get(DropInServiceStub, service, "booking")


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Why booking refused."""
    details = [value for key, value in error.trailing_metadata() or () if key == status.DETAILS_KEY]
    told = status_pb2.Status(code=error.code().value[0])
    return status.reason_of(status_pb2.Status.FromString(details[0]) if details else told)


async def find(
    stubs: Stubs, studio_id: UUID, client_id: UUID, account: UUID | None, *, even_archived: bool = False
) -> Buyer:
    """Who buys; with `account` only a client it acts for.

    Raises PermissionDenied for any other, known or not, when narrowed; else NotFound,
    FailedPrecondition/CLIENT_ARCHIVED.
    """
    found = await _ask(stubs, studio_id, client_id)
    if account is not None and found.account != f"accounts/{account}":
        raise PermissionDenied()
    if not found.client:
        raise NotFound("client")
    if found.archived and not even_archived:
        raise FailedPrecondition("the studio has archived this client", reason="CLIENT_ARCHIVED")
    return Buyer(
        client_id=UUID(found.client.rpartition("/")[2]),
        account_id=UUID(found.account.rpartition("/")[2]) if found.account else None,
        by_staff=account is None,
        payer_id=UUID(found.payer.rpartition("/")[2]),
    )


@dataclass(frozen=True)
class Reader:
    """Whom a document is for; empty when it is known no more."""

    display_name: str
    language: str


async def reader(stubs: Stubs, studio_id: UUID, client_id: UUID) -> Reader:
    """A client as what is written to it names it, archived or not."""
    found = await _ask(stubs, studio_id, client_id)
    return Reader(found.display_name, found.language)


async def require_class_types(stubs: Stubs, studio_id: UUID, class_type_ids: Collection[UUID]) -> None:
    """Raises NotFound for one of which the studio has never planned a class."""
    if not class_type_ids:
        return
    studio = f"studios/{studio_id}"
    request = sale_service_pb2.CheckClassTypesRequest(
        parent=studio, class_types=[f"{studio}/classTypes/{each}" for each in class_type_ids]
    )
    try:
        await sale_stub(stubs).CheckClassTypes(request)
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.NOT_FOUND:
            raise
        raise NotFound("class_type") from error


async def find_place(stubs: Stubs, studio_id: UUID, buyer: Buyer, booking_id: UUID) -> Place:
    """A place of the buyer's.

    Raises NotFound, FailedPrecondition/NOT_A_DROP_IN; to who buys itself PermissionDenied for those of others, known or
    not.
    """
    studio = f"studios/{studio_id}"
    request = drop_in_service_pb2.GetDropInRequest(
        parent=studio, booking=f"{studio}/bookings/{booking_id}", client=f"{studio}/clients/{buyer.client_id}"
    )
    try:
        found = await drop_in_stub(stubs).GetDropIn(request)
    except grpc.aio.AioRpcError as error:
        if error.code() == grpc.StatusCode.NOT_FOUND:
            raise (NotFound("booking") if buyer.by_staff else PermissionDenied()) from error
        if error.code() == grpc.StatusCode.FAILED_PRECONDITION:
            raise FailedPrecondition("a credit pays for this place", reason=reason_of(error)) from error
        raise
    return Place(
        booking_id=booking_id,
        state=Booking.State.Name(found.state),
        price_minor=found.price_minor,
        currency_code=found.currency_code,
        class_type_id=UUID(found.class_type.rpartition("/")[2]),
        start_time=found.start_time.ToDatetime(UTC),
        paid=found.paid,
    )


async def _ask(stubs: Stubs, studio_id: UUID, client_id: UUID) -> sale_service_pb2.Buyer:
    """Empty for who is known no more, or never was."""
    studio = f"studios/{studio_id}"
    request = sale_service_pb2.GetBuyerRequest(parent=studio, client=f"{studio}/clients/{client_id}")
    try:
        return await sale_stub(stubs).GetBuyer(request)
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.NOT_FOUND:
            raise
        return sale_service_pb2.Buyer()
