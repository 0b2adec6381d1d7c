"""PaymentMethodService: decode, call the noun, encode."""

from typing import Any
from uuid import UUID

from powerhouse.payments.v1 import payment_method_service_pb2 as pb
from powerhouse.payments.v1.payment_method_service_pb2_grpc import PaymentMethodServiceServicer
from powerhouse.payments.v1.purchase_service_pb2 import PaymentSession
from services.chassis.resources import Resources
from services.chassis.rpc.call import current_call
from services.payments import buyers, cards, membership_cards
from services.payments.cards import Card
from services.payments.rpc.encoding import encode_session
from services.payments.rpc.names import CARDS, child, only_own, optional


class PaymentMethodServicer(PaymentMethodServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._resources, self._pager = resources, resources.pager

    async def StartCardSetup(self, request: pb.StartCardSetupRequest, context: Any) -> PaymentSession:
        replaces = optional(request.replaces, CARDS, "replaces")
        payer = await self._payer(request.parent)
        setup = await cards.start_setup(self._resources, current_call().tenant, payer, replaces)
        return encode_session(self._resources.settings, setup.client_secret, setup.external_account)

    async def ListPaymentMethods(
        self, request: pb.ListPaymentMethodsRequest, context: Any
    ) -> pb.ListPaymentMethodsResponse:
        page = self._pager.page(f"payment methods {request.parent}", request.page_size, request.page_token)
        rows = await cards.list_all(self._resources, current_call().tenant, await self._payer(request.parent))
        after = [index for index, row in enumerate(rows) if page.after and row.id == page.after[0]]
        shown, token = page.cut(rows[after[0] + 1 if after else 0 :], lambda row: (row.id,))
        return pb.ListPaymentMethodsResponse(payment_methods=[_encode(row) for row in shown], next_page_token=token)

    async def SetDefaultPaymentMethod(
        self, request: pb.SetDefaultPaymentMethodRequest, context: Any
    ) -> pb.PaymentMethod:
        card_id, payer = child(request.name, CARDS, "name"), await self._payer(request.name.rsplit("/", 2)[0])
        return _encode(await cards.set_default(self._resources, current_call().tenant, payer, card_id))

    async def DetachPaymentMethod(self, request: pb.DetachPaymentMethodRequest, context: Any) -> pb.PaymentMethod:
        card_id, payer = child(request.name, CARDS, "name"), await self._payer(request.name.rsplit("/", 2)[0])
        return _encode(await membership_cards.detach(self._resources, current_call().tenant, payer, card_id))

    async def _payer(self, client: str) -> UUID:
        client_id = child(client, "clients", "parent")
        buyer = await buyers.find(self._resources.stubs, current_call().tenant, client_id, only_own())
        return buyer.payer_id


def _encode(card: Card) -> pb.PaymentMethod:
    to_client = not current_call().whole_studio
    return pb.PaymentMethod(
        name=f"studios/{current_call().tenant}/clients/{card.payer_id}/paymentMethods/{card.id}",
        brand=card.saved.brand,
        last4=card.saved.last4,
        expire_month=card.saved.expire_month if to_client else 0,
        expire_year=card.saved.expire_year if to_client else 0,
        is_default=card.is_default,
    )
