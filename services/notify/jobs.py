"""Due work of notify: each delivery is its own job, and some work beside them."""

from datetime import datetime, timedelta
from uuid import UUID

from services.chassis.jobs.registry import Done, Job, Jobs, Outcome, Retry, Work
from services.notify import (
    alerts,
    contents,
    deliveries,
    dispute_alerts,
    generation_summaries,
    handing_over,
    provider_events,
    reminder_settings,
    reminders,
    sending,
)
from services.notify.settings import NotifySettings

jobs = Jobs()
# Rows of `deliveries`; the kinds of the jobs are those of the messages.
outbound = Jobs(deliveries.QUEUE, handing_over.read)

# Before every id.
FIRST = UUID(int=0)
# Deliveries of a kind in hand at once: all of a process. What a provider can take is its own gate's business.
CONCURRENCY = 1000

for kind in contents.KINDS:
    outbound.on(kind, max_attempts=sending.MAX_RUNS, concurrency=CONCURRENCY)(sending.send)


@jobs.on(reminder_settings.REARRANGE_JOB, max_attempts=20)
async def rearrange_reminders(work: Work, job: Job) -> Outcome:
    """After a change of settings: all bookings to come follow, each chunk in a transaction of its own."""
    assert job.tenant
    after: UUID | None = FIRST
    while after is not None:
        async with work.database.transaction(job.tenant) as tx:
            after = await reminders.rearrange_some(tx, after)
    return Done()


@jobs.on(generation_summaries.TELL_JOB, max_attempts=20)
async def tell_of_generation(work: Work, job: Job) -> Outcome:
    """Each owner reads what a generation has planned and what it could not."""
    assert job.tenant
    await generation_summaries.tell(work, job.tenant, job.args)
    return Done()


@jobs.on(dispute_alerts.TELL_JOB, max_attempts=20)
async def tell_of_dispute(work: Work, job: Job) -> Outcome:
    """Each owner reads of a payment that a client's bank takes back."""
    assert job.tenant
    await dispute_alerts.tell(work, job.tenant, job.args)
    return Done()


@jobs.every("deliveries.alert", timedelta(minutes=5))
async def tell_of_failures(work: Work, tick_at: datetime) -> None:
    """Those who run a studio read of what could not be delivered."""
    await alerts.tell_all(work, tick_at)


@jobs.on(provider_events.APPLY_JOB, max_attempts=20)
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


@jobs.every("deliveries.retention", timedelta(hours=1))
async def forget_deliveries(work: Work, _tick_at: datetime) -> None:
    """What was due long ago goes."""
    await deliveries.forget(work.database)
