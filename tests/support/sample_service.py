"""A service of a few tables that publishes and listens to class sessions: what tests of the chassis run as a process.

`python -m tests.support.sample_service` is its `work`. Its tables count what happens, so that a loss or a double shows.
"""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import text

from powerhouse.scheduling.v1.events_pb2 import ClassSessionChanged, StudioCreated
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.jobs.registry import Cancelled, Done, Failed, Job, Jobs, Outcome, Retry, Work
from services.chassis.jobs.timing import Timing
from services.chassis.jobs.work import run_work
from services.chassis.messaging.consumers import Consumers, Event
from services.chassis.service import Service
from services.chassis.settings import ServiceSettings

NAME = "scheduling"
TABLES = """
CREATE TABLE projection (
    tenant_id uuid NOT NULL, id uuid NOT NULL, version bigint NOT NULL, capacity int NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE TABLE facts (event_id uuid NOT NULL);
CREATE TABLE runs (job_id uuid NOT NULL, attempt int NOT NULL);
CREATE TABLE effects (job_id uuid PRIMARY KEY);
CREATE TABLE pulses (tick_at timestamptz NOT NULL);
"""
GUARDED = ("projection",)
OPEN = ("facts", "runs", "effects", "pulses")
QUICK = Timing(
    relay_interval=0.05,
    dispatch_interval=0.05,
    tick_interval=0.1,
    sweep_interval=0.2,
    announce_again_after=1.0,
    lease=1.5,
    renew_interval=0.4,
    retry_pause=0.1,
    feed_interval=1.0,
    feed_grace=1.0,
    feed_overlap=60.0,
    drain=2.0,
)
POISON = -1

consumers = Consumers()


@consumers.on(ClassSessionChanged)
async def project(tx: UnitOfWork, event: Event[ClassSessionChanged]) -> None:
    capacity = event.payload.class_session.capacity
    await tx.session.execute(
        text(
            "INSERT INTO projection (tenant_id, id, version, capacity) VALUES (:tenant, :id, :version, :capacity)"
            " ON CONFLICT (tenant_id, id) DO UPDATE SET version = excluded.version, capacity = excluded.capacity"
            " WHERE projection.version < excluded.version"
        ),
        {"tenant": tx.tenant, "id": event.aggregate_id, "version": event.version, "capacity": capacity},
    )
    if capacity == POISON:
        raise ValueError("poison")
    await tx.session.execute(text("INSERT INTO facts VALUES (:id)"), {"id": event.event_id})
    await tx.enqueue("count", str(event.event_id))


@consumers.on(StudioCreated)
async def count_studio(tx: UnitOfWork, event: Event[StudioCreated]) -> None:
    await tx.session.execute(text("INSERT INTO facts VALUES (:id)"), {"id": event.event_id})


def make_jobs(*, ticks: bool = True) -> Jobs:
    """A job that does what its arguments say, counts its runs, and has its effect once per job."""
    jobs = Jobs()

    @jobs.on("count")
    async def count(work: Work, job: Job) -> Outcome:
        async with work.database.transaction() as tx:
            await tx.session.execute(text("INSERT INTO runs VALUES (:id, :n)"), {"id": job.id, "n": job.attempts})
        await asyncio.sleep(job.args.get("seconds", 0))
        match job.args.get("outcome", "done"):
            case "cancelled":
                return Cancelled("NOT_WANTED")
            case "failed":
                return Failed("NO_USE")
            case "retry":
                return Retry("NOT_YET", 0.1)
            case "error":
                raise RuntimeError("unexpected")
        async with work.database.transaction() as tx:
            await tx.session.execute(text("INSERT INTO effects VALUES (:id) ON CONFLICT DO NOTHING"), {"id": job.id})
        return Done()

    if ticks:

        @jobs.every("pulse", timedelta(seconds=1))
        async def pulse(work: Work, tick_at: datetime) -> None:
            async with work.database.transaction() as tx:
                await tx.session.execute(text("INSERT INTO pulses VALUES (:tick_at)"), {"tick_at": tick_at})

    return jobs


def make_service() -> Service:
    return Service(
        name=NAME,
        folder=Path(__file__).parent,
        settings=ServiceSettings,
        servicers=lambda resources: [],
        consumers=consumers,
        jobs=make_jobs(),
    )


if __name__ == "__main__":
    run_work(make_service(), QUICK)
