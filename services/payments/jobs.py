"""When payments does what by itself."""

from datetime import datetime, timedelta
from uuid import UUID

from services.chassis.errors import DomainError, FailedPrecondition
from services.chassis.jobs.registry import Cancelled, Done, Failed, Job, Jobs, Outcome, Retry, Work
from services.chassis.telemetry import logger
from services.payments import fulfilment, payments, provider_events, purchases, refunding, refunds
from services.payments.providers.card_gateway import ProviderError

log = logger(__name__)
jobs = Jobs()

# Runs in all of what waits for the provider or for booking to come back: about a day and a half.
MAX_RUNS = 200


@jobs.on(provider_events.APPLY_JOB, max_attempts=MAX_RUNS)
async def apply_provider_event(work: Work, job: Job) -> Outcome:
    """Does what an event of the provider says."""
    account, event = job.args["account"], job.args["event"]
    try:
        ours = await provider_events.apply(work, account, event)
    except payments.Mismatch as error:
        log.error("amount_mismatch", account=account, provider_event=event, mismatch=str(error))
        return Failed("AMOUNT_MISMATCH")
    except ProviderError as error:
        return Retry(type(error).__name__)
    return Done() if ours else Cancelled("NOT_OURS")


@jobs.on(purchases.FULFIL_JOB, max_attempts=MAX_RUNS)
async def fulfil_purchase(work: Work, job: Job) -> Outcome:
    """Grants what was paid."""
    assert job.tenant is not None
    await fulfilment.fulfil(work, job.tenant, UUID(job.args["purchase"]))
    return Done()


@jobs.on(refunds.MAKE_JOB, max_attempts=MAX_RUNS)
async def make_refund(work: Work, job: Job) -> Outcome:
    """Takes a refund to what the provider says of it."""
    assert job.tenant is not None
    try:
        await refunding.make(work, job.tenant, UUID(job.args["refund"]))
    except ProviderError as error:
        return Retry(type(error).__name__)
    return Done()


@jobs.on(refunds.RESTORE_JOB, max_attempts=MAX_RUNS)
async def restore_credits(work: Work, job: Job) -> Outcome:
    """Gives back the credits of a refund that failed."""
    assert job.tenant is not None
    await refunding.restore(work, job.tenant, UUID(job.args["refund"]))
    return Done()


@jobs.on(purchases.EXPIRE_JOB, max_attempts=MAX_RUNS)
async def expire_purchase(work: Work, job: Job) -> Outcome:
    """Gives up what nobody paid in time."""
    assert job.tenant is not None
    try:
        await payments.cancel(work, job.tenant, UUID(job.args["purchase"]), None)
    except FailedPrecondition as refusal:
        return Retry(refusal.reason) if refusal.reason == "PAYMENT_STARTED" else Cancelled(refusal.reason)
    except DomainError as refusal:
        return Retry(refusal.reason)
    return Done()


@jobs.every("forget_provider_events", timedelta(hours=1))
async def forget_provider_events(work: Work, tick_at: datetime) -> None:
    """Raw events are kept as long as the inbox."""
    async with work.database.transaction() as tx:
        await provider_events.forget_old(tx)
