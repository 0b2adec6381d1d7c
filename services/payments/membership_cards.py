"""Which card pays a membership: the one that paid it last, until another is named or takes its place."""

from uuid import UUID

from sqlalchemy import select

from services.chassis.errors import FailedPrecondition, NotFound
from services.chassis.ids import derived_id
from services.chassis.resources import Resources
from services.payments import cards, client_merges, membership_payments, memberships
from services.payments.cards import Card
from services.payments.gateways import memberships_of
from services.payments.membership_changes import subscription_of
from services.payments.models import Customer, Membership
from services.payments.providers.card_gateway import Away, ProviderError, Refused


async def change(
    resources: Resources, tenant: UUID, membership_id: UUID, account: UUID | None, payer_id: UUID, card_id: UUID
) -> None:
    """Another card that the payer has saved pays from now on, and at once what is due.

    Raises NotFound, FailedPrecondition with MEMBERSHIP_ENDED, NOT_ACTIVE, PAYMENT_REFUSED or PAYMENT_DECLINED,
    Unavailable/PROVIDER_AWAY.
    """
    async with resources.database.transaction(tenant) as tx:
        membership = await memberships.get(tx, membership_id, account)
        payers = await client_merges.current(tx, [membership.payer_id])
    if payer_id != payers[membership.payer_id]:
        raise NotFound("payment_method")
    card = await cards.get(resources, tenant, payer_id, card_id)
    membership_payments.require_running(membership)
    if membership.state == "PENDING":
        raise FailedPrecondition("its first payment names its card", reason="NOT_ACTIVE")
    try:
        declined = await _use(resources, membership, card.saved.external_id)
    except (Refused, Away) as error:
        raise cards.refusal(error) from error
    if declined is not None:
        raise FailedPrecondition(
            "Payment declined. Please try different card.", reason="PAYMENT_DECLINED", metadata={"code": declined.code}
        )


async def detach(resources: Resources, tenant: UUID, payer_id: UUID, card_id: UUID) -> Card:
    """Takes a card back for good, unless a membership is charged to it.

    Raises NotFound, FailedPrecondition with CARD_IN_USE, which names those, or PAYMENT_REFUSED,
    Unavailable/PROVIDER_AWAY.
    """
    card = await cards.get(resources, tenant, payer_id, card_id)
    try:
        paid = await _paid_with(resources, tenant, card.customer.external_id, card.saved.external_id)
    except ProviderError as error:
        raise cards.refusal(error) from error
    # Who has cancelled is charged no more.
    charged = [f"studios/{tenant}/memberships/{each.id}" for each in paid if not each.cancel_at_period_end]
    if charged:
        raise FailedPrecondition(
            "it pays a membership: choose another card for that, or replace this one",
            reason="CARD_IN_USE",
            metadata={"memberships": " ".join(charged)},
        )
    return await cards.detach(resources, card)


async def replaced(work: Resources, tenant: UUID, customer: str, card: str, old: str) -> None:
    """A card takes the place of another: also where that pays memberships. Safe to run again. Raises ProviderError."""
    for membership in await _paid_with(work, tenant, customer, old):
        await _use(work, membership, card)


async def described(work: Resources, tenant: UUID, card: str) -> bool:
    """A card is another than it was, or gone. False when it pays no membership here. Raises ProviderError."""
    async with work.database.transaction(tenant) as tx:
        mine = (Membership.tenant_id == tenant, Membership.card_id == derived_id(tenant, card))
        paid = (await tx.session.scalars(select(Membership).where(*mine))).all()
    for membership in paid:
        await membership_payments.take_over(work, tenant, membership.external_account, subscription_of(membership))
    return bool(paid)


async def saved(work: Resources, tenant: UUID, membership_id: UUID, card: str) -> None:
    """A card was saved instead of a first payment: the membership begins. Safe to run again. Raises ProviderError."""
    async with work.database.transaction(tenant) as tx:
        membership = await memberships.get(tx, membership_id, None)
    if membership.state != "PENDING" or membership.external_id is None:
        return
    try:
        await memberships_of(work.settings).set_card(membership.external_account, membership.external_id, card)
    except Refused:
        # It has ended, or the card is gone again already.
        return
    await membership_payments.take_over(work, tenant, membership.external_account, membership.external_id)


async def _paid_with(work: Resources, tenant: UUID, customer: str, card: str) -> list[Membership]:
    """What a card pays, by the provider's word of this moment: what it told last may be on its way still."""
    async with work.database.transaction(tenant) as tx:
        payer = select(Customer.client_id).where(Customer.tenant_id == tenant, Customer.external_id == customer)
        query = select(Membership).where(
            Membership.tenant_id == tenant,
            Membership.payer_id.in_(payer),
            Membership.external_id.is_not(None),
            Membership.state != "ENDED",
        )
        begun = (await tx.session.scalars(query)).all()
    gateway, paid = memberships_of(work.settings), []
    for membership in begun:
        told = await gateway.get_subscription(membership.external_account, subscription_of(membership))
        if told.card and told.card.external_id == card:
            paid.append(membership)
    return paid


async def _use(work: Resources, membership: Membership, card: str) -> Refused | None:
    """Pays what is due too; says how that was declined."""
    gateway, declined = memberships_of(work.settings), None
    account, subscription = membership.external_account, subscription_of(membership)
    await gateway.set_card(account, subscription, card)
    if membership.due_invoice is not None:
        try:
            await gateway.pay_invoice(account, membership.due_invoice)
        except Refused as refused:
            declined = refused
    await membership_payments.take_over(work, membership.tenant_id, account, subscription)
    return declined
