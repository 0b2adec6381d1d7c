"""Cards that clients saved. They are the provider's: here is only which customer of it a client is.

A card is named by an id that follows from the provider's, so a name leads to a card of the client who is asked for, or
to none. Who has a guardian pays with the guardian's cards. A client whom others became has their cards too; what pays
with one does so as the customer who saved it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import case, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from services.chassis.errors import FailedPrecondition, NotFound
from services.chassis.ids import derived_id, new_id
from services.chassis.resources import Resources
from services.payments import client_merges, merchants
from services.payments.gateways import gateway_of
from services.payments.models import Customer
from services.payments.providers.card_gateway import Away, ProviderError, Refused, SavedCard, Setup

FORGET_JOB = "forget_customer"


@dataclass(frozen=True)
class Card:
    """A saved card of a client."""

    id: UUID
    payer_id: UUID
    saved: SavedCard
    is_default: bool
    # To whom it is saved.
    customer: Customer


async def customer_of(resources: Resources, tenant: UUID, payer_id: UUID) -> Customer:
    """Who the client is to the provider, made when it is nobody yet. Raises FailedPrecondition, Unavailable."""
    known = await find_customer(resources, tenant, payer_id)
    if known is not None:
        return known
    async with resources.database.transaction(tenant) as tx:
        await merchants.currency(tx)
        account = (await merchants.get(tx)).external_account
    try:
        made = await gateway_of(resources.settings).create_customer(account, str(new_id()), reference=str(payer_id))
    except ProviderError as error:
        raise refusal(error) from error
    async with resources.database.transaction(tenant) as tx:
        # Of two at once the first counts; the other one's has no cards.
        row = insert(Customer).values(
            tenant_id=tenant, client_id=payer_id, external_account=account, external_id=made, create_time=tx.now()
        )
        await tx.session.execute(row.on_conflict_do_nothing(index_elements=["tenant_id", "client_id"]))
    found = await find_customer(resources, tenant, payer_id)
    assert found is not None
    return found


async def find_customer(resources: Resources, tenant: UUID, payer_id: UUID) -> Customer | None:
    """None for who never saved a card itself."""
    async with resources.database.transaction(tenant) as tx:
        return await tx.session.get(Customer, (tenant, payer_id))


async def customers_of(resources: Resources, tenant: UUID, payer_id: UUID) -> Sequence[Customer]:
    """Who the client and those who became it are to the provider; first the one whose default card is the client's."""
    async with resources.database.transaction(tenant) as tx:
        clients = await client_merges.all_of(tx, payer_id)
        query = select(Customer).where(Customer.tenant_id == tenant, Customer.client_id.in_(clients))
        found = (await tx.session.scalars(query)).all()
    return sorted(found, key=lambda each: (each.chosen_by != payer_id, clients.index(each.client_id)))


async def default_of(resources: Resources, tenant: UUID, payer_id: UUID) -> tuple[Customer, str] | None:
    """The card that pays while the client is away, as the provider calls it, and whose it is. Raises ProviderError."""
    for customer in await customers_of(resources, tenant, payer_id):
        card = await gateway_of(resources.settings).default_card(customer.external_account, customer.external_id)
        if card:
            return customer, card
    return None


async def start_setup(resources: Resources, tenant: UUID, payer_id: UUID, replaces: UUID | None) -> Setup:
    """What the browser confirms to save a card. Raises as `customer_of`, and NotFound for a card to be replaced."""
    old = await get(resources, tenant, payer_id, replaces) if replaces else None
    customer = old.customer if old else await customer_of(resources, tenant, payer_id)
    try:
        return await gateway_of(resources.settings).create_setup(
            customer.external_account,
            str(new_id()),
            customer=customer.external_id,
            replaces=old.saved.external_id if old else "",
        )
    except ProviderError as error:
        raise refusal(error) from error


async def list_all(resources: Resources, tenant: UUID, payer_id: UUID) -> Sequence[Card]:
    """A client's cards, newest first, and after them those of who became it. Raises Unavailable/PROVIDER_AWAY."""
    found, gateway = [], gateway_of(resources.settings)
    try:
        _, default = await default_of(resources, tenant, payer_id) or (None, "")
        for customer in await customers_of(resources, tenant, payer_id):
            for each in await gateway.saved_cards(customer.external_account, customer.external_id):
                card_id = derived_id(tenant, each.external_id)
                found.append(Card(card_id, payer_id, each, each.external_id == default, customer))
    except ProviderError as error:
        raise refusal(error) from error
    return found


async def get(resources: Resources, tenant: UUID, payer_id: UUID, card_id: UUID) -> Card:
    """One of the client's own cards. Raises NotFound for any other, Unavailable/PROVIDER_AWAY."""
    found = [card for card in await list_all(resources, tenant, payer_id) if card.id == card_id]
    if not found:
        raise NotFound("payment_method")
    return found[0]


async def set_default(resources: Resources, tenant: UUID, payer_id: UUID, card_id: UUID) -> Card:
    """Fees are charged to this one. Raises as `get`."""
    card = await get(resources, tenant, payer_id, card_id)
    customer = card.customer
    try:
        await gateway_of(resources.settings).set_default_card(
            customer.external_account, customer.external_id, card.saved.external_id
        )
    except ProviderError as error:
        raise refusal(error) from error
    async with resources.database.transaction(tenant) as tx:
        is_chosen = Customer.external_id == customer.external_id
        chosen = update(Customer).where(Customer.tenant_id == tenant, is_chosen | (Customer.chosen_by == payer_id))
        await tx.session.execute(chosen.values(chosen_by=case((is_chosen, payer_id))))
    return replace(card, is_default=True)


async def detach(resources: Resources, card: Card) -> Card:
    """Takes a card back for good. Raises FailedPrecondition/PAYMENT_REFUSED, Unavailable/PROVIDER_AWAY."""
    try:
        await gateway_of(resources.settings).detach_card(card.customer.external_account, card.saved.external_id)
    except ProviderError as error:
        raise refusal(error) from error
    return replace(card, is_default=False)


async def saved(resources: Resources, tenant: UUID, external_account: str, customer: str, card: str, old: str) -> bool:
    """A card was saved: the default where there is none, or in place of `old`. False when the customer is not ours.

    Asks how things are, so that it may be told twice, late and in any order. Raises Away.
    """
    async with resources.database.transaction(tenant) as tx:
        query = select(Customer).where(Customer.tenant_id == tenant, Customer.external_id == customer)
        if (await tx.session.scalars(query)).one_or_none() is None:
            return False
    gateway = gateway_of(resources.settings)
    try:
        if await gateway.default_card(external_account, customer) in ("", old):
            await gateway.set_default_card(external_account, customer, card)
        if old and old in [each.external_id for each in await gateway.saved_cards(external_account, customer)]:
            await gateway.detach_card(external_account, old)
    except Refused:
        # It is gone again already.
        return True
    return True


async def forget(resources: Resources, tenant: UUID, client_id: UUID) -> None:
    """The provider forgets an erased client and its cards. Raises Away."""
    customer = await find_customer(resources, tenant, client_id)
    if customer is None:
        return
    try:
        await gateway_of(resources.settings).delete_customer(customer.external_account, customer.external_id)
    except Refused as refused:
        if refused.code != "resource_missing":
            raise
    async with resources.database.transaction(tenant) as tx:
        mine = (Customer.tenant_id == tenant, Customer.client_id == client_id)
        await tx.session.execute(delete(Customer).where(*mine))


def refusal(error: ProviderError, reason: str = "PAYMENT_REFUSED") -> Exception:
    """What a caller is told when the provider does not do as asked."""
    if isinstance(error, Refused):
        return FailedPrecondition("the payment provider refuses this", reason=reason, metadata={"code": error.code})
    assert isinstance(error, Away)
    return merchants.away(error)
