"""ReceiptService: decode, call the noun, encode."""

import asyncio
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from powerhouse.payments.v1 import receipt_service_pb2 as pb
from powerhouse.payments.v1.receipt_service_pb2_grpc import ReceiptServiceServicer
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import parse_name
from services.chassis.resources import Resources
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import masked_fields, to_timestamp
from services.payments import buyers, letterheads, receipt_pages, receipts
from services.payments.models import Letterhead, Receipt
from services.payments.rpc.names import child, name_of, only_own, optional

_LETTERHEAD = "studios/*/letterhead"


class ReceiptServicer(ReceiptServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._stubs, self._database, self._pager = resources.stubs, resources.database, resources.pager

    async def GetReceipt(self, request: pb.GetReceiptRequest, context: Any) -> pb.Receipt:
        receipt_id = child(request.name, "receipts", "name")
        async with self._database.read() as tx:
            return _encode(await receipts.get(tx, receipt_id, only_own()))

    async def DownloadReceipt(self, request: pb.DownloadReceiptRequest, context: Any) -> HttpBody:
        receipt_id = child(request.name, "receipts", "name")
        async with self._database.read() as tx:
            receipt = await receipts.get(tx, receipt_id, only_own())
        reader = await buyers.reader(self._stubs, current_call().tenant, receipt.client_id)
        page = await asyncio.to_thread(receipt_pages.pdf, receipt, reader.display_name, reader.language)
        return HttpBody(content_type="application/pdf", data=page)

    async def ListReceipts(self, request: pb.ListReceiptsRequest, context: Any) -> pb.ListReceiptsResponse:
        query = f"receipts {request.parent} {request.client} {request.purchase}"
        page = self._pager.page(query, request.page_size, request.page_token)
        client_id = optional(request.client, "clients", "client")
        purchase_id = optional(request.purchase, "purchases", "purchase")
        async with self._database.read() as tx:
            rows = await receipts.list_latest(
                tx, page, account=only_own(), client_id=client_id, purchase_id=purchase_id
            )
        shown, token = page.cut(rows, lambda row: (row.number,))
        return pb.ListReceiptsResponse(receipts=[_encode(row) for row in shown], next_page_token=token)

    async def GetLetterhead(self, request: pb.GetLetterheadRequest, context: Any) -> pb.Letterhead:
        parse_name(request.name, _LETTERHEAD, "name")
        async with self._database.read() as tx:
            return _encode_letterhead(await letterheads.get(tx))

    async def UpdateLetterhead(self, request: pb.UpdateLetterheadRequest, context: Any) -> pb.Letterhead:
        given = request.letterhead
        parse_name(given.name, _LETTERHEAD, "letterhead.name")
        fields = masked_fields(request.update_mask, given, "letterhead", letterheads.MUTABLE)
        changes = {field: getattr(given, field) for field in fields}

        async def change(tx: UnitOfWork) -> pb.Letterhead:
            return _encode_letterhead(await letterheads.update(tx, changes, given.etag))

        return await self._database.write(change)


def _encode(row: Receipt) -> pb.Receipt:
    return pb.Receipt(
        name=name_of(row.tenant_id, "receipts", row.id),
        kind=pb.Receipt.Kind.Value(row.kind),
        number=row.number,
        purchase=name_of(row.tenant_id, "purchases", row.purchase_id),
        refund=name_of(row.tenant_id, "refunds", row.refund_id),
        client=name_of(row.tenant_id, "clients", row.client_id),
        description=row.description,
        price_minor=row.price_minor,
        discount_minor=row.discount_minor,
        net_minor=row.net_minor,
        tax_minor=row.tax_minor,
        total_minor=row.total_minor,
        currency_code=row.currency_code,
        tax_display_name=row.tax_display_name,
        payment_method=row.payment_method,
        receipt_number=row.receipt_number,
        create_time=to_timestamp(row.create_time),
    )


def _encode_letterhead(row: Letterhead) -> pb.Letterhead:
    return pb.Letterhead(
        name=f"studios/{row.tenant_id}/letterhead",
        business_name=row.business_name,
        address=row.address,
        tax_number=row.tax_number,
        footer=row.footer,
        etag=row.etag,
        update_time=to_timestamp(row.update_time),
    )
