"""GiftCardService: decode, call the noun, encode."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from powerhouse.payments.v1 import gift_card_service_pb2 as pb
from powerhouse.payments.v1.gift_card_service_pb2_grpc import GiftCardServiceServicer
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import InvalidArgument
from services.chassis.resources import Resources
from services.chassis.rpc.codec import to_timestamp
from services.payments import gift_card_letters, gift_cards
from services.payments.gift_card_codes import Codes
from services.payments.gift_card_letters import Words
from services.payments.models import GiftCard, GiftCardLetter
from services.payments.rpc.names import child, name_of, only_own


class GiftCardServicer(GiftCardServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._database, self._pager = resources.database, resources.pager
        self._codes = Codes(resources.settings.secret)

    async def GetGiftCard(self, request: pb.GetGiftCardRequest, context: Any) -> pb.GiftCard:
        card_id = child(request.name, "giftCards", "name")
        async with self._database.read() as tx:
            [shown] = await _encoded(tx, [await gift_cards.get(tx, card_id, only_own())])
        return shown

    async def ListGiftCards(self, request: pb.ListGiftCardsRequest, context: Any) -> pb.ListGiftCardsResponse:
        page = self._pager.page(f"gift cards {request.parent}", request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows = await gift_cards.list_latest(tx, page, account=only_own())
            shown, token = page.cut(rows, lambda row: (row.create_time, row.id))
            return pb.ListGiftCardsResponse(gift_cards=await _encoded(tx, shown), next_page_token=token)

    async def ShowGiftCardCode(self, request: pb.ShowGiftCardCodeRequest, context: Any) -> pb.GiftCardCode:
        card_id = child(request.name, "giftCards", "name")

        async def change(tx: UnitOfWork) -> pb.GiftCardCode:
            card = await gift_cards.lock(tx, card_id, only_own())
            show = gift_cards.renew_code if request.renew else gift_cards.code_of
            code = show(tx, card, self._codes)
            [shown] = await _encoded(tx, [card])
            return pb.GiftCardCode(code=code, gift_card=shown)

        return await self._database.write(change)

    async def SendGiftCard(self, request: pb.SendGiftCardRequest, context: Any) -> pb.GiftCard:
        card_id, words = child(request.name, "giftCards", "name"), _decode(request.letter)

        async def change(tx: UnitOfWork) -> pb.GiftCard:
            [sent] = await _encoded(tx, [await gift_card_letters.send(tx, self._codes, card_id, only_own(), words)])
            return sent

        return await self._database.write(change)

    async def CancelGiftCardLetter(self, request: pb.CancelGiftCardLetterRequest, context: Any) -> pb.GiftCard:
        card_id = child(request.name, "giftCards", "name")

        async def change(tx: UnitOfWork) -> pb.GiftCard:
            [left] = await _encoded(tx, [await gift_card_letters.cancel(tx, card_id, only_own())])
            return left

        return await self._database.write(change)

    async def TakeGiftCardLetter(
        self, request: pb.TakeGiftCardLetterRequest, context: Any
    ) -> pb.TakeGiftCardLetterResponse:
        card_id = child(request.gift_card, "giftCards", "gift_card")

        async def change(tx: UnitOfWork) -> pb.TakeGiftCardLetterResponse:
            card, letter, code = await gift_card_letters.take(tx, self._codes, card_id, request.number)
            return pb.TakeGiftCardLetterResponse(
                letter=_encode_letter(letter),
                code=code,
                amount_minor=letter.amount_minor or 0,
                currency_code=card.currency_code,
                expire_time=to_timestamp(card.expire_time),
            )

        return await self._database.write(change)


async def _encoded(tx: UnitOfWork, cards: Sequence[GiftCard]) -> list[pb.GiftCard]:
    left, letters = await gift_cards.balances(tx, cards), await gift_card_letters.of_cards(tx, cards)
    return [_encode(card, left[card.id], letters.get(card.id)) for card in cards]


def _encode(card: GiftCard, left: int, letter: GiftCardLetter | None) -> pb.GiftCard:
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
        letter=_encode_letter(letter) if letter else None,
    )


def _encode_letter(letter: GiftCardLetter) -> pb.GiftCardLetter:
    return pb.GiftCardLetter(
        recipient_email=letter.recipient_email,
        recipient_display_name=letter.recipient_display_name,
        sender_display_name=letter.sender_display_name,
        message=letter.message,
        language=letter.language,
        send_date=letter.send_date.isoformat() if letter.send_date else "",
        due_time=to_timestamp(letter.due_time),
        hand_over_time=to_timestamp(letter.hand_over_time),
    )


def _decode(letter: pb.GiftCardLetter) -> Words:
    return Words(
        recipient_email=letter.recipient_email,
        recipient_display_name=letter.recipient_display_name,
        sender_display_name=letter.sender_display_name,
        message=letter.message,
        language=letter.language or "en",
        send_date=_day(letter.send_date),
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise InvalidArgument("letter.send_date", "is no day of the calendar", reason="MALFORMED_DATE") from None
