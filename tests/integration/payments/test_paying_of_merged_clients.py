"""Clients who were merged: the survivor has the cards and memberships of both, until they are two again."""

from itertools import permutations
from typing import Any

from grpc import StatusCode

from powerhouse.booking.v1.client_service_pb2 import MergeClientsRequest, UndoClientMergeRequest
from powerhouse.booking.v1.events_pb2 import ClientMergeChanged
from powerhouse.payments.v1 import membership_service_pb2 as pb
from powerhouse.payments.v1.payment_method_service_pb2 import DetachPaymentMethodRequest, SetDefaultPaymentMethodRequest
from powerhouse.payments.v1.purchase_service_pb2 import ListPurchasesRequest, Purchase, StartPaymentRequest
from powerhouse.payments.v1.receipt_service_pb2 import ListReceiptsRequest
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from services.chassis.messaging import inbox
from services.payments import client_merges
from services.payments.consumers import consumers
from tests.integration.booking.house import envelope, key, refused
from tests.integration.payments.club import Member, active, join, joined, plan
from tests.integration.payments.house import Shop
from tests.integration.payments.test_membership_changes import preview


async def merge(shop: Shop, survivor: str, duplicate: str) -> str:
    """Two clients become one, and we hear of it."""
    made = await shop.booker.MergeClients(MergeClientsRequest(name=survivor, duplicate=duplicate, request_id=key()))
    await shop.hear()
    return str(made.name)


async def undo(shop: Shop, name: str) -> None:
    await shop.booker.UndoClientMerge(UndoClientMergeRequest(name=name, request_id=key()))
    await shop.hear()


async def members(shop: Shop, client: str) -> dict[str, str]:
    """The client's memberships, and whose each is said to be."""
    listed = await shop.staff.ListMemberships(pb.ListMembershipsRequest(parent=shop.name, client=client))
    return {each.name: each.client for each in listed.memberships}


async def brands(shop: Shop, client: str) -> list[tuple[str, bool]]:
    return [(card.brand, card.is_default) for card in await shop.cards(client)]


async def paid_with(shop: Shop) -> str:
    """The brand of the newest charge."""
    charges = [event["data"]["object"] for event in await shop.told() if event["type"] == "charge.succeeded"]
    return str(charges[-1]["payment_method_details"]["card"]["brand"])


async def both(shop: Shop) -> tuple[Member, Member, Any]:
    """Two who have joined different plans with cards of their own, and the person that the second is."""
    account = new_id()
    first, second = await active(shop), await joined(shop, await plan(shop), client=await shop.add_client(account))
    await second.pay("pm_card_mastercard")
    await second.listen()
    return first, second, shop.as_role(Role.ROLE_CLIENT, account)


async def test_memberships_and_purchases_follow_and_go_back(shop: Shop) -> None:
    mine, theirs, _ = await both(shop)
    bought = await shop.buy(theirs.client, await shop.sell(), 10_000)
    name = await merge(shop, mine.client, theirs.client)
    assert await members(shop, mine.client) == {mine.name: mine.client, theirs.name: mine.client}
    assert (await theirs.get()).client == mine.client
    await refused(join(shop, mine.client, theirs.plan, 8000), StatusCode.FAILED_PRECONDITION, "ALREADY_MEMBER")
    await refused(preview(theirs, mine.plan), StatusCode.FAILED_PRECONDITION, "ALREADY_MEMBER")
    listed = await shop.staff.ListPurchases(ListPurchasesRequest(parent=shop.name, client=mine.client))
    assert len(listed.purchases) == 3
    assert bought.name in [each.name for each in listed.purchases]
    receipts = await shop.staff.ListReceipts(ListReceiptsRequest(parent=shop.name, client=mine.client))
    assert len(receipts.receipts) == 2
    # What is renewed is the survivor's.
    await theirs.renew()
    assert sorted(each.credits_granted for each in await shop.packages(mine.client)) == [8, 8, 8]
    await undo(shop, name)
    assert await members(shop, mine.client) == {mine.name: mine.client}
    assert await members(shop, theirs.client) == {theirs.name: theirs.client}
    assert await shop.violations() == {}


async def test_the_cards_of_both_are_usable(shop: Shop) -> None:
    mine, theirs, person = await both(shop)
    name = await merge(shop, mine.client, theirs.client)
    assert await brands(shop, mine.client) == [("visa", True), ("mastercard", False)]
    fee = await shop.sell(1000, 0, kind="FEE")
    await shop.buy(mine.client, fee, 1000)
    await shop.work_off()
    assert await paid_with(shop) == "visa"
    visa, mastercard = await shop.cards(mine.client, person)
    purchase = await shop.buy(mine.client, await shop.sell(), 10_000, stub=person)
    session = await person.StartPayment(StartPaymentRequest(name=purchase.name, payment_method=mastercard.name))
    assert (await shop.confirm(session, card=""))["status"] == "succeeded"
    await shop.tell_all()
    assert (await shop.get(purchase)).state == Purchase.FULFILLED
    # Another default, chosen by the one that both are.
    await person.SetDefaultPaymentMethod(SetDefaultPaymentMethodRequest(name=mastercard.name))
    assert await brands(shop, mine.client) == [("mastercard", True), ("visa", False)]
    await shop.buy(mine.client, fee, 1000)
    await shop.work_off()
    assert await paid_with(shop) == "mastercard"
    # A membership is paid by a card of whoever joined it, and one that takes its place.
    other = pb.SetMembershipCardRequest(name=theirs.name, payment_method=visa.name)
    await refused(person.SetMembershipCard(other), StatusCode.FAILED_PRECONDITION, "PAYMENT_REFUSED")
    await shop.save_card(mine.client, person, "pm_card_amex", replaces=mastercard.name)
    assert (await theirs.card(), await mine.card()) == ("amex", "visa")
    assert await brands(shop, mine.client) == [("amex", True), ("visa", False)]
    amex, _ = await shop.cards(mine.client, person)
    assert [(await each.get()).card.payment_method for each in (theirs, mine)] == [amex.name, visa.name]
    removal = DetachPaymentMethodRequest(name=visa.name)
    await refused(person.DetachPaymentMethod(removal), StatusCode.FAILED_PRECONDITION, "CARD_IN_USE")
    await shop.staff.CancelMembership(pb.CancelMembershipRequest(name=mine.name, now=True))
    await person.DetachPaymentMethod(removal)
    await undo(shop, name)
    assert (await brands(shop, mine.client), await brands(shop, theirs.client)) == ([], [("amex", True)])


async def test_merges_in_any_order_and_twice(shop: Shop) -> None:
    database = shop.payments.resources.database
    a, b, c, first, second, third = (new_id() for _ in range(6))
    # c into a; a into b, and taken back; b into a.
    told = [(third, 1, a, c, False), (first, 1, b, a, False), (first, 2, b, a, True), (second, 1, a, b, False)]
    for order in permutations(told):
        tenant = new_id()
        for merge_id, version, survivor, duplicate, undone in [*order, order[0]]:
            event = ClientMergeChanged(
                client_merge_id=str(merge_id), survivor_id=str(survivor), duplicate_id=str(duplicate), undone=undone
            )
            await inbox.apply(database, consumers, [envelope(event, tenant, merge_id, version)])
            async with database.transaction(tenant) as tx:
                # A circle ends too.
                assert {*await client_merges.all_of(tx, a)} <= {a, b, c}
                await client_merges.current(tx, [a, b, c])
        async with database.transaction(tenant) as tx:
            assert {*await client_merges.all_of(tx, a)} == {a, b, c}
            assert [await client_merges.all_of(tx, each) for each in (b, c)] == [[b], [c]]
            assert await client_merges.current(tx, [a, b, c]) == dict.fromkeys((a, b, c), a)
