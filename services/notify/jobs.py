"""Due work of notify."""

from datetime import datetime, timedelta
from uuid import UUID

import grpc

from services.chassis.crashpoints import crashpoint
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import NO_TENANT
from services.chassis.jobs.registry import Cancelled, Done, Failed, Job, Jobs, Outcome, Retry, Work
from services.chassis.telemetry import logger
from services.notify import deliveries, letters, provider_events
from services.notify.models import State
from services.notify.providers.answers import AcceptedBefore, Deferred, NotSent, Rejected
from services.notify.providers.choice import providers_of
from services.notify.providers.keys import key_of
from services.notify.settings import NotifySettings

log = logger(__name__)
jobs = Jobs()

# Runs of the job in all. More than calls of the provider (models.MAX_ATTEMPTS): a mail waits for booking or identity to
# come back, and that costs no call.
MAX_RUNS = 20


@jobs.on(deliveries.SEND_JOB, max_attempts=MAX_RUNS)
async def send_delivery(work: Work, job: Job) -> Outcome:
    """Sends one delivery: asks who and what, commits the intention, calls the provider, records the outcome.

    A crash anywhere leads here again, with the same key: the provider sends once.
    """
    tenant, delivery_id = job.tenant or NO_TENANT, UUID(job.args["delivery_id"])
    settings = work.settings
    assert isinstance(settings, NotifySettings)
    async with work.database.transaction(tenant) as tx:
        delivery = await deliveries.get(tx, delivery_id)
    if delivery.finished:
        return Done()
    try:
        mail = await letters.write(work, delivery, sender=settings.mail_from)
    except letters.NotWanted as refusal:
        async with work.database.transaction(tenant) as tx:
            await deliveries.skip(tx, delivery_id, refusal.reason)
        return Cancelled("NOT_WANTED")
    except letters.BadAddress:
        async with work.database.transaction(tenant) as tx:
            await deliveries.fail(tx, delivery_id, "invalid e-mail address")
        return Failed("INVALID_ADDRESS")
    except grpc.aio.AioRpcError as error:
        if job.attempts < MAX_RUNS:
            return Retry(error.code().name)
        async with work.database.transaction(tenant) as tx:
            await deliveries.fail(tx, delivery_id, f"whom to write to could not be asked: {error.code().name}")
        return Failed("NOBODY_TO_ASK")
    # Whoever was called before may have taken it, and then nobody else is called, whatever is answered now.
    open_before = delivery.state == State.SENDING
    provider = providers_of(settings).mail.choose(delivery.provider, may_have_it=open_before)
    async with work.database.transaction(tenant) as tx:
        if provider is None:
            await deliveries.fail(tx, delivery_id, "the mail provider never said whether it took it; not sent again")
        if provider is None or not await deliveries.begin(tx, delivery_id, provider.name):
            return Failed("GIVEN_UP")
    try:
        provider_message_id = await provider.send(mail, key_of(tenant, delivery_id))
    except NotSent as answer:
        log.warning("mail_not_sent", delivery=str(delivery_id), answer=type(answer).__name__, reason=answer.reason)
        async with work.database.transaction(tenant) as tx:
            return await _record_refusal(tx, delivery_id, answer, open_before)
    crashpoint("notify_after_provider")
    async with work.database.transaction(tenant) as tx:
        await deliveries.accept(tx, delivery_id, provider_message_id)
    log.info("mail_accepted", delivery=str(delivery_id), provider_message_id=provider_message_id)
    return Done()


async def _record_refusal(tx: UnitOfWork, delivery_id: UUID, answer: NotSent, open_before: bool) -> Outcome:
    if isinstance(answer, AcceptedBefore):
        await deliveries.accept(tx, delivery_id, "", answer.reason)
        return Done()
    if isinstance(answer, Rejected):
        await deliveries.fail(tx, delivery_id, answer.reason)
        return Failed("REJECTED")
    certain = isinstance(answer, Deferred) and not open_before
    record = deliveries.put_back if certain else deliveries.keep_trying
    again = await record(tx, delivery_id, answer.reason)
    return Retry("PROVIDER", answer.retry_after) if again else Failed("PROVIDER")


@jobs.on(provider_events.APPLY_JOB, max_attempts=MAX_RUNS)
async def apply_provider_events(work: Work, job: Job) -> Outcome:
    """Does what follows from what a provider has told."""
    settings, event_ids = work.settings, [UUID(event_id) for event_id in job.args["event_ids"]]
    assert isinstance(settings, NotifySettings)
    failed = await provider_events.apply(work.database, settings, event_ids)
    return Retry("EVENT_FAILED") if failed else Done()


@jobs.every("provider_events.retention", timedelta(hours=1))
async def forget_provider_events(work: Work, _tick_at: datetime) -> None:
    """What was told long ago goes."""
    await provider_events.forget(work.database)
