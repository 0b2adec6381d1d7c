"""ReconciliationService: decode, call the noun, encode."""

from typing import Any

from powerhouse.payments.v1 import reconciliation_service_pb2 as pb
from powerhouse.payments.v1.reconciliation_service_pb2_grpc import ReconciliationServiceServicer
from services.chassis.resources import Resources
from services.chassis.rpc.codec import to_timestamp
from services.payments import disputes, merchants, payouts, reconciliations
from services.payments.models import Dispute, Payout, Reconciliation
from services.payments.rpc.names import name_of


class ReconciliationServicer(ReconciliationServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._database, self._pager = resources.database, resources.pager

    async def GetReconciliation(self, request: pb.GetReconciliationRequest, context: Any) -> pb.Reconciliation:
        async with self._database.read() as tx:
            account, found = await merchants.get(tx), await reconciliations.latest(tx)
        if found is None:
            return pb.Reconciliation(name=request.name, currency_code=account.currency_code)
        return _encode(found)

    async def ListPayouts(self, request: pb.ListPayoutsRequest, context: Any) -> pb.ListPayoutsResponse:
        page = self._pager.page(f"payouts {request.parent}", request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows = await payouts.list_latest(tx, page)
        shown, token = page.cut(rows, lambda row: (row.create_time, row.id))
        return pb.ListPayoutsResponse(payouts=[_encode_payout(row) for row in shown], next_page_token=token)

    async def ListDisputes(self, request: pb.ListDisputesRequest, context: Any) -> pb.ListDisputesResponse:
        page = self._pager.page(f"disputes {request.parent}", request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows = await disputes.list_latest(tx, page)
        shown, token = page.cut(rows, lambda row: (row.create_time, row.id))
        return pb.ListDisputesResponse(disputes=[encode_dispute(row) for row in shown], next_page_token=token)


def _encode(found: Reconciliation) -> pb.Reconciliation:
    return pb.Reconciliation(
        name=f"studios/{found.tenant_id}/reconciliation",
        currency_code=found.currency_code,
        provider_minor=found.provider_minor,
        ledger_minor=found.ledger_minor,
        difference_minor=found.difference_minor,
        under_way_minor=found.under_way_minor,
        differences=[
            pb.Reconciliation.Difference(
                kind=pb.Reconciliation.Difference.Kind.Value(kind), subject=subject, amount_minor=amount
            )
            for kind, subject, amount in found.differences
        ],
        transaction_count=found.transaction_count,
        events_found=found.events_found,
        run_time=to_timestamp(found.run_time),
    )


def _encode_payout(row: Payout) -> pb.Payout:
    return pb.Payout(
        name=name_of(row.tenant_id, "payouts", row.id),
        amount_minor=row.amount_minor,
        currency_code=row.currency_code,
        status=row.status,
        arrival_time=to_timestamp(row.arrival_time),
        create_time=to_timestamp(row.create_time),
    )


def encode_dispute(row: Dispute) -> pb.Dispute:
    return pb.Dispute(
        name=name_of(row.tenant_id, "disputes", row.id),
        purchase=name_of(row.tenant_id, "purchases", row.purchase_id),
        amount_minor=row.amount_minor,
        currency_code=row.currency_code,
        status=row.status,
        reason=row.reason,
        due_time=to_timestamp(row.due_time),
        create_time=to_timestamp(row.create_time),
    )
