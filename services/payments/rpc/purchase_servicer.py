"""PurchaseService: decode, call the noun, encode."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any
from uuid import UUID

from powerhouse.payments.v1 import purchase_service_pb2 as pb
from powerhouse.payments.v1.catalogue_pb2 import PricingOption
from powerhouse.payments.v1.purchase_service_pb2_grpc import PurchaseServiceServicer
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.resources import Resources
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import from_timestamp
from services.payments import buyers, catalogue, gift_cards, merchants, payments, purchases
from services.payments.models import Purchase
from services.payments.rpc.encoding import encode_offer, encode_purchase, encode_session
from services.payments.rpc.names import CARDS, child, only_own, optional
from services.payments.watches import Watches


class PurchaseServicer(PurchaseServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._resources, self._database, self._pager = resources, resources.database, resources.pager
        self._watches = Watches(resources.database)

    async def QuotePurchase(self, request: pb.QuotePurchaseRequest, context: Any) -> pb.Quote:
        option_id = child(request.pricing_option, "pricingOptions", "pricing_option")
        buyer, place = await self._wanted(request)
        card = await self._gift_card(buyer, request.gift_card_code)
        async with self._database.read() as tx:
            return encode_offer(await purchases.offer(tx, buyer, option_id, request.code, place, card))

    async def CreatePurchase(self, request: pb.CreatePurchaseRequest, context: Any) -> pb.Purchase:
        option_id = child(request.pricing_option, "pricingOptions", "pricing_option")
        buyer, place = await self._wanted(request)
        card = await self._gift_card(buyer, request.gift_card_code)

        async def change(tx: UnitOfWork) -> pb.Purchase:
            made = await purchases.create(
                tx,
                buyer,
                option_id,
                request.code,
                place,
                card,
                total_minor=request.total_minor,
                gift_minor=request.gift_minor,
            )
            await payments.settle(tx, made)
            return await encode_one(tx, made)

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
            return await encode_one(tx, await purchases.get(tx, purchase_id, None))

    async def GetPurchase(self, request: pb.GetPurchaseRequest, context: Any) -> pb.Purchase:
        purchase_id = child(request.name, "purchases", "name")
        async with self._database.read() as tx:
            return await encode_one(tx, await purchases.get(tx, purchase_id, only_own()))

    async def WatchPurchase(
        self, request: pb.WatchPurchaseRequest, context: Any
    ) -> AsyncIterator[pb.WatchPurchaseResponse]:
        purchase_id = child(request.name, "purchases", "name")
        async with aclosing(self._watches.watch(current_call().tenant, purchase_id, only_own())) as etags:
            async for etag in etags:
                async with self._database.read() as tx:
                    purchase = await encode_one(tx, await purchases.get(tx, purchase_id, None))
                yield pb.WatchPurchaseResponse(purchase=purchase, event_id=etag)

    async def ListPurchases(self, request: pb.ListPurchasesRequest, context: Any) -> pb.ListPurchasesResponse:
        wanted = purchases.Filter(
            account=only_own(),
            client_id=optional(request.client, "clients", "client"),
            kind=PricingOption.Kind.Name(request.kind) if request.kind else "",
            states=[pb.Purchase.State.Name(state) for state in sorted(set(request.states))],
            start=from_timestamp(request, "start_time"),
            end=from_timestamp(request, "end_time"),
        )
        page = self._pager.page(f"purchases {request.parent} {wanted}", request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows = await purchases.list_latest(tx, page, wanted)
            shown, token = page.cut(rows, lambda row: (row.create_time, row.id))
            return pb.ListPurchasesResponse(purchases=await _encode_all(tx, shown), next_page_token=token)

    async def _gift_card(self, buyer: buyers.Buyer, code: str) -> UUID | None:
        if not code.strip():
            return None
        return await gift_cards.look_up(self._database, current_call().tenant, buyer.client_id, code)

    async def _wanted(
        self, request: pb.QuotePurchaseRequest | pb.CreatePurchaseRequest
    ) -> tuple[buyers.Buyer, buyers.Place | None]:
        """Who buys, and the place that it is for."""
        stubs, tenant = self._resources.stubs, current_call().tenant
        client_id = child(request.client, "clients", "client")
        booking_id = optional(request.booking, "bookings", "booking")
        buyer = await buyers.find(stubs, tenant, client_id, only_own())
        return buyer, await buyers.find_place(stubs, tenant, buyer, booking_id) if booking_id else None


async def encode_one(tx: UnitOfWork, purchase: Purchase) -> pb.Purchase:
    [encoded] = await _encode_all(tx, [purchase])
    return encoded


async def _encode_all(tx: UnitOfWork, rows: Sequence[Purchase]) -> list[pb.Purchase]:
    terms = await catalogue.terms_of_all(tx, {(row.pricing_option_id, row.terms_version) for row in rows})
    paid = await payments.of_purchases(tx, [row.id for row in rows])
    return [
        encode_purchase(
            row,
            terms[row.pricing_option_id, row.terms_version],
            await purchases.credits_of(tx, row),
            *paid.get(row.id, (None, [])),
        )
        for row in rows
    ]
