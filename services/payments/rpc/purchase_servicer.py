"""PurchaseService: decode, call the noun, encode."""

from typing import Any

from powerhouse.payments.v1 import purchase_service_pb2 as pb
from powerhouse.payments.v1.catalogue_pb2 import PricingOption
from powerhouse.payments.v1.purchase_service_pb2_grpc import PurchaseServiceServicer
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.resources import Resources
from services.chassis.rpc.call import current_call
from services.payments import buyers, catalogue, merchants, payments, purchases
from services.payments.models import Purchase
from services.payments.rpc.encoding import encode_offer, encode_purchase, encode_session
from services.payments.rpc.names import CARDS, child, only_own, optional


class PurchaseServicer(PurchaseServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._resources, self._database, self._pager = resources, resources.database, resources.pager

    async def QuotePurchase(self, request: pb.QuotePurchaseRequest, context: Any) -> pb.Quote:
        option_id = child(request.pricing_option, "pricingOptions", "pricing_option")
        buyer, place = await self._wanted(request)
        async with self._database.read() as tx:
            return encode_offer(await purchases.offer(tx, buyer, option_id, request.code, place))

    async def CreatePurchase(self, request: pb.CreatePurchaseRequest, context: Any) -> pb.Purchase:
        option_id = child(request.pricing_option, "pricingOptions", "pricing_option")
        buyer, place = await self._wanted(request)

        async def change(tx: UnitOfWork) -> pb.Purchase:
            made = await purchases.create(tx, buyer, option_id, request.code, place, request.total_minor)
            return await _encode(tx, made)

        return await self._database.write(change)

    async def StartPayment(self, request: pb.StartPaymentRequest, context: Any) -> pb.PaymentSession:
        purchase_id = child(request.name, "purchases", "name")
        card_id = optional(request.payment_method, CARDS, "payment_method")
        wish = payments.Wish(request.save_card, card_id)
        intent = await payments.start(self._resources, current_call().tenant, purchase_id, only_own(), wish)
        async with self._database.read() as tx:
            account = await merchants.get(tx)
        return encode_session(self._resources.settings, intent.client_secret, account.external_account)

    async def CancelPurchase(self, request: pb.CancelPurchaseRequest, context: Any) -> pb.Purchase:
        purchase_id = child(request.name, "purchases", "name")
        await payments.give_up(self._resources, current_call().tenant, purchase_id, only_own(), request.etag)
        async with self._database.read() as tx:
            return await _encode(tx, await purchases.get(tx, purchase_id, None))

    async def GetPurchase(self, request: pb.GetPurchaseRequest, context: Any) -> pb.Purchase:
        purchase_id = child(request.name, "purchases", "name")
        async with self._database.read() as tx:
            return await _encode(tx, await purchases.get(tx, purchase_id, only_own()))

    async def ListPurchases(self, request: pb.ListPurchasesRequest, context: Any) -> pb.ListPurchasesResponse:
        query = f"purchases {request.parent} {request.client} {request.kind} {request.state}"
        page = self._pager.page(query, request.page_size, request.page_token)
        client_id = optional(request.client, "clients", "client")
        async with self._database.read() as tx:
            rows = await purchases.list_latest(
                tx,
                page,
                account=only_own(),
                client_id=client_id,
                kind=PricingOption.Kind.Name(request.kind) if request.kind else "",
                state=pb.Purchase.State.Name(request.state) if request.state else "",
            )
            shown, token = page.cut(rows, lambda row: (row.create_time, row.id))
            return pb.ListPurchasesResponse(purchases=[await _encode(tx, row) for row in shown], next_page_token=token)

    async def _wanted(
        self, request: pb.QuotePurchaseRequest | pb.CreatePurchaseRequest
    ) -> tuple[buyers.Buyer, buyers.Place | None]:
        """Who buys, and the place that it is for."""
        stubs, tenant = self._resources.stubs, current_call().tenant
        client_id = child(request.client, "clients", "client")
        booking_id = optional(request.booking, "bookings", "booking")
        buyer = await buyers.find(stubs, tenant, client_id, only_own())
        return buyer, await buyers.find_place(stubs, tenant, buyer, booking_id) if booking_id else None


async def _encode(tx: UnitOfWork, purchase: Purchase) -> pb.Purchase:
    terms = await catalogue.terms_of(tx, purchase.pricing_option_id, purchase.terms_version)
    payment = await payments.of_purchase(tx, purchase.id)
    attempts = await payments.attempts(tx, payment.id) if payment else []
    return encode_purchase(purchase, terms, await purchases.credits_of(tx, purchase), payment, attempts)
