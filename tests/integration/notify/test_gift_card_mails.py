"""Gift cards by mail: what their buyer wrote, to whom they go, on their day; their buyer sees what became of it."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from grpc import StatusCode

from powerhouse.notify.v1 import notify_service_pb2
from powerhouse.notify.v1.notify_service_pb2 import Delivery
from powerhouse.notify.v1.notify_service_pb2_grpc import NotifyServiceStub
from powerhouse.payments.v1 import gift_card_service_pb2
from powerhouse.payments.v1.catalogue_pb2 import PricingOption
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from services.payments import gift_card_letters, letterheads
from services.payments.service import SERVICE as PAYMENTS
from tests.integration.booking.house import key, last_id, refused
from tests.integration.notify.desk import ZONE, Desk
from tests.integration.notify.house import new_email
from tests.integration.payments.house import Shop

_MERCHANT = """
    INSERT INTO merchant_accounts (tenant_id, external_account, currency_code, charges_enabled, payouts_enabled,
        requirements, was_active, read_time, version)
    VALUES (CAST($1 AS uuid), 'acct_' || $1, 'EUR', true, true, '{}', true, now(), 1)
"""


class Giver:
    """Who has bought a card, and sends it."""

    def __init__(self, desk: Desk, shop: Shop) -> None:
        self.desk, self.shop, self.account = desk, shop, new_id()
        self.stub: Any = shop.as_role(Role.ROLE_CLIENT, self.account)

    async def buy(self) -> "Giver":
        shop = self.shop
        option = await shop.sell(5000, 0, kind=PricingOption.GIFT_CARD, display_name="Gift card")
        await shop.promo(off_ppm=1_000_000)
        client = await self.desk.new_client(new_email(), "Ann Adler", "", self.account)
        bought = await shop.buy(client, option, 0, "HELLO", stub=self.stub)
        await shop.work_off()
        self.card = (await shop.get(bought)).gift_card
        return self

    async def send(self, to: str, **said: str) -> Any:
        words = {"recipient_display_name": "Ben", "sender_display_name": "Ann Adler"} | said
        letter = gift_card_service_pb2.GiftCardLetter(recipient_email=to, **words)
        sent = await self.stub.SendGiftCard(
            gift_card_service_pb2.SendGiftCardRequest(name=self.card, letter=letter, request_id=key())
        )
        await self.desk.post.carry(self.shop.payments, last_id(self.card))
        return sent

    async def code(self) -> str:
        shown = await self.stub.ShowGiftCardCode(gift_card_service_pb2.ShowGiftCardCodeRequest(name=self.card))
        return str(shown.code)

    def seen(self, account: UUID | None = None) -> Any:
        """What became of the mail, as an account is told; by default its own."""
        notify = self.desk.post.notify.as_account(NotifyServiceStub, account or self.account)
        return notify.GetGiftCardDelivery(notify_service_pb2.GetGiftCardDeliveryRequest(name=self.card))


@pytest.fixture
async def giver(desk: Desk) -> AsyncIterator[Giver]:
    async with desk.post.notify.mesh.running(PAYMENTS) as payments:
        await payments.sql("DELETE FROM jobs")
        shop = Shop(payments, desk.booking, "", tenant=desk.post.studio)
        await payments.sql(_MERCHANT, str(shop.tenant))
        async with payments.resources.database.transaction(shop.tenant) as tx:
            await letterheads.put_studio(tx, version=1, display_name="Kiez Pilates", time_zone=ZONE.key)
        yield await Giver(desk, shop).buy()


async def test_a_card_is_mailed_with_its_code_and_what_its_buyer_wrote(giver: Giver) -> None:
    post, email = giver.desk.post, new_email()
    await giver.send(email, message="Happy <b>birthday</b>\nSee you on the reformer")
    assert (await giver.seen()).state == Delivery.PENDING
    await refused(giver.seen(new_id()), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    await post.work_off()
    [mail] = await post.mails(email)
    assert mail["subject"] == "Ann Adler sends you a gift card of €50.00"
    code = await giver.code()
    told = (
        "Hello Ben",
        "Happy <b>birthday</b>\nSee you on the reformer",
        f"Code:    {code}",
        f"/?studio={post.studio}",
    )
    for said in (*told, "because somebody bought you a gift card"):
        assert said in mail["text"]
    assert "Until" not in mail["text"]
    assert "Happy &lt;b&gt;birthday&lt;/b&gt;<br>See you" in mail["html"]
    assert "unsubscribe" not in mail["text"].lower()
    seen = await giver.seen()
    assert (seen.state, seen.gift_card) == (Delivery.ACCEPTED, giver.card)
    # Here lies nobody's name, address or code.
    for table in ("deliveries", "outbox", "jobs"):
        rows = await post.notify.sql(f"SELECT to_jsonb(t)::text AS row FROM {table} t")
        assert not any(said in row["row"] for row in rows for said in (email, "Ann Adler", "birthday", code)), table


async def test_on_its_day_at_nine_in_the_studio_and_in_german(giver: Giver) -> None:
    post, clock, email = giver.desk.post, giver.desk.post.notify.mesh.clock, new_email()
    day = clock.now().astimezone(ZONE).date() + timedelta(days=20)
    nine = datetime.combine(day, gift_card_letters.HOUR, ZONE)
    await giver.send(email, send_date=day.isoformat(), language="de")
    clock.instant = nine - timedelta(seconds=1)
    await post.work_off()
    assert await post.mails(email) == []
    clock.instant = nine
    await post.work_off()
    [mail] = await post.mails(email)
    assert mail["subject"] == "Ann Adler schenkt dir einen Gutschein über 50,00 €"
    assert "beim Bezahlen" in mail["text"]


async def test_a_corrected_address_gets_it_alone_and_a_cancelled_letter_goes_to_nobody(giver: Giver) -> None:
    post, wrong, right = giver.desk.post, new_email(), new_email()
    await giver.send(wrong)
    await giver.send(right)
    await post.work_off()
    assert (await post.mails(wrong), len(await post.mails(right))) == ([], 1)
    deliveries = await post.notify.sql(
        "SELECT state, reason FROM deliveries WHERE subject_id = $1 ORDER BY time_version", last_id(giver.card)
    )
    assert [tuple(row) for row in deliveries] == [
        ("skipped", "the letter was cancelled or replaced"),
        ("accepted", ""),
    ]
    await giver.send(wrong)
    await giver.stub.CancelGiftCardLetter(
        gift_card_service_pb2.CancelGiftCardLetterRequest(name=giver.card, request_id=key())
    )
    await post.work_off()
    assert await post.mails(wrong) == []
    assert (await giver.seen()).state == Delivery.SKIPPED
