"""Wallets of browsers (Apple Pay, Google Pay): the provider's form offers them on domains registered with it."""

from urllib.parse import urlsplit
from uuid import UUID

from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.resources import Resources
from services.chassis.telemetry import logger
from services.payments.gateways import gateway_of
from services.payments.models import MerchantAccount
from services.payments.providers.card_gateway import Refused

log = logger(__name__)

JOB = "offer_wallets"


async def want(tx: UnitOfWork, studio: UUID, occasion: str) -> None:
    """Asks for them, once for each occasion."""
    await tx.enqueue(JOB, f"{studio} {occasion}", args={"studio": str(studio)})


async def offer(work: Resources, studio: UUID) -> None:
    """Registers the domain of our pages for the studio's account and notes which wallets appear there.

    Cards do without: what the provider refuses (a domain that it cannot reach) is logged. Raises Away.
    """
    async with work.database.transaction(studio) as tx:
        account = await tx.session.get_one(MerchantAccount, (studio,))
    domain = urlsplit(work.settings.public_url).hostname or ""
    try:
        active = await gateway_of(work.settings).register_domain(account.external_account, domain)
    except Refused as refusal:
        log.warning("wallets_refused", studio=str(studio), domain=domain, code=refusal.code)
        active = ()
    async with work.database.transaction(studio) as tx:
        account = await tx.session.get_one(MerchantAccount, (studio,), with_for_update=True)
        if list(active) != account.wallets:
            account.wallets = list(active)
            account.touch(tx.now())
