"""How long the chassis keeps its rows: an hourly tick of every service deletes what is older, a little at a time."""

from datetime import datetime, timedelta

from services.chassis.clock import real_now
from services.chassis.jobs.registry import Jobs, Work
from services.chassis.telemetry import logger

log = logger(__name__)

_ROWS_PER_STATEMENT = 1000

# table -> (which rows go, how long they are kept)
_KEPT = {
    "outbox": ("publish_time < $1", timedelta(days=7)),
    "inbox": ("create_time < $1", timedelta(days=35)),
    "idempotency": ("create_time < $1", timedelta(hours=48)),
    "jobs": ("state IN ('done', 'cancelled') AND finish_time < $1", timedelta(days=7)),
}


def register(jobs: Jobs) -> None:
    """Adds the tick to a service's jobs."""
    jobs.every("chassis.retention", timedelta(hours=1))(delete_old_rows)


async def delete_old_rows(work: Work, _tick_at: datetime) -> None:
    """Deletes in small statements, so that nobody waits for a long one."""
    for table, (condition, age) in _KEPT.items():
        statement = (
            f"DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} WHERE {condition}"  # noqa: S608 - constants only
            f" LIMIT {_ROWS_PER_STATEMENT})) RETURNING 1"
        )
        deleted = 0
        while rows := await work.database.hot(statement, real_now() - age):
            deleted += len(rows)
        if deleted:
            log.info("rows_deleted", table=table, count=deleted)
