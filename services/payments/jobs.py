"""When payments does what by itself."""

from collections import Counter
from datetime import datetime, timedelta
from functools import wraps
from uuid import UUID

from prometheus_client import Gauge

from services.chassis.db.batches import LARGEST
from services.chassis.errors import DomainError, FailedPrecondition
from services.chassis.jobs.registry import Cancelled, Done, Failed, Job, JobHandler, Jobs, Outcome, Retry, Work
from services.chassis.telemetry import VIOLATIONS, logger
from services.payments import (
    cards,
    charging,
    fees,
    fulfilment,
    gift_card_letters,
    invariants,
    membership_payments,
    membership_refunds,
    memberships,
    merchants,
    payments,
    places,
    provider_events,
    purchases,
    receipting,
    receipts,
    reconciliations,
    reconciling,
    refunding,
    refunds,
    wallets,
)
from services.payments.providers.card_gateway import ProviderError

log = logger(__name__)
DIFFERENCES = Gauge("powerhouse_reconciliation_differences", "What ledger and provider disagree about", ("kind",))
jobs = Jobs()

# Runs in all of what waits for the provider or for booking to come back: about a day and a half.
MAX_RUNS = 200
# Seconds between looks at what a bank is at for days.
_WHILE_PROCESSING = 6 * 3600.0


def asks_provider(handler: JobHandler) -> JobHandler:
    """What the provider does not do now is asked of it again."""

    @wraps(handler)
    async def run(work: Work, job: Job) -> Outcome:
        try:
            return await handler(work, job)
        except ProviderError as error:
            return Retry(type(error).__name__)

    return run


@jobs.on(provider_events.APPLY_JOB, max_attempts=MAX_RUNS, concurrency=LARGEST)
@asks_provider
async def apply_provider_event(work: Work, job: Job) -> Outcome:
    """Does what an event of the provider says."""
    account, event = job.args["account"], job.args["event"]
    try:
        ours = await provider_events.apply(work, account, event)
    except payments.Mismatch as error:
        log.error("amount_mismatch", account=account, provider_event=event, mismatch=str(error))
        return Failed("AMOUNT_MISMATCH")
    except provider_events.Unreadable:
        return Failed("UNREADABLE")
    return Done() if ours else Cancelled("NOT_OURS")


@jobs.on(purchases.FULFIL_JOB, max_attempts=MAX_RUNS)
async def fulfil_purchase(work: Work, job: Job) -> Outcome:
    """Grants what was paid."""
    assert job.tenant is not None
    await fulfilment.fulfil(work, job.tenant, UUID(job.args["purchase"]))
    return Done()


@jobs.on(refunds.MAKE_JOB, max_attempts=MAX_RUNS)
@asks_provider
async def make_refund(work: Work, job: Job) -> Outcome:
    """Takes a refund to what the provider says of it."""
    assert job.tenant is not None
    await refunding.make(work, job.tenant, UUID(job.args["refund"]))
    return Done()


@jobs.on(refunds.RESTORE_JOB, max_attempts=MAX_RUNS)
async def restore_credits(work: Work, job: Job) -> Outcome:
    """Gives back the credits of a refund that failed."""
    assert job.tenant is not None
    await refunding.restore(work, job.tenant, UUID(job.args["refund"]))
    return Done()


@jobs.on(receipts.ISSUE_JOB, max_attempts=MAX_RUNS)
async def issue_receipt(work: Work, job: Job) -> Outcome:
    """Writes the document for money that has moved."""
    assert job.tenant is not None
    refund = UUID(job.args["refund"]) if job.args["refund"] else None
    try:
        await receipting.issue(work, job.tenant, job.args["kind"], UUID(job.args["purchase"]), refund)
    except (ProviderError, receipting.NotYet) as error:
        return Retry(type(error).__name__)
    return Done()


@jobs.on(purchases.EXPIRE_JOB, max_attempts=MAX_RUNS)
async def expire_purchase(work: Work, job: Job) -> Outcome:
    """Gives up what nobody paid in time."""
    assert job.tenant is not None
    try:
        await payments.cancel(work, job.tenant, UUID(job.args["purchase"]), None)
    except FailedPrecondition as refusal:
        if refusal.reason == "PAYMENT_PROCESSING":
            return Retry(refusal.reason, after_seconds=_WHILE_PROCESSING)
        return Retry(refusal.reason) if refusal.reason == "PAYMENT_STARTED" else Cancelled(refusal.reason)
    except DomainError as refusal:
        return Retry(refusal.reason)
    return Done()


@jobs.on(memberships.GIVE_UP_JOB, max_attempts=MAX_RUNS)
@asks_provider
async def give_up_membership(work: Work, job: Job) -> Outcome:
    """Ends a membership that nobody paid in time."""
    assert job.tenant is not None
    await membership_payments.give_up(work, job.tenant, UUID(job.args["membership"]))
    return Done()


@jobs.on(membership_refunds.END_JOB, max_attempts=MAX_RUNS)
@asks_provider
async def end_membership(work: Work, job: Job) -> Outcome:
    """Ends a membership of which what is unused is given back."""
    assert job.tenant is not None
    ended = [UUID(each) for each in job.args["purchases"]]
    done = await membership_refunds.end(work, job.tenant, UUID(job.args["membership"]), ended)
    return Done() if done else Retry("REFUND_REQUESTED")


@jobs.on(places.SETTLE_JOB)
async def settle_place(work: Work, job: Job) -> Outcome:
    """A class begins: what was paid for its place is earned."""
    assert job.tenant is not None
    async with work.database.transaction(job.tenant) as tx:
        await places.settle(tx, await purchases.lock(tx, UUID(job.args["purchase"])))
    return Done()


@jobs.on(fees.SETTLE_JOB, max_attempts=MAX_RUNS)
async def settle_fee(work: Work, job: Job) -> Outcome:
    """Bills a fee, or gives it up or back."""
    assert job.tenant is not None
    try:
        await fees.settle(work, job.tenant, UUID(job.args["fee"]))
    except FailedPrecondition as refusal:
        final = refusal.reason in ("NOT_A_MERCHANT", "CURRENCY_MISMATCH")
        return Cancelled(refusal.reason) if final else Retry(refusal.reason)
    except DomainError as refusal:
        return Retry(refusal.reason)
    return Done()


@jobs.on(purchases.CHARGE_JOB, max_attempts=MAX_RUNS)
@asks_provider
async def charge_fee(work: Work, job: Job) -> Outcome:
    """Charges a fee to the client's default card."""
    assert job.tenant is not None
    try:
        await charging.charge(work, job.tenant, UUID(job.args["purchase"]), job.args["step"])
    except DomainError as refusal:
        return Retry(refusal.reason)
    return Done()


@jobs.on(cards.FORGET_JOB, max_attempts=MAX_RUNS)
@asks_provider
async def forget_customer(work: Work, job: Job) -> Outcome:
    """Deletes an erased client and its cards at the provider."""
    assert job.tenant is not None
    await cards.forget(work, job.tenant, UUID(job.args["client"]))
    return Done()


@jobs.every("offer_wallets", timedelta(days=1))
async def look_after_wallets(work: Work, tick_at: datetime) -> None:
    """Wallets come and go with what the provider can verify, and our address may be another than yesterday."""
    async with work.database.transaction() as tx:
        for merchant in await merchants.everybody(tx):
            await wallets.want(tx, merchant.studio_id, tick_at.isoformat())


@jobs.on(wallets.JOB, concurrency=4)
@asks_provider
async def offer_wallets(work: Work, job: Job) -> Outcome:
    """Registers our domain for a studio's account."""
    await wallets.offer(work, UUID(job.args["studio"]))
    return Done()


@jobs.on(gift_card_letters.FORGET_JOB)
async def forget_gift_card_letter(work: Work, job: Job) -> Outcome:
    """Deletes to whom a card was sent long ago, and in which words."""
    assert job.tenant is not None
    async with work.database.transaction(job.tenant) as tx:
        await gift_card_letters.forget(tx, UUID(job.args["gift_card"]), job.args["number"])
    return Done()


@jobs.every("reconcile", timedelta(minutes=10))
async def reconcile(work: Work, tick_at: datetime) -> None:
    """Each merchant by itself, so that one whose account is closed keeps nobody waiting."""
    async with work.database.transaction() as tx:
        for merchant in await merchants.everybody(tx):
            args = {"account": merchant.external_account, "studio": str(merchant.studio_id)}
            await tx.enqueue(reconciling.JOB, f"{merchant.external_account} {tick_at.isoformat()}", args=args)


@jobs.on(reconciling.JOB, concurrency=4)
@asks_provider
async def reconcile_merchant(work: Work, job: Job) -> Outcome:
    """Finds what no webhook brought, and compares the ledger with the provider's account."""
    await reconciling.reconcile(work, UUID(job.args["studio"]), job.args["account"])
    return Done()


@jobs.every("check_invariants", timedelta(minutes=15))
async def check_invariants(work: Work, tick_at: datetime) -> None:
    """Counts in every studio what must not be there, and what the provider and the ledger disagree about."""
    total = Counter(dict.fromkeys(invariants.INVARIANTS, 0))
    differences = Counter(dict.fromkeys(reconciling.KINDS, 0))
    async with work.database.transaction() as tx:
        studios = [merchant.studio_id for merchant in await merchants.everybody(tx)]
    for studio in studios:
        async with work.database.transaction(studio) as tx:
            found = await invariants.violations(tx)
            compared = await reconciliations.latest(tx)
        total.update(found)
        differences.update(kind for kind, _, _ in (compared.differences if compared else ()))
        if any(found.values()):
            log.error("invariant_violated", studio=str(studio), **found)
    for name, count in total.items():
        VIOLATIONS.labels(name).set(count)
    for kind, count in differences.items():
        DIFFERENCES.labels(kind).set(count)


@jobs.every("forget_provider_events", timedelta(hours=1))
async def forget_provider_events(work: Work, tick_at: datetime) -> None:
    """Raw events are kept as long as the inbox."""
    async with work.database.transaction() as tx:
        await provider_events.forget_old(tx)
