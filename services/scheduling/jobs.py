"""What scheduling does by itself."""

from datetime import datetime, timedelta

from services.chassis import blobs
from services.chassis.jobs.registry import Jobs, Work
from services.scheduling import studios

jobs = Jobs()


@jobs.every("sweep_blobs", timedelta(hours=1))
async def sweep_blobs(work: Work, _tick_at: datetime) -> None:
    """Deletes logos that no studio shows any more, and what broken uploads left."""
    async with work.database.transaction() as tx:
        studio_ids = await studios.all_ids(tx)
    for studio_id in studio_ids:
        async with work.database.transaction(studio_id) as tx:
            await blobs.sweep(tx)
