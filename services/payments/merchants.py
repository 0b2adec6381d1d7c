"""Studios as merchants: their account at the provider and how far its onboarding is."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from services.chassis.clock import real_now
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, NotFound, Unavailable
from services.chassis.ids import derived_id
from services.chassis.resources import Resources
from services.payments import wallets
from services.payments.gateways import gateway_of
from services.payments.models import Merchant, MerchantAccount
from services.payments.providers.card_gateway import Account, ProviderError
from services.payments.providers.currencies import require_supported
from services.payments.settings import PaymentsSettings


async def open_account(resources: Resources, tenant: UUID, currency: str, country: str) -> MerchantAccount:
    """The studio's account at the provider, made when there is none. Its key follows from the studio, for a repeat.

    Raises InvalidArgument/UNKNOWN_CURRENCY, FailedPrecondition/CURRENCY_MISMATCH or PROVIDER_REFUSED,
    Unavailable/PROVIDER_AWAY.
    """
    require_supported(currency)
    async with resources.database.transaction(tenant) as tx:
        known = await tx.session.get(MerchantAccount, (tenant,))
    if known is not None:
        if known.currency_code != currency:
            raise FailedPrecondition("the account has another currency", reason="CURRENCY_MISMATCH")
        return known
    read_time = real_now()
    settings, gateway = resources.settings, gateway_of(resources.settings)
    assert isinstance(settings, PaymentsSettings)
    try:
        if settings.own_key_studio == str(tenant):
            found = await gateway.get_account("")
        else:
            key = derived_id(tenant, f"merchant account {currency} {country}")
            found = await gateway.open_account(str(key), currency=currency, country=country)
    except ProviderError as error:
        raise away(error) from error
    async with resources.database.transaction(tenant) as tx:
        await tx.session.execute(
            insert(Merchant)
            .values(external_account=found.external_id, studio_id=tenant)
            .on_conflict_do_nothing(index_elements=["studio_id"])
        )
        await tx.session.execute(
            insert(MerchantAccount)
            .values(
                tenant_id=tenant,
                external_account=found.external_id,
                currency_code=currency,
                charges_enabled=False,
                payouts_enabled=False,
                requirements=[],
                wallets=[],
                was_active=False,
                read_time=read_time,
                version=1,
                create_time=tx.now(),
                update_time=tx.now(),
            )
            .on_conflict_do_nothing(index_elements=["tenant_id"])
        )
        return await describe(tx, found, read_time)


async def describe(tx: UnitOfWork, found: Account, read_time: datetime) -> MerchantAccount:
    """Takes over what the provider said of the studio's account when it was asked at `read_time`."""
    account = await get(tx, lock=True)
    if read_time < account.read_time:
        return account
    account.read_time = read_time
    told = (found.charges_enabled, found.payouts_enabled, list(found.requirements))
    if told != (account.charges_enabled, account.payouts_enabled, account.requirements):
        account.charges_enabled, account.payouts_enabled, account.requirements = told
        account.was_active = account.was_active or found.charges_enabled
        account.touch(tx.now())
        if found.charges_enabled:
            await wallets.want(tx, tx.tenant, account.etag)
    return account


async def onboarding_link(resources: Resources, tenant: UUID) -> tuple[str, datetime]:
    """Raises NotFound, FailedPrecondition/NO_ONBOARDING, Unavailable/PROVIDER_AWAY."""
    async with resources.database.transaction(tenant) as tx:
        account = await get(tx)
    if not account.external_account:
        raise FailedPrecondition("the studio's own key needs no onboarding", reason="NO_ONBOARDING")
    try:
        return await gateway_of(resources.settings).onboarding_link(
            account.external_account, return_url=resources.settings.public_url
        )
    except ProviderError as error:
        raise away(error) from error


async def get(tx: UnitOfWork, *, lock: bool = False) -> MerchantAccount:
    """The studio's account. Raises NotFound."""
    account = await tx.session.get(MerchantAccount, (tx.tenant,), with_for_update=lock or None)
    if account is None:
        raise NotFound("merchant_account")
    return account


async def currency(tx: UnitOfWork) -> str:
    """What the studio sells in. Raises FailedPrecondition/NOT_A_MERCHANT."""
    try:
        return (await get(tx)).currency_code
    except NotFound:
        raise FailedPrecondition("open an account at the payment provider first", reason="NOT_A_MERCHANT") from None


async def studio_of(tx: UnitOfWork, external_account: str) -> UUID | None:
    """Whose account it is; None for nobody's here."""
    return await tx.session.scalar(select(Merchant.studio_id).where(Merchant.external_account == external_account))


async def everybody(tx: UnitOfWork) -> Sequence[Merchant]:
    """All merchants, of all studios."""
    return (await tx.session.scalars(select(Merchant).order_by(Merchant.studio_id))).all()


def away(error: ProviderError) -> Unavailable:
    """What a caller is told when the provider does not do as asked."""
    return Unavailable(f"the payment provider is away; try again ({error})", reason="PROVIDER_AWAY", retry_after=2)
