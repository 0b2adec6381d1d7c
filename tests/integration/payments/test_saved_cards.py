"""Cards that a client saves: at the provider alone, seen and used by nobody else."""

from typing import Any

import pytest
from grpc import StatusCode

from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.booking.v1.client_service_pb2 import AddDependantRequest
from powerhouse.booking.v1.events_pb2 import ClientErased
from powerhouse.payments.v1 import payment_method_service_pb2 as pb
from powerhouse.payments.v1.purchase_service_pb2 import Purchase, StartPaymentRequest
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from services.chassis.messaging import inbox
from services.payments.consumers import consumers
from tests.integration.booking.house import envelope, key, last_id, refused
from tests.integration.payments.house import Shop


@pytest.fixture
async def clara(shop: Shop) -> tuple[str, Any]:
    """A client, and the stub with which it calls."""
    account = new_id()
    return await shop.add_client(account), shop.as_role(Role.ROLE_CLIENT, account)


async def test_a_card_is_saved_listed_made_the_default_and_taken_back(shop: Shop, clara: tuple[str, Any]) -> None:
    client, person = clara
    assert await shop.cards(client, person) == []
    await shop.save_card(client, person)
    await shop.save_card(client, person, "pm_card_mastercard")
    newer, first = await shop.cards(client, person)
    assert (first.brand, first.last4, first.is_default) == ("visa", "4242", True)
    assert first.expire_year > 2000
    assert (newer.brand, newer.is_default) == ("mastercard", False)
    # Staff see which card it is, no more.
    [_, seen] = await shop.cards(client)
    assert (seen.brand, seen.last4, seen.expire_month, seen.expire_year) == ("visa", "4242", 0, 0)
    await person.SetDefaultPaymentMethod(pb.SetDefaultPaymentMethodRequest(name=newer.name))
    # What is told late changes no choice.
    await shop.tell_all()
    assert [card.is_default for card in await shop.cards(client, person)] == [True, False]
    await person.DetachPaymentMethod(pb.DetachPaymentMethodRequest(name=newer.name))
    assert [card.name for card in await shop.cards(client, person)] == [first.name]
    page = await person.ListPaymentMethods(pb.ListPaymentMethodsRequest(parent=client, page_size=1))
    assert page.next_page_token == ""


async def test_a_new_card_takes_the_place_of_an_old_one(shop: Shop, clara: tuple[str, Any]) -> None:
    client, person = clara
    await shop.save_card(client, person)
    [old] = await shop.cards(client, person)
    await shop.save_card(client, person, "pm_card_mastercard", replaces=old.name)
    [card] = await shop.cards(client, person)
    assert (card.brand, card.is_default) == ("mastercard", True)


async def test_a_card_that_its_bank_refuses_is_not_saved(shop: Shop, clara: tuple[str, Any]) -> None:
    client, person = clara
    answer = await shop.save_card(client, person, "pm_card_chargeDeclined")
    assert answer["error"]["code"] == "card_declined"
    assert await shop.cards(client, person) == []


async def test_nobody_touches_the_cards_of_others(shop: Shop, clara: tuple[str, Any]) -> None:
    client, person = clara
    await shop.save_card(client, person)
    [card] = await shop.cards(client, person)
    account = new_id()
    other, stranger = await shop.add_client(account), shop.as_role(Role.ROLE_CLIENT, account)
    await refused(shop.cards(client, stranger), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    setup = pb.StartCardSetupRequest(parent=client)
    await refused(stranger.StartCardSetup(setup), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    await refused(shop.staff.StartCardSetup(setup), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    # By its name beside a client of one's own, with cards of its own.
    await shop.save_card(other, stranger)
    for method, request in (
        (stranger.DetachPaymentMethod, pb.DetachPaymentMethodRequest),
        (stranger.SetDefaultPaymentMethod, pb.SetDefaultPaymentMethodRequest),
    ):
        await refused(method(request(name=card.name)), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
        own_name = card.name.replace(client, other)
        await refused(method(request(name=own_name)), StatusCode.NOT_FOUND, "NOT_FOUND")
    purchase = await shop.buy(other, await shop.sell(), 10_000, stub=stranger)
    wanted = StartPaymentRequest(name=purchase.name, payment_method=card.name)
    await refused(stranger.StartPayment(wanted), StatusCode.NOT_FOUND, "NOT_FOUND")
    await refused(shop.staff.StartPayment(wanted), StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    assert [each.name for each in await shop.cards(client, person)] == [card.name]


async def test_a_guardian_pays_for_its_dependant(shop: Shop, clara: tuple[str, Any]) -> None:
    client, person = clara
    child = await shop.booker.AddDependant(
        AddDependantRequest(parent=shop.name, guardian=client, client=Client(display_name="Kim"), request_id=key())
    )
    await shop.save_card(child.name, person)
    assert await shop.cards(child.name, person) == await shop.cards(client, person) != []


async def test_who_tries_again_without_the_wish_keeps_no_card(shop: Shop, clara: tuple[str, Any]) -> None:
    client, person = clara
    purchase = await shop.buy(client, await shop.sell(), 10_000, stub=person)
    wished = await person.StartPayment(StartPaymentRequest(name=purchase.name, save_card=True))
    await shop.confirm(wished, "pm_card_chargeDeclined")
    await shop.confirm(await shop.start(purchase, person))
    await shop.tell_all()
    assert (await shop.get(purchase)).state == Purchase.FULFILLED
    assert await shop.cards(client, person) == []


async def test_a_card_is_saved_with_a_purchase_and_pays_the_next(shop: Shop, clara: tuple[str, Any]) -> None:
    client, person = clara
    option = await shop.sell()
    first = await shop.buy(client, option, 10_000, stub=person)
    # Without the wish, and then with it: the same intent.
    await shop.start(first, person)
    await shop.confirm(await person.StartPayment(StartPaymentRequest(name=first.name, save_card=True)))
    await shop.tell_all()
    [card] = await shop.cards(client, person)
    assert (card.last4, card.is_default) == ("4242", True)
    second = await shop.buy(client, option, 10_000, stub=person)
    session = await person.StartPayment(StartPaymentRequest(name=second.name, payment_method=card.name))
    assert (await shop.confirm(session, card=""))["status"] == "succeeded"
    await shop.tell_all()
    assert [(await shop.get(each)).state for each in (first, second)] == [Purchase.FULFILLED] * 2
    assert await shop.violations() == {}


async def test_a_card_whose_bank_asks_the_client_pays_after_3_d_secure(shop: Shop, clara: tuple[str, Any]) -> None:
    client, person = clara
    purchase = await shop.buy(client, await shop.sell(), 10_000, stub=person)
    answer = await shop.confirm(await shop.start(purchase, person), "pm_card_threeDSecure2Required")
    assert answer["status"] == "requires_action"
    await shop.tell_all()
    assert (await shop.get(purchase)).state == Purchase.OPEN
    await shop.authenticate(answer, succeeds=False)
    await shop.tell_all()
    assert (await shop.get(purchase)).state == Purchase.OPEN
    await shop.authenticate(await shop.confirm(await shop.start(purchase), "pm_card_threeDSecure2Required"))
    await shop.tell_all()
    assert (await shop.get(purchase)).state == Purchase.FULFILLED
    assert await shop.violations() == {}


async def test_the_provider_forgets_who_is_erased(shop: Shop, clara: tuple[str, Any]) -> None:
    client, person = clara
    await shop.save_card(client, person)
    event = envelope(ClientErased(client_id=str(last_id(client))), shop.tenant, last_id(client), 2)
    await inbox.apply(shop.payments.resources.database, consumers, [event])
    await shop.work_off()
    assert "customer.deleted" in [told["type"] for told in await shop.told()]
    assert await shop.cards(client, person) == []
