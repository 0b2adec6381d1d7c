"""Generation runs: what each generation did, kept, listed, and told to the owner."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select

from powerhouse.scheduling.v1.events_pb2 import GenerationRunFinished
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import NotFound
from services.chassis.telemetry import logger
from services.scheduling.clashes import describe
from services.scheduling.local_time import to_wall
from services.scheduling.models import GenerationRun, Studio, resource_name
from services.scheduling.planning import Candidate, Outcome

log = logger(__name__)

COLLECTION = "generationRuns"
# How many dates and schedules a run lists, and how many of them are told to the owner.
_LISTED = 200
_TOLD = 50
_ATTENTION = {
    "ROOM_DELETED": "Room deleted",
    "LOCATION_DELETED": "Location deleted",
    "INSTRUCTOR_DELETED": "Instructor deleted",
    "CLASS_TYPE_DELETED": "Class type deleted",
    "CLASS_TYPE_NOT_TAUGHT": "Instructor does not teach this class type",
    "RULE_UNREADABLE": "Rule cannot be read",
}


_TABLE = GenerationRun.metadata.tables[GenerationRun.__tablename__]
_KEEP = insert(_TABLE)


def attention_message(attention: str) -> str:
    """What the owner reads; empty while nothing is wrong."""
    return f"Cannot generate classes - {_ATTENTION[attention]}. Update schedule." if attention else ""


def record(
    studio: Studio, outcome: Outcome, *, cause: str, schedule_id: UUID | None, now: datetime, seconds: float
) -> GenerationRun:
    """The run that an outcome makes. A preview also lists what it would create."""
    planned = [each for each in outcome.candidates if not each.clashes]
    skipped = [each for each in outcome.candidates if each.closed]
    conflicts = [each for each in outcome.candidates if each.clashes and not each.closed]
    listed = [*conflicts, *skipped, *(planned if cause == "PREVIEW" else ())][:_LISTED]
    listed.sort(key=lambda candidate: candidate.start)
    return GenerationRun(
        tenant_id=studio.tenant_id,
        cause=cause,
        schedule_id=schedule_id,
        horizon_weeks=studio.generation_weeks,
        schedule_count=len(outcome.targets),
        created_count=len(planned),
        existing_count=outcome.existing,
        conflict_count=len(conflicts),
        skipped_count=len(skipped),
        attention_count=len(outcome.unserved),
        dates=[_date(each) for each in listed],
        unserved=[
            {
                "schedule": str(target.id),
                "display_name": target.display_name,
                "attention": reason,
            }
            for target, reason in outcome.unserved[:_LISTED]
        ],
        duration_ms=round(seconds * 1000),
        create_time=now,
    )


async def keep(tx: UnitOfWork, studio: Studio, run: GenerationRun) -> None:
    """Stores the run and has the owner told of it."""
    await tx.session.execute(_KEEP, {column.name: getattr(run, column.name) for column in _TABLE.columns})
    await tx.publish(_finished(studio, run), aggregate="generation_run", aggregate_id=run.id, version=1)
    log.info(
        "generation_finished",
        studio=str(run.tenant_id),
        run=str(run.id),
        created=run.created_count,
        existing=run.existing_count,
        conflicts=run.conflict_count,
        # "Skipped: Studio closure"
        skipped_for_closure=run.skipped_count,
        attention=run.attention_count,
    )


async def get(tx: UnitOfWork, run_id: UUID) -> GenerationRun:
    """Raises NotFound."""
    run = await tx.session.get(GenerationRun, (tx.tenant, run_id))
    if run is None:
        raise NotFound(resource_name(tx.tenant, COLLECTION, run_id))
    return run


async def list_page(tx: UnitOfWork, page: Page) -> Sequence[GenerationRun]:
    """Newest first."""
    query = select(GenerationRun).where(GenerationRun.tenant_id == tx.tenant)
    if page.after:
        query = query.where(GenerationRun.id < page.after[0])
    return (await tx.session.scalars(query.order_by(GenerationRun.id.desc()).limit(page.limit))).all()


def _date(candidate: Candidate) -> dict[str, Any]:
    target = candidate.target
    clashing = "SKIPPED" if candidate.closed else "CONFLICT"
    return {
        "schedule": str(target.id),
        "display_name": target.display_name,
        "local_start": to_wall(candidate.start, target.time_zone),
        "time_zone": target.time_zone,
        "outcome": clashing if candidate.clashes else "CREATED",
        "clashes": [clash.as_json() for clash in candidate.clashes],
    }


def _finished(studio: Studio, run: GenerationRun) -> GenerationRunFinished:
    event = GenerationRunFinished(
        generation_run_id=str(run.id),
        studio_display_name=studio.display_name,
        cause=run.cause,
        schedule_count=run.schedule_count,
        created_count=run.created_count,
        existing_count=run.existing_count,
        conflict_count=run.conflict_count,
        skipped_count=run.skipped_count,
        attention_count=run.attention_count,
    )
    conflicts = [each for each in run.dates if each["outcome"] == "CONFLICT"]
    for each in conflicts[:_TOLD]:
        event.conflicts.add(
            class_schedule_display_name=each["display_name"],
            local_start=each["local_start"],
            message=describe(clash["kind"] for clash in each["clashes"]),
        )
    for each in run.unserved[:_TOLD]:
        event.unserved.add(
            class_schedule_display_name=each["display_name"], message=attention_message(each["attention"])
        )
    return event
