"""GiftCardService: decode, call the noun, encode."""

from typing import Any

from powerhouse.payments.v1 import gift_card_service_pb2 as pb
from powerhouse.payments.v1.gift_card_service_pb2_grpc import GiftCardServiceServicer
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.resources import Resources
from services.chassis.rpc.codec import to_timestamp
from services.payments import gift_cards
from services.payments.models import GiftCard
from services.payments.rpc.names import child, name_of, only_own


class GiftCardServicer(GiftCardServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._database, self._pager = resources.database, resources.pager

    async def GetGiftCard(self, request: pb.GetGiftCardRequest, context: Any) -> pb.GiftCard:
        card_id = child(request.name, "giftCards", "name")
        async with self._database.read() as tx:
            card = await gift_cards.get(tx, card_id, only_own())
            return _encode(card, await gift_cards.balance(tx, card))

    async def ListGiftCards(self, request: pb.ListGiftCardsRequest, context: Any) -> pb.ListGiftCardsResponse:
        page = self._pager.page(f"gift cards {request.parent}", request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows = await gift_cards.list_latest(tx, page, account=only_own())
            shown, token = page.cut(rows, lambda row: (row.create_time, row.id))
            left = await gift_cards.balances(tx, shown)
        return pb.ListGiftCardsResponse(gift_cards=[_encode(row, left[row.id]) for row in shown], next_page_token=token)

    async def ShowGiftCardCode(self, request: pb.ShowGiftCardCodeRequest, context: Any) -> pb.GiftCardCode:
        card_id = child(request.name, "giftCards", "name")

        async def change(tx: UnitOfWork) -> pb.GiftCardCode:
            card, code = await gift_cards.new_code(tx, card_id, only_own())
            return pb.GiftCardCode(code=code, gift_card=_encode(card, await gift_cards.balance(tx, card)))

        return await self._database.write(change)


def _encode(card: GiftCard, left: int) -> pb.GiftCard:
    return pb.GiftCard(
        name=name_of(card.tenant_id, "giftCards", card.id),
        purchase=name_of(card.tenant_id, "purchases", card.purchase_id),
        amount_minor=card.amount_minor,
        balance_minor=left,
        currency_code=card.currency_code,
        code_end=card.code_end,
        expire_time=to_timestamp(card.expire_time),
        etag=card.etag,
        create_time=to_timestamp(card.create_time),
        update_time=to_timestamp(card.update_time),
    )
