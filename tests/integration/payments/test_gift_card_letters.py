"""Letters that bring gift cards: one code at a time, to one address, which is forgotten; no way to write to many."""

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import pytest
from grpc import StatusCode

from powerhouse.booking.v1.events_pb2 import ClientErased
from powerhouse.payments.v1 import gift_card_service_pb2 as pb
from powerhouse.payments.v1.catalogue_pb2 import PricingOption
from powerhouse.payments.v1.events_pb2 import GiftCardSendRequested
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from services.chassis.messaging import inbox
from services.payments import gift_card_letters, letterheads
from services.payments.consumers import consumers
from tests.integration.booking.house import envelope, key, last_id, outcome, refused
from tests.integration.payments.house import PaymentsStub, Shop
from tests.integration.payments.test_gift_cards import NOT_NOW, buy, quote
from tests.support.services import fields_of

EMAIL, MESSAGE = "ben@berg.example", "For your birthday"
DENIED = StatusCode.PERMISSION_DENIED


class Gift:
    """A card for 50.00 that an account of a client has bought, for nothing."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.account = shop, new_id()
        self.buyer: Any = shop.as_role(Role.ROLE_CLIENT, self.account)
        self.notify: Any = shop.payments.as_service(PaymentsStub, "notify")

    async def buy(self, **terms: Any) -> "Gift":
        shop = self.shop
        option = await shop.sell(5000, 0, kind=PricingOption.GIFT_CARD, display_name="Gift card", **terms)
        code = f"G{new_id().hex[:12]}"
        await shop.promo(code, off_ppm=1_000_000)
        self.client = await shop.add_client(self.account)
        bought = await shop.buy(self.client, option, 0, code, stub=self.buyer)
        await shop.work_off()
        self.name = (await shop.get(bought)).gift_card
        return self

    def send(self, stub: Any = None, **said: str) -> Any:
        words = {"recipient_email": EMAIL, "recipient_display_name": "Ben", "sender_display_name": "Ann Adler"}
        letter = pb.GiftCardLetter(**words | {"message": MESSAGE} | said)
        return (stub or self.buyer).SendGiftCard(
            pb.SendGiftCardRequest(name=self.name, letter=letter, request_id=key())
        )

    def cancel(self, stub: Any = None) -> Any:
        return (stub or self.buyer).CancelGiftCardLetter(
            pb.CancelGiftCardLetterRequest(name=self.name, request_id=key())
        )

    def take(self, number: int = 1) -> Any:
        return self.notify.TakeGiftCardLetter(_letter(self, number))

    async def show(self, *, renew: bool = False) -> str:
        shown = await self.buyer.ShowGiftCardCode(pb.ShowGiftCardCodeRequest(name=self.name, renew=renew))
        return str(shown.code)

    async def read(self) -> pb.GiftCard:
        read: pb.GiftCard = await self.buyer.GetGiftCard(pb.GetGiftCardRequest(name=self.name))
        return read

    async def letters(self) -> list[int]:
        told = await self.shop.payments.events(GiftCardSendRequested, self.shop.tenant)
        return sorted(event.number for event in told if event.gift_card_id == str(last_id(self.name)))


def _letter(gift: Gift, number: int) -> pb.TakeGiftCardLetterRequest:
    return pb.TakeGiftCardLetterRequest(parent=gift.shop.name, gift_card=gift.name, number=number)


@pytest.fixture
async def gift(shop: Shop) -> Gift:
    return await Gift(shop).buy()


async def test_what_is_mailed_is_the_code_that_was_shown_and_a_corrected_address_gets_another(gift: Gift) -> None:
    shop, shown = gift.shop, await gift.show()
    sent = await gift.send(recipient_email="bne@berg.example")
    assert (sent.letter.recipient_email, sent.letter.HasField("hand_over_time")) == ("bne@berg.example", False)
    taken = [await gift.take() for _ in range(2)]
    assert taken[0] == taken[1]
    assert (taken[0].code, taken[0].amount_minor, taken[0].letter.message) == (shown, 5000, MESSAGE)
    await refused(gift.cancel(), NOT_NOW, "LETTER_LEFT")

    await gift.send()
    await refused(gift.take(), NOT_NOW, "LETTER_WITHDRAWN")
    client, pack = await shop.add_client(), await shop.sell()
    await refused(quote(shop, client, pack, shown), NOT_NOW, "GIFT_CARD_UNKNOWN")
    second = await gift.take(2)
    assert second.letter.recipient_email == EMAIL
    assert await gift.show() == second.code != shown
    assert (await quote(shop, client, pack, second.code)).gift_minor == 5000
    # It came into wrong hands: what is still on its way is not sent any more.
    await gift.show(renew=True)
    await refused(gift.take(2), NOT_NOW, "CODE_RENEWED")
    # Of people's words and of codes nothing lies anywhere else.
    for table in ("gift_cards", "audit_entries", "idempotency", "outbox", "jobs"):
        rows = await shop.payments.sql(f"SELECT to_jsonb(t)::text AS row FROM {table} t")
        secrets = (EMAIL, MESSAGE, "Ann Adler", second.code, EMAIL.encode().hex(), MESSAGE.encode().hex())
        assert not any(said in row["row"] for row in rows for said in secrets), table


async def test_sent_many_times_at_once_one_letter_and_one_code_live(gift: Gift) -> None:
    ends = await asyncio.gather(*(outcome(gift.send()) for _ in range(7)))
    assert sorted(ends) == ["BOOKED"] * 5 + ["TOO_MANY_LETTERS"] * 2
    assert await gift.letters() == [1, 2, 3, 4, 5]
    taken = await asyncio.gather(*(outcome(gift.take(number)) for number in range(1, 6)))
    assert sorted(taken) == ["BOOKED"] + ["LETTER_WITHDRAWN"] * 4
    assert (await gift.take(5)).code == await gift.show()


async def test_it_leaves_at_nine_in_the_studio_on_a_day_within_a_year(gift: Gift) -> None:
    shop = gift.shop
    async with shop.payments.resources.database.transaction(shop.tenant) as tx:
        await letterheads.put_studio(tx, version=1, display_name="Kiez Pilates", time_zone="America/New_York")
    today = shop.payments.mesh.clock.now().date()
    day = today + timedelta(days=40)
    sent = await gift.send(send_date=day.isoformat(), language="de")
    assert sent.letter.due_time.ToDatetime().date() == day
    assert sent.letter.due_time.ToDatetime().hour in (13, 14)
    for wrong in (today - timedelta(days=2), today + timedelta(days=370)):
        await refused(gift.send(send_date=wrong.isoformat()), StatusCode.INVALID_ARGUMENT, "DATE_OUT_OF_RANGE")
    await refused(gift.send(send_date="2026-02-30"), StatusCode.INVALID_ARGUMENT, "MALFORMED_DATE")
    assert not (await gift.cancel()).HasField("letter")
    await refused(gift.cancel(), NOT_NOW, "NO_LETTER")
    await refused(gift.take(), NOT_NOW, "LETTER_WITHDRAWN")
    # Nothing has left, so the code is the same.
    assert (await gift.read()).code_end == ""


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("recipient_email", "nobody"),
        ("recipient_email", ""),
        ("recipient_display_name", " "),
        ("sender_display_name", "x" * 121),
        ("message", "x" * 501),
        ("language", "fr"),
        ("send_date", "tomorrow"),
    ],
)
async def test_what_is_wrong_is_said_by_field(stranger: Shop, field: str, wrong: str) -> None:
    gift = Gift(stranger)
    gift.name = f"{stranger.name}/giftCards/{new_id()}"
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await gift.send(**{field: wrong})
    assert (refusal.value.code(), fields_of(refusal.value)) == (StatusCode.INVALID_ARGUMENT, [f"letter.{field}"])


async def test_only_who_bought_it_and_who_run_the_studio_send_it(gift: Gift) -> None:
    stranger, desk = (gift.shop.as_role(role, new_id()) for role in (Role.ROLE_CLIENT, Role.ROLE_FRONT_DESK))
    await gift.send(gift.shop.as_role(Role.ROLE_MANAGER))
    for call in (gift.send, gift.cancel):
        for other in (stranger, desk):
            await refused(call(other), DENIED, "PERMISSION_DENIED")
    taken = stranger.TakeGiftCardLetter(_letter(gift, 1))
    await refused(taken, DENIED, "CALLER_NOT_ALLOWED")


async def test_a_card_that_pays_nothing_is_not_sent(gift: Gift) -> None:
    shop = gift.shop
    await gift.send()
    code, client = await gift.show(), await shop.add_client()
    await buy(shop, client, await shop.sell(5000), 5000, code, 5000)
    await refused(gift.send(), NOT_NOW, "GIFT_CARD_USED_UP")
    await refused(gift.take(), NOT_NOW, "GIFT_CARD_USED_UP")
    ending = await Gift(shop).buy(valid_days=30)
    day = shop.payments.mesh.clock.now().date() + timedelta(days=31)
    await refused(ending.send(send_date=day.isoformat()), NOT_NOW, "GIFT_CARD_EXPIRED")
    await ending.send()
    shop.move(days=30)
    await refused(ending.take(), NOT_NOW, "GIFT_CARD_EXPIRED")


async def test_to_whom_it_went_is_forgotten_after_a_while_and_with_its_buyer(gift: Gift) -> None:
    shop, other = gift.shop, await Gift(gift.shop).buy()
    for each in (gift, other):
        await each.send()
        await each.take()
    erased = last_id(gift.client)
    told = [envelope(ClientErased(client_id=str(erased)), shop.tenant, erased, 2)]
    await inbox.apply(shop.payments.resources.database, consumers, told)
    assert not (await gift.read()).HasField("letter")
    await refused(gift.take(), NOT_NOW, "LETTER_WITHDRAWN")
    assert (await other.read()).letter.recipient_email == EMAIL

    await other.send(recipient_email="new@berg.example")
    shop.move(days=gift_card_letters.KEPT.days, minutes=-1)
    await shop.work_off()
    assert (await other.read()).letter.recipient_email == "new@berg.example"
    shop.move(minutes=1)
    await shop.work_off()
    assert not (await other.read()).HasField("letter")
