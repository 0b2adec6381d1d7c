"""What identity does on time: it forgets."""

from datetime import datetime, timedelta

from services.chassis.jobs.registry import Jobs
from services.chassis.resources import Resources
from services.identity import password_resets, sessions, throttle

jobs = Jobs()


@jobs.every("purge", timedelta(hours=1))
async def purge(work: Resources, _tick_at: datetime) -> None:
    """Deletes ended sessions at once, reset links and sign-in attempts after 30 days."""
    async with work.database.transaction() as tx:
        await sessions.purge(tx)
        await password_resets.purge(tx)
        await throttle.purge(tx)
