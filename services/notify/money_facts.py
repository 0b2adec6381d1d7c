"""Facts about money, asked of payments as a message leaves: an event that comes late sends nothing wrong."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import grpc

from powerhouse.payments.v1 import fact_service_pb2 as pb
from powerhouse.payments.v1.fact_service_pb2_grpc import FactServiceStub
from services.chassis.resources import Resources
from services.notify.content import NotWanted
from services.notify.providers.mail import Attachment

if TYPE_CHECKING:
    # Only the stub file knows it.
    from powerhouse.payments.v1.fact_service_pb2_grpc import FactServiceAsyncStub


async def of_purchase(work: Resources, tenant: UUID, purchase_id: UUID) -> pb.PurchaseFacts:
    """Raises NotWanted for what payments does not know, AioRpcError when it cannot be asked."""
    request = pb.GetPurchaseFactsRequest(parent=f"studios/{tenant}", purchase_id=str(purchase_id))
    with _known("purchase"):
        return await _payments(work).GetPurchaseFacts(request)


async def of_fee(work: Resources, tenant: UUID, fee_id: UUID) -> pb.FeeFacts:
    """Of a fee of booking. Raises AioRpcError when payments cannot be asked."""
    request = pb.GetFeeFactsRequest(parent=f"studios/{tenant}", fee_id=str(fee_id))
    return await _payments(work).GetFeeFacts(request)


async def of_membership(work: Resources, tenant: UUID, membership_id: UUID) -> pb.MembershipFacts:
    """Raises as `of_purchase`."""
    request = pb.GetMembershipFactsRequest(parent=f"studios/{tenant}", membership_id=str(membership_id))
    with _known("membership"):
        return await _payments(work).GetMembershipFacts(request)


async def of_dispute(work: Resources, tenant: UUID, dispute_id: UUID) -> pb.DisputeFacts:
    """Raises as `of_purchase`."""
    request = pb.GetDisputeFactsRequest(parent=f"studios/{tenant}", dispute_id=str(dispute_id))
    with _known("dispute"):
        return await _payments(work).GetDisputeFacts(request)


async def receipt_document(
    work: Resources, tenant: UUID, receipt_id: UUID, client_display_name: str, language: str
) -> Attachment:
    """A receipt or credit note as PDF: asked the same again, the same bytes. Raises as `of_purchase`."""
    request = pb.GetReceiptDocumentRequest(
        parent=f"studios/{tenant}",
        receipt_id=str(receipt_id),
        client_display_name=client_display_name,
        language=language,
    )
    with _known("receipt"):
        document = await _payments(work).GetReceiptDocument(request)
    return Attachment(document.file_name, "application/pdf", document.data)


def _payments(work: Resources) -> "FactServiceAsyncStub":
    return work.stubs.get(FactServiceStub, pb.DESCRIPTOR.services_by_name["FactService"], "payments")


@contextmanager
def _known(what: str) -> Iterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as error:
        if error.code() == grpc.StatusCode.NOT_FOUND:
            raise NotWanted(f"the {what} is not there") from None
        raise
