"""The sweeper: gives jobs whose worker died, froze or lost its database back to the queue."""

from services.chassis.db.database import Database
from services.chassis.jobs.registry import Jobs
from services.chassis.telemetry import JOB_SECONDS, logger

log = logger(__name__)


async def sweep(database: Database, jobs: Jobs) -> bool:
    """Queues jobs with an expired lease again, or fails those without attempts left; True when there were any."""
    kinds = list(jobs.kinds)
    rows = await database.queue(jobs.queue.sweep, kinds, [jobs.kinds[kind].max_attempts for kind in kinds])
    for row in rows:
        report = log.error if row["failed"] else log.warning
        event = "job_failed" if row["failed"] else "job_requeued"
        report(event, kind=row["kind"], job=str(row["id"]), attempts=row["attempts"], reason="LEASE_EXPIRED")
        if row["failed"]:
            JOB_SECONDS.labels(row["kind"], "failed").observe(0)
    return bool(rows)
