"""Ending, keeping, pausing and resuming a membership: the provider is told, and what it then says is taken over."""

from collections.abc import Awaitable
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from services.chassis.errors import FailedPrecondition, InvalidArgument, check_etag
from services.chassis.resources import Resources
from services.payments import cards, membership_payments, memberships
from services.payments.gateways import memberships_of
from services.payments.models import Membership
from services.payments.providers.card_gateway import ProviderError
from services.payments.providers.membership_gateway import Subscription

T = TypeVar("T")


async def cancel(
    resources: Resources, tenant: UUID, membership_id: UUID, account: UUID | None, *, now: bool, etag: str = ""
) -> None:
    """Raises NotFound, Aborted/ETAG_MISMATCH, FailedPrecondition/CHANGE_REFUSED, Unavailable/PROVIDER_AWAY."""
    membership = await _seen(resources, tenant, membership_id, account, etag)
    if membership.state == "ENDED":
        return
    if membership.state == "PENDING":
        await asked(membership_payments.give_up(resources, tenant, membership_id))
        return
    gateway, subscription = memberships_of(resources.settings), subscription_of(membership)
    if now or membership.state != "ACTIVE" or await asked(_is_about_to_charge(resources, membership)):
        await _do(resources, membership, gateway.cancel_now(membership.external_account, subscription))
    else:
        call = gateway.cancel_at_period_end(membership.external_account, subscription, cancel=True)
        await _do(resources, membership, call)


async def keep(resources: Resources, tenant: UUID, membership_id: UUID, account: UUID | None, etag: str) -> None:
    """Raises as `cancel`, and FailedPrecondition/MEMBERSHIP_ENDED."""
    membership = await _seen(resources, tenant, membership_id, account, etag)
    membership_payments.require_running(membership)
    if membership.cancel_at_period_end:
        call = memberships_of(resources.settings).cancel_at_period_end(
            membership.external_account, subscription_of(membership), cancel=False
        )
        await _do(resources, membership, call)


async def pause(
    resources: Resources, tenant: UUID, membership_id: UUID, account: UUID | None, until: datetime | None, etag: str
) -> None:
    """Raises as `keep`, InvalidArgument/RESUME_TIME_PAST, FailedPrecondition/NOT_ACTIVE."""
    membership = await _seen(resources, tenant, membership_id, account, etag)
    membership_payments.require_running(membership)
    if until is not None and until <= resources.database.clock.now():
        raise InvalidArgument("resume_time", "is not ahead", reason="RESUME_TIME_PAST")
    if membership.state not in ("ACTIVE", "PAUSED"):
        raise NOT_ACTIVE
    call = memberships_of(resources.settings).pause(membership.external_account, subscription_of(membership), until)
    await _do(resources, membership, call)


async def resume(resources: Resources, tenant: UUID, membership_id: UUID, account: UUID | None, etag: str) -> None:
    """Raises as `keep`."""
    membership = await _seen(resources, tenant, membership_id, account, etag)
    membership_payments.require_running(membership)
    if membership.state == "PAUSED":
        call = memberships_of(resources.settings).resume(membership.external_account, subscription_of(membership))
        await _do(resources, membership, call)


NOT_ACTIVE = FailedPrecondition("the membership is not active", reason="NOT_ACTIVE")


def subscription_of(membership: Membership) -> str:
    """What the provider calls one that has begun."""
    assert membership.external_id is not None
    return membership.external_id


async def asked(call: Awaitable[T]) -> T:
    """A call of the provider in the name of somebody who waits for it."""
    try:
        return await call
    except ProviderError as error:
        raise cards.refusal(error, "CHANGE_REFUSED") from error


async def _seen(resources: Resources, tenant: UUID, membership_id: UUID, account: UUID | None, etag: str) -> Membership:
    async with resources.database.transaction(tenant) as tx:
        membership = await memberships.get(tx, membership_id, account)
    check_etag(etag, membership.etag)
    return membership


async def _do(resources: Resources, membership: Membership, call: Awaitable[Subscription]) -> None:
    told = await asked(call)
    await asked(
        membership_payments.take_over(resources, membership.tenant_id, membership.external_account, told.external_id)
    )


async def _is_about_to_charge(resources: Resources, membership: Membership) -> bool:
    """Whether the next interval has begun and its invoice is drawn up: cancelling now is the last chance."""
    gateway, account = memberships_of(resources.settings), membership.external_account
    told = await gateway.get_subscription(account, subscription_of(membership))
    return (await gateway.get_invoice(account, told.latest_invoice)).status == "draft"
