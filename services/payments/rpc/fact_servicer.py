"""FactService: decode, call the noun, encode."""

import asyncio
from typing import Any
from uuid import UUID

from powerhouse.payments.v1 import fact_service_pb2 as pb
from powerhouse.payments.v1.fact_service_pb2_grpc import FactServiceServicer
from services.chassis.resources import Resources
from services.chassis.rpc.codec import to_timestamp
from services.payments import (
    catalogue,
    charging,
    disputes,
    fee_standings,
    membership_periods,
    memberships,
    purchases,
    receipt_pages,
    receipts,
)
from services.payments.rpc.membership_encoding import encode_membership
from services.payments.rpc.purchase_servicer import encode_one
from services.payments.rpc.reconciliation_servicer import encode_dispute


class FactServicer(FactServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._database = resources.database

    async def GetPurchaseFacts(self, request: pb.GetPurchaseFactsRequest, context: Any) -> pb.PurchaseFacts:
        purchase_id = UUID(request.purchase_id)
        async with self._database.read() as tx:
            purchase = await purchases.get(tx, purchase_id, None)
            again = charging.next_time(purchase, tx.now())
            return pb.PurchaseFacts(purchase=await encode_one(tx, purchase), next_charge_time=to_timestamp(again))

    async def GetFeeFacts(self, request: pb.GetFeeFactsRequest, context: Any) -> pb.FeeFacts:
        fee_id = UUID(request.fee_id)
        async with self._database.read() as tx:
            return pb.FeeFacts(charge=pb.FeeFacts.Charge.Value(await fee_standings.charge_of(tx, fee_id)))

    async def GetMembershipFacts(self, request: pb.GetMembershipFactsRequest, context: Any) -> pb.MembershipFacts:
        membership_id = UUID(request.membership_id)
        async with self._database.read() as tx:
            row = await memberships.get(tx, membership_id, None)
            until = await membership_periods.usable_until(tx, row)
            membership = await encode_membership(tx, row)
            return pb.MembershipFacts(membership=membership, usable_until_time=to_timestamp(until))

    async def GetDisputeFacts(self, request: pb.GetDisputeFactsRequest, context: Any) -> pb.DisputeFacts:
        dispute_id = UUID(request.dispute_id)
        async with self._database.read() as tx:
            dispute = await disputes.get(tx, dispute_id)
            facts = pb.DisputeFacts(dispute=encode_dispute(dispute))
            if dispute.purchase_id is not None:
                purchase = await purchases.get(tx, dispute.purchase_id, None)
                terms = await catalogue.terms_of(tx, purchase.pricing_option_id, purchase.terms_version)
                facts.description = terms.display_name
            return facts

    async def GetReceiptDocument(self, request: pb.GetReceiptDocumentRequest, context: Any) -> pb.ReceiptDocument:
        receipt_id, language = UUID(request.receipt_id), request.language
        async with self._database.read() as tx:
            receipt = await receipts.get(tx, receipt_id, None)
        page = await asyncio.to_thread(receipt_pages.pdf, receipt, request.client_display_name, language)
        return pb.ReceiptDocument(file_name=receipt_pages.file_name(receipt, language), data=page)
