"""RefundService: decode, call the noun, encode."""

from typing import Any

from powerhouse.payments.v1 import refund_service_pb2 as pb
from powerhouse.payments.v1.refund_service_pb2_grpc import RefundServiceServicer
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.resources import Resources
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import to_timestamp
from services.payments import purchases, refunding, refunds
from services.payments.models import Refund
from services.payments.rpc.names import child, name_of, optional


class RefundServicer(RefundServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._resources, self._database, self._pager = resources, resources.database, resources.pager

    async def PreviewRefund(self, request: pb.PreviewRefundRequest, context: Any) -> pb.RefundPreview:
        purchase_id = child(request.name, "purchases", "name")
        left = await refunding.credits_left(self._resources, current_call().tenant, purchase_id)
        async with self._database.read() as tx:
            purchase = await purchases.get(tx, purchase_id, None)
            shown = await refunds.preview(tx, purchase, request.amount_minor, left)
        return pb.RefundPreview(
            amount_minor=shown.amount,
            tax_minor=shown.tax,
            currency_code=shown.currency,
            rest_minor=shown.rest,
            credits_revoked=shown.credits,
            credits_left=left,
            to_gift_card=shown.to_gift_card,
        )

    async def CreateRefund(self, request: pb.CreateRefundRequest, context: Any) -> pb.Refund:
        purchase_id = child(request.purchase, "purchases", "purchase")
        left = await refunding.credits_left(self._resources, current_call().tenant, purchase_id)

        async def change(tx: UnitOfWork) -> pb.Refund:
            refund = await refunds.create(
                tx,
                purchase_id,
                amount=request.amount_minor,
                credits=request.credits_revoked,
                credits_left=left,
                reason=request.reason,
            )
            return _encode(refund)

        return await self._database.write(change)

    async def GetRefund(self, request: pb.GetRefundRequest, context: Any) -> pb.Refund:
        refund_id = child(request.name, "refunds", "name")
        async with self._database.read() as tx:
            return _encode(await refunds.get(tx, refund_id))

    async def ListRefunds(self, request: pb.ListRefundsRequest, context: Any) -> pb.ListRefundsResponse:
        query = f"refunds {request.parent} {request.purchase}"
        page = self._pager.page(query, request.page_size, request.page_token)
        purchase_id = optional(request.purchase, "purchases", "purchase")
        async with self._database.read() as tx:
            rows = await refunds.list_latest(tx, page, purchase_id)
        shown, token = page.cut(rows, lambda row: (row.create_time, row.id))
        return pb.ListRefundsResponse(refunds=[_encode(row) for row in shown], next_page_token=token)


def _encode(refund: Refund) -> pb.Refund:
    return pb.Refund(
        name=name_of(refund.tenant_id, "refunds", refund.id),
        purchase=name_of(refund.tenant_id, "purchases", refund.purchase_id),
        state=pb.Refund.State.Value(refund.state),
        amount_minor=refund.amount_minor,
        tax_minor=refund.tax_minor,
        currency_code=refund.currency_code,
        credits=refund.credits,
        to_gift_card=refund.to_gift_card,
        reason=refund.reason,
        failure=refund.failure,
        create_time=to_timestamp(refund.create_time),
        update_time=to_timestamp(refund.update_time),
    )
