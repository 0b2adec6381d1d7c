"""What scheduling does by itself."""

from datetime import datetime, timedelta

from services.chassis import blobs
from services.chassis.jobs.registry import Done, Job, Jobs, Outcome, Work
from services.scheduling import generation, generation_weeks, studios

jobs = Jobs()

# How many share a transaction where one statement serves them all.
_STUDIOS_AT_ONCE = 200


@jobs.every("sweep_blobs", timedelta(hours=1))
async def sweep_blobs(work: Work, _tick_at: datetime) -> None:
    """Deletes logos that no studio shows any more, and what broken uploads left."""
    async with work.database.transaction() as tx:
        studio_ids = await studios.all_ids(tx)
    for studio_id in studio_ids:
        async with work.database.transaction(studio_id) as tx:
            await blobs.sweep(tx)


# Where it is 06:00, it is a full quarter of an hour in UTC.
@jobs.every("start_generation", timedelta(minutes=15))
async def start_generation(work: Work, _tick_at: datetime) -> None:
    """Where it has become Sunday 06:00, the week's generation is due."""
    async with work.database.transaction() as tx:
        studio_ids = await studios.all_ids(tx)
    for first in range(0, len(studio_ids), _STUDIOS_AT_ONCE):
        together = studio_ids[first : first + _STUDIOS_AT_ONCE]
        async with work.database.transaction(*together) as tx:
            for studio_id, sunday in await generation_weeks.due(tx, together):
                await tx.of(studio_id).enqueue("generate_class_sessions", f"{studio_id} {sunday.isoformat()}")


@jobs.on("generate_class_sessions", max_attempts=5, concurrency=4)
async def generate_class_sessions(work: Work, job: Job) -> Outcome:
    """The weekly generation of one studio; the job's id is the run's, so that it is made and told once."""
    assert job.tenant is not None
    async with work.database.transaction(job.tenant) as tx:
        await generation.run(tx, generation.WEEKLY, run_id=job.id)
    return Done()
