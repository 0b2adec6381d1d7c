"""What makes joining cheaper: promo codes for the first interval, and plans for new clients."""

import asyncio

import pytest
from grpc import StatusCode
from sqlalchemy import text

from powerhouse.payments.v1 import catalogue_service_pb2
from powerhouse.payments.v1.membership_pb2 import Membership
from powerhouse.payments.v1.purchase_service_pb2 import Purchase
from tests.integration.booking.house import refused
from tests.integration.payments.club import Member, active, join, joined, plan
from tests.integration.payments.house import Shop
from tests.integration.payments.test_membership_changes import cancel, change, middle, preview, refund, refund_preview


async def redemptions(shop: Shop) -> int:
    """How often the shop's one code is used."""
    wanted = catalogue_service_pb2.ListPromoCodesRequest(parent=shop.name)
    [code] = (await shop.staff.ListPromoCodes(wanted)).promo_codes
    return int(code.redemptions)


@pytest.mark.parametrize("inclusive", [True, False])
async def test_a_code_makes_the_first_interval_cheaper_and_no_other(shop: Shop, inclusive: bool) -> None:
    option = await plan(shop, 8000, 8, tax_rate=await shop.tax(inclusive=inclusive))
    await shop.promo("THIRD", off_ppm=333_333)
    first, full = (5333, 8000) if inclusive else (6346, 9520)
    client = await shop.add_client()
    quote = await shop.quote(client, option, "third")
    assert (quote.discount_minor, quote.total_minor, quote.renewal_minor) == (2667, first, full)
    await refused(join(shop, client, option, full, "THIRD"), StatusCode.FAILED_PRECONDITION, "PRICE_CHANGED")
    member = await active(shop, option, first, client=client, code="third")
    paid = await member.get()
    assert (paid.state, paid.quote.total_minor, paid.first_total_minor) == (Membership.ACTIVE, full, first)
    [purchase] = await member.purchases()
    assert purchase.quote.tax_minor == quote.tax_minor
    assert (purchase.quote.discount_minor, purchase.quote.total_minor, purchase.quote.credits) == (2667, first, 8)
    assert (await member.renew()).state == Membership.ACTIVE
    assert [each.quote.total_minor for each in await member.purchases()] == [full, first]
    assert await member.counts() == (2, 2)
    assert (await redemptions(shop), await shop.violations()) == (1, {})


async def test_another_plan_waits_while_a_code_makes_the_interval_cheaper(shop: Shop) -> None:
    option, more = await plan(shop), await plan(shop, 12_000, 12)
    await shop.promo("HALF", off_ppm=500_000)
    member = await active(shop, option, 4000, code="HALF")
    await middle(member)
    shown = await preview(member, more)
    assert (shown.due_minor, shown.credits) == (0, 0)
    changed = await change(member, shown)
    assert (changed.pricing_option, changed.next_pricing_option) == (option, more)
    await member.renew()
    assert [each.quote.total_minor for each in await member.purchases()] == [12_000, 4000]
    # In an interval that was paid in full it begins at once.
    await middle(member)
    shown = await preview(member, await plan(shop, 16_000, 16))
    assert (shown.due_minor, shown.credits) == (2000, 2)
    assert await shop.violations() == {}


async def test_a_refund_gives_back_a_share_of_what_was_paid(shop: Shop) -> None:
    await shop.promo("HALF", off_ppm=500_000)
    member = await active(shop, await plan(shop), 4000, code="HALF")
    assert (await refund_preview(member)).refund_minor == 4000
    await refund(member, 4000)
    await shop.work_off()
    assert (await member.get()).state == Membership.ENDED
    # Who has paid has used it.
    assert (await redemptions(shop), await shop.violations()) == (1, {})


@pytest.mark.parametrize("webhooks_come", [True, False])
async def test_a_free_interval_begins_with_a_card_for_what_follows(shop: Shop, webhooks_come: bool) -> None:
    await shop.promo("FREE", off_minor=8000)
    member = await joined(shop, await plan(shop), 0, code="FREE")
    session = await member.start()
    await member.listen()
    waiting = await member.get()
    assert (waiting.state, waiting.first_total_minor, await member.purchases()) == (Membership.PENDING, 0, [])
    # A card that its bank refuses, and then another tab.
    assert "error" in await shop.confirm(session, "pm_card_chargeDeclined")
    assert (await member.get()).state == Membership.PENDING
    assert (await member.pay())["status"] == "succeeded"
    if webhooks_come:
        await member.listen()
    else:
        await shop.reconcile()
    begun = await member.get()
    assert await member.card() == "visa"
    await refused(member.start(), StatusCode.FAILED_PRECONDITION, "NOTHING_TO_PAY")
    assert (begun.state, await member.counts()) == (Membership.ACTIVE, (0, 1))
    [purchase] = await member.purchases()
    assert (purchase.state, purchase.quote.discount_minor, purchase.quote.total_minor) == (Purchase.FULFILLED, 8000, 0)
    assert await shop.transfers() == {}
    assert (await refund_preview(member)).refund_minor == 0
    assert (await member.renew()).state == Membership.ACTIVE
    assert ([each.quote.total_minor for each in await member.purchases()], await member.counts()) == ([8000, 0], (1, 2))
    assert (await redemptions(shop), await shop.violations()) == (1, {})


async def test_a_free_interval_without_a_card_is_given_up(shop: Shop) -> None:
    await shop.promo("FREE", off_ppm=1_000_000)
    member = await joined(shop, await plan(shop), 0, code="FREE")
    session = await member.start()
    shop.move(hours=24)
    await shop.work_off()
    await member.listen()
    over = await member.get()
    assert (over.state, over.end_reason) == (Membership.ENDED, Membership.NEVER_PAID)
    await shop.confirm(session)
    await member.listen()
    assert (await member.counts(), await redemptions(shop), await shop.violations()) == ((0, 0), 0, {})


async def test_a_limited_code_holds_its_limit_for_memberships_and_purchases(shop: Shop) -> None:
    pack, option = await shop.sell(), await plan(shop)
    await shop.promo("TEN", off_minor=1000, max_redemptions=3, max_per_client=1)
    clients = await asyncio.gather(*(shop.add_client() for _ in range(40)))
    calls = [
        join(shop, client, option, 7000, "TEN") if number % 2 else shop.buy(client, pack, 9000, "TEN")
        for number, client in enumerate(clients)
    ]
    made = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(each, Membership | Purchase) for each in made) == 3
    assert (await redemptions(shop), await shop.violations()) == (3, {})


async def test_what_is_never_paid_gives_the_code_back_once(shop: Shop) -> None:
    option = await plan(shop)
    await shop.promo("TWO", off_minor=1000, max_redemptions=2, max_per_client=1)
    started, untouched = [await joined(shop, option, 7000, code="TWO") for _ in range(2)]
    await started.start()
    late = await shop.add_client()
    await refused(join(shop, late, option, 7000, "TWO"), StatusCode.FAILED_PRECONDITION, "PROMO_CODE_USED_UP")
    await asyncio.gather(*(cancel(member) for member in (started, untouched) * 2))
    await shop.tell_all()
    assert (await redemptions(shop), await shop.violations()) == (0, {})
    # And by the same client.
    assert (await join(shop, started.client, option, 7000, "TWO")).state == Membership.PENDING
    await refused(
        shop.quote(started.client, await shop.sell(), "TWO"), StatusCode.FAILED_PRECONDITION, "PROMO_CODE_USED_UP"
    )


async def test_one_that_was_paid_and_ended_before_we_heard_has_used_its_code(shop: Shop) -> None:
    await shop.promo("ONE", off_minor=1000)
    member = await joined(shop, await plan(shop), 7000, code="ONE")
    await member.pay()
    # By hand, at the provider.
    await member.end_there()
    await member.listen()
    over = await member.get()
    assert (over.state, over.end_reason) == (Membership.ENDED, Membership.CANCELLED)
    assert await member.counts() == (1, 1)
    assert (await redemptions(shop), await shop.violations()) == (1, {})


async def test_an_intro_offer_is_a_plan_or_a_pack_once(shop: Shop) -> None:
    client, intro = await shop.add_client(), await plan(shop, 3000, intro_offer=True)
    pack = await shop.sell(1000, intro_offer=True)
    async with shop.payments.resources.database.transaction(shop.tenant) as tx:
        # Until each is about to be written, or waits for one that is.
        await tx.session.execute(text("LOCK TABLE memberships, purchases IN SHARE MODE"))
        calls = [join(shop, client, intro, 3000), shop.buy(client, pack, 1000)]
        bought = asyncio.gather(*calls, return_exceptions=True)
        await shop.wait_until_held_up(2)
    made = await bought
    assert sum(isinstance(each, Membership | Purchase) for each in made) == 1
    for call in (shop.quote(client, intro), join(shop, client, intro, 3000), shop.buy(client, pack, 1000)):
        await refused(call, StatusCode.FAILED_PRECONDITION, "INTRO_OFFER_USED")


async def test_a_plan_for_new_clients_is_for_nobody_else(shop: Shop) -> None:
    intro, client = await plan(shop, 3000, intro_offer=True), await shop.add_client()
    never_paid = await joined(shop, intro, 3000, client=client)
    await cancel(never_paid)
    member = Member(shop, client, intro, await join(shop, client, intro, 3000), never_paid.clock, never_paid.customer)
    await member.pay()
    await member.listen()
    assert [each.quote.total_minor for each in await member.purchases()] == [3000]
    await cancel(member, now=True)
    await refused(join(shop, client, intro, 3000), StatusCode.FAILED_PRECONDITION, "INTRO_OFFER_USED")
    regular = await active(shop)
    await refused(join(shop, regular.client, intro, 3000), StatusCode.FAILED_PRECONDITION, "INTRO_OFFER_USED")
    # Nor by a change of the plan.
    await refused(preview(regular, intro), StatusCode.FAILED_PRECONDITION, "INTRO_OFFER_USED")
