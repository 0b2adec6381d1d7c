"""The sweeper: gives jobs whose worker died, froze or lost its database back to the queue."""

from services.chassis.db.database import Database
from services.chassis.jobs.registry import Jobs
from services.chassis.telemetry import JOB_SECONDS, logger

log = logger(__name__)

_SWEEP = (
    "WITH lost AS (SELECT id, k.max_attempts FROM jobs"
    " JOIN unnest($1::text[], $2::int[]) AS k (kind, max_attempts) USING (kind)"
    " WHERE state = 'running' AND lease_until < clock_timestamp() ORDER BY id LIMIT 1000"
    " FOR UPDATE OF jobs SKIP LOCKED)"
    " UPDATE jobs SET state = CASE WHEN attempts < lost.max_attempts THEN 'queued' ELSE 'failed' END,"
    " outcome = 'LEASE_EXPIRED', lease_until = NULL, lease_token = NULL, announced_at = NULL,"
    " finish_time = CASE WHEN attempts < lost.max_attempts THEN NULL ELSE clock_timestamp() END"
    " FROM lost WHERE jobs.id = lost.id RETURNING jobs.id, kind, attempts, state"
)


async def sweep(database: Database, jobs: Jobs) -> bool:
    """Queues jobs with an expired lease again, or fails those without attempts left; True when there were any."""
    kinds = list(jobs.kinds)
    rows = await database.hot(_SWEEP, kinds, [jobs.kinds[kind].max_attempts for kind in kinds])
    for row in rows:
        report = log.error if row["state"] == "failed" else log.warning
        event = "job_failed" if row["state"] == "failed" else "job_requeued"
        report(event, kind=row["kind"], job=str(row["id"]), attempts=row["attempts"], reason="LEASE_EXPIRED")
        if row["state"] == "failed":
            JOB_SECONDS.labels(row["kind"], "failed").observe(0)
    return bool(rows)
