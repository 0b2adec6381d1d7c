"""What tests of memberships share: a member whose time at the sandbox goes on by a test clock, and its browser."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import stripe

from powerhouse.payments.v1 import membership_service_pb2 as pb
from powerhouse.payments.v1.catalogue_pb2 import PricingOption
from powerhouse.payments.v1.events_pb2 import MembershipChanged
from powerhouse.payments.v1.membership_pb2 import Membership
from powerhouse.payments.v1.purchase_service_pb2 import ListPurchasesRequest, Purchase
from services.booking import lapses
from tests.integration.booking.house import key, last_id
from tests.integration.payments.house import API_KEY, Shop
from tests.integration.payments.test_refunds import carry

# An invoice is collected an hour after its interval has begun.
DRAFT = timedelta(hours=2)


@dataclass
class Member:
    """Somebody who joins a plan of the shop."""

    shop: Shop
    client: str
    plan: str
    membership: Membership
    clock: str
    customer: str
    heard: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        return self.membership.name

    async def get(self) -> Membership:
        read: Membership = await self.shop.staff.GetMembership(pb.GetMembershipRequest(name=self.name))
        return read

    async def pay(self, card: str = "pm_card_visa") -> dict[str, Any]:
        """What is due, in the browser."""
        return await self.shop.confirm(await self.start(), card)

    def start(self) -> Any:
        return self.shop.staff.StartMembershipPayment(pb.StartMembershipPaymentRequest(name=self.name))

    async def until(self, instant: datetime) -> Membership:
        """It is then, there and here, and what was told is applied."""
        await self.until_there(instant)
        await self.listen()
        return await self.get()

    async def until_there(self, instant: datetime) -> None:
        """The same, without a word."""
        wanted: Any = {"frozen_time": int(instant.timestamp())}
        clocks = provider(self.shop.sandbox).v1.test_helpers.test_clocks
        await clocks.advance_async(self.clock, wanted, self._options)
        self.shop.payments.mesh.clock.instant = instant

    async def listen(self) -> None:
        """What was told since the last time comes, and what it causes is done."""
        events = [event for event in await self.shop.told() if event["id"] not in self.heard]
        self.heard |= {event["id"] for event in events}
        await self.shop.tell(events)
        await self.shop.work_off()

    async def renew(self) -> Membership:
        """The next interval has begun and was collected, or not."""
        return await self.until(period_end(await self.get()) + DRAFT)

    async def keep_card(self, card: str) -> None:
        """The provider takes what follows from this card."""
        v1 = provider(self.shop.sandbox).v1
        method = await v1.payment_methods.attach_async(card, {"customer": self.customer}, self._options)
        [subscription] = (await v1.subscriptions.list_async({"customer": self.customer}, self._options)).data
        await v1.subscriptions.update_async(subscription.id, {"default_payment_method": method.id}, self._options)

    async def discount(self, percent: int) -> None:
        """Somebody gives a discount at the provider, for ever."""
        v1 = provider(self.shop.sandbox).v1
        coupon = await v1.coupons.create_async({"percent_off": percent, "duration": "forever"}, self._options)
        [subscription] = (await v1.subscriptions.list_async({"customer": self.customer}, self._options)).data
        await v1.subscriptions.update_async(subscription.id, {"discounts": [{"coupon": coupon.id}]}, self._options)

    async def end_there(self) -> None:
        """Somebody ends it at the provider."""
        v1 = provider(self.shop.sandbox).v1
        [subscription] = (await v1.subscriptions.list_async({"customer": self.customer}, self._options)).data
        await v1.subscriptions.cancel_async(subscription.id, {}, self._options)

    async def card(self) -> str:
        """The brand of what pays."""
        v1 = provider(self.shop.sandbox).v1
        [subscription] = (await v1.subscriptions.list_async({"customer": self.customer}, self._options)).data
        method = await v1.payment_methods.retrieve_async(str(subscription.default_payment_method), {}, self._options)
        assert method.card is not None
        return method.card.brand

    async def purchases(self) -> list[Purchase]:
        """Its paid intervals, newest first."""
        wanted = ListPurchasesRequest(parent=self.shop.name, client=self.client)
        return list((await self.shop.staff.ListPurchases(wanted)).purchases)

    async def deferred(self) -> int:
        """What of all that was paid is not earned, once booking's words have come."""
        await lapses.post_all(self.shop.booking.resources.database)
        await carry(self.shop)
        rows = await self.shop.payments.sql(
            "SELECT sum(balance_minor)::bigint AS amount FROM ledger_accounts"
            " WHERE tenant_id = $1 AND kind = 'deferred'",
            self.shop.tenant,
        )
        return int(rows[0]["amount"])

    async def counts(self) -> tuple[int, int]:
        """Charges at the provider, and packages at booking."""
        kinds = [event["type"] for event in await self.shop.told()]
        return kinds.count("charge.succeeded"), len(await self.shop.packages(self.client))

    @property
    def _options(self) -> Any:
        return {"stripe_account": self.shop.account}


def provider(sandbox: str) -> stripe.StripeClient:
    """The SDK, as a studio's owner would use it by hand."""
    return stripe.StripeClient(API_KEY, base_addresses={"api": sandbox}, http_client=stripe.HTTPXClient())


def period_end(membership: Membership) -> datetime:
    return membership.period_end_time.ToDatetime(UTC)


async def plan(shop: Shop, price: int = 8000, credits: int = 8, **terms: Any) -> str:
    """A membership plan for sale."""
    monthly = {"interval": PricingOption.MONTH, "interval_count": 1, "display_name": "8 a month", **terms}
    return await shop.sell(price, credits, kind="MEMBERSHIP", **monthly)


def join(
    shop: Shop, client: str, option: str, total: int, code: str = "", *, stub: Any = None, request_id: str = ""
) -> Any:
    wanted = pb.CreateMembershipRequest(
        parent=shop.name, client=client, pricing_option=option, total_minor=total, code=code
    )
    wanted.request_id = request_id or key()
    return (stub or shop.staff).CreateMembership(wanted)


async def joined(
    shop: Shop, option: str = "", total: int = 8000, stub: Any = None, client: str = "", code: str = ""
) -> Member:
    """Somebody who has joined and not paid yet, in the time of a test clock."""
    option, client = option or await plan(shop), client or await shop.add_client()
    membership = await join(shop, client, option, total, code, stub=stub)
    v1: Any = provider(shop.sandbox).v1
    options = {"stripe_account": shop.account}
    now = int(shop.payments.mesh.clock.now().timestamp())
    clock = await v1.test_helpers.test_clocks.create_async({"frozen_time": now}, options)
    customer = await v1.customers.create_async({"test_clock": clock.id}, options)
    await shop.payments.sql(
        "INSERT INTO customers (tenant_id, client_id, external_account, external_id, create_time)"
        " VALUES ($1, $2, $3, $4, now())",
        *(shop.tenant, last_id(client), shop.account, customer.id),
    )
    return Member(shop, client, option, membership, clock.id, customer.id)


async def active(shop: Shop, option: str = "", total: int = 8000, **who: Any) -> Member:
    """The same, paid."""
    member = await joined(shop, option, total, **who)
    await member.pay()
    await member.listen()
    return member


async def news(shop: Shop) -> list[str]:
    """What clients are to hear of the studio's memberships, in order."""
    told = await shop.payments.events(MembershipChanged, shop.tenant)
    return [MembershipChanged.Change.Name(change) for event in told for change in event.changes]
